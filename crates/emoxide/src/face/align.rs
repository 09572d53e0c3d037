//! From a detection to the crop that a network sees.

use image::RgbImage;

use super::Detection;
use crate::geometry::{BoundingBox, Similarity, arcface};
use crate::image::{Filter, resize, warp_antialiased};
use crate::preprocess::Alignment;

/// Where the five landmarks lie in FER2013's 48 x 48 crops, in units of the crop's side.
///
/// Medians over 600 training images of what MTCNN finds on upright, frontal faces (score above 0.95), made left-right
/// symmetric; measured by `tools/reference/fer2013_template.py`. Median absolute deviations are 0.022 to 0.041.
pub const FER2013_TEMPLATE: [[f32; 2]; 5] =
    [[0.308_23, 0.379_66], [0.691_77, 0.379_66], [0.5, 0.599_37], [0.338_48, 0.774_29], [0.661_52, 0.774_29]];

/// A box is cut to at most this many times the image's longer side; what lies beyond is black anyway.
const LARGEST_BOX: f32 = 4.0;

impl Alignment {
    /// The template of ArcFace and face.evoLVe.
    pub fn arcface() -> Self {
        Self::FivePoint { template: arcface(1.0) }
    }

    /// [`FER2013_TEMPLATE`].
    pub fn fer2013() -> Self {
        Self::FivePoint { template: FER2013_TEMPLATE }
    }

    /// Cuts a face out as `width` x `height` pixels. Without a detection the whole image is the face.
    pub fn crop(&self, image: &RgbImage, detection: Option<&Detection>, width: u32, height: u32) -> RgbImage {
        match (self, detection) {
            (Self::None, _) | (_, None) => resize(image, width, height, Filter::PillowBilinear),
            (Self::FivePoint { template }, Some(face)) => {
                let target = template.map(|[x, y]| [x * width as f32, y * height as f32]);
                match Similarity::from_points(&face.landmarks.0, &target) {
                    Some(transform) => warp_antialiased(image, &transform, width, height),
                    None => square_box(image, &face.bbox, 0.0, width, height),
                }
            }
            (Self::SquareBox { margin }, Some(face)) => square_box(image, &face.bbox, *margin, width, height),
        }
    }
}

fn square_box(image: &RgbImage, bbox: &BoundingBox, margin: f32, width: u32, height: u32) -> RgbImage {
    let square = bbox.squared().enlarged(margin);
    let longest = image.width().max(image.height()) as f32 * LARGEST_BOX;
    // `max` and `min` rather than `clamp`: they also turn NaN into a number.
    let side = square.width().round().max(1.0).min(longest.max(1.0));
    let [x, y] = square.centre();
    let (left, top) = ((x - side / 2.0).round() as i64, (y - side / 2.0).round() as i64);
    let mut cut = RgbImage::new(side as u32, side as u32);
    // `replace` leaves out what does not fit; an image far beside the box leaves it black.
    image::imageops::replace(&mut cut, image, left.saturating_neg(), top.saturating_neg());
    resize(&cut, width, height, Filter::PillowBilinear)
}
