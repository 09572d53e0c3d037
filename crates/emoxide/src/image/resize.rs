//! Resizing in the dialects that reference code uses.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::area::{Window, area_rows};
use super::pillow;

/// How pixels are mixed when an image changes its size. A network sees the filter that it was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Pillow's `BILINEAR`, torchvision's on Pillow images: triangle filter that widens when shrinking (antialiased).
    PillowBilinear,
    /// Pillow's `BICUBIC`: Catmull-Rom (a = -0.5) that widens when shrinking (antialiased).
    PillowBicubic,
    /// OpenCV's `INTER_LINEAR`: four nearest pixels whatever the ratio, so shrinking aliases.
    OpencvBilinear,
    /// The mean of all pixels that a target cell touches; PyTorch's `interpolate(mode="area")`.
    Area,
}

/// Resizes to `width` x `height` pixels. A side of 0, of the image or of the target, gives black (or nothing).
///
/// Pillow's and OpenCV's results are met within one grey level.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    if image.width() == 0 || image.height() == 0 || width == 0 || height == 0 {
        return RgbImage::new(width, height);
    }
    match filter {
        Filter::PillowBilinear => pillow::resample(image, width, height, pillow::BILINEAR),
        Filter::PillowBicubic => pillow::resample(image, width, height, pillow::BICUBIC),
        Filter::OpencvBilinear => four_nearest(image, width, height),
        Filter::Area => area(image, width, height),
    }
}

fn area(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let mut bytes = Vec::with_capacity(width as usize * height as usize * 3);
    let size = [width as usize, height as usize];
    area_rows(image, Window::whole(image), size, 0..height as usize, |_, row| {
        bytes.extend(row.as_flattened().iter().map(|value| value.round() as u8));
    });
    RgbImage::from_raw(width, height, bytes).expect("a row of `width` pixels was pushed `height` times")
}

/// The two neighbours of one target index and the share of the second.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    share: f32,
}

/// OpenCV's rule: pixel centres map onto pixel centres, the border pixel repeats.
fn taps(source: u32, target: u32) -> Vec<Tap> {
    let ratio = f64::from(source) / f64::from(target);
    let last = source as usize - 1;
    (0..target)
        .map(|index| {
            let position = ((f64::from(index) + 0.5) * ratio - 0.5).max(0.0);
            let first = (position as usize).min(last);
            let second = (first + 1).min(last);
            Tap { first, second, share: (position - first as f64) as f32 }
        })
        .collect()
}

fn four_nearest(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let columns = taps(image.width(), width);
    let rows = taps(image.height(), height);
    let stride = image.width() as usize * 3;
    let pixels = image.as_raw();
    let mut bytes = Vec::with_capacity(width as usize * height as usize * 3);
    for row in rows {
        let upper = &pixels[row.first * stride..][..stride];
        let lower = &pixels[row.second * stride..][..stride];
        for column in &columns {
            for channel in 0..3 {
                let mix = |line: &[u8]| {
                    let [first, second] =
                        [column.first, column.second].map(|column| f32::from(line[column * 3 + channel]));
                    first + (second - first) * column.share
                };
                let (above, below) = (mix(upper), mix(lower));
                bytes.push((above + (below - above) * row.share).round() as u8);
            }
        }
    }
    RgbImage::from_raw(width, height, bytes).expect("three bytes were pushed for each pixel")
}
