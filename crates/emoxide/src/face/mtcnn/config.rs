//! Settings of the cascade and what can be wrong with them or with its weights.

use serde::{Deserialize, Serialize};

/// Which face of an image comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaceOrder {
    /// The one with the largest box.
    Largest,
    /// The one with the best score.
    Best,
}

/// Settings of the cascade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct MtcnnConfig {
    /// Side of the smallest face that is looked for, in pixels; at least 10.
    pub min_face: u32,
    /// Scores that a candidate needs to pass the three networks, from 0 to 1.
    pub thresholds: [f32; 3],
    /// Ratio of neighbouring pyramid levels, above 0 and below 1.
    pub factor: f64,
    /// Which face comes first.
    pub order: FaceOrder,
    /// Longest side of a pyramid level in pixels. Larger levels are left out, which bounds the time a huge photo takes
    /// and raises the smallest face found in it. `None`, as in the reference: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_level: Option<u32>,
}

impl Default for MtcnnConfig {
    fn default() -> Self {
        Self::facenet_pytorch()
    }
}

impl MtcnnConfig {
    /// The defaults of facenet-pytorch.
    pub fn facenet_pytorch() -> Self {
        Self {
            min_face: 20,
            thresholds: [0.6, 0.7, 0.7],
            factor: 0.709,
            order: FaceOrder::Largest,
            longest_level: None,
        }
    }

    /// The settings of face.evoLVe, by which TransFER and APViT aligned their images.
    pub fn face_evolve() -> Self {
        Self { thresholds: [0.6, 0.7, 0.8], factor: 0.707, order: FaceOrder::Best, ..Self::facenet_pytorch() }
    }

    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<(), MtcnnError> {
        let refused = |key, value: String, wanted| Err(MtcnnError::Setting { key, value, wanted });
        if self.min_face < 10 {
            return refused("min-face", self.min_face.to_string(), "10 pixels or more");
        }
        if !self.thresholds.iter().all(|threshold| (0.0..=1.0).contains(threshold)) {
            return refused("thresholds", format!("{:?}", self.thresholds), "three values from 0 to 1");
        }
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return refused("factor", self.factor.to_string(), "a value above 0 and below 1");
        }
        Ok(())
    }
}

/// Why the detector could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MtcnnError {
    /// A setting out of its range.
    #[error("the detector's `{key}` is {value}; it must be {wanted}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The weights are no safetensors file.
    #[error("the detector's weights cannot be read: {0}; use assets/mtcnn.safetensors")]
    Unreadable(String),
    /// A tensor has another shape or type than its layer.
    #[error("the detector's weights do not fit: {0}; use assets/mtcnn.safetensors")]
    Unfit(String),
    /// Layers without a tensor.
    #[error("the detector's weights lack {count} tensors, first `{first}`; use assets/mtcnn.safetensors")]
    Missing {
        /// How many.
        count: usize,
        /// Name of the first.
        first: String,
    },
    /// Tensors without a layer.
    #[error("the detector's weights hold {count} tensors too many, first `{first}`; use assets/mtcnn.safetensors")]
    Unused {
        /// How many.
        count: usize,
        /// Name of the first.
        first: String,
    },
}
