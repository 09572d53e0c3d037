//! Settings of the tracker.

use serde::{Deserialize, Serialize};

use crate::face::{DetectorConfig, UNSURE};

/// Settings of a [`Tracker`](super::Tracker).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerConfig {
    /// Score of a face that may begin a track, 0 to 1.
    pub high: f32,
    /// Score of a face that may go on with a track that is followed, and nothing else; from 0 to `high`.
    pub low: f32,
    /// Least overlap (intersection over union) of a face with the place where a track is expected, 0 to 1.
    pub overlap: f32,
    /// The same for faces whose score is below `high`.
    pub low_overlap: f32,
    /// The same for a track that has been seen once only.
    pub new_overlap: f32,
    /// How far from where it was last seen, or is expected, a face may come back at once, in heights of the face.
    pub reach: f32,
    /// How much further for every second that it is away, in heights of the face.
    pub speed: f32,
    /// How many times larger or smaller it may come back.
    pub growth: f32,
    /// Seconds that a face may be away and keep its number.
    pub max_lost: f64,
}

impl Default for TrackerConfig {
    /// Overlaps are those of ByteTrack's code (costs of 0.8, 0.5 and 0.7 at most); scores are MTCNN's.
    fn default() -> Self {
        Self {
            high: 0.7,
            low: UNSURE,
            overlap: 0.2,
            low_overlap: 0.5,
            new_overlap: 0.3,
            reach: 1.0,
            speed: 1.0,
            growth: 1.6,
            max_lost: 3.0,
        }
    }
}

/// A setting that is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("tracker: `{key}` is {value}; it has to be {wanted}")]
pub struct TrackerError {
    /// The setting.
    pub key: &'static str,
    /// What was asked for.
    pub value: String,
    /// What it may be.
    pub wanted: &'static str,
}

impl TrackerConfig {
    /// The settings for what such a detector finds, [unsure](crate::recognizer::Search::Unsure) ones included.
    pub fn following(detector: &DetectorConfig) -> Self {
        match detector {
            DetectorConfig::Mtcnn(config) => {
                let high = config.thresholds[2];
                Self { high, low: UNSURE.min(high), ..Self::default() }
            }
            DetectorConfig::WholeImage {} => Self::default(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), TrackerError> {
        let refused = |key, value: String, wanted| Err(TrackerError { key, value, wanted });
        let shares = [
            ("high", self.high),
            ("overlap", self.overlap),
            ("low_overlap", self.low_overlap),
            ("new_overlap", self.new_overlap),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return refused(key, value.to_string(), "a value from 0 to 1");
            }
        }
        if !(0.0..=self.high).contains(&self.low) {
            return refused("low", self.low.to_string(), "a value from 0 to `high`");
        }
        for (key, value) in [("reach", self.reach), ("speed", self.speed)] {
            if !(value.is_finite() && value >= 0.0) {
                return refused(key, value.to_string(), "0 or more");
            }
        }
        if !(self.growth.is_finite() && self.growth >= 1.0) {
            return refused("growth", self.growth.to_string(), "1 or more");
        }
        if !(self.max_lost.is_finite() && self.max_lost >= 0.0) {
            return refused("max_lost", self.max_lost.to_string(), "a number of seconds from 0");
        }
        Ok(())
    }
}
