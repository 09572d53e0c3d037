//! The one place that joins networks with weights: the embedded default and the list of architectures.

mod architectures;
mod executor;
mod listing;
mod model;

use std::borrow::Cow;
use std::io::ErrorKind;

use burn::tensor::Device;

pub use architectures::{Entry, architectures};
pub use emoxide_engine::Precision;
pub use executor::{Executor, Why};
pub use listing::{Listed, names};
pub use model::{Attention, Model, softmax};

use crate::weights::checkpoint::{self, Card, CheckpointError};

/// The name under which the embedded model is found.
pub const DEFAULT: &str = "default";

/// The checkpoint that ships inside the program.
static EMBEDDED: &[u8] = include_bytes!("../../../../assets/default.safetensors");

/// Opens a model by name: `default`, or the path of a checkpoint.
pub fn open(name: &str, device: &Device) -> Result<Model, CheckpointError> {
    let (bytes, origin) = bytes(name)?;
    let (network, card) = checkpoint::read(bytes.into_owned(), origin, device)?;
    Ok(Model::new(&network, card, device.clone()))
}

/// The card of a model by name, without building its network.
pub fn card(name: &str) -> Result<Card, CheckpointError> {
    let (bytes, origin) = bytes(name)?;
    checkpoint::read_card(&bytes, origin)
}

/// A model's file, and what errors call it.
fn bytes(name: &str) -> Result<(Cow<'static, [u8]>, &str), CheckpointError> {
    if name == DEFAULT {
        return Ok((Cow::Borrowed(EMBEDDED), "the embedded default model"));
    }
    match fs_err::read(name) {
        Ok(bytes) => Ok((Cow::Owned(bytes), name)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(CheckpointError::Unknown(name.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// The embedded checkpoint's file.
pub fn embedded() -> &'static [u8] {
    EMBEDDED
}
