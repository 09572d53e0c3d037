//! From a sample's source to pixels.

use emoxide::image::{Limits, RgbImage, decode};
use image::Rgb;

use super::{DataError, FER_SIDE, Source};

/// The picture of a sample as RGB; grey pictures get three equal channels.
pub(super) fn load(source: &Source) -> Result<RgbImage, DataError> {
    match source {
        Source::File(path) => {
            let bytes = fs_err::read(path)?;
            decode(&bytes, &Limits::default()).map_err(|source| DataError::Image { path: path.clone(), source })
        }
        Source::Pixels48(grey) => from_grey(grey),
    }
}

fn from_grey(grey: &[u8]) -> Result<RgbImage, DataError> {
    if grey.len() != (FER_SIDE * FER_SIDE) as usize {
        return Err(DataError::PixelCount(grey.len()));
    }
    Ok(RgbImage::from_fn(FER_SIDE, FER_SIDE, |col, row| Rgb([grey[(row * FER_SIDE + col) as usize]; 3])))
}
