//! From an image to aligned faces: detectors, detections, alignment.

mod align;
mod detector;
pub mod mtcnn;

pub use align::{Alignment, FER2013_TEMPLATE};
pub use detector::{Detection, Detector, DetectorConfig};
pub use mtcnn::{Mtcnn, MtcnnConfig, MtcnnError};
