//! Boxes, landmarks and similarities on the image plane; x to the right, y downwards, in pixels.

mod bounding_box;
mod landmarks;
mod nms;
mod similarity;

pub use bounding_box::BoundingBox;
pub use landmarks::{ARCFACE_112, Landmarks, arcface};
pub use nms::{Overlap, non_maximum_suppression};
pub use similarity::Similarity;
