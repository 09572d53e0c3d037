//! The faces of a clip, numbered and smoothed.

use super::{Smoother, Tracker, TrackerConfig, TrackerError};
use crate::recognizer::{Face, FaceBox, Search};

/// How the faces of a clip are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FollowOptions {
    /// Settings of the tracker; `None` leaves the numbers that faces have in their own frame.
    pub tracker: Option<TrackerConfig>,
    /// Time constant of the [`Smoother`] in seconds; needs a tracker.
    pub smooth: Option<f64>,
    /// Probability that the dominant expression needs after smoothing, as in
    /// [`Options::min_confidence`](crate::recognizer::Options::min_confidence).
    pub min_confidence: f32,
}

/// Options that do not go together, or are none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// A setting of the tracker.
    #[error(transparent)]
    Tracker(#[from] TrackerError),
    /// A time constant that is none.
    #[error("{0} seconds of smoothing: a number from 0 is needed")]
    Smooth(f64),
    /// Smoothing without tracks.
    #[error("faces that are not followed cannot be smoothed over time; leave tracking on")]
    Untracked,
}

/// Follows the faces of one clip. It needs the faces of its frames in order and nothing else, wherever they were recognised.
#[derive(Clone, Debug)]
pub struct Follower {
    tracker: Option<Tracker>,
    smoother: Option<Smoother>,
    min_confidence: f32,
}

impl Follower {
    /// Which faces of a frame it has to be given.
    pub fn search(&self) -> Search {
        if self.tracker.is_some() { Search::Unsure } else { Search::Detector }
    }

    /// At the beginning of a clip.
    pub fn new(options: &FollowOptions) -> Result<Self, FollowError> {
        match options.smooth {
            Some(seconds) if !(seconds.is_finite() && seconds >= 0.0) => return Err(FollowError::Smooth(seconds)),
            Some(_) if options.tracker.is_none() => return Err(FollowError::Untracked),
            _ => {}
        }
        Ok(Self {
            tracker: options.tracker.map(Tracker::new).transpose()?,
            smoother: options.smooth.map(Smoother::new),
            min_confidence: options.min_confidence,
        })
    }

    /// The faces of the next frame, shown at this second, with the numbers that they have in the clip and in their order.
    /// Faces that the detector is unsure of and that continue no track are left out.
    pub fn follow(&mut self, timestamp: f64, faces: Vec<Face>) -> Vec<Face> {
        let Some(tracker) = &mut self.tracker else { return faces };
        // A face without a score is a picture that was said to be a face.
        let seen: Vec<(FaceBox, f32)> =
            faces.iter().map(|face| (face.bbox, face.detection_score.unwrap_or(1.0))).collect();
        let ids = tracker.update(timestamp, &seen);
        let numbered = faces.into_iter().zip(ids);
        let mut faces: Vec<Face> = numbered.filter_map(|(face, id)| Some(Face { face_id: id?, ..face })).collect();
        faces.sort_by_key(|face| face.face_id);
        if let Some(smoother) = &mut self.smoother {
            for face in &mut faces {
                face.probabilities = smoother.smooth(face.face_id, timestamp, &face.probabilities);
                face.dominant_emotion = face.probabilities.dominant(self.min_confidence);
            }
        }
        self.forget();
        faces
    }

    /// Takes note of a frame that was followed before, so that the next one continues it exactly.
    pub fn replay(&mut self, timestamp: f64, faces: &[Face]) {
        let Some(tracker) = &mut self.tracker else { return };
        let seen: Vec<(usize, FaceBox)> = faces.iter().map(|face| (face.face_id, face.bbox)).collect();
        tracker.replay(timestamp, &seen);
        if let Some(smoother) = &mut self.smoother {
            for face in faces {
                smoother.replay(face.face_id, timestamp, &face.probabilities);
            }
        }
        self.forget();
    }

    /// Drops what no track needs any more.
    fn forget(&mut self) {
        if let (Some(tracker), Some(smoother)) = (&self.tracker, &mut self.smoother) {
            let known: Vec<usize> = tracker.known().collect();
            smoother.keep(|face_id| known.contains(&face_id));
        }
    }
}
