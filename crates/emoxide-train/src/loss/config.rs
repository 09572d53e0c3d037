//! The section `objective` of a recipe.

use std::collections::BTreeMap;

use burn::tensor::Device;
use emoxide::labels::{Classes, Expression};
use serde::{Deserialize, Serialize};

use super::{
    ChannelSeparation, ChannelSeparationConfig, CrossEntropy, Objective, ObjectiveError, Orthogonality, ParallelLoss,
    SparseCentre,
};

/// The objective of a recipe: `[objective] kind = "cross-entropy"` and the keys of the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ObjectiveConfig {
    /// Cross-entropy of the softmax of the logits, with the semantics of `torch.nn.CrossEntropyLoss`.
    CrossEntropy {
        /// Share of each target that is spread evenly over all classes, in `0..1`.
        #[serde(default)]
        label_smoothing: f64,
        /// How much each class counts.
        #[serde(default)]
        class_weights: ClassWeights,
        /// Whether targets are distributions (votes) rather than single classes. It matters only with class weights:
        /// the weighted mean divides by the weights of the targets for single classes, by the batch for distributions.
        #[serde(default)]
        soft_labels: bool,
    },
    /// Cross-entropy plus the sparse centre loss (see [`SparseCentre`]), of networks that weigh their embedding by
    /// attention, or the plain one; for single classes, not for votes.
    SparseCentre {
        /// How much the sparse centre loss counts, `λ`.
        #[serde(default = "hundredth")]
        weight: f64,
        /// Rate at which the centres follow their classes, `α`, in `0..1`.
        #[serde(default = "half")]
        centre_rate: f64,
        /// Share of each target of the cross-entropy that is spread evenly over all classes, in `0..1`.
        #[serde(default)]
        label_smoothing: f64,
        /// Whether the network's attention weighs the embedding; false: plain centre loss, of any network.
        #[serde(default = "yes")]
        attentive: bool,
    },
    /// Cross-entropy of the global and of the local head, and the orthogonality of the branches (see [`ParallelLoss`]), of
    /// networks that have them (PCM).
    Parallel {
        /// How much the local head counts, `λ`.
        #[serde(default = "one")]
        local_weight: f64,
        /// The orthogonality of the branches, and how much it counts, `γ`.
        #[serde(default)]
        orthogonality: Orthogonality,
        /// Share of each target of both cross-entropies that is spread evenly over all classes, in `0..1`.
        #[serde(default)]
        label_smoothing: f64,
    },
    /// Cross-entropy plus the losses that give every class a group of the embedding's channels (see
    /// [`ChannelSeparation`]).
    ChannelSeparation(ChannelSeparationConfig),
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn hundredth() -> f64 {
    0.01
}

fn half() -> f64 {
    0.5
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::CrossEntropy { label_smoothing: 0.0, class_weights: ClassWeights::default(), soft_labels: false }
    }
}

/// How much each class counts. (The empty braces are for serde, which lets a variant without them have any keys.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClassWeights {
    /// All the same.
    None {},
    /// A weight for every class, by name.
    List {
        /// Weights; every class of the run needs one.
        weights: BTreeMap<Expression, f64>,
    },
    /// `images / (classes · images of the class)`, which is 1 for balanced data. A class without images counts as one
    /// with a single image.
    InverseFrequency {},
}

impl Default for ClassWeights {
    fn default() -> Self {
        Self::None {}
    }
}

impl ClassWeights {
    /// The weights in the order of `classes`, given how many training images each class has; `None` counts all alike.
    ///
    /// # Panics
    /// Where inverse frequencies are asked for and `counts` does not have one entry per class.
    pub fn resolve(&self, classes: &Classes, counts: &[usize]) -> Result<Option<Vec<f32>>, ObjectiveError> {
        match self {
            Self::None {} => Ok(None),
            Self::List { weights } => {
                if let Some(class) = weights.keys().copied().find(|class| classes.index_of(*class).is_none()) {
                    return Err(ObjectiveError::UnknownClass { class });
                }
                let weight = |class| {
                    let weight = *weights.get(&class).ok_or(ObjectiveError::MissingWeight { class })?;
                    let good = weight.is_finite() && weight >= 0.0;
                    if good { Ok(weight as f32) } else { Err(ObjectiveError::BadWeight { class, weight }) }
                };
                classes.iter().map(weight).collect::<Result<_, _>>().map(Some)
            }
            Self::InverseFrequency {} => {
                assert_eq!(counts.len(), classes.len(), "one count per class");
                let total: usize = counts.iter().sum();
                let share = total as f64 / classes.len() as f64;
                Ok(Some(counts.iter().map(|count| (share / (*count).max(1) as f64) as f32).collect()))
            }
        }
    }
}

impl ObjectiveConfig {
    /// Builds the objective for `classes`, of which the training split holds `counts` images each, and a network whose
    /// embedding has so many numbers. What it learns itself is drawn here and now.
    pub fn init(
        &self,
        classes: &Classes,
        counts: &[usize],
        embedding: usize,
        device: &Device,
    ) -> Result<Objective, ObjectiveError> {
        let label_smoothing = match *self {
            Self::CrossEntropy { label_smoothing, .. }
            | Self::SparseCentre { label_smoothing, .. }
            | Self::Parallel { label_smoothing, .. } => label_smoothing,
            Self::ChannelSeparation(_) => 0.0,
        };
        if !(0.0..=1.0).contains(&label_smoothing) {
            return Err(ObjectiveError::BadSmoothing(label_smoothing));
        }
        Ok(match *self {
            Self::CrossEntropy { ref class_weights, soft_labels, .. } => {
                let weights = class_weights.resolve(classes, counts)?;
                Objective::CrossEntropy(CrossEntropy::new(label_smoothing, weights.as_deref(), soft_labels, device))
            }
            Self::SparseCentre { weight, centre_rate, attentive, .. } => {
                if !(weight.is_finite() && weight >= 0.0) {
                    return Err(ObjectiveError::BadCentreWeight(weight));
                }
                if !(0.0..=1.0).contains(&centre_rate) {
                    return Err(ObjectiveError::BadCentreRate(centre_rate));
                }
                let entropy = CrossEntropy::new(label_smoothing, None, false, device);
                let shape = [classes.len(), embedding];
                let loss = SparseCentre::new(entropy, [weight, centre_rate], shape, device);
                Objective::SparseCentre(if attentive { loss } else { loss.without_attention() })
            }
            Self::Parallel { local_weight, orthogonality, .. } => {
                for (key, weight) in [("local_weight", local_weight), ("orthogonality.weight", orthogonality.weight)] {
                    if !(weight.is_finite() && weight >= 0.0) {
                        return Err(ObjectiveError::BadTerm { key, weight });
                    }
                }
                let entropy = CrossEntropy::new(label_smoothing, None, true, device);
                Objective::Parallel(ParallelLoss::new(entropy, local_weight, orthogonality))
            }
            Self::ChannelSeparation(config) => {
                config.check(classes.len(), embedding)?;
                Objective::ChannelSeparation(ChannelSeparation::new(config, classes.len(), device))
            }
        })
    }

    /// Whether targets may be distributions over the classes rather than single ones.
    pub fn takes_votes(&self) -> bool {
        matches!(self, Self::CrossEntropy { .. } | Self::Parallel { .. } | Self::ChannelSeparation(_))
    }

    /// What speaks against training with this, in words.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::Parallel { orthogonality, .. } => orthogonality.warning(),
            Self::CrossEntropy { .. } | Self::SparseCentre { .. } | Self::ChannelSeparation(_) => None,
        }
    }
}
