//! From a face picture to the numbers a network reads, and how faces are found and cut out for it. Training and inference
//! both end here, and the values themselves travel in the checkpoint.

mod alignment;
mod detector;
mod error;
mod resize;

pub use alignment::Alignment;
pub use detector::{DetectorConfig, FaceOrder, MtcnnConfig};
pub use error::PreprocessError;
pub use resize::Resize;

use std::borrow::Cow;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::image::{Filter, RgbImage, centre};

/// Colour channels of a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// One channel: luma of ITU-R BT.601, rounded as Pillow's `convert("L")` does.
    Grey,
    /// Red, green, blue.
    Rgb,
}

impl Channels {
    /// How many there are: 1 or 3.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// Size, colour and normalisation of a network's input.
///
/// A whole picture is brought to size by [`fit`](Self::fit); what has the size of the input already, such as a face that an
/// alignment cut out, is taken as it is. Colour becomes grey last, behind every change of size; for grey pictures the order
/// makes no difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Width of the input in pixels.
    pub width: u32,
    /// Height of the input in pixels.
    pub height: u32,
    /// Colour channels.
    pub channels: Channels,
    /// How whole pictures, and boxes cut out of them, are resized.
    pub filter: Filter,
    /// Subtracted per channel, in units of the full range 0..1.
    pub mean: Vec<f32>,
    /// Divided by per channel, in units of the full range 0..1.
    pub std: Vec<f32>,
    /// Size that whole pictures take before their middle is cut out as the input. Absent: the size of the input, whatever
    /// their shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
}

impl Preprocess {
    /// Colour pictures of `side` x `side` pixels with the mean and deviation of ImageNet, as torchvision's weights want.
    pub fn imagenet(side: u32) -> Self {
        Self {
            width: side,
            height: side,
            channels: Channels::Rgb,
            filter: Filter::PillowBilinear,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            resize: None,
        }
    }

    /// Colour faces of 112 x 112 pixels in -1..1, as face.evoLVe's weights want.
    pub fn face_evolve() -> Self {
        Self { mean: vec![0.5; 3], std: vec![0.5; 3], ..Self::imagenet(112) }
    }

    /// Grey pictures in 0..1, the 224 x 224 pixels in the middle of 230 x 230: as Lee's comparison on FER2013 trains its
    /// networks, but for what it changes at random.
    pub fn comparison() -> Self {
        let resize = Some(Resize::Exact { width: 230, height: 230 });
        Self { channels: Channels::Grey, mean: vec![0.0], std: vec![1.0], resize, ..Self::imagenet(224) }
    }

    /// Colour pictures, the 224 x 224 pixels in the middle of what has a shorter side of 256, with the mean and deviation
    /// that the authors of DACL use.
    pub fn dacl() -> Self {
        Self {
            mean: vec![0.5752, 0.4495, 0.4012],
            std: vec![0.2086, 0.1911, 0.1827],
            resize: Some(Resize::Shorter(256)),
            ..Self::imagenet(224)
        }
    }

    /// Checks that the settings fit together.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let (width, height) = (self.width, self.height);
        if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
            return Err(PreprocessError::Size { width, height });
        }
        if let Some(resize) = self.resize.filter(|resize| !resize.holds(width, height)) {
            return Err(PreprocessError::Resize { resize, width, height });
        }
        let wanted = self.channels.count();
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != wanted {
                return Err(PreprocessError::Statistics { name, found: values.len(), wanted });
            }
        }
        let sound =
            self.mean.iter().all(|mean| mean.is_finite()) && self.std.iter().all(|std| std.is_finite() && *std > 0.0);
        if sound { Ok(()) } else { Err(PreprocessError::Value) }
    }

    /// Number of values of one input: channels x height x width.
    pub fn len(&self) -> usize {
        self.input().iter().product()
    }

    /// Whether an input holds no value; a validated setting never does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A whole picture in the size of the input: resized, then its middle.
    pub fn fit<'a>(&self, image: &'a RgbImage) -> Cow<'a, RgbImage> {
        let (width, height) = (self.width, self.height);
        match self.resize {
            None if image.dimensions() == (width, height) => Cow::Borrowed(image),
            None => Cow::Owned(crate::image::resize(image, width, height, self.filter)),
            Some(resize) => Cow::Owned(centre(&resize.apply(image, self.filter), width, height)),
        }
    }

    /// One picture as normalised values, `[channels, rows, cols]` row-major.
    pub fn values(&self, image: &RgbImage) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.write(image, &mut values);
        values
    }

    /// As [`values`](Self::values), into a slice of [`len`](Self::len) values.
    ///
    /// # Panics
    ///
    /// Panics if the slice has another length.
    pub fn write(&self, image: &RgbImage, values: &mut [f32]) {
        assert_eq!(values.len(), self.len(), "the slice must hold one input");
        let cut = image.dimensions() == (self.width, self.height);
        let image = if cut { Cow::Borrowed(image) } else { self.fit(image) };
        let area = self.width as usize * self.height as usize;
        for (channel, plane) in values.chunks_exact_mut(area).enumerate() {
            let (mean, scale) = (self.mean[channel], 1.0 / self.std[channel]);
            for (value, pixel) in plane.iter_mut().zip(image.as_raw().chunks_exact(3)) {
                let level = match self.channels {
                    Channels::Grey => luma(pixel),
                    Channels::Rgb => pixel[channel],
                };
                *value = (f32::from(level) / 255.0 - mean) * scale;
            }
        }
    }

    /// Channels, rows and columns of one input.
    pub fn input(&self) -> [usize; 3] {
        [self.channels.count(), self.height as usize, self.width as usize]
    }

    /// Normalised values of several pictures as `[batch, channels, rows, cols]`.
    pub fn batch(&self, images: &[RgbImage]) -> Vec<f32> {
        let mut values = vec![0.0; self.len() * images.len()];
        for (image, slot) in images.iter().zip(values.chunks_exact_mut(self.len())) {
            self.write(image, slot);
        }
        values
    }

    /// Shapes values written by [`write`](Self::write) into `[batch, channels, rows, cols]`.
    pub fn tensor(&self, values: Vec<f32>, device: &Device) -> Tensor<4> {
        let [channels, rows, cols] = self.input();
        let shape = [values.len() / self.len(), channels, rows, cols];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// BT.601 luma in Pillow's fixed-point arithmetic.
fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Preprocess {
        Preprocess {
            width: 3,
            height: 2,
            channels: Channels::Grey,
            filter: Filter::PillowBilinear,
            mean: vec![0.5],
            std: vec![0.25],
            resize: None,
        }
    }

    #[test]
    fn a_picture_becomes_rows_of_normalised_luma() {
        let image = RgbImage::from_fn(3, 2, |x, y| image::Rgb([(x * 40 + y * 100) as u8; 3]));
        let values = small().values(&image);
        let expected: Vec<f32> = [0, 40, 80, 100, 140, 180].iter().map(|v| (*v as f32 / 255.0 - 0.5) / 0.25).collect();
        for (value, wanted) in values.iter().zip(&expected) {
            approx::assert_relative_eq!(value, wanted, epsilon = 1e-6);
        }
    }

    #[test]
    fn colour_planes_keep_their_order() {
        let setting = Preprocess { channels: Channels::Rgb, mean: vec![0.0; 3], std: vec![1.0; 3], ..small() };
        let values = setting.values(&RgbImage::from_pixel(3, 2, image::Rgb([255, 0, 51])));
        assert_eq!(values[..6], [1.0; 6]);
        assert_eq!(values[6..12], [0.0; 6]);
        assert_eq!(values[12..], [0.2; 6]);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        assert_eq!(small().validate(), Ok(()));
        let zero = Preprocess { width: 0, ..small() };
        assert_eq!(zero.validate(), Err(PreprocessError::Size { width: 0, height: 2 }));
        let short = Preprocess { channels: Channels::Rgb, ..small() };
        assert_eq!(short.validate(), Err(PreprocessError::Statistics { name: "mean", found: 1, wanted: 3 }));
        assert_eq!(Preprocess { std: vec![0.0], ..small() }.validate(), Err(PreprocessError::Value));
        let resize = Resize::Shorter(2);
        let narrow = Preprocess { resize: Some(resize), ..small() };
        assert_eq!(narrow.validate(), Err(PreprocessError::Resize { resize, width: 3, height: 2 }));
    }
}
