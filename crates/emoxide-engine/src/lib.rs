//! A network's recorded graph as a fused plan for the CPU.
//!
//! [`Engine::compile`] records what a network does with one image, folds the norms into the convolutions, joins what
//! follows them, packs the weights once and plans the memory. [`Engine::run`] then answers batches of any size. A
//! network is never described a second time: what the engine does not know is an error that names it.

mod algorithm;
mod capture;
mod constant;
mod error;
mod fuse;
mod graph;
mod lower;
mod plan;
mod precision;
mod view;

pub use error::CompileError;
pub use plan::Engine;
pub use precision::{Precision, UnknownPrecision};
