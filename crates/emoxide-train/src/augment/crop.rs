//! Resizing and cutting out windows.

use emoxide::image::{Filter, RgbImage, centre, resize, window};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::AugmentError;
use super::random::{check_range, uniform};

/// Places that are tried before a window is given up for the middle.
const TRIES: usize = 10;

/// Resizes to a fixed size, whatever the shape of the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How.
    #[serde(default = "default_filter")]
    pub filter: Filter,
}

impl Resize {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_size("resize", self.width, self.height)
    }

    pub(super) fn apply(&self, image: &RgbImage) -> RgbImage {
        resize(image, self.width, self.height, self.filter)
    }
}

/// Cuts out the middle; a picture that is too small is padded with black first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl CenterCrop {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_size("center-crop", self.width, self.height)
    }

    /// The middle of a picture.
    pub fn apply(&self, image: &RgbImage) -> RgbImage {
        centre(image, self.width, self.height)
    }
}

/// Cuts out one of the four corners or the middle, each with the same probability: a random one of torchvision's `FiveCrop`,
/// as the authors of DACL train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiveCrop {
    /// Side of the square window in pixels.
    pub size: u32,
}

impl FiveCrop {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_size("five-crop", self.size, self.size)
    }

    pub(super) fn apply(&self, image: &RgbImage, random: &mut impl Rng) -> Result<RgbImage, AugmentError> {
        let size = self.size;
        let found = image.dimensions();
        if size > found.0 || size > found.1 {
            return Err(AugmentError::TooSmall { kind: "five-crop", wanted: (size, size), found });
        }
        Ok(self.crop(image, random.random_range(0..5)))
    }

    /// One of the five: top left, top right, bottom left, bottom right, middle. The window must fit.
    pub fn crop(&self, image: &RgbImage, which: usize) -> RgbImage {
        let size = self.size;
        if which == 4 {
            return centre(image, size, size);
        }
        let (right, bottom) = (i64::from(image.width()) - i64::from(size), i64::from(image.height()) - i64::from(size));
        let left = if which.is_multiple_of(2) { 0 } else { right };
        let top = if which < 2 { 0 } else { bottom };
        window(image, left, top, size, size, [0; 3])
    }
}

/// Pads every side, then cuts out a window at a uniformly random place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pixels added on every side first.
    #[serde(default)]
    pub padding: u32,
    /// Colour of the padding.
    #[serde(default)]
    pub fill: [u8; 3],
}

impl RandomCrop {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_size("random-crop", self.width, self.height)
    }

    pub(super) fn apply(&self, image: RgbImage, random: &mut impl Rng) -> Result<RgbImage, AugmentError> {
        let wanted = (self.width, self.height);
        let found = (image.width() + 2 * self.padding, image.height() + 2 * self.padding);
        if wanted.0 > found.0 || wanted.1 > found.1 {
            return Err(AugmentError::TooSmall { kind: "random-crop", wanted, found });
        }
        if wanted == found && self.padding == 0 {
            return Ok(image);
        }
        let top = random.random_range(0..=found.1 - wanted.1);
        let left = random.random_range(0..=found.0 - wanted.0);
        let (left, top) = (i64::from(left) - i64::from(self.padding), i64::from(top) - i64::from(self.padding));
        Ok(window(&image, left, top, self.width, self.height, self.fill))
    }
}

/// Cuts out a window of random area and shape and resizes it: torchvision's `RandomResizedCrop`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizedCrop {
    /// Pixels of the result.
    pub width: u32,
    /// Pixels of the result.
    pub height: u32,
    /// Range of the share of the area, uniform.
    #[serde(default = "default_scale")]
    pub scale: [f64; 2],
    /// Range of width over height, log-uniform.
    #[serde(default = "default_ratio")]
    pub ratio: [f64; 2],
    /// How the window is resized.
    #[serde(default = "default_filter")]
    pub filter: Filter,
}

/// torchvision's.
fn default_filter() -> Filter {
    Filter::PillowBilinear
}

fn default_scale() -> [f64; 2] {
    [0.08, 1.0]
}

fn default_ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

/// A window of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl ResizedCrop {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_size("resized-crop", self.width, self.height)?;
        check_range("resized-crop", "scale", self.scale, 1e-6..=1.0, "a rising pair above 0 and up to 1")?;
        check_range("resized-crop", "ratio", self.ratio, 1e-3..=1e3, "a rising pair of positive numbers")
    }

    /// Draws a window of a picture of the given size: ten tries, then the largest middle window of a permitted shape.
    pub fn draw(&self, width: u32, height: u32, random: &mut impl Rng) -> Window {
        let area = f64::from(width) * f64::from(height);
        let log_ratio = self.ratio.map(f64::ln);
        for _ in 0..TRIES {
            let target = area * uniform(self.scale, random);
            let ratio = uniform(log_ratio, random).exp();
            let columns = (target * ratio).sqrt().round_ties_even() as u32;
            let rows = (target / ratio).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&columns) && (1..=height).contains(&rows) {
                let top = random.random_range(0..=height - rows);
                let left = random.random_range(0..=width - columns);
                return Window { left, top, width: columns, height: rows };
            }
        }
        self.middle(width, height)
    }

    /// The largest middle window whose shape is permitted.
    pub fn middle(&self, width: u32, height: u32) -> Window {
        let shape = f64::from(width) / f64::from(height);
        let [narrow, wide] = self.ratio;
        let (columns, rows) = if shape < narrow {
            (width, (f64::from(width) / narrow).round_ties_even() as u32)
        } else if shape > wide {
            ((f64::from(height) * wide).round_ties_even() as u32, height)
        } else {
            (width, height)
        };
        Window { left: (width - columns) / 2, top: (height - rows) / 2, width: columns, height: rows }
    }

    pub(super) fn apply(&self, image: &RgbImage, random: &mut impl Rng) -> RgbImage {
        let place = self.draw(image.width(), image.height(), random);
        let (left, top) = (i64::from(place.left), i64::from(place.top));
        let cut = window(image, left, top, place.width, place.height, [0; 3]);
        resize(&cut, self.width, self.height, self.filter)
    }
}

fn check_size(kind: &'static str, width: u32, height: u32) -> Result<(), AugmentError> {
    if width > 0 && height > 0 {
        return Ok(());
    }
    Err(AugmentError::parameter(kind, "width, height", &[width, height], "a pair of positive numbers"))
}
