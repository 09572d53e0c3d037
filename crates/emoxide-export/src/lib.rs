//! Models of emoxide for other programs.
//!
//! [`onnx::export`] makes an ONNX model of a network's recorded graph, the one that `emoxide-engine` compiles too; no network is
//! described a second time. [`card::markdown`] says beside it what the model is and what it has to be fed. Weights under other
//! people's names are the library's business (`emoxide::weights::export`).

pub mod card;
pub mod check;
mod error;
mod file;
mod metadata;
pub mod onnx;

pub use error::ExportError;
pub use file::Staged;
pub use metadata::metadata;
