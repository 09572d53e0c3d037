//! The toolkit's own checkpoint: one safetensors file whose metadata says everything that is needed to serve it.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use burn_store::{ModuleStore, SafetensorsStore};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::labels::Classes;
use crate::models::{Network, NetworkConfig};
use crate::preprocess::{Alignment, Preprocess};

/// The format that this version reads and writes, under the metadata key `emoxide.format`.
pub const FORMAT: &str = "1";

const FORMAT_KEY: &str = "emoxide.format";
const CARD_KEY: &str = "emoxide.card";

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

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Not safetensors, or cut short.
    #[error("{origin}: not a complete safetensors file ({reason})")]
    Broken {
        /// File name, or a word for embedded bytes.
        origin: String,
        /// What the reader says.
        reason: String,
    },
    /// Safetensors, but without our metadata.
    #[error(
        "{origin}: a safetensors file but no emoxide checkpoint; foreign weights come in through `emoxide::weights::import`"
    )]
    Foreign {
        /// File name.
        origin: String,
    },
    /// Written by a later version.
    #[error("{origin}: checkpoint format {found}, this version reads {FORMAT}; use a newer emoxide")]
    Format {
        /// File name.
        origin: String,
        /// Format it has.
        found: String,
    },
    /// The description inside cannot be used.
    #[error("{origin}: the checkpoint's description is not valid ({reason})")]
    Card {
        /// File name.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A parameter of the network that the file lacks.
    #[error("{origin}: tensor `{first}` is missing{}; the file is damaged or belongs to another network", more(*count))]
    Missing {
        /// File name.
        origin: String,
        /// First of them.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor that no parameter takes.
    #[error("{origin}: tensor `{first}` belongs to no parameter{}; the file is damaged or belongs to another network", more(*count))]
    Unused {
        /// File name.
        origin: String,
        /// First of them.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor of the wrong shape or type.
    #[error("{origin}: {reason}")]
    Tensor {
        /// File name.
        origin: String,
        /// Tensor and both shapes.
        reason: String,
    },
}

fn more(count: usize) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}

/// The tensors of a module as the bytes of a safetensors file, with `metadata`.
fn module_bytes<M: Module>(module: &M, metadata: &[(&str, &str)]) -> Result<Vec<u8>, CheckpointError> {
    let mut store = SafetensorsStore::from_bytes(None).skip_enum_variants(true).map_indices_contiguous(false);
    for (key, value) in metadata {
        store = store.metadata(*key, *value);
    }
    let origin = "checkpoint in memory";
    let broken = |reason: String| CheckpointError::Broken { origin: origin.to_owned(), reason };
    store.collect_from(module).map_err(|error| broken(error.to_string()))?;
    store.get_bytes().map_err(|error| broken(error.to_string()))
}

/// Fills every parameter of `module` from safetensors bytes; anything missing, left over or misshapen is an error.
fn fill_module<M: Module>(module: &mut M, bytes: Vec<u8>, origin: &str) -> Result<(), CheckpointError> {
    let origin = origin.to_owned();
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .skip_enum_variants(true)
        .map_indices_contiguous(false)
        .allow_partial(true)
        .validate(false);
    let applied = match store.apply_to(module) {
        Ok(applied) => applied,
        Err(error) => return Err(CheckpointError::Broken { origin, reason: error.to_string() }),
    };
    if let Some(error) = applied.errors.first() {
        return Err(CheckpointError::Tensor { origin, reason: error.to_string() });
    }
    if let Some((first, _)) = applied.missing.first() {
        return Err(CheckpointError::Missing { origin, first: first.clone(), count: applied.missing.len() });
    }
    if let Some(first) = applied.unused.first() {
        return Err(CheckpointError::Unused { origin, first: first.clone(), count: applied.unused.len() });
    }
    Ok(())
}

/// Writes beside the target and renames, so that a reader never sees half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let beside = path.with_extension("partial");
    fs_err::write(&beside, bytes)?;
    fs_err::rename(&beside, path)?;
    Ok(())
}

/// Saves a network with its card.
pub fn save(network: &Network, card: &Card, path: &Path) -> Result<(), CheckpointError> {
    let text = serde_json::to_string(card)
        .map_err(|error| CheckpointError::Card { origin: path.display().to_string(), reason: error.to_string() })?;
    write_whole(path, &module_bytes(network, &[(FORMAT_KEY, FORMAT), (CARD_KEY, &text)])?)
}

/// Reads the card alone, without building the network.
pub fn read_card(bytes: &[u8], origin: &str) -> Result<Card, CheckpointError> {
    let origin = origin.to_owned();
    let (_, header) = match SafeTensors::read_metadata(bytes) {
        Ok(header) => header,
        Err(error) => return Err(CheckpointError::Broken { origin, reason: error.to_string() }),
    };
    let metadata: &HashMap<String, String> = match header.metadata() {
        Some(metadata) => metadata,
        None => return Err(CheckpointError::Foreign { origin }),
    };
    let (Some(format), Some(text)) = (metadata.get(FORMAT_KEY), metadata.get(CARD_KEY)) else {
        return Err(CheckpointError::Foreign { origin });
    };
    if format != FORMAT {
        return Err(CheckpointError::Format { origin, found: format.clone() });
    }
    let card: Card = match serde_json::from_str(text) {
        Ok(card) => card,
        Err(error) => return Err(CheckpointError::Card { origin, reason: error.to_string() }),
    };
    let sound = card.preprocess.validate().map_err(|error| error.to_string()).and_then(|()| {
        if card.temperature.is_finite() && card.temperature > 0.0 {
            card.network.validate().map_err(|error| error.to_string())
        } else {
            Err(format!("temperature {} is not a positive number", card.temperature))
        }
    });
    match sound {
        Ok(()) => Ok(card),
        Err(reason) => Err(CheckpointError::Card { origin, reason }),
    }
}

/// Reads a checkpoint and builds its network on `device`, ready for inference.
pub fn read(bytes: Vec<u8>, origin: &str, device: &Device) -> Result<(Network, Card), CheckpointError> {
    let card = read_card(&bytes, origin)?;
    let mut network = card.network.build(card.classes.len(), device);
    fill_module(&mut network, bytes, origin)?;
    Ok((network, card))
}

/// As [`read`], from a file.
pub fn load(path: &Path, device: &Device) -> Result<(Network, Card), CheckpointError> {
    read(fs_err::read(path)?, &path.display().to_string(), device)
}
