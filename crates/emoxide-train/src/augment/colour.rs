//! Brightness, contrast, saturation, hue and luminance, in Pillow's arithmetic.

use emoxide::image::RgbImage;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::AugmentError;
use super::random::{check_amount, check_probability, check_range, happens, uniform};

/// Brightness, contrast, saturation and hue in random order: torchvision's `ColorJitter`.
///
/// An amount `a` draws a factor from `[max(0, 1 - a), 1 + a]`, hue a share of the circle from `[-a, a]`; an amount of 0 leaves
/// its property alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColourJitter {
    /// Amount.
    pub brightness: f64,
    /// Amount.
    pub contrast: f64,
    /// Amount.
    pub saturation: f64,
    /// Amount, at most one half.
    pub hue: f64,
}

impl ColourJitter {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_amount("colour-jitter", "brightness", self.brightness)?;
        check_amount("colour-jitter", "contrast", self.contrast)?;
        check_amount("colour-jitter", "saturation", self.saturation)?;
        check_range("colour-jitter", "hue", [0.0, self.hue], 0.0..=0.5, "a number from 0 to 0.5")
    }

    pub(super) fn apply(&self, image: &mut RgbImage, random: &mut impl Rng) {
        let mut order = [0, 1, 2, 3];
        order.shuffle(random);
        let mut factor = |amount: f64| uniform([(1.0 - amount).max(0.0), 1.0 + amount], random);
        let factors = [factor(self.brightness), factor(self.contrast), factor(self.saturation)];
        let hue = uniform([-self.hue, self.hue], random);
        for property in order {
            match property {
                0 if self.brightness > 0.0 => adjust_brightness(image, factors[0]),
                1 if self.contrast > 0.0 => adjust_contrast(image, factors[1]),
                2 if self.saturation > 0.0 => adjust_saturation(image, factors[2]),
                3 if self.hue > 0.0 => adjust_hue(image, hue),
                _ => {}
            }
        }
    }
}

/// `value * (1 + c) + 255 b`, clipped: albumentations' `RandomBrightnessContrast`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrightnessContrast {
    /// Largest `b` to either side.
    pub brightness: f64,
    /// Largest `c` to either side.
    pub contrast: f64,
}

impl Default for BrightnessContrast {
    fn default() -> Self {
        Self { brightness: 0.2, contrast: 0.2 }
    }
}

impl BrightnessContrast {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_amount("brightness-contrast", "brightness", self.brightness)?;
        check_amount("brightness-contrast", "contrast", self.contrast)
    }

    pub(super) fn apply(&self, image: &mut RgbImage, random: &mut impl Rng) {
        let factor = 1.0 + uniform([-self.contrast, self.contrast], random);
        let offset = 255.0 * uniform([-self.brightness, self.brightness], random);
        let table: [u8; 256] = std::array::from_fn(|value| (value as f64 * factor + offset) as u8);
        map_values(image, &table);
    }
}

/// Replaces colour by luminance: torchvision's `RandomGrayscale`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greyscale {
    /// Probability.
    pub probability: f64,
}

impl Greyscale {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_probability("greyscale", self.probability)
    }

    pub(super) fn apply(&self, image: &mut RgbImage, random: &mut impl Rng) {
        if happens(self.probability, random) {
            for pixel in image.pixels_mut() {
                pixel.0 = [luminance(pixel.0); 3];
            }
        }
    }
}

/// Blends with black; 1 changes nothing.
pub fn adjust_brightness(image: &mut RgbImage, factor: f64) {
    map_values(image, &std::array::from_fn(|value| blend(0, value as u8, factor as f32)));
}

/// Blends with the mean luminance.
pub fn adjust_contrast(image: &mut RgbImage, factor: f64) {
    let total: u64 = image.pixels().map(|pixel| u64::from(luminance(pixel.0))).sum();
    let count = u64::from(image.width()) * u64::from(image.height());
    let mean = (total as f64 / count.max(1) as f64 + 0.5) as u8;
    map_values(image, &std::array::from_fn(|value| blend(mean, value as u8, factor as f32)));
}

/// Blends with the luminance of each pixel.
pub fn adjust_saturation(image: &mut RgbImage, factor: f64) {
    for pixel in image.pixels_mut() {
        let grey = luminance(pixel.0);
        pixel.0 = pixel.0.map(|value| blend(grey, value, factor as f32));
    }
}

/// Turns the hue by a share of the circle, from -0.5 to 0.5, in steps of 1/255.
pub fn adjust_hue(image: &mut RgbImage, share: f64) {
    let steps = (share * 255.0) as i32;
    for pixel in image.pixels_mut() {
        let [hue, saturation, value] = to_hsv(pixel.0);
        pixel.0 = to_rgb([(i32::from(hue) + steps).rem_euclid(256) as u8, saturation, value]);
    }
}

/// Luminance by ITU-R 601-2, in 16-bit fixed point.
pub fn luminance([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// `from` at factor 0, `to` at 1, beyond it above; the fraction is cut off.
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    // A cast from float to u8 saturates.
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

pub(super) fn map_values(image: &mut RgbImage, table: &[u8; 256]) {
    image.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// Hue, saturation and value on 0..=255 each. Single precision where Pillow has it: the last bit decides the result.
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (largest, smallest) = (red.max(green).max(blue), red.min(green).min(blue));
    if largest == smallest {
        return [0, 0, largest];
    }
    let range = f32::from(largest - smallest);
    let saturation = range / f32::from(largest);
    let [r, g, b] = [red, green, blue].map(|value| f32::from(largest - value) / range);
    let sector = if red == largest {
        b - g
    } else if green == largest {
        (2.0 + f64::from(r) - f64::from(b)) as f32
    } else {
        (4.0 + f64::from(g) - f64::from(r)) as f32
    };
    let hue = ((f64::from(sector) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, largest]
}

fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sector = f64::from(hue) * 6.0 / 255.0;
    let within = f64::from((sector - sector.floor()) as f32);
    let share = f64::from((f64::from(saturation) / 255.0) as f32);
    let level = |fade: f64| (f64::from(value) * fade).round() as u8;
    let (low, falling, rising) = (level(1.0 - share), level(1.0 - share * within), level(1.0 - share * (1.0 - within)));
    match sector as u8 % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}
