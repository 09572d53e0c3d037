//! The toolkit's own checkpoint: one safetensors file whose metadata says everything that is needed to serve it.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use burn_store::{ModuleStore, SafetensorsStore, SafetensorsStoreError};
use safetensors::SafeTensors;

pub use super::card::{Card, CardError, Licence, Measured, Provenance};
use super::unfit_tensor;
use crate::models::Network;

/// The format that this version reads and writes, under the metadata key `emoxide.format`.
pub const FORMAT: &str = "1";

const FORMAT_KEY: &str = "emoxide.format";
const CARD_KEY: &str = "emoxide.card";

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A model's name that is neither the embedded one's nor a file's.
    #[error(
        "there is no model `{0}`; a model is `default` or a checkpoint file (`emoxide models list --folder DIR` shows those of a folder)"
    )]
    Unknown(String),
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
        "{origin}: a safetensors file but no emoxide checkpoint; foreign weights come in through `emoxide models import`"
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
    /// The network could not be turned into a file.
    #[error("{origin}: the checkpoint was not written ({reason})")]
    Encode {
        /// File name.
        origin: String,
        /// What the writer says.
        reason: String,
    },
    /// A tensor of the wrong shape or type, or with values that are not finite.
    #[error("{origin}: {reason}")]
    Tensor {
        /// File name.
        origin: String,
        /// The tensor and what is wrong with it.
        reason: String,
    },
}

fn more(count: usize) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}

/// The tensors of a module as the bytes of a safetensors file, with `metadata`.
fn module_bytes<M: Module>(module: &M, metadata: &[(&str, &str)]) -> Result<Vec<u8>, SafetensorsStoreError> {
    let mut store = SafetensorsStore::from_bytes(None).skip_enum_variants(true).map_indices_contiguous(false);
    for (key, value) in metadata {
        store = store.metadata(*key, *value);
    }
    store.collect_from(module)?;
    store.get_bytes()
}

/// Refuses what [`unfit_tensor`] finds.
fn check_tensors(bytes: &[u8], origin: &str) -> Result<(), CheckpointError> {
    let origin = origin.to_owned();
    match SafeTensors::deserialize(bytes) {
        Err(error) => Err(CheckpointError::Broken { origin, reason: error.to_string() }),
        Ok(file) => unfit_tensor(&file).map_or(Ok(()), |reason| Err(CheckpointError::Tensor { origin, reason })),
    }
}

/// Fills every parameter of `module` from safetensors bytes; anything missing, left over, misshapen or not finite is an
/// error.
fn fill_module<M: Module>(module: &mut M, bytes: Vec<u8>, origin: &str) -> Result<(), CheckpointError> {
    check_tensors(&bytes, origin)?;
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

/// Saves a network with its card, if [`read`] would take both.
pub fn save(network: &Network, card: &Card, path: &Path) -> Result<(), CheckpointError> {
    let origin = || path.display().to_string();
    let refused = |reason: String| CheckpointError::Card { origin: origin(), reason };
    card.validate().map_err(|error| refused(error.to_string()))?;
    let text = serde_json::to_string(card).map_err(|error| refused(error.to_string()))?;
    let bytes = module_bytes(network, &[(FORMAT_KEY, FORMAT), (CARD_KEY, &text)])
        .map_err(|error| CheckpointError::Encode { origin: origin(), reason: error.to_string() })?;
    check_tensors(&bytes, &origin())?;
    write_whole(path, &bytes)
}

/// Whether this is a file of ours, of whatever format: safetensors that say so.
pub(super) fn is_own(bytes: &[u8]) -> bool {
    let header = SafeTensors::read_metadata(bytes).ok();
    header.and_then(|(_, header)| Some(header.metadata().as_ref()?.contains_key(FORMAT_KEY))).unwrap_or(false)
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
    match card.validate() {
        Ok(()) => Ok(card),
        Err(error) => Err(CheckpointError::Card { origin, reason: error.to_string() }),
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
