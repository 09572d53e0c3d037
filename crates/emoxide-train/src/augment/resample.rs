//! Resizing, behind one function.

use image::RgbImage;
use image::imageops::{self, FilterType};
use serde::{Deserialize, Serialize};

/// How a picture is resized. Both filters widen their support when they shrink a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Pillow's bilinear filter: torchvision's default.
    #[default]
    PillowBilinear,
    /// Pillow's bicubic filter, `a = -0.5`.
    PillowBicubic,
}

/// The picture at another size.
pub(super) fn resize(image: RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image;
    }
    let filter = match filter {
        Filter::PillowBilinear => FilterType::Triangle,
        Filter::PillowBicubic => FilterType::CatmullRom,
    };
    imageops::resize(&image, width, height, filter)
}
