//! `RandAugment` (Cubuk et al., 2020): a few operations drawn from a fixed list, all of the same strength.
//!
//! Reference: torchvision's `RandAugment` on Pillow pictures with its 31 strengths, nearest pixels, and black where there is
//! no picture. The operation of the same name in `PaddleClas`, which the Paddle configuration of `TransFER` runs with strength 5
//! of 10 (15 of 30 here), is not this one: it inverts in the place of leaving alone, fills with grey 128, shears with
//! bicubic pixels, turns to one side only, and keeps 2 bits where this keeps 6.

use emoxide::image::RgbImage;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::AugmentError;
use super::colour::{adjust_brightness, adjust_contrast, adjust_saturation, blend, map_values};
use super::random::happens;
use super::warp::{AffineDraw, Interpolation, Matrix, affine_about, affine_matrix, rotation_matrix, warp};

/// Strengths of every operation.
const STRENGTHS: usize = 31;

/// How many operations, and how strong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// Operations a picture, one behind another; the same one may come again.
    pub ops: usize,
    /// Strength, 0 to 30.
    pub magnitude: usize,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { ops: 2, magnitude: 9 }
    }
}

impl RandAugment {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        if self.magnitude < STRENGTHS {
            return Ok(());
        }
        Err(AugmentError::parameter("rand-augment", "magnitude", &self.magnitude, "a whole number from 0 to 30"))
    }

    pub(super) fn apply(&self, image: RgbImage, random: &mut impl Rng) -> RgbImage {
        (0..self.ops).fold(image, |image, _| {
            let operation = Operation::ALL[random.random_range(0..Operation::ALL.len())];
            let (amount, signed) = operation.amount(self.magnitude, image.dimensions());
            let amount = if signed && happens(0.5, random) { -amount } else { amount };
            operation.apply(image, amount)
        })
    }
}

/// One operation of the list, under torchvision's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Operation {
    /// Leaves the picture alone.
    Identity,
    /// Moves rows sideways, the further down the more; columns a row.
    ShearX,
    /// Moves columns down, the further right the more; rows a column.
    ShearY,
    /// Moves to the right; pixels.
    TranslateX,
    /// Moves down; pixels.
    TranslateY,
    /// Turns about the middle; degrees.
    Rotate,
    /// Blends with black; what is added to a factor of 1.
    Brightness,
    /// Blends with luminance; what is added to a factor of 1.
    Color,
    /// Blends with the mean luminance; what is added to a factor of 1.
    Contrast,
    /// Blends with a smoothed copy; what is added to a factor of 1.
    Sharpness,
    /// Keeps the highest bits of every value; their number.
    Posterize,
    /// Inverts values from a threshold on; grey levels.
    Solarize,
    /// Stretches every channel to the full range.
    AutoContrast,
    /// Makes every channel's values equally frequent.
    Equalize,
}

impl Operation {
    /// All of them, each drawn with the same probability.
    pub const ALL: [Self; 14] = [
        Self::Identity,
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
        Self::Rotate,
        Self::Brightness,
        Self::Color,
        Self::Contrast,
        Self::Sharpness,
        Self::Posterize,
        Self::Solarize,
        Self::AutoContrast,
        Self::Equalize,
    ];

    /// The amount that a strength of 0 to 30 means for a picture of this width and height, and whether its sign is drawn.
    pub fn amount(self, magnitude: usize, (width, height): (u32, u32)) -> (f64, bool) {
        let pixels = |side: u32| 150.0 / 331.0 * f64::from(side);
        match self {
            Self::Identity | Self::AutoContrast | Self::Equalize => (0.0, false),
            Self::ShearX | Self::ShearY => (spaced(0.0, 0.3, magnitude), true),
            Self::TranslateX => (spaced(0.0, pixels(width), magnitude), true),
            Self::TranslateY => (spaced(0.0, pixels(height), magnitude), true),
            Self::Rotate => (spaced(0.0, 30.0, magnitude), true),
            Self::Brightness | Self::Color | Self::Contrast | Self::Sharpness => (spaced(0.0, 0.9, magnitude), true),
            Self::Posterize => (8.0 - (magnitude as f64 / 7.5).round_ties_even(), false),
            Self::Solarize => (spaced(255.0, 0.0, magnitude), false),
        }
    }

    /// Runs the operation by an amount, whose unit stands with each.
    pub fn apply(self, mut image: RgbImage, amount: f64) -> RgbImage {
        let (width, height) = image.dimensions();
        let nearest = |image: &RgbImage, matrix: &Matrix| warp(image, matrix, Interpolation::Nearest, [0; 3]);
        let still = AffineDraw { angle: 0.0, translate: [0.0; 2], scale: 1.0, shear: [0.0; 2] };
        let slant = amount.atan().to_degrees();
        let shear = |shear| affine_about([0.0; 2], &AffineDraw { shear, ..still });
        let shift = |translate| affine_matrix(width, height, &AffineDraw { translate, ..still });
        match self {
            Self::Identity => {}
            Self::ShearX => return nearest(&image, &shear([slant, 0.0])),
            Self::ShearY => return nearest(&image, &shear([0.0, slant])),
            Self::TranslateX => return nearest(&image, &shift([amount.trunc(), 0.0])),
            Self::TranslateY => return nearest(&image, &shift([0.0, amount.trunc()])),
            Self::Rotate => return nearest(&image, &rotation_matrix(width, height, amount)),
            Self::Brightness => adjust_brightness(&mut image, 1.0 + amount),
            Self::Color => adjust_saturation(&mut image, 1.0 + amount),
            Self::Contrast => adjust_contrast(&mut image, 1.0 + amount),
            Self::Sharpness => adjust_sharpness(&mut image, 1.0 + amount),
            Self::Posterize => {
                let kept = 0xFF00_u32 >> amount as u32;
                map_values(&mut image, &std::array::from_fn(|value| (value as u32 & kept) as u8));
            }
            Self::Solarize => {
                let inverted = |value: usize| if (value as f64) < amount { value } else { 255 - value };
                map_values(&mut image, &std::array::from_fn(|value| inverted(value) as u8));
            }
            Self::AutoContrast => map_channels(&mut image, stretching),
            Self::Equalize => map_channels(&mut image, equalising),
        }
        image
    }
}

/// Entry `index` of 31 evenly spaced numbers from `start` to `end`, in single precision, from the nearer end and rounded once,
/// as `torch.linspace` has them on x86.
fn spaced(start: f32, end: f64, index: usize) -> f64 {
    let end = end as f32;
    let step = (end - start) / (STRENGTHS - 1) as f32;
    let left = STRENGTHS - 1 - index;
    f64::from(if index < left { step.mul_add(index as f32, start) } else { step.mul_add(-(left as f32), end) })
}

/// Blends with a smoothed copy, in which a pixel counts 5 and its neighbours 1; the border stays. 1 changes nothing.
pub fn adjust_sharpness(image: &mut RgbImage, factor: f64) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let source = image.as_raw().clone();
    for row in 1..height.saturating_sub(1) {
        for at in (row * width + 1) * 3..((row + 1) * width).saturating_sub(1) * 3 {
            let around = |at: usize| u32::from(source[at - 3]) + u32::from(source[at]) + u32::from(source[at + 3]);
            let sum = around(at - 3 * width) + around(at) + around(at + 3 * width) + 4 * u32::from(source[at]);
            // Thirteenths, rounded to the nearest.
            let smooth = ((2 * sum + 13) / 26) as u8;
            image.as_mut()[at] = blend(smooth, source[at], factor as f32);
        }
    }
}

/// Maps every channel by a table that follows from how often it has each value.
fn map_channels(image: &mut RgbImage, table: fn(&[usize; 256]) -> [u8; 256]) {
    let mut counts = [[0_usize; 256]; 3];
    for pixel in image.pixels() {
        for (counts, value) in counts.iter_mut().zip(pixel.0) {
            counts[usize::from(value)] += 1;
        }
    }
    let tables = counts.map(|counts| table(&counts));
    for pixel in image.pixels_mut() {
        for (value, table) in pixel.0.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

fn unchanged() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

/// The table that brings the lowest value to 0 and the highest to 255.
fn stretching(counts: &[usize; 256]) -> [u8; 256] {
    let occurring = |value: &usize| counts[*value] > 0;
    match ((0..256).find(occurring), (0..256).rfind(occurring)) {
        (Some(lowest), Some(highest)) if lowest < highest => {
            let scale = 255.0 / (highest - lowest) as f64;
            // A cast from float to u8 cuts the fraction off and saturates.
            std::array::from_fn(|value| (value as f64 * scale - lowest as f64 * scale) as u8)
        }
        _ => unchanged(),
    }
}

/// The table that maps a value to the share of lower ones.
fn equalising(counts: &[usize; 256]) -> [u8; 256] {
    let total: usize = counts.iter().sum();
    let highest = counts.iter().rfind(|count| **count > 0).map_or(0, |count| *count);
    let step = (total - highest) / 255;
    if step == 0 {
        return unchanged();
    }
    let mut below = step / 2;
    std::array::from_fn(|value| {
        let mapped = (below / step).min(255) as u8;
        below += counts[value];
        mapped
    })
}
