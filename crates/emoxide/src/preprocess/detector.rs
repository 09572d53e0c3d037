use serde::{Deserialize, Serialize};

use super::PreprocessError;

/// Which detector, with its settings: what a checkpoint or a command line names. `face` does the finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DetectorConfig {
    /// The embedded MTCNN.
    Mtcnn(MtcnnConfig),
    /// No detector: each image is one face, cropped already.
    WholeImage {},
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self::Mtcnn(MtcnnConfig::default())
    }
}

impl DetectorConfig {
    /// Checks that the settings make sense.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        match self {
            Self::Mtcnn(config) => config.validate(),
            Self::WholeImage {} => Ok(()),
        }
    }
}

/// Which face of an image comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaceOrder {
    /// The one with the largest box.
    Largest,
    /// The one with the best score.
    Best,
}

/// Settings of MTCNN's cascade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MtcnnConfig {
    /// Side of the smallest face that is looked for, in pixels; at least 10.
    pub min_face: u32,
    /// Scores that a candidate needs to pass the three networks, from 0 to 1.
    pub thresholds: [f32; 3],
    /// Ratio of neighbouring pyramid levels, above 0 and at most 0.95.
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

    /// Checks that the settings make sense.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let refused = |key, value: String, wanted| Err(PreprocessError::Detector { key, value, wanted });
        if self.min_face < 10 {
            return refused("min_face", self.min_face.to_string(), "10 pixels or more");
        }
        if !self.thresholds.iter().all(|threshold| (0.0..=1.0).contains(threshold)) {
            return refused("thresholds", format!("{:?}", self.thresholds), "three values from 0 to 1");
        }
        // Closer levels would find nothing more and take forever.
        if !(self.factor > 0.0 && self.factor <= 0.95) {
            return refused("factor", self.factor.to_string(), "a value above 0 and at most 0.95");
        }
        Ok(())
    }
}
