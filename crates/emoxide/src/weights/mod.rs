//! Weights: where they come from, whose names they carry, and that they are complete.

mod card;
pub mod checkpoint;
mod error;
mod fingerprint;
mod import;
mod keys;
mod pickle;
mod tensors;

pub use error::WeightsError;
pub use fingerprint::fingerprint;
pub use import::{Head, import};
pub use keys::{KEY_MAPS, KeyMap, LinearLayout, Stages};
pub(crate) use tensors::unfit_tensor;
