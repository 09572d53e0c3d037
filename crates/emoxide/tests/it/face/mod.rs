//! Faces: finding them, and cutting them out.

mod crops;
mod mtcnn;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use emoxide::face::{Mtcnn, mtcnn as weights};
use emoxide::image::{Limits, RgbImage, decode};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(name: &str) -> Vec<u8> {
    fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/face").join(name)).unwrap()
}

fn photo(name: &str) -> RgbImage {
    decode(&fs_err::read(root().join("assets/photos").join(name)).unwrap(), &Limits::default()).unwrap()
}

fn detector() -> Mtcnn {
    Mtcnn::load(weights::WEIGHTS, &Device::flex()).unwrap()
}
