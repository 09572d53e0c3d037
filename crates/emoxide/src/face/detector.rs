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
        match self {
            Self::Mtcnn(mtcnn) => {
                mtcnn.detect(images).into_iter().map(|faces| faces.into_iter().map(Some).collect()).collect()
            }
            Self::WholeImage => images.iter().map(|_| vec![None]).collect(),
        }
    }
}
