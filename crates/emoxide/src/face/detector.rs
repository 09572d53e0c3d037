//! What a detector finds, and the choice of detectors.

use burn::tensor::Device;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::mtcnn::{self, Mtcnn, MtcnnConfig, MtcnnError};
use crate::geometry::{BoundingBox, Landmarks};

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

/// Which detector, with its settings: what a checkpoint or a command line names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DetectorConfig {
    /// The embedded MTCNN.
    Mtcnn(MtcnnConfig),
    /// No detector: each image is one face, cropped already.
    #[serde(rename = "none")]
    WholeImage,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self::Mtcnn(MtcnnConfig::default())
    }
}

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
            DetectorConfig::WholeImage => Self::WholeImage,
        })
    }

    /// The faces of each image, in the detector's order. `None` stands for an image that is a face as a whole: it has no
    /// box, score or landmarks. [`Alignment::crop`](crate::preprocess::Alignment::crop) takes either.
    pub fn detect(&self, images: &[RgbImage]) -> Vec<Vec<Option<Detection>>> {
        match self {
            Self::Mtcnn(mtcnn) => {
                mtcnn.detect(images).into_iter().map(|faces| faces.into_iter().map(Some).collect()).collect()
            }
            Self::WholeImage => images.iter().map(|_| vec![None]).collect(),
        }
    }
}
