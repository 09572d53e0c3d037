//! Finding faces, by the detector that the settings choose.

use burn::tensor::Device;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::mtcnn::{self, Mtcnn, MtcnnError};
use crate::geometry::{BoundingBox, Landmarks};
use crate::preprocess::DetectorConfig;

/// A face in an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Where it is, in pixels of the image; it may reach beyond the image.
    #[serde(rename = "box")]
    pub bbox: BoundingBox,
    /// How sure the detector is, from 0 to 1.
    pub score: f32,
    /// Eyes, nose, corners of the mouth, in pixels of the image.
    pub landmarks: Landmarks,
}

/// The score of a face that a detector is unsure of, whatever its own threshold.
pub(crate) const UNSURE: f32 = 0.4;

/// Finds the faces in images.
#[derive(Debug)]
pub enum Detector {
    /// A cascade of three small networks.
    Mtcnn(Box<Mtcnn>),
    /// No detector: each image is one face, cropped already.
    WholeImage,
}

impl Detector {
    /// The detector with its embedded weights.
    pub fn new(config: &DetectorConfig, device: &Device) -> Result<Self, MtcnnError> {
        Ok(match config {
            DetectorConfig::Mtcnn(config) => {
                Self::Mtcnn(Box::new(Mtcnn::load(mtcnn::WEIGHTS, device)?.with_config(config.clone())?))
            }
            DetectorConfig::WholeImage {} => Self::WholeImage,
        })
    }

    /// The faces of each image, in the detector's order. `None` stands for an image that is a face as a whole: it has no
    /// box, score or landmarks. [`Alignment::crop`](crate::preprocess::Alignment::crop) takes either.
    pub fn detect(&self, images: &[RgbImage]) -> Vec<Vec<Option<Detection>>> {
        self.detect_above(images, 1.0)
    }

    /// As [`detect`](Self::detect), and also the faces that the detector is unsure of: a tracker goes on with one that is half
    /// hidden for a moment, but begins with none of them. Those it [is sure of](Self::is_sure) are the same ones.
    pub fn detect_unsure(&self, images: &[RgbImage]) -> Vec<Vec<Option<Detection>>> {
        self.detect_above(images, UNSURE)
    }

    /// With this score or the detector's own threshold, whichever is lower.
    fn detect_above(&self, images: &[RgbImage], score: f32) -> Vec<Vec<Option<Detection>>> {
        match self {
            Self::Mtcnn(mtcnn) => {
                let faces = mtcnn.detect_above(images, mtcnn.config().thresholds[2].min(score));
                faces.into_iter().map(|faces| faces.into_iter().map(Some).collect()).collect()
            }
            Self::WholeImage => images.iter().map(|_| vec![None]).collect(),
        }
    }

    /// Whether [`detect`](Self::detect) finds this face.
    pub fn is_sure(&self, face: Option<&Detection>) -> bool {
        match (self, face) {
            (Self::Mtcnn(mtcnn), Some(face)) => face.score > mtcnn.config().thresholds[2],
            _ => true,
        }
    }
}
