use serde::{Deserialize, Serialize};

use super::start::Started;
use crate::labels::Classes;
use crate::models::{ConfigError, NetworkConfig};
use crate::preprocess::{Alignment, DetectorConfig, Preprocess, PreprocessError};

/// What a checkpoint says of itself, beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// `architecture.tag`, as in `models list`.
    pub name: String,
    /// The network's own settings.
    pub network: NetworkConfig,
    /// What the outputs mean, in order.
    pub classes: Classes,
    /// Size, colour and normalisation of the input.
    pub preprocess: Preprocess,
    /// How a face is cut out of a photograph.
    pub alignment: Alignment,
    /// How faces are found in it.
    #[serde(default)]
    pub detector: DetectorConfig,
    /// Whether the answer is the mean over the picture and its mirror image.
    pub mirror: bool,
    /// Logits are divided by this before the softmax; fitted on the selection split.
    pub temperature: f32,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// Measured figures, each with its protocol.
    pub results: Vec<Measured>,
    /// Licence of the weights and of what they were trained on.
    pub licence: Licence,
}

impl Card {
    /// Checks every part, and that they fit together.
    pub fn validate(&self) -> Result<(), CardError> {
        self.network.validate()?;
        self.preprocess.validate()?;
        self.alignment.validate()?;
        self.detector.validate()?;
        let (wanted, found) = (self.network.channels(), self.preprocess.channels.count());
        if wanted != found {
            return Err(CardError::Channels { wanted, found });
        }
        let Preprocess { width, height, .. } = self.preprocess;
        if let Some(side) = self.network.image_size()
            && [width, height].iter().any(|found| *found as usize != side)
        {
            return Err(CardError::Size { side, width, height });
        }
        let smallest = self.network.smallest_image();
        if [width, height].iter().any(|found| (*found as usize) < smallest) {
            return Err(CardError::Small { smallest, width, height });
        }
        let (classes, outputs) = (self.classes.len(), self.network.outputs(self.classes.len()));
        if outputs != classes {
            return Err(CardError::NoClassifier { outputs, classes });
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(CardError::Temperature(self.temperature.to_string()));
        }
        Ok(())
    }

    /// Which split chose the epoch, for the record of a measurement; `unknown` where nobody wrote it down.
    pub fn selected_on(&self) -> &str {
        let measured = self.results.first().map_or("unknown", |result| result.selected_on.as_str());
        if self.provenance.selected_on.is_empty() { measured } else { &self.provenance.selected_on }
    }
}

/// Parts of a card that cannot be used, or that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// A network that cannot be built.
    #[error(transparent)]
    Network(#[from] ConfigError),
    /// A setting of the input, the alignment or the detector.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// Grey pictures for a colour network, or the other way round.
    #[error("the network takes {wanted} channel(s), but preprocess.channels gives {found}")]
    Channels {
        /// Channels of the network's input.
        wanted: usize,
        /// Channels of the preprocessed picture.
        found: usize,
    },
    /// Some networks take pictures of one size only.
    #[error("the network takes {side}x{side} pixels, but preprocess gives {width}x{height}")]
    Size {
        /// Pixels of each side that the network takes.
        side: usize,
        /// Width of the preprocessed picture in pixels.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Pictures that shrink to nothing on their way through the network.
    #[error("the network takes {smallest}x{smallest} pixels and more, but preprocess gives {width}x{height}")]
    Small {
        /// Pixels of each side at least.
        smallest: usize,
        /// Width of the preprocessed picture in pixels.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Outputs that are an embedding and not classes.
    #[error("the network has no classifier: it gives {outputs} numbers, and there are {classes} classes")]
    NoClassifier {
        /// Numbers that the network gives.
        outputs: usize,
        /// Classes that the card names.
        classes: usize,
    },
    /// Division by nothing.
    #[error("the temperature is {0}; it must be finite and above zero")]
    Temperature(String),
}

/// Where a checkpoint's weights come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provenance {
    /// The resolved recipe as TOML; empty for imported weights.
    pub recipe: String,
    /// Name of each data set with the SHA-256 of its manifest.
    pub data: Vec<(String, String)>,
    /// Commit of the program that trained it, `-dirty` behind it for a changed tree.
    pub commit: String,
    /// Epochs trained when these weights were taken.
    pub epoch: usize,
    /// Which split chose that epoch; empty for imported weights.
    pub selected_on: String,
    /// Files that training started from; empty for random weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub started_from: Vec<Started>,
    /// File that foreign weights were imported from, with its SHA-256.
    pub imported_from: Option<(String, String)>,
}

/// One figure and what it was measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Data set.
    pub data: String,
    /// Split of it.
    pub split: String,
    /// Label rule, classes and test-time averaging.
    pub protocol: String,
    /// Which split chose the epoch.
    pub selected_on: String,
    /// Number of pictures.
    pub n: usize,
    /// Share of pictures classified as labelled, 0..1.
    pub accuracy: f64,
    /// Mean of the per-class recalls, 0..1.
    pub mean_class_accuracy: f64,
    /// Unweighted mean of the per-class F1 scores, 0..1.
    pub macro_f1: f64,
}

/// Licence of the weights and of what they were trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Licence {
    /// Of the weights.
    pub weights: String,
    /// Of the training data.
    pub data: String,
}
