use serde::{Deserialize, Serialize};

use super::PreprocessError;
use crate::geometry::Similarity;

/// How a face is cut out of its photograph. It belongs to the weights: a network wants faces placed as in its training.
/// `face` does the cutting.
///
/// Where no detector looks, a picture is a face as a whole: whatever stands here, it is brought to size by
/// [`Preprocess::fit`](super::Preprocess::fit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Alignment {
    /// The similarity that brings the five landmarks closest to a template (least squares), bilinear, black outside the
    /// image, averaging where it shrinks twice or more. Without usable landmarks the box is cut as by
    /// `SquareBox { margin: 0 }`.
    FivePoint {
        /// Target positions of left eye, right eye, nose tip, left and right mouth corner in units of the crop's width
        /// and height: pixel index divided by side.
        template: [[f32; 2]; 5],
    },
    /// The box made square about its middle (the longer side counts), enlarged, cut at whole pixels with black outside
    /// the image, resized by [`Preprocess::filter`](super::Preprocess::filter).
    SquareBox {
        /// Each edge moves outwards by this share of the side, -0.4 to 2: 0.1 makes the square 1.2 times as wide.
        margin: f32,
    },
    /// The box as the detector gives it, cut and resized as by `SquareBox`; width and height stretch on their own.
    None {},
}

impl Alignment {
    /// Checks that the settings can place a face.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        match self {
            Self::FivePoint { template } => {
                let places = template.as_flattened();
                if let Some(place) = places.iter().find(|place| !(-1.0..=2.0).contains(*place)) {
                    return Err(PreprocessError::TemplatePlace(place.to_string()));
                }
                match Similarity::from_points(template, template) {
                    Some(_) => Ok(()),
                    None => Err(PreprocessError::TemplatePoints),
                }
            }
            Self::SquareBox { margin } if !(-0.4..=2.0).contains(margin) => {
                Err(PreprocessError::Margin(margin.to_string()))
            }
            Self::SquareBox { .. } | Self::None {} => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_place_no_face_are_refused() {
        let points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];
        let template = |template| Alignment::FivePoint { template }.validate();
        assert_eq!(template(points), Ok(()));
        assert_eq!(template([[0.5; 2]; 5]), Err(PreprocessError::TemplatePoints));
        let in_pixels = points.map(|point| point.map(|value| value * 112.0));
        for places in [in_pixels, [[f32::NAN; 2]; 5]] {
            assert!(matches!(template(places), Err(PreprocessError::TemplatePlace(_))));
        }
        assert_eq!(Alignment::None {}.validate(), Ok(()));
        for margin in [-0.4, 0.0, 2.0] {
            assert_eq!(Alignment::SquareBox { margin }.validate(), Ok(()));
        }
        for margin in [-0.5, 2.5, f32::NAN, f32::INFINITY] {
            let error = Alignment::SquareBox { margin }.validate().unwrap_err();
            assert_eq!(error, PreprocessError::Margin(margin.to_string()));
        }
    }
}
