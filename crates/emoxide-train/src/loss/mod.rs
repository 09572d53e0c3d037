//! What training minimises.

mod cross_entropy;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use emoxide::labels::{Classes, Expression};
use serde::{Deserialize, Serialize};

pub use cross_entropy::CrossEntropy;

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

/// Why an objective cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectiveError {
    /// A class without weight.
    #[error("objective.class_weights.weights lacks `{class}`: name a weight for every class")]
    MissingWeight {
        /// The class.
        class: Expression,
    },
    /// A weight for a class that the run does not have.
    #[error("objective.class_weights.weights names `{class}`, which is not a class of this run: remove it")]
    UnknownClass {
        /// The class.
        class: Expression,
    },
    /// A negative, infinite or missing number.
    #[error("objective.class_weights.weights.{class} is {weight}: weights are finite and not negative")]
    BadWeight {
        /// The class.
        class: Expression,
        /// What was given.
        weight: f64,
    },
    /// Smoothing outside its range.
    #[error("objective.label_smoothing is {0}: it lies between 0 and 1")]
    BadSmoothing(f64),
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
    /// Builds the objective for `classes`, of which the training split holds `counts` images each.
    pub fn init(&self, classes: &Classes, counts: &[usize], device: &Device) -> Result<Objective, ObjectiveError> {
        match self {
            Self::CrossEntropy { label_smoothing, class_weights, soft_labels } => {
                if !(0.0..=1.0).contains(label_smoothing) {
                    return Err(ObjectiveError::BadSmoothing(*label_smoothing));
                }
                let weights = class_weights.resolve(classes, counts)?;
                Ok(Objective::CrossEntropy(CrossEntropy::new(
                    *label_smoothing,
                    weights.as_deref(),
                    *soft_labels,
                    device,
                )))
            }
        }
    }
}

/// An objective, ready to use.
#[derive(Clone, Debug)]
pub enum Objective {
    /// Cross-entropy of the softmax of the logits.
    CrossEntropy(CrossEntropy),
}

impl Objective {
    /// The loss `[1]` of logits `[batch, classes]` against target distributions `[batch, classes]`; a single class is
    /// a row with one 1.
    pub fn forward(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        match self {
            Self::CrossEntropy(loss) => loss.forward(logits, targets),
        }
    }
}
