//! Clips: frames of videos, image sequences and cameras, faces followed from frame to frame, probabilities smoothed over
//! time, and what a clip shows face by face.
//!
//! Videos are decoded and encoded by the program `ffmpeg`, which is looked for when it is needed and never to build:
//! [`program`] says where. Everything else here is plain data: [`Tracker`] knows boxes, [`Smoother`] knows probabilities,
//! [`Summary`] knows predictions, and [`Follower`] and [`Analysis`] join them to a recogniser.

mod analysis;
mod error;
mod ffmpeg;
mod follower;
mod reader;
mod smoothing;
mod source;
mod summary;
mod tracker;
mod writer;

pub use analysis::{Analysis, Shown};
pub use error::VideoError;
pub use ffmpeg::program;
pub use follower::{FollowError, FollowOptions, Follower};
pub use reader::{Frames, Selection};
pub use smoothing::Smoother;
pub use source::{DEFAULT_FPS, Source};
pub use summary::{FaceSummary, Run, Summary};
pub use tracker::{Motion, Tracker, TrackerConfig, TrackerError};
pub use writer::VideoWriter;

use crate::image::RgbImage;

/// A picture of a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Number within the whole clip, from 0, however many frames are left out.
    pub index: usize,
    /// When it is shown, in seconds from the clip's beginning.
    pub timestamp: f64,
    /// What it shows, upright.
    pub image: RgbImage,
}
