//! What the crate promises, module by module.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod augment;
mod channel_separation;
mod data;
mod frozen;
mod loss;
mod metrics;
mod optimiser;
mod parallel;
mod report;
mod sampler;
mod schedule;
mod sparse_centre;
mod synth;
