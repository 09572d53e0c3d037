//! Weights: where they come from, whose names they carry, and that they are complete.

mod arrange;
mod card;
pub mod checkpoint;
mod contents;
mod convert;
mod error;
mod export;
mod fill;
mod fingerprint;
mod fit;
mod import;
mod key_maps;
mod keys;
mod machine;
mod npz;
mod paddle;
mod pickle;
pub mod start;
mod tensors;
mod torchscript;

pub use error::WeightsError;
pub use export::export;
pub use fingerprint::fingerprint;
pub use import::{Head, import, import_parts};
pub use key_maps::KEY_MAPS;
pub use keys::{Deeper, Joined, KeyMap, LinearLayout, Stages};
pub(crate) use tensors::unfit_tensor;
