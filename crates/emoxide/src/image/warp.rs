//! Warping by a similarity.

use image::RgbImage;

use crate::geometry::Similarity;

/// Cells of one target pixel's side are capped here; a face 64 times larger than its crop has enough of them.
const MOST_SAMPLES: u32 = 64;

/// Maps `image` into a `width` x `height` image: `transform` takes source positions to target positions.
///
/// Inverse mapping, bilinear, 0 outside the image (as OpenCV's `warpAffine` with a constant border). Shrinking aliases, as
/// it does there; [`warp_antialiased`] does not. A transform without an inverse gives black.
pub fn warp(image: &RgbImage, transform: &Similarity, width: u32, height: u32) -> RgbImage {
    warp_sampled(image, transform, width, height, 1)
}

/// [`warp`] that averages when it shrinks.
///
/// A transform that shrinks `r` times takes `k = floor(r)` x `k` bilinear samples, evenly spread over the target pixel, and
/// averages them. That is the warp at `k` times the size followed by exact area reduction, without its memory. Each sample
/// then stands for less than 2 x 2 source pixels, which bilinear reading covers. Shrinking less than twice takes one
/// sample and equals [`warp`].
pub fn warp_antialiased(image: &RgbImage, transform: &Similarity, width: u32, height: u32) -> RgbImage {
    let shrink = 1.0 / transform.scale();
    // NaN and infinity come from transforms without an inverse, which `warp_sampled` answers with black.
    let samples = if shrink.is_finite() { (shrink as u32).clamp(1, MOST_SAMPLES) } else { 1 };
    warp_sampled(image, transform, width, height, samples)
}

fn warp_sampled(image: &RgbImage, transform: &Similarity, width: u32, height: u32, samples: u32) -> RgbImage {
    let mut target = RgbImage::new(width, height);
    let Some(back) = transform.inverse() else { return target };
    let step = 1.0 / f64::from(samples);
    let offsets: Vec<f64> = (0..samples).map(|sample| (f64::from(sample) + 0.5) * step - 0.5).collect();
    let share = 1.0 / (samples * samples) as f32;
    for (column, row, pixel) in target.enumerate_pixels_mut() {
        let mut sum = [0.0; 3];
        for down in &offsets {
            for right in &offsets {
                let [x, y] = back.apply([f64::from(column) + right, f64::from(row) + down]);
                add_bilinear(image, x, y, &mut sum);
            }
        }
        pixel.0 = sum.map(|sum| (sum * share).round() as u8);
    }
    target
}

/// Adds the colour at a position, mixed from the four nearest pixels; pixels outside are black.
fn add_bilinear(image: &RgbImage, x: f64, y: f64, sum: &mut [f32; 3]) {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = ((x - left) as f32, (y - top) as f32);
    // The casts saturate: a position far away, or not a number, stays outside.
    let (left, top) = (left as i64, top as i64);
    if x.is_nan() || y.is_nan() || left < -1 || top < -1 || left >= width || top >= height {
        return;
    }
    let pixels = image.as_raw();
    for (row, row_share) in [(top, 1.0 - lower_share), (top + 1, lower_share)] {
        if !(0..height).contains(&row) {
            continue;
        }
        for (column, share) in [(left, (1.0 - right_share) * row_share), (left + 1, right_share * row_share)] {
            if !(0..width).contains(&column) {
                continue;
            }
            let at = (row * width + column) as usize * 3;
            sum.iter_mut().zip(&pixels[at..at + 3]).for_each(|(sum, &value)| *sum += f32::from(value) * share);
        }
    }
}
