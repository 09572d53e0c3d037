//! Augmentation with torchvision's semantics on 8-bit pictures (Pillow's arithmetic), and erasing on the network's input.
//!
//! A configuration is a list of operations, run in order. What a sample gets depends on the run's seed, the epoch and the
//! sample's place in the epoch alone, so the number of workers and their order change nothing.

pub mod colour;
pub mod crop;
pub mod erase;
pub mod noise;
pub mod policy;
mod random;
pub mod warp;

use emoxide::image::RgbImage;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use colour::{BrightnessContrast, ColourJitter, Greyscale};
use crop::{CenterCrop, FiveCrop, RandomCrop, Resize, ResizedCrop};
use erase::Erasing;
use noise::{GaussianNoise, RgbShift};
use policy::RandAugment;
pub use random::{SampleKey, normal_pair};
use random::{Stage, check_probability, happens, uniform};
use warp::{Affine, Rotation};

/// Everything that is done to a training picture: the section `augment` of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Whether the pictures that a run is chosen by and tested on are changed too, as some papers' programs do by one transform
    /// for both. What each one gets follows from the run's seed and its place in the data set; every figure says so.
    pub test: bool,
    /// Whether the box of a face that is cut out of its picture grows or shrinks: each edge moves by a whole number of pixels,
    /// opposite edges by the same one, uniform within the tenth of the box's side by which all boxes are enlarged. As in the
    /// CD-FER benchmark (Chen et al., 2022); only for data sets that have boxes.
    pub box_jitter: bool,
    /// Done to the decoded 8-bit picture, before the preprocessing that training shares with inference.
    pub image: Vec<ImageAugment>,
    /// Done to the normalised input of the network, after it.
    pub tensor: Vec<TensorAugment>,
}

/// One operation on an 8-bit picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageAugment {
    /// Resizes to a fixed size.
    Resize(Resize),
    /// Cuts out the middle.
    CenterCrop(CenterCrop),
    /// Pads, then cuts out a window at a random place.
    RandomCrop(RandomCrop),
    /// Cuts out a window of random area and shape and resizes it.
    ResizedCrop(ResizedCrop),
    /// Cuts out one of the corners or the middle.
    FiveCrop(FiveCrop),
    /// Turns about the middle.
    Rotation(Rotation),
    /// Turns, shifts, scales and shears in one pass.
    Affine(Affine),
    /// Swaps left and right.
    HorizontalFlip {
        /// Probability.
        #[serde(default = "half")]
        probability: f64,
    },
    /// Brightness, contrast, saturation and hue in random order.
    ColourJitter(ColourJitter),
    /// Contrast and brightness in one linear map.
    BrightnessContrast(BrightnessContrast),
    /// Replaces colour by luminance.
    Greyscale(Greyscale),
    /// Adds one number to each channel.
    RgbShift(RgbShift),
    /// Adds independent normal noise.
    GaussianNoise(GaussianNoise),
    /// Runs operations drawn from a fixed list, all of the same strength.
    RandAugment(RandAugment),
    /// Runs a list of operations, or none of them.
    RandomApply {
        /// Probability.
        probability: f64,
        /// The operations.
        ops: Vec<ImageAugment>,
    },
}

/// One operation on a normalised input `[channels, rows, cols]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TensorAugment {
    /// Overwrites a random rectangle.
    Erasing(Erasing),
}

fn half() -> f64 {
    0.5
}

/// Why an augmentation cannot be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A parameter outside its range.
    #[error("augmentation `{kind}`: `{field} = {value}` is not {wanted}")]
    Parameter {
        /// The operation.
        kind: &'static str,
        /// Its parameter.
        field: &'static str,
        /// What the recipe says.
        value: String,
        /// What would do.
        wanted: &'static str,
    },
    /// Changes to test pictures, and none listed.
    #[error("augment.test is true, but `augment` lists no operation: list some, or remove it")]
    NothingToTest,
    /// A crop that does not fit.
    #[error("augmentation `{kind}` wants {} by {} pixels of a picture with {} by {}: resize first, or pad", wanted.0, wanted.1, found.0, found.1)]
    TooSmall {
        /// The operation.
        kind: &'static str,
        /// Width and height of the window.
        wanted: (u32, u32),
        /// Width and height of the picture, padding included.
        found: (u32, u32),
    },
}

impl AugmentError {
    fn parameter(kind: &'static str, field: &'static str, value: &impl std::fmt::Debug, wanted: &'static str) -> Self {
        Self::Parameter { kind, field, value: format!("{value:?}"), wanted }
    }
}

impl AugmentConfig {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.image.is_empty() && self.tensor.is_empty() && !self.box_jitter
    }

    /// Whether an operation decides on the size of the picture, so that its result is no whole picture any more.
    pub fn sets_size(&self) -> bool {
        self.image.iter().any(ImageAugment::sets_size)
    }

    /// Checks every parameter, so that a bad recipe fails before the first picture is read.
    pub fn check(&self) -> Result<(), AugmentError> {
        if self.test && self.is_empty() {
            return Err(AugmentError::NothingToTest);
        }
        self.image.iter().try_for_each(ImageAugment::check)?;
        self.tensor.iter().try_for_each(|TensorAugment::Erasing(op)| op.check())
    }

    /// How far the edges of a face's box move, for [`DataSet::load_changed`](crate::data::DataSet::load_changed): two numbers
    /// in `[0, 1)`. `None` where boxes stay.
    pub(crate) fn box_shift(&self, key: SampleKey) -> Option<[f64; 2]> {
        let mut random = key.generator(Stage::Box);
        self.box_jitter.then(|| [uniform([0.0, 1.0], &mut random), uniform([0.0, 1.0], &mut random)])
    }

    /// Runs the operations on a picture. The same key gives the same result, whatever was done before.
    pub fn apply(&self, image: RgbImage, key: SampleKey) -> Result<RgbImage, AugmentError> {
        let mut random = key.generator(Stage::Image);
        self.image.iter().try_fold(image, |image, op| op.apply(image, &mut random))
    }

    /// Runs the operations on a normalised input. `values` holds `[channels, rows, cols]` in this order.
    pub fn apply_to_tensor(&self, values: &mut [f32], shape: [usize; 3], key: SampleKey) {
        let mut random = key.generator(Stage::Tensor);
        for TensorAugment::Erasing(op) in &self.tensor {
            op.apply(values, shape, &mut random);
        }
    }
}

impl ImageAugment {
    fn sets_size(&self) -> bool {
        match self {
            Self::Resize(_) | Self::CenterCrop(_) | Self::RandomCrop(_) | Self::ResizedCrop(_) | Self::FiveCrop(_) => {
                true
            }
            Self::RandomApply { ops, .. } => ops.iter().any(Self::sets_size),
            _ => false,
        }
    }

    fn check(&self) -> Result<(), AugmentError> {
        match self {
            Self::Resize(op) => op.check(),
            Self::CenterCrop(op) => op.check(),
            Self::RandomCrop(op) => op.check(),
            Self::ResizedCrop(op) => op.check(),
            Self::FiveCrop(op) => op.check(),
            Self::Rotation(op) => op.check(),
            Self::Affine(op) => op.check(),
            Self::HorizontalFlip { probability } => check_probability("horizontal-flip", *probability),
            Self::ColourJitter(op) => op.check(),
            Self::BrightnessContrast(op) => op.check(),
            Self::Greyscale(op) => op.check(),
            Self::RgbShift(op) => op.check(),
            Self::GaussianNoise(op) => op.check(),
            Self::RandAugment(op) => op.check(),
            Self::RandomApply { probability, ops } => {
                check_probability("random-apply", *probability)?;
                ops.iter().try_for_each(Self::check)
            }
        }
    }

    fn apply(&self, mut image: RgbImage, random: &mut ChaCha8Rng) -> Result<RgbImage, AugmentError> {
        match self {
            Self::Resize(op) => return Ok(op.apply(&image)),
            Self::CenterCrop(op) => return Ok(op.apply(&image)),
            Self::RandomCrop(op) => return op.apply(image, random),
            Self::ResizedCrop(op) => return Ok(op.apply(&image, random)),
            Self::FiveCrop(op) => return op.apply(&image, random),
            Self::RandAugment(op) => return Ok(op.apply(image, random)),
            Self::Rotation(op) => return Ok(op.apply(&image, random)),
            Self::Affine(op) => return Ok(op.apply(&image, random)),
            Self::HorizontalFlip { probability } => {
                if happens(*probability, random) {
                    image::imageops::flip_horizontal_in_place(&mut image);
                }
            }
            Self::ColourJitter(op) => op.apply(&mut image, random),
            Self::BrightnessContrast(op) => op.apply(&mut image, random),
            Self::Greyscale(op) => op.apply(&mut image, random),
            Self::RgbShift(op) => op.apply(&mut image, random),
            Self::GaussianNoise(op) => op.apply(&mut image, random),
            Self::RandomApply { probability, ops } => {
                if happens(*probability, random) {
                    return ops.iter().try_fold(image, |image, op| op.apply(image, random));
                }
            }
        }
        Ok(image)
    }
}
