//! Training and evaluation: recipes, data sets, augmentation, losses, the loop, metrics and reports.

pub mod augment;
pub mod data;
pub mod ema;
pub mod evaluate;
pub mod loss;
pub mod network;
pub mod optimiser;
pub mod recipe;
pub mod report;
pub mod run_dir;
pub mod sampler;
pub mod schedule;
pub mod settings;
pub mod snapshot;
pub mod tensorboard;
pub mod train;
