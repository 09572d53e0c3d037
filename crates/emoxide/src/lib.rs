//! Facial expression recognition: an image in, faces with calibrated expression probabilities out.
//!
//! Modules, each using only what stands to its left:
//! `labels geometry | image device | nn | models preprocess | weights | zoo face | explain | recognizer | video`.

pub mod device;
pub mod explain;
pub mod face;
pub mod geometry;
pub mod image;
pub mod labels;
pub mod models;
pub mod nn;
pub mod preprocess;
pub mod recognizer;
pub mod video;
pub mod weights;
pub mod zoo;
