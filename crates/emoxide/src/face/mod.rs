//! From an image to aligned faces: detectors, detections, alignment.

mod align;
mod detector;
pub mod mtcnn;

pub use align::FER2013_TEMPLATE;
pub(crate) use detector::UNSURE;
pub use detector::{Detection, Detector};
pub use mtcnn::{Mtcnn, MtcnnError};

pub use crate::preprocess::{DetectorConfig, MtcnnConfig};
