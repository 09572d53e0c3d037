//! Shifted channels and noise.

use emoxide::image::RgbImage;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::AugmentError;
use super::random::{check_amount, normal_pair, uniform};

/// Adds one whole number to each channel, clipped: albumentations' `RGBShift`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RgbShift {
    /// Largest shift to either side for red, green and blue, grey levels.
    pub limits: [f64; 3],
}

impl Default for RgbShift {
    fn default() -> Self {
        Self { limits: [20.0; 3] }
    }
}

impl RgbShift {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        self.limits.into_iter().try_for_each(|limit| check_amount("rgb-shift", "limits", limit))
    }

    pub(super) fn apply(&self, image: &mut RgbImage, random: &mut impl Rng) {
        let shifts = self.limits.map(|limit| uniform([-limit, limit], random).round() as i16);
        for pixel in image.pixels_mut() {
            for (value, shift) in pixel.0.iter_mut().zip(shifts) {
                *value = (i16::from(*value) + shift).clamp(0, 255) as u8;
            }
        }
    }
}

/// Adds independent normal noise of mean 0, clips and cuts the fraction off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianNoise {
    /// Standard deviation, grey levels.
    pub deviation: f64,
    /// Whether the three channels of a pixel get the same noise, so that a grey picture stays grey.
    #[serde(default)]
    pub grey: bool,
}

impl GaussianNoise {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_amount("gaussian-noise", "deviation", self.deviation)
    }

    pub(super) fn apply(&self, image: &mut RgbImage, random: &mut impl Rng) {
        let group = if self.grey { 3 } else { 1 };
        // A cast from float to u8 saturates.
        let noisy = |value: u8, noise: f64| (f64::from(value) + self.deviation * noise) as u8;
        for groups in image.chunks_mut(2 * group) {
            for (values, noise) in groups.chunks_mut(group).zip(normal_pair(random)) {
                for value in values {
                    *value = noisy(*value, noise);
                }
            }
        }
    }
}
