//! How the learning rate moves over a run: a pure function of the step, so that a resumed run needs no state.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::settings::{BadSetting, check};

/// The schedule of a recipe: `[schedule] kind = "cosine"` and the keys of the variant.
///
/// Every kind takes `warmup_epochs` (may be a fraction): the rate rises linearly, per optimiser step, and reaches its
/// full value with the last step of the warm-up. Cosine and polynomial then spend what is left of the run; the kinds
/// that act per epoch count epochs from the start of the run and are multiplied by the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The same rate throughout.
    Constant {
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Multiplies the rate by `gamma` after every `every` epochs, as `StepLR`.
    Step {
        /// Epochs between two drops; 0 never drops.
        every: usize,
        /// Factor of one drop.
        #[serde(default = "tenth")]
        gamma: f64,
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Multiplies the rate by `gamma` at every milestone, as `MultiStepLR`.
    MultiStep {
        /// Number of finished epochs, or optimiser steps, at each drop.
        milestones: Vec<usize>,
        /// Factor of one drop.
        #[serde(default = "tenth")]
        gamma: f64,
        /// Whether milestones count steps or epochs.
        #[serde(default = "epoch")]
        per: Per,
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Multiplies the rate by `gamma` after every epoch, as `ExponentialLR`.
    Exponential {
        /// Factor of one epoch.
        gamma: f64,
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Falls as `(1 − progress)^power` to 0, as `PolynomialLR`.
    Polynomial {
        /// Exponent; 1 is a straight line.
        #[serde(default = "one")]
        power: f64,
        /// Whether the rate moves with every step or only between epochs.
        #[serde(default)]
        per: Per,
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Multiplies the rate by `1 − (epochs done / epochs)^power` between any two epochs, again and again: what a helper that
    /// is meant to give a polynomial does when it starts from the current rate. Of `TransInvNet`, involution and vision
    /// transformer.
    PolynomialCompound {
        /// Exponent.
        #[serde(default = "nine_tenths")]
        power: f64,
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
    /// Falls along half a cosine, as `CosineAnnealingLR`.
    Cosine {
        /// Rate at the end of the run, `eta_min`.
        #[serde(default)]
        final_rate: f64,
        /// Whether the rate moves with every step or only between epochs.
        #[serde(default)]
        per: Per,
        /// Length of the linear warm-up in epochs.
        #[serde(default)]
        warmup_epochs: f64,
    },
}

/// When a rate moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// With every optimiser step.
    #[default]
    Step,
    /// Between two epochs.
    Epoch,
}

fn tenth() -> f64 {
    0.1
}

fn nine_tenths() -> f64 {
    0.9
}

fn epoch() -> Per {
    Per::Epoch
}

fn one() -> f64 {
    1.0
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Constant { warmup_epochs: 0.0 }
    }
}

impl ScheduleConfig {
    /// Length of the linear warm-up in epochs.
    pub fn warmup_epochs(&self) -> f64 {
        match self {
            Self::Constant { warmup_epochs }
            | Self::Step { warmup_epochs, .. }
            | Self::MultiStep { warmup_epochs, .. }
            | Self::Exponential { warmup_epochs, .. }
            | Self::Polynomial { warmup_epochs, .. }
            | Self::PolynomialCompound { warmup_epochs, .. }
            | Self::Cosine { warmup_epochs, .. } => *warmup_epochs,
        }
    }

    /// Whether every setting is in its range.
    pub fn check(&self) -> Result<(), BadSetting> {
        let warmup = self.warmup_epochs();
        check((0.0..=1e4).contains(&warmup), "schedule.shape.warmup_epochs", warmup, "it lies in 0..=10000")?;
        match *self {
            Self::Step { gamma, .. } | Self::MultiStep { gamma, .. } | Self::Exponential { gamma, .. } => {
                check(gamma.is_finite() && gamma > 0.0, "schedule.shape.gamma", gamma, "it must be above zero")
            }
            Self::Polynomial { power, .. } | Self::PolynomialCompound { power, .. } => {
                check(power.is_finite() && power > 0.0, "schedule.shape.power", power, "it must be above zero")
            }
            Self::Cosine { final_rate: rate, .. } => {
                check(rate.is_finite() && rate >= 0.0, "schedule.shape.final_rate", rate, "it must not be below zero")
            }
            Self::Constant { .. } => Ok(()),
        }
    }

    /// The rate of optimiser step `step`, counted from 0 over the whole run of `steps` steps.
    pub fn rate(&self, base_rate: f64, step: usize, steps_per_epoch: usize, steps: usize) -> f64 {
        let steps_per_epoch = steps_per_epoch.max(1);
        let warmup = (self.warmup_epochs().max(0.0) * steps_per_epoch as f64).round() as usize;
        let rising = if step < warmup { (step + 1) as f64 / warmup as f64 } else { 1.0 };
        let epoch = step / steps_per_epoch;

        // Share of the run after the warm-up that lies behind, 0 to 1.
        let progress = |per: Per| {
            let (done, total) = (step.saturating_sub(warmup), steps.saturating_sub(warmup).max(1));
            let (done, total) = match per {
                Per::Step => (done, total),
                Per::Epoch => (done / steps_per_epoch, total.div_ceil(steps_per_epoch)),
            };
            (done as f64 / total as f64).min(1.0)
        };
        let falling = match self {
            Self::Constant { .. } => base_rate,
            Self::Step { every, gamma, .. } => base_rate * gamma.powi(epoch.checked_div(*every).unwrap_or(0) as i32),
            Self::MultiStep { milestones, gamma, per, .. } => {
                let done = if *per == Per::Step { step } else { epoch };
                base_rate * gamma.powi(milestones.iter().filter(|milestone| done >= **milestone).count() as i32)
            }
            Self::Exponential { gamma, .. } => base_rate * gamma.powi(epoch as i32),
            Self::Polynomial { power, per, .. } => base_rate * (1.0 - progress(*per)).powf(*power),
            Self::PolynomialCompound { power, .. } => {
                let epochs = steps.div_ceil(steps_per_epoch).max(1) as f64;
                base_rate * (0..=epoch).map(|done| 1.0 - (done as f64 / epochs).powf(*power)).product::<f64>()
            }
            Self::Cosine { final_rate, per, .. } => {
                final_rate + (base_rate - final_rate) * (1.0 + (PI * progress(*per)).cos()) / 2.0
            }
        };
        rising * falling
    }
}
