//! Settings of the optimisers, with PyTorch's defaults.

use std::collections::BTreeMap;

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{Adam as AdamRule, AdamConfig, AdamW as AdamwRule, AdamWConfig, Sgd as SgdRule, SgdConfig};
use serde::{Deserialize, Serialize};

use super::{Optimiser, Pair, Rules};
use crate::settings::{BadSetting, check};

/// Factors of the rate by part of the network: how the names of its parameters start, such as `backbone`. Of two parts that
/// lie in each other, the inner one counts; everything else learns at the full rate.
pub type Factors = BTreeMap<String, f64>;

/// The optimiser of a recipe: `[optimiser] kind = "adamw"`, then the keys of the struct.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimiserConfig {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam; weight decay is added to the gradient.
    Adam(Adam),
    /// `AdamW`; weight decay is decoupled from the gradient.
    Adamw(Adamw),
}

/// Settings of stochastic gradient descent; the defaults are those of `torch.optim.SGD`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate before the schedule.
    pub rate: f64,
    /// Share of the last step in the next; 0 keeps no state.
    pub momentum: f64,
    /// Share of the gradient that momentum leaves out, from the second step on.
    pub dampening: f64,
    /// Looks ahead along the momentum.
    pub nesterov: bool,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Spares vectors, that is biases and norm scales, from weight decay.
    pub no_decay_on_norm_and_bias: bool,
    /// Largest Euclidean norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Factors of the rate for parts of the network.
    pub factors: Factors,
    /// Largest size of a single number of the gradients; with `run.accumulate`, of what is gathered so far, after every batch.
    pub clip_value: Option<f64>,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            no_decay_on_norm_and_bias: false,
            clip_norm: None,
            factors: Factors::new(),
            clip_value: None,
        }
    }
}

/// Settings of Adam; the defaults are those of `torch.optim.Adam`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate before the schedule.
    pub rate: f64,
    /// Decay of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Spares vectors, that is biases and norm scales, from weight decay.
    pub no_decay_on_norm_and_bias: bool,
    /// Largest Euclidean norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Factors of the rate for parts of the network.
    pub factors: Factors,
    /// Largest size of a single number of the gradients; with `run.accumulate`, of what is gathered so far, after every batch.
    pub clip_value: Option<f64>,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            rate: 1e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            no_decay_on_norm_and_bias: false,
            clip_norm: None,
            factors: Factors::new(),
            clip_value: None,
        }
    }
}

/// Settings of `AdamW`; the defaults are those of `torch.optim.AdamW`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamw {
    /// Learning rate before the schedule.
    pub rate: f64,
    /// Decay of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Share of a weight, times the rate, that each step takes away.
    pub weight_decay: f64,
    /// Spares vectors, that is biases and norm scales, from weight decay.
    pub no_decay_on_norm_and_bias: bool,
    /// Largest Euclidean norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Factors of the rate for parts of the network.
    pub factors: Factors,
    /// Largest size of a single number of the gradients; with `run.accumulate`, of what is gathered so far, after every batch.
    pub clip_value: Option<f64>,
}

impl Default for Adamw {
    fn default() -> Self {
        Self {
            rate: 1e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 1e-2,
            no_decay_on_norm_and_bias: false,
            clip_norm: None,
            factors: Factors::new(),
            clip_value: None,
        }
    }
}

impl OptimiserConfig {
    /// Learning rate before the schedule.
    pub fn rate(&self) -> f64 {
        match self {
            Self::Sgd(sgd) => sgd.rate,
            Self::Adam(adam) => adam.rate,
            Self::Adamw(adamw) => adamw.rate,
        }
    }

    /// Factors of the rate for parts of the network.
    pub fn factors(&self) -> &Factors {
        match self {
            Self::Sgd(sgd) => &sgd.factors,
            Self::Adam(adam) => &adam.factors,
            Self::Adamw(adamw) => &adamw.factors,
        }
    }

    /// Largest size of a single number of the gradients.
    pub fn clip_value(&self) -> Option<f64> {
        match self {
            Self::Sgd(sgd) => sgd.clip_value,
            Self::Adam(adam) => adam.clip_value,
            Self::Adamw(adamw) => adamw.clip_value,
        }
    }

    /// Whether every setting is in its range.
    pub fn check(&self) -> Result<(), BadSetting> {
        let rate = self.rate();
        check(rate.is_finite() && rate > 0.0, "optimiser.rate", rate, "the learning rate must be above zero")?;
        for factor in self.factors().values() {
            let sound = factor.is_finite() && *factor >= 0.0;
            check(sound, "optimiser.factors", factor, "each must be finite and not below zero")?;
        }
        let (decay, clip_norm) = match self {
            Self::Sgd(sgd) => {
                let Sgd { momentum, dampening, nesterov, .. } = *sgd;
                check((0.0..1.0).contains(&momentum), "optimiser.momentum", momentum, "it lies in 0..1")?;
                check((0.0..=1.0).contains(&dampening), "optimiser.dampening", dampening, "it lies in 0..=1")?;
                let sound = !nesterov || momentum > 0.0 && dampening == 0.0;
                check(sound, "optimiser.nesterov", nesterov, "it needs a momentum and no dampening")?;
                check(momentum > 0.0 || dampening == 0.0, "optimiser.dampening", dampening, "it needs a momentum")?;
                (sgd.weight_decay, sgd.clip_norm)
            }
            Self::Adam(Adam { betas, eps, weight_decay, clip_norm, .. })
            | Self::Adamw(Adamw { betas, eps, weight_decay, clip_norm, .. }) => {
                for beta in betas {
                    check((0.0..1.0).contains(beta), "optimiser.betas", beta, "both lie in 0..1")?;
                }
                check(eps.is_finite() && *eps > 0.0, "optimiser.eps", eps, "it must be above zero")?;
                (*weight_decay, *clip_norm)
            }
        };
        check(decay.is_finite() && decay >= 0.0, "optimiser.weight_decay", decay, "it must not be below zero")?;
        for (key, limit) in [("optimiser.clip_norm", clip_norm), ("optimiser.clip_value", self.clip_value())] {
            let limit = limit.unwrap_or(1.0);
            check(limit.is_finite() && limit > 0.0, key, limit, "it must be above zero; leave it out for none")?;
        }
        Ok(())
    }

    /// An optimiser without state.
    pub fn init(&self) -> Optimiser {
        let (rules, clip_norm) = match self {
            Self::Sgd(sgd) => {
                (Rules::Sgd(Pair::new(sgd.no_decay_on_norm_and_bias, |decay| sgd.rule(decay))), sgd.clip_norm)
            }
            Self::Adam(adam) => {
                (Rules::Adam(Pair::new(adam.no_decay_on_norm_and_bias, |decay| adam.rule(decay))), adam.clip_norm)
            }
            Self::Adamw(adamw) => {
                (Rules::Adamw(Pair::new(adamw.no_decay_on_norm_and_bias, |decay| adamw.rule(decay))), adamw.clip_norm)
            }
        };
        Optimiser::new(rules, clip_norm, self.factors().clone())
    }
}

impl Sgd {
    fn rule(&self, decay: bool) -> SgdRule {
        let decay = (decay && self.weight_decay != 0.0).then(|| WeightDecayConfig::new(self.weight_decay as f32));
        let momentum = (self.momentum != 0.0).then(|| {
            MomentumConfig::new()
                .with_momentum(self.momentum)
                .with_dampening(self.dampening)
                .with_nesterov(self.nesterov)
        });
        SgdConfig::new().with_weight_decay(decay).with_momentum(momentum).build()
    }
}

impl Adam {
    fn rule(&self, decay: bool) -> AdamRule {
        let decay = (decay && self.weight_decay != 0.0).then(|| WeightDecayConfig::new(self.weight_decay as f32));
        AdamConfig::new()
            .with_beta_1(self.betas[0] as f32)
            .with_beta_2(self.betas[1] as f32)
            .with_epsilon(self.eps as f32)
            .with_weight_decay(decay)
            .build()
    }
}

impl Adamw {
    fn rule(&self, decay: bool) -> AdamwRule {
        AdamWConfig::new()
            .with_beta_1(self.betas[0] as f32)
            .with_beta_2(self.betas[1] as f32)
            .with_epsilon(self.eps as f32)
            .with_weight_decay(if decay { self.weight_decay as f32 } else { 0.0 })
            .build()
    }
}
