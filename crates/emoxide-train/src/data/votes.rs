//! From the ten votes of an FER+ row to a label.
//!
//! Source: Barsoum et al., "Training deep networks for facial expression recognition with crowd-sourced label
//! distribution", 2016, and the majority and probability modes of microsoft/FERPlus.

use serde::{Deserialize, Serialize};

use super::{DataError, Label, first_largest};

/// Number of columns of votes: eight expressions, `unknown`, `NF` (no face).
pub(super) const COLUMNS: usize = 10;
/// Number of them that are expressions; they come first.
const EXPRESSIONS: usize = 8;

/// How the votes of FER+ become a label. Equal counts go to the first column, in the order of the file: neutral, happiness,
/// surprise, sadness, anger, disgust, fear, contempt, unknown, NF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelRule {
    /// The official rule: single votes are struck out, the largest count must then be more than half of what is left and
    /// be an expression; other rows are dropped.
    #[default]
    Majority,
    /// The largest of all ten counts; rows where that is `unknown` or `NF` are dropped.
    Argmax10,
    /// The largest of the eight expressions' counts; every row is kept, and one without any such vote is neutral.
    Argmax8,
    /// The shares of the eight expressions. Rows are kept as under `argmax10`; single votes are struck out as outliers, as
    /// the official probability mode does first, and the rest is normalised over the eight expressions.
    Soft,
}

impl std::str::FromStr for LabelRule {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let rules = [Self::Majority, Self::Argmax10, Self::Argmax8, Self::Soft];
        rules.into_iter().find(|rule| rule.name() == text).ok_or_else(|| DataError::UnknownRule(text.to_owned()))
    }
}

impl LabelRule {
    /// The name on the command line and in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Argmax10 => "argmax10",
            Self::Argmax8 => "argmax8",
            Self::Soft => "soft",
        }
    }

    /// The label over the eight expressions in the order of the file; `None` where the rule drops the row.
    pub(super) fn label(self, votes: &[f32; COLUMNS]) -> Option<Label> {
        match self {
            Self::Majority => {
                let kept = without_single_votes(votes);
                let best = first_largest(&kept);
                let total: f32 = kept.iter().sum();
                (best < EXPRESSIONS && kept[best] > 0.5 * total).then_some(Label::Class(best))
            }
            Self::Argmax10 => {
                let best = first_largest(votes);
                (best < EXPRESSIONS).then_some(Label::Class(best))
            }
            Self::Argmax8 => Some(Label::Class(first_largest(&votes[..EXPRESSIONS]))),
            Self::Soft => {
                let best = first_largest(votes);
                if best >= EXPRESSIONS || votes[best] <= 0.0 {
                    return None;
                }
                let kept = without_single_votes(votes);
                // Ten single votes leave nothing; then they are all there is to go by.
                let shares = if kept[best] > 0.0 { &kept } else { votes };
                Some(normalised(&shares[..EXPRESSIONS]))
            }
        }
    }
}

impl std::fmt::Display for LabelRule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}

/// The votes with every count of one taken for an outlier.
fn without_single_votes(votes: &[f32; COLUMNS]) -> [f32; COLUMNS] {
    votes.map(|count| if count <= 1.0 { 0.0 } else { count })
}

/// Shares that add up to one. The largest value must be positive.
pub(super) fn normalised(values: &[f32]) -> Label {
    let total: f32 = values.iter().sum();
    debug_assert!(total > 0.0, "votes that add up to nothing are no distribution");
    Label::Votes(values.iter().map(|value| value / total).collect())
}
