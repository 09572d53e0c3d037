//! Pillow's antialiased resampling in its own fixed-point arithmetic: first along rows, then along columns, with 8-bit
//! values between. A crate with the same filters rounds differently, by up to three grey levels for the bicubic one.

use image::RgbImage;

/// Fractional bits of a coefficient: 32 less 8 of the value and 2 of headroom, as in Pillow.
const BITS: u32 = 32 - 8 - 2;

/// A filter: its support in source pixels at scale 1, and its weight at a distance.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    support: f64,
    weight: fn(f64) -> f64,
}

/// Triangle.
pub(super) const BILINEAR: Kernel = Kernel { support: 1.0, weight: |x| (1.0 - x.abs()).max(0.0) };

/// Keys' cubic with a = -0.5.
pub(super) const BICUBIC: Kernel = Kernel {
    support: 2.0,
    weight: |x| {
        let x = x.abs();
        if x < 1.0 {
            (1.5 * x - 2.5) * x * x + 1.0
        } else if x < 2.0 {
            ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        } else {
            0.0
        }
    },
};

/// What one target index reads: the first source index and the weight of it and its followers.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

fn taps(source: u32, target: u32, kernel: Kernel) -> Vec<Tap> {
    let scale = f64::from(source) / f64::from(target);
    let widening = scale.max(1.0);
    let support = kernel.support * widening;
    (0..target)
        .map(|index| {
            let centre = (f64::from(index) + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0);
            let end = ((centre + support + 0.5) as i64).min(i64::from(source));
            let weights: Vec<f64> =
                (first..end).map(|x| (kernel.weight)((x as f64 - centre + 0.5) / widening)).collect();
            let total: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let value = weight / total * f64::from(1_u32 << BITS);
                (value + 0.5_f64.copysign(value)) as i32
            };
            Tap { first: first as usize, weights: weights.iter().map(fixed).collect() }
        })
        .collect()
}

/// Resizes to `width` x `height` pixels; no side may be 0.
pub(super) fn resample(image: &RgbImage, width: u32, height: u32, kernel: Kernel) -> RgbImage {
    let wide = if width == image.width() { image.clone() } else { along_rows(image, width, kernel) };
    if height == image.height() { wide } else { along_columns(&wide, height, kernel) }
}

fn along_rows(image: &RgbImage, width: u32, kernel: Kernel) -> RgbImage {
    let taps = taps(image.width(), width, kernel);
    let mut bytes = Vec::with_capacity(width as usize * image.height() as usize * 3);
    for row in image.as_raw().chunks_exact(image.width() as usize * 3) {
        for Tap { first, weights } in &taps {
            let mut sums = [1_i32 << (BITS - 1); 3];
            for (pixel, weight) in row[first * 3..].chunks_exact(3).zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            bytes.extend(sums.map(clip));
        }
    }
    RgbImage::from_raw(width, image.height(), bytes).expect("three bytes were pushed for each pixel")
}

fn along_columns(image: &RgbImage, height: u32, kernel: Kernel) -> RgbImage {
    let stride = image.width() as usize * 3;
    let mut bytes = Vec::with_capacity(stride * height as usize);
    let mut sums = vec![0_i32; stride];
    for Tap { first, weights } in taps(image.height(), height, kernel) {
        sums.fill(1 << (BITS - 1));
        for (row, weight) in image.as_raw()[first * stride..].chunks_exact(stride).zip(&weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        bytes.extend(sums.iter().map(|sum| clip(*sum)));
    }
    RgbImage::from_raw(image.width(), height, bytes).expect("a row was pushed `height` times")
}

fn clip(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}
