//! From a sample's source to pixels.

use std::path::Path;

use emoxide::image::{Limits, RgbImage, decode};
use image::Rgb;

use super::{DataError, FER_SIDE, Source};

/// The picture of a sample as RGB; grey pictures get three equal channels. `shift` changes the box of a face (see
/// [`DataSet::load_changed`](super::DataSet::load_changed)).
pub(super) fn load(source: &Source, shift: Option<[f64; 2]>) -> Result<RgbImage, DataError> {
    match source {
        Source::File(path) => read(path),
        Source::Face { file, bounds } => {
            let image = read(file)?;
            let [left, top, right, bottom] = enlarged(*bounds, shift, image.dimensions());
            if left >= right || top >= bottom {
                return Err(DataError::Box { path: file.clone(), bounds: *bounds });
            }
            let (width, height) = ((right - left) as u32, (bottom - top) as u32);
            Ok(image::imageops::crop_imm(&image, left as u32, top as u32, width, height).to_image())
        }
        Source::Bgr(source) => {
            let mut image = load(source, shift)?;
            image.pixels_mut().for_each(|Rgb(colour)| colour.reverse());
            Ok(image)
        }
        Source::Pixels48(grey) => from_grey(grey),
    }
}

fn read(path: &Path) -> Result<RgbImage, DataError> {
    let bytes = fs_err::read(path)?;
    decode(&bytes, &Limits::default()).map_err(|source| DataError::Image { path: path.to_owned(), source })
}

/// A box with a tenth of its sides more on each of them, rounded as the benchmark does it, within a picture. A shift moves
/// every edge by up to as much again, outwards for 0 and inwards for almost 1.
fn enlarged([left, top, right, bottom]: [i32; 4], shift: Option<[f64; 2]>, (width, height): (u32, u32)) -> [i32; 4] {
    let margin = |from: i32, to: i32, axis: usize| {
        let margin = (f64::from(to - from) * 0.2) as i32 / 2;
        margin - shift.map_or(0, |shift| (shift[axis] * f64::from(2 * margin + 1)).floor() as i32 - margin)
    };
    let (across, down) = (margin(left, right, 0), margin(top, bottom, 1));
    let within = |at: i32, side: u32| at.clamp(0, side as i32);
    [
        within(left - across, width),
        within(top - down, height),
        within(right + across, width),
        within(bottom + down, height),
    ]
}

fn from_grey(grey: &[u8]) -> Result<RgbImage, DataError> {
    if grey.len() != (FER_SIDE * FER_SIDE) as usize {
        return Err(DataError::PixelCount(grey.len()));
    }
    Ok(RgbImage::from_fn(FER_SIDE, FER_SIDE, |col, row| Rgb([grey[(row * FER_SIDE + col) as usize]; 3])))
}
