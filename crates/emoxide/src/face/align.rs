//! From a detection to the crop that a network sees.

use image::RgbImage;

use super::Detection;
use crate::geometry::{Similarity, arcface};
use crate::image::{resize, warp_antialiased};
use crate::preprocess::{Alignment, Preprocess};

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

    /// Cuts a face out in the size of the network's input. Without a detection the whole image is the face, brought to size
    /// by [`Preprocess::fit`].
    pub fn crop(&self, image: &RgbImage, detection: Option<&Detection>, preprocess: &Preprocess) -> RgbImage {
        let &Preprocess { width, height, filter, .. } = preprocess;
        let Some(Detection { bbox, landmarks, .. }) = detection else {
            return preprocess.fit(image).into_owned();
        };
        let square = |margin| {
            let square = bbox.squared().enlarged(margin);
            resize(&cut(image, square.centre(), [square.width(); 2]), width, height, filter)
        };
        match self {
            Self::FivePoint { template } => {
                let target = template.map(|[x, y]| [x * width as f32, y * height as f32]);
                match Similarity::from_points(&landmarks.0, &target) {
                    Some(transform) => warp_antialiased(image, &transform, width, height),
                    None => square(0.0),
                }
            }
            Self::SquareBox { margin } => square(*margin),
            Self::None {} => resize(&cut(image, bbox.centre(), [bbox.width(), bbox.height()]), width, height, filter),
        }
    }
}

/// The pixels about a centre, `[width, height]` of them rounded to whole ones, black outside the image.
fn cut(image: &RgbImage, [x, y]: [f32; 2], sides: [f32; 2]) -> RgbImage {
    let longest = image.width().max(image.height()) as f32 * LARGEST_BOX;
    // `max` and `min` rather than `clamp`: they also turn NaN into a number.
    let [width, height] = sides.map(|side| side.round().max(1.0).min(longest.max(1.0)));
    let (left, top) = ((x - width / 2.0).round() as i64, (y - height / 2.0).round() as i64);
    let mut cut = RgbImage::new(width as u32, height as u32);
    // `replace` leaves out what does not fit; an image far beside the box leaves it black.
    image::imageops::replace(&mut cut, image, left.saturating_neg(), top.saturating_neg());
    cut
}
