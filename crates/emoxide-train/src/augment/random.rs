//! Random numbers that belong to a sample, and the few distributions that augmentation needs.

use std::f64::consts::TAU;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::AugmentError;

/// Which random numbers a sample gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 1; evaluation is epoch 0.
    pub epoch: u64,
    /// Position of the sample in the epoch's order, in evaluation that in the data set.
    pub index: u64,
}

/// The stages draw from separate streams, so that a change to one leaves the others as they were.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    Image,
    Tensor,
    Box,
}

impl SampleKey {
    /// The sample's own generator: the key is the cipher's key, so neighbours share nothing.
    pub(super) fn generator(self, stage: Stage) -> ChaCha8Rng {
        let stage = match stage {
            Stage::Image => 1_u64,
            Stage::Tensor => 2,
            Stage::Box => 3,
        };
        let mut bytes = [0; 32];
        for (part, value) in bytes.chunks_exact_mut(8).zip([self.seed, self.epoch, self.index, stage]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        ChaCha8Rng::from_seed(bytes)
    }
}

/// True with the given probability.
pub(super) fn happens(probability: f64, random: &mut impl Rng) -> bool {
    random.random::<f64>() < probability
}

/// Uniform in `[low, high)`; `low` where both are equal.
pub(super) fn uniform([low, high]: [f64; 2], random: &mut impl Rng) -> f64 {
    low + (high - low) * random.random::<f64>()
}

/// Two independent draws from the standard normal distribution (Box and Muller).
pub fn normal_pair(random: &mut impl Rng) -> [f64; 2] {
    // `1 - u` lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    let (sine, cosine) = (TAU * random.random::<f64>()).sin_cos();
    [radius * cosine, radius * sine]
}

pub(super) fn check_probability(kind: &'static str, value: f64) -> Result<(), AugmentError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(AugmentError::parameter(kind, "probability", &value, "a number from 0 to 1"))
}

/// Checks that a pair is ordered and within bounds.
pub(super) fn check_range(
    kind: &'static str,
    field: &'static str,
    [low, high]: [f64; 2],
    bounds: std::ops::RangeInclusive<f64>,
    wanted: &'static str,
) -> Result<(), AugmentError> {
    if low <= high && bounds.contains(&low) && bounds.contains(&high) {
        return Ok(());
    }
    Err(AugmentError::parameter(kind, field, &[low, high], wanted))
}

/// Checks that a number is finite and not negative.
pub(super) fn check_amount(kind: &'static str, field: &'static str, value: f64) -> Result<(), AugmentError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(AugmentError::parameter(kind, field, &value, "a number from 0 up"))
}
