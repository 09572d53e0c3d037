//! A recipe is a whole experiment in one TOML file. Unknown keys are errors; `base = [...]` inherits from other files.

use std::path::{Path, PathBuf};

use emoxide::labels::{Classes, Expression};
use emoxide::models::NetworkConfig;
use emoxide::preprocess::{Alignment, Preprocess};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::augment::AugmentConfig;
use crate::data::{DataError, DataOptions, DataSet, DataSpec, LabelRule, Layout, Split};
use crate::loss::ObjectiveConfig;
use crate::optimiser::OptimiserConfig;
use crate::sampler::Sampler;
use crate::schedule::ScheduleConfig;

/// One experiment, every setting resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is trained on, chosen by and tested on.
    pub data: Data,
    /// The network's settings, `kind` first.
    pub network: NetworkConfig,
    /// Random changes to training pictures.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The loss.
    pub objective: ObjectiveConfig,
    /// The optimiser.
    pub optimiser: OptimiserConfig,
    /// Epochs and learning rates.
    pub schedule: Schedule,
    /// Everything else about the run.
    pub run: Run,
}

/// The `[data]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Data set to train on; its folder is named by `--data NAME=DIR`.
    pub train: Part,
    /// Split that chooses the epoch. Absent: `hold_out` of the training split does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Part>,
    /// Share of the training split held out for the choice where `select` is absent, 0..1.
    #[serde(default = "tenth")]
    pub hold_out: f64,
    /// Splits that are measured once, at the end, with the chosen epoch.
    #[serde(default)]
    pub test: Vec<Part>,
    /// The model's classes, in order.
    pub classes: Classes,
    /// Classes left out of every split.
    #[serde(default)]
    pub drop: Vec<Expression>,
    /// Order in which training samples are drawn.
    #[serde(default)]
    pub sampler: Sampler,
    /// Input of the network.
    pub preprocess: Preprocess,
    /// How the served model cuts faces out of photographs; data sets here are of cropped faces already.
    pub alignment: Alignment,
}

fn tenth() -> f64 {
    0.1
}

/// A split of a data set with its label rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its layout, which is also its name behind `--data`.
    pub set: Layout,
    /// Which part of it.
    pub split: Split,
    /// How votes become labels, for sets that have votes.
    #[serde(default)]
    pub labels: LabelRule,
}

impl Part {
    /// Reads the labels of this part in the order of `classes`.
    pub fn open(&self, spec: &DataSpec, classes: &Classes, drop: &[Expression]) -> Result<DataSet, DataError> {
        spec.open(self.split, &DataOptions { label_rule: self.labels, drop: drop.to_vec() })?.reordered(classes)
    }
}

/// The `[schedule]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Passes over the training split.
    pub epochs: usize,
    /// How the optimiser's rate changes.
    #[serde(default)]
    pub shape: ScheduleConfig,
}

/// What the epoch is chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectOn {
    /// The split `data.select`, or the slice held out of the training split.
    #[default]
    Held,
    /// The first test split: the habit of most papers, optimistic, and printed with every result.
    Test,
    /// Nothing: the last epoch is taken.
    Last,
}

/// The `[run]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Name of the resulting model, `architecture.tag`.
    pub name: String,
    /// Seeds weights, order, augmentation and dropout.
    #[serde(default)]
    pub seed: u64,
    /// Pictures a step.
    pub batch_size: usize,
    /// Batches whose gradients are averaged before a step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Decay of the weight average that is evaluated and saved; absent: the raw weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// What the epoch is chosen by.
    #[serde(default)]
    pub select_on: SelectOn,
    /// Average the picture and its mirror image in evaluation and service.
    #[serde(default)]
    pub mirror: bool,
    /// Checkpoint to start from instead of random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<PathBuf>,
    /// Licence of the resulting weights.
    #[serde(default)]
    pub licence: String,
    /// Licence of the training data.
    #[serde(default)]
    pub data_licence: String,
}

fn one() -> usize {
    1
}

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Not TOML; the message holds line and column.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        message: String,
    },
    /// TOML, but not a recipe.
    #[error("{path}: {message}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Key and reason.
        message: String,
    },
    /// `base` must be a list of file names.
    #[error("{0}: `base` must be a list of file names")]
    Base(PathBuf),
    /// A file that inherits from itself.
    #[error("{0}: inherits from itself through `base`")]
    Circle(PathBuf),
    /// `--set` without `=`.
    #[error("--set {0}: write it as `section.key=value`")]
    Set(String),
    /// A value that no run can use.
    #[error("recipe: `{key}` is {value}; {wanted}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        wanted: &'static str,
    },
}

impl Recipe {
    /// Reads a recipe with its bases, then applies `section.key=value` overrides in order.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut table = read_with_bases(path, &mut Vec::new())?;
        for text in overrides {
            apply_override(&mut table, text)?;
        }
        let content = |message: String| RecipeError::Content { path: path.to_owned(), message };
        let recipe: Self =
            Value::Table(table).try_into().map_err(|error: toml::de::Error| content(error.to_string()))?;
        recipe.validate().map_err(|error| content(error.to_string()))?;
        Ok(recipe)
    }

    /// The recipe as TOML with nothing left to inherit.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe holds only what TOML can say")
    }

    /// Reads what [`to_toml`](Self::to_toml) wrote.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, RecipeError> {
        toml::from_str(text).map_err(|error| RecipeError::Syntax { path: path.to_owned(), message: error.to_string() })
    }

    fn validate(&self) -> Result<(), RecipeError> {
        let value = |key, value: String, wanted| Err(RecipeError::Value { key, value, wanted });
        if self.schedule.epochs == 0 {
            return value("schedule.epochs", "0".into(), "at least one epoch is needed");
        }
        let rate = self.optimiser.rate();
        if !(rate.is_finite() && rate > 0.0) {
            return value("optimiser.rate", rate.to_string(), "the learning rate must be above zero");
        }
        if self.run.batch_size < 2 {
            return value("run.batch_size", self.run.batch_size.to_string(), "batch normalisation needs at least 2");
        }
        if self.run.accumulate == 0 {
            return value("run.accumulate", "0".into(), "1 means no accumulation");
        }
        if let Some(decay) = self.run.ema.filter(|decay| !(0.0..1.0).contains(decay)) {
            return value("run.ema", decay.to_string(), "a decay lies between 0 and 1");
        }
        if !(0.0..0.9).contains(&self.data.hold_out) {
            return value("data.hold_out", self.data.hold_out.to_string(), "a share between 0 and 0.9 is needed");
        }
        if self.data.select.is_none() && self.data.hold_out == 0.0 && self.run.select_on == SelectOn::Held {
            return value(
                "data.hold_out",
                "0".into(),
                "name `data.select`, a share above 0, or run.select_on = \"last\"",
            );
        }
        if self.run.select_on == SelectOn::Test && self.data.test.is_empty() {
            return value("run.select_on", "test".into(), "`data.test` names no split");
        }
        let channels = self.data.preprocess.channels.count();
        if channels != self.network.channels() {
            return value(
                "data.preprocess.channels",
                channels.to_string(),
                "the network takes another number of channels",
            );
        }
        self.augment.check().or_else(|error| value("augment", error.to_string(), "see above"))?;
        self.data.preprocess.validate().or_else(|error| value("data.preprocess", error.to_string(), "see above"))?;
        self.network.validate().or_else(|error| value("network", error.to_string(), "see above"))
    }
}

fn read_with_bases(path: &Path, open: &mut Vec<PathBuf>) -> Result<Table, RecipeError> {
    let canonical = fs_err::canonicalize(path)?;
    if open.contains(&canonical) {
        return Err(RecipeError::Circle(path.to_owned()));
    }
    open.push(canonical);
    let text = fs_err::read_to_string(path)?;
    let mut table: Table = toml::from_str(&text)
        .map_err(|error| RecipeError::Syntax { path: path.to_owned(), message: error.to_string() })?;
    let mut merged = Table::new();
    if let Some(bases) = table.remove("base") {
        let bases: Vec<PathBuf> = bases.try_into().map_err(|_| RecipeError::Base(path.to_owned()))?;
        for base in bases {
            let base = path.parent().unwrap_or(Path::new("")).join(base);
            merge(&mut merged, read_with_bases(&base, open)?);
        }
    }
    open.pop();
    merge(&mut merged, table);
    Ok(merged)
}

/// Lays `over` on `under`: tables merge key by key, anything else replaces. A table whose `kind` changes replaces whole,
/// since the settings of one kind mean nothing to another.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if !kind_changes(old, &new) => merge(old, new),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn kind_changes(old: &Table, new: &Table) -> bool {
    matches!((old.get("kind"), new.get("kind")), (Some(old), Some(new)) if old != new)
}

/// Sets one dotted key; the value is read as TOML and, where it is none, as a string.
fn apply_override(table: &mut Table, text: &str) -> Result<(), RecipeError> {
    let (key, value) = text.split_once('=').ok_or_else(|| RecipeError::Set(text.to_owned()))?;
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut layer = Table::new();
    let mut keys: Vec<&str> = key.split('.').collect();
    let last = keys.pop().filter(|last| !last.is_empty()).ok_or_else(|| RecipeError::Set(text.to_owned()))?;
    layer.insert(last.to_owned(), value);
    for key in keys.into_iter().rev() {
        layer = Table::from_iter([(key.to_owned(), Value::Table(layer))]);
    }
    merge(table, layer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn tables_merge_and_other_values_replace() {
        let mut under = table("a = 1\nlist = [1, 2]\n[b]\nc = 2\nd = 3");
        merge(&mut under, table("list = [3]\n[b]\nd = 4"));
        assert_eq!(under, table("a = 1\nlist = [3]\n[b]\nc = 2\nd = 4"));
    }

    #[test]
    fn another_kind_replaces_the_whole_table() {
        let mut under = table("[optimiser]\nkind = \"sgd\"\nmomentum = 0.9");
        merge(&mut under, table("[optimiser]\nkind = \"adam\""));
        assert_eq!(under, table("[optimiser]\nkind = \"adam\""));
    }

    #[test]
    fn overrides_read_toml_values_and_bare_words() {
        let mut under = table("[run]\nseed = 0");
        for text in ["run.seed=7", "run.name=quick", "schedule.shape.kind=cosine", "data.mean=[0.5]"] {
            apply_override(&mut under, text).unwrap();
        }
        let expected = "[run]\nseed = 7\nname = \"quick\"\n[schedule.shape]\nkind = \"cosine\"\n[data]\nmean = [0.5]";
        assert_eq!(under, table(expected));
        assert!(matches!(apply_override(&mut under, "run.seed"), Err(RecipeError::Set(_))));
    }

    #[test]
    fn a_recipe_that_inherits_from_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs_err::write(&path, "base = [\"a.toml\"]").unwrap();
        assert!(matches!(read_with_bases(&path, &mut Vec::new()), Err(RecipeError::Circle(_))));
    }
}
