//! What is checked of settings before a network is built from them.

use std::borrow::Cow;

/// A network that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network.{key}: {problem}")]
pub struct ConfigError {
    /// The key of the configuration.
    pub key: Cow<'static, str>,
    /// What is wrong with its value and what it may be.
    pub problem: String,
}

impl ConfigError {
    /// The same of a table that stands below this key.
    pub(super) fn below(self, table: &str) -> Self {
        Self { key: format!("{table}.{}", self.key).into(), ..self }
    }
}

/// Channels of a stage, and numbers of an embedding, at most.
pub(super) const WIDEST: usize = 8192;
/// Blocks or units of a stage at most.
pub(super) const DEEPEST: usize = 100;
/// Side in pixels of the images at most, of networks that fix it.
pub(super) const LARGEST_IMAGE: usize = 1024;

pub(super) fn check(holds: bool, key: &'static str, problem: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { key: key.into(), problem: problem() }) }
}

pub(super) fn check_channels(count: usize) -> Result<(), ConfigError> {
    check(matches!(count, 1 | 3), "input_channels", || format!("is {count}, may be 1 or 3"))
}

pub(super) fn check_width(width: usize, key: &'static str) -> Result<(), ConfigError> {
    check((1..=WIDEST).contains(&width), key, || format!("is {width}, may be 1 to {WIDEST}"))
}

pub(super) fn check_widths(widths: &[usize], key: &'static str) -> Result<(), ConfigError> {
    let fit = widths.iter().all(|width| (1..=WIDEST).contains(width));
    check(fit, key, || format!("is {widths:?}, each may be 1 to {WIDEST}"))
}

pub(super) fn check_rate(rate: f64, key: &'static str) -> Result<(), ConfigError> {
    check((0.0..1.0).contains(&rate), key, || format!("is {rate}, may be 0 up to but not 1"))
}

pub(super) fn check_image_size(side: usize, smallest: usize) -> Result<(), ConfigError> {
    check((smallest..=LARGEST_IMAGE).contains(&side), "image_size", || {
        format!("is {side}, may be {smallest} to {LARGEST_IMAGE}")
    })
}
