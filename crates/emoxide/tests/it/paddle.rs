//! Files as Paddle writes them, and files that must be refused (`tools/reference/paddle_files.py`).

use std::path::{Path, PathBuf};

use crate::support::{ir, portable_network};
use burn::tensor::{Device, Tensor};
use emoxide::models::{Classifier, Network};
use emoxide::weights::{Head, WeightsError, import};
use emoxide_testing::{assert_close, fixture_path, portable};

fn file(name: &str) -> PathBuf {
    fixture_path("paddle").join(name)
}

fn images() -> Tensor<4> {
    let values = portable::values("import", 2 * 3 * 16 * 16);
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([2, 3, 16, 16])
}

fn load(path: &Path, keys: Option<&str>) -> Result<Network, WeightsError> {
    import(path, &ir(true), 3, keys, Head::Keep, &Device::flex())
}

#[test]
fn every_version_and_protocol_answers_as_paddle_does() {
    let text = fs_err::read_to_string(file("outputs.json")).unwrap();
    let outputs: Vec<f32> = serde_json::from_str(&text).unwrap();
    let names = [
        ("v3-protocol-2", 1e-5),
        ("v3-protocol-3", 1e-5),
        ("v3-protocol-4", 1e-5),
        ("v3-wrapped", 1e-5),
        ("v2-protocol-2", 1e-5),
        ("v2-protocol-3", 1e-5),
        ("v2-protocol-4", 1e-5),
        ("v2-wrapped", 1e-5),
        ("sliced", 1e-5),
        ("fortran", 1e-5),
        ("float16", 5e-3),
        ("bfloat16", 5e-2),
    ];
    for (name, tolerance) in names {
        let network = load(&file(&format!("{name}.pdparams")), None).unwrap_or_else(|error| panic!("{error}"));
        let largest = assert_close(name, network.forward(images()), &outputs, tolerance, tolerance);
        println!("{name}: {largest:.1e}");
    }
    let portable = portable_network(&ir(true), 3, &Device::flex());
    assert_close("PyTorch's layout", portable.forward(images()), &outputs, 1e-5, 1e-5);
}

#[test]
fn the_trunk_comes_without_the_face_head() {
    let path = file("v3-protocol-4.pdparams");
    let network = import(&path, &ir(false), 3, Some("paddle"), Head::Drop, &Device::flex());
    let network = network.unwrap_or_else(|error| panic!("{error}"));
    let expected = portable_network(&ir(true), 3, &Device::flex()).features(images()).map;
    assert_close("trunk", network.features(images()).map, &expected, 1e-5, 1e-6);
}

#[test]
fn what_is_no_state_dict_is_refused_by_name() {
    let cases = [
        ("hostile.pdparams", None, "its pickle asks for `posix.system`"),
        ("scalar.pdparams", None, "its pickle asks for `numpy._core.multiarray.scalar`"),
        ("integers.pdparams", None, "`input_layer.0.weight`: holds I32, floats are needed"),
        ("served.pdiparams", None, "tensors without names"),
        ("v3-protocol-4.pdparams", Some("pytorch"), "no place for `extractor.body.0.res_layer.0._mean`"),
    ];
    for (name, keys, expected) in cases {
        let error = load(&file(name), keys).expect_err(name).to_string();
        println!("{error}");
        assert!(error.contains(expected) && error.contains(name), "{name}: {error}");
    }
    assert!(!Path::new("EXECUTED").exists());
}

#[test]
fn damaged_files_are_errors_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("piece.pdparams");
    for name in ["v3-protocol-2.pdparams", "v2-protocol-4.pdparams", "v3-wrapped.pdparams", "sliced.pdparams"] {
        let whole = fs_err::read(file(name)).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 60) {
            fs_err::write(&path, &whole[..length]).unwrap();
            load(&path, None).expect_err("a piece");
        }
        for at in (0..whole.len()).step_by(whole.len() / 120) {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            fs_err::write(&path, changed).unwrap();
            drop(load(&path, None));
        }
    }
}
