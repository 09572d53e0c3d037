//! What the library promises, module by module.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed unwrap fails the test; the largest differences and the texts of refusals are part of the result"
)]

mod architecture;
mod authors;
mod cafe;
mod checkpoint;
mod comparison;
mod contract;
mod explain;
mod export;
mod face;
mod geometry;
mod image;
mod import;
mod involution_vit;
mod labels;
mod networks;
mod paddle;
mod parity;
mod pcm;
mod preprocess;
mod recognizer;
mod start;
mod support;
mod tiny;
mod transfer;
mod video;
mod worker;
