//! Expression names, the orders in which data sets and checkpoints list them, and the maps between them.
//!
//! Every list travels with its names and every map is derived from names; there is no list of integers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One facial expression of the usual categorical set.
///
/// The order of the variants is the toolkit's canonical order; contempt stands last and only in eight-class lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expression {
    /// Anger.
    Anger,
    /// Disgust.
    Disgust,
    /// Fear.
    Fear,
    /// Happiness.
    Happiness,
    /// Sadness.
    Sadness,
    /// Surprise.
    Surprise,
    /// No expression.
    Neutral,
    /// Contempt; eight-class lists only.
    Contempt,
}

use Expression::{Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise};

impl Expression {
    /// All eight expressions in canonical order.
    pub const ALL: [Self; 8] = [Anger, Disgust, Fear, Happiness, Sadness, Surprise, Neutral, Contempt];

    /// The canonical name: a lower-case noun.
    pub fn name(self) -> &'static str {
        match self {
            Anger => "anger",
            Disgust => "disgust",
            Fear => "fear",
            Happiness => "happiness",
            Sadness => "sadness",
            Surprise => "surprise",
            Neutral => "neutral",
            Contempt => "contempt",
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Why a name, a list of names or a pair of lists was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The name is neither canonical nor a known alias.
    #[error(
        "`{0}` is not an expression; known are anger, disgust, fear, happiness, sadness, surprise, neutral, contempt and their usual aliases"
    )]
    UnknownName(String),
    /// The same expression stands twice in one list.
    #[error("`{0}` stands twice in the list of classes")]
    Duplicate(Expression),
    /// A list without any class.
    #[error("the list of classes is empty")]
    Empty,
    /// A class that was asked for and is not in the list.
    #[error("`{missing}` is none of the classes {known}")]
    Absent {
        /// The class asked for.
        missing: Expression,
        /// The classes that are there.
        known: Classes,
    },
    /// Two lists that must hold the same classes and do not.
    #[error("the classes {from} cannot be mapped to {to}: `{missing}` stands in one of the two lists only")]
    Irreconcilable {
        /// A class that only one list has.
        missing: Expression,
        /// The list mapped from.
        from: Classes,
        /// The list mapped to.
        to: Classes,
    },
}

impl FromStr for Expression {
    type Err = LabelError;

    /// Reads a canonical name or an alias, whatever its case.
    fn from_str(text: &str) -> Result<Self, LabelError> {
        Ok(match text.trim().to_lowercase().as_str() {
            "anger" | "angry" => Anger,
            "disgust" | "disgusted" => Disgust,
            "fear" | "fearful" | "afraid" | "scared" => Fear,
            "happiness" | "happy" | "joy" => Happiness,
            "sadness" | "sad" => Sadness,
            "surprise" | "surprised" => Surprise,
            "neutral" | "calm" => Neutral,
            "contempt" | "contemptuous" => Contempt,
            _ => return Err(LabelError::UnknownName(text.to_owned())),
        })
    }
}

/// An ordered list of distinct classes: what the columns of a model's output, or the codes of a data set, mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<Expression>")]
pub struct Classes(Vec<Expression>);

impl Classes {
    /// Checks that the list is not empty and that no class stands twice.
    pub fn new(list: impl Into<Vec<Expression>>) -> Result<Self, LabelError> {
        let list = list.into();
        if list.is_empty() {
            return Err(LabelError::Empty);
        }
        match list.iter().enumerate().find(|(index, name)| list[..*index].contains(name)) {
            Some((_, name)) => Err(LabelError::Duplicate(*name)),
            None => Ok(Self(list)),
        }
    }

    /// Reads names or aliases in the order given.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, LabelError> {
        Self::new(names.into_iter().map(str::parse).collect::<Result<Vec<_>, _>>()?)
    }

    /// Reads `7` or `8`, the classes of [`seven`](Self::seven) or [`eight`](Self::eight), or names with commas between them.
    pub fn from_list(text: &str) -> Result<Self, LabelError> {
        match text {
            "7" => Ok(Self::seven()),
            "8" => Ok(Self::eight()),
            names => Self::from_names(names.split(',')),
        }
    }

    /// The seven basic classes in canonical order.
    pub fn seven() -> Self {
        Self(Expression::ALL[..7].to_vec())
    }

    /// The eight classes, contempt last.
    pub fn eight() -> Self {
        Self(Expression::ALL.to_vec())
    }

    /// Number of classes.
    #[expect(clippy::len_without_is_empty, reason = "a list of classes is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The classes in order.
    pub fn as_slice(&self) -> &[Expression] {
        &self.0
    }

    /// The classes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Expression> + '_ {
        self.0.iter().copied()
    }

    /// Where `expression` stands in this list.
    pub fn index_of(&self, expression: Expression) -> Option<usize> {
        self.0.iter().position(|name| *name == expression)
    }

    /// This list without some classes, the order kept.
    pub fn without(&self, dropped: &[Expression]) -> Result<Self, LabelError> {
        Self::new(self.iter().filter(|name| !dropped.contains(name)).collect::<Vec<_>>())
    }

    /// For every class of `subset`, its index in this list.
    pub fn positions(&self, subset: &Self) -> Result<Vec<usize>, LabelError> {
        let position =
            |missing| self.index_of(missing).ok_or_else(|| LabelError::Absent { missing, known: self.clone() });
        subset.iter().map(position).collect()
    }

    /// For every class of `self`, its index in `target`; both lists must hold the same names.
    pub fn map_to(&self, target: &Self) -> Result<Vec<usize>, LabelError> {
        let apart = |missing| LabelError::Irreconcilable { missing, from: self.clone(), to: target.clone() };
        if let Some(missing) = target.iter().find(|name| self.index_of(*name).is_none()) {
            return Err(apart(missing));
        }
        self.iter().map(|name| target.index_of(name).ok_or_else(|| apart(name))).collect()
    }

    /// Reorders probabilities listed as `self` into the order of `target`, a subset of `self`, and renormalises them.
    ///
    /// This is the 8-to-7 rule of inference: the probability of dropped classes is shared out in proportion, and evenly
    /// where nothing else is left. Values that are not numbers stay so.
    pub fn renormalise(&self, probabilities: &[f32], target: &Self) -> Result<Vec<f32>, LabelError> {
        let kept: Vec<f32> = self.positions(target)?.into_iter().map(|index| probabilities[index]).collect();
        let total: f32 = kept.iter().sum();
        let count = kept.len() as f32;
        Ok(kept.iter().map(|p| if total == 0.0 { 1.0 / count } else { p / total }).collect())
    }
}

impl TryFrom<Vec<String>> for Classes {
    type Error = LabelError;

    fn try_from(names: Vec<String>) -> Result<Self, LabelError> {
        Self::from_names(names.iter().map(String::as_str))
    }
}

impl From<Classes> for Vec<Expression> {
    fn from(classes: Classes) -> Self {
        classes.0
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Expression::name).collect();
        formatter.write_str(&names.join(", "))
    }
}
