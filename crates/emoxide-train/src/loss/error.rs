use emoxide::labels::Expression;

use super::ChannelError;

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
    /// A negative or infinite weight of the sparse centre loss.
    #[error("objective.weight is {0}: it is finite and not negative")]
    BadCentreWeight(f64),
    /// A rate at which centres would not settle.
    #[error("objective.centre_rate is {0}: it lies between 0 and 1")]
    BadCentreRate(f64),
    /// Nothing to weigh the embedding by.
    #[error(
        "objective.kind = \"sparse-centre\" weighs the embedding by the network's attention, and this network gives none: \
         choose a network that does, such as network.kind = \"dacl\", objective.attentive = false, or objective.kind = \
         \"cross-entropy\""
    )]
    NoAttention,
    /// A negative or infinite weight of a term.
    #[error("objective.{key} is {weight}: it is finite and not negative")]
    BadTerm {
        /// The key below `objective`.
        key: &'static str,
        /// What was given.
        weight: f64,
    },
    /// Nothing to make orthogonal.
    #[error(
        "objective.kind = \"parallel\" looks at the network's branches, and this network has none: choose a network that has, \
         such as network.kind = \"pcm\" with network.branches above 0, or objective.kind = \"cross-entropy\""
    )]
    NoBranches,
    /// Settings of the losses of groups of channels.
    #[error(transparent)]
    Channels(#[from] ChannelError),
}
