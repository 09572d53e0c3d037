//! Cross-entropy joined with the losses that give every class a group of channels of its own.
//!
//! Paper: Zhang et al., Generalizable Facial Expression Recognition, ECCV 2024, equations 3 to 9. Reference:
//! zyh-uaiaaaa/Generalizable-FER.
//! Deviations from the reference: none by default; [`Groups`], [`Divisor`] and drops of each picture are choices.

use burn::tensor::{Device, Distribution, Tensor};
use emoxide::models::Outputs;
use serde::{Deserialize, Serialize};

use super::CrossEntropy;

/// What becomes of the channels that are left where the classes do not divide their number. The group of a class is
/// `channels / classes` channels, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Groups {
    /// They are in no group, as in the reference.
    #[default]
    Equal,
    /// They are in the last one.
    All,
}

/// What the sum of the groups' maxima of a batch is divided by in the diverse loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divisor {
    /// Pictures times channels of all groups: the reference.
    #[default]
    Code,
    /// Pictures times channels of a group: the paper's equation 8.
    Paper,
}

/// Settings of a [`ChannelSeparation`]; the defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelSeparationConfig {
    /// How much the separation loss counts, `λ`.
    pub separation: f64,
    /// How much the diverse loss counts, `β`.
    pub diverse: f64,
    /// Channels that every step drops of a group.
    pub drop: usize,
    /// Whether every picture has its own channels dropped, and not the same ones as the rest of the batch.
    pub drop_per_picture: bool,
    /// Where the channels go that are left over.
    pub groups: Groups,
    /// What the diverse loss divides by.
    pub divisor: Divisor,
}

impl Default for ChannelSeparationConfig {
    fn default() -> Self {
        Self {
            separation: 1.5,
            diverse: 5.0,
            drop: 10,
            drop_per_picture: false,
            groups: Groups::Equal,
            divisor: Divisor::Code,
        }
    }
}

/// Settings that cannot work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// A negative or infinite weight.
    #[error("objective.{key} is {weight}: it is finite and not negative")]
    BadWeight {
        /// Its key.
        key: &'static str,
        /// What was given.
        weight: f64,
    },
    /// Fewer channels than classes.
    #[error(
        "objective.kind = \"channel-separation\" gives every class channels of the embedding, which has {channels}, and \
         there are {classes} classes: choose a wider network, or objective.kind = \"cross-entropy\""
    )]
    FewChannels {
        /// Numbers of the embedding.
        channels: usize,
        /// Classes of the run.
        classes: usize,
    },
    /// Nothing would be left of a group.
    #[error("objective.drop is {drop}: the group of a class has {group} channels, of which one must stay")]
    BadDrop {
        /// What was given.
        drop: usize,
        /// Channels of a group.
        group: usize,
    },
}

impl ChannelSeparationConfig {
    /// Whether this works for so many classes and an embedding of so many channels.
    pub(super) fn check(&self, classes: usize, channels: usize) -> Result<(), ChannelError> {
        for (key, weight) in [("separation", self.separation), ("diverse", self.diverse)] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(ChannelError::BadWeight { key, weight });
            }
        }
        let (drop, group) = (self.drop, channels / classes);
        if group == 0 {
            return Err(ChannelError::FewChannels { channels, classes });
        }
        if drop >= group { Err(ChannelError::BadDrop { drop, group }) } else { Ok(()) }
    }
}

/// `L = cross-entropy(logits) + λ · cross-entropy(z) + β · (1 − Σ m / divisor)` over a batch.
///
/// The channels of the embedding stand in consecutive groups, one for every class. `m` are their largest values, `z` the
/// same where some channels of every group are dropped, which counts them as 0: `z` are logits as they are. The first
/// cross-entropy alone teaches the classifier. Nothing is clamped: the diverse loss falls below 0 where channels are large.
#[derive(Clone, Debug)]
pub struct ChannelSeparation {
    cross_entropy: CrossEntropy,
    config: ChannelSeparationConfig,
    classes: usize,
}

impl ChannelSeparation {
    /// `device` is that of the logits.
    pub fn new(config: ChannelSeparationConfig, classes: usize, device: &Device) -> Self {
        Self { cross_entropy: CrossEntropy::new(0.0, None, false, device), config, classes }
    }

    /// The loss `[1]` of a batch against target distributions `[batch, classes]`, with channels that are drawn anew.
    ///
    /// # Panics
    /// If the embedding has fewer channels than there are classes.
    pub fn forward(&self, outputs: Outputs, targets: Tensor<2>) -> Tensor<1> {
        let [batch, channels] = outputs.embedding.dims();
        let rows = if self.config.drop_per_picture { batch } else { 1 };
        let kept = self.kept(rows, channels, &outputs.embedding.device());
        self.forward_kept(outputs, targets, kept)
    }

    /// As [`forward`](Self::forward), with given channels: `kept` is 1 for each that stays and 0 for each that is dropped,
    /// `[batch, channels]` or, for all pictures, `[1, channels]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_kept(&self, outputs: Outputs, targets: Tensor<2>, kept: Tensor<2>) -> Tensor<1> {
        let Outputs { logits, embedding, .. } = outputs;
        let ChannelSeparationConfig { separation, diverse, divisor, .. } = self.config;
        let [batch, channels] = embedding.dims();
        let group = channels / self.classes;
        let entropy = self.cross_entropy.forward(logits, targets.clone());
        let separated = self.cross_entropy.forward(self.maxima(&(embedding.clone() * kept)), targets);
        let divisor = match divisor {
            Divisor::Code => batch * group * self.classes,
            Divisor::Paper => batch * group,
        };
        let diversity = -(self.maxima(&embedding).sum() / divisor as f64) + 1.0;
        entropy + separated * separation + diversity * diverse
    }

    /// The largest value of every group: `[batch, channels]` → `[batch, classes]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn maxima(&self, embedding: &Tensor<2>) -> Tensor<2> {
        let [batch, channels] = embedding.dims();
        let group = channels / self.classes;
        assert!(group > 0, "an embedding of {channels} channels for {} classes", self.classes);
        let whole = |groups: usize| -> Tensor<2> {
            let grouped = embedding.clone().narrow(1, 0, groups * group).reshape([batch, groups, group]);
            grouped.max_dim(2).squeeze_dim(2)
        };
        let before = self.classes - 1;
        match self.config.groups {
            Groups::All if channels > self.classes * group => {
                let last = embedding.clone().narrow(1, before * group, channels - before * group).max_dim(1);
                if before == 0 { last } else { Tensor::cat(vec![whole(before), last], 1) }
            }
            _ => whole(self.classes),
        }
    }

    /// Draws which channels stay, `[rows, channels]`: of every group the same number is dropped, any as likely as the
    /// others. Channels that are left over are drawn with the last group, whether they belong to it or not.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn kept(&self, rows: usize, channels: usize, device: &Device) -> Tensor<2> {
        let group = channels / self.classes;
        assert!(group > 0, "an embedding of {channels} channels for {} classes", self.classes);
        let before = self.classes - 1;
        // The places of random numbers in their order: as many of them as are dropped come first.
        let drawn = |shape: [usize; 3]| {
            let numbers = Tensor::<3>::random(shape, Distribution::Uniform(0.0, 1.0), device);
            let places = numbers.argsort(2).argsort(2);
            places.greater_equal_elem(self.config.drop as i64).float().reshape([rows, shape[1] * shape[2]])
        };
        let last = drawn([rows, 1, channels - before * group]);
        if before == 0 { last } else { Tensor::cat(vec![drawn([rows, before, group]), last], 1) }
    }
}
