//! A recipe is a whole experiment in one TOML file. Unknown keys are errors; `base = [...]` inherits from other files.

use std::path::{Path, PathBuf};

use emoxide::device::TrainingPrecision;
use emoxide::labels::{Classes, Expression};
use emoxide::preprocess::{Alignment, DetectorConfig, Preprocess, PreprocessError};
use emoxide::weights::checkpoint::{Card, CardError, Licence, Provenance};
use emoxide::weights::{WeightsError, start};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::augment::{AugmentConfig, AugmentError};
use crate::data::{DataError, DataOptions, DataSet, DataSpec, LabelRule, Layout, Split};
use crate::loss::ObjectiveConfig;
use crate::network::NetworkSection;
use crate::optimiser::OptimiserConfig;
use crate::sampler::Sampler;
use crate::schedule::ScheduleConfig;
use crate::settings::{self, BadSetting, SettingsError, check};

/// One experiment, every setting resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is trained on, chosen by and tested on.
    pub data: Data,
    /// The network's settings, `kind` first, and the files that its weights start from.
    pub network: NetworkSection,
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
    /// How the served model finds faces.
    #[serde(default)]
    pub detector: DetectorConfig,
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
    /// Whether red and blue change places in every picture, as in the program with which the authors of CAFE measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bgr: bool,
}

impl Part {
    /// Reads the labels of this part in the order of `classes`.
    pub fn open(&self, spec: &DataSpec, classes: &Classes, drop: &[Expression]) -> Result<DataSet, DataError> {
        spec.open(self.split, &DataOptions { label_rule: self.labels, drop: drop.to_vec(), bgr: self.bgr })?
            .reordered(classes)
    }
}

/// The `[schedule]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Passes over the training split; fewer where `run.max_steps` ends the run.
    pub epochs: usize,
    /// How the optimiser's rate changes.
    #[serde(default)]
    pub shape: ScheduleConfig,
}

/// What the epoch is chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectOn {
    /// The split `data.select`, or the slice held out of the training split; the other two look at neither.
    #[default]
    Held,
    /// The first test split: the habit of most papers, optimistic, and printed with every result.
    Test,
    /// Nothing: the last epoch is taken.
    Last,
}

/// The figure that the chosen epoch has the best of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectBy {
    /// The share of all pictures that are told right.
    #[default]
    Accuracy,
    /// The mean over the classes of the share of their pictures that are told right: mean recall.
    MeanClassAccuracy,
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
    /// Optimiser steps after which the run ends, in the middle of an epoch if need be, which is closed there. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<usize>,
    /// Every so many epochs the checkpoint is kept in `epochs/`, beside the newest and the chosen one. Absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<usize>,
    /// Memory, in MiB, for what the frozen part of the network says of pictures, so that those that come again unchanged
    /// are not shown to it again; it changes no figure. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_cache: Option<usize>,
    /// What the convolutions of a step multiply, `f32` or `bf16`; the latter on a CPU only.
    #[serde(default)]
    pub precision: TrainingPrecision,
    /// Decay of the weight average that is evaluated and saved; absent: the raw weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// What the epoch is chosen by.
    #[serde(default)]
    pub select_on: SelectOn,
    /// The figure that the chosen epoch has the best of.
    #[serde(default)]
    pub select_by: SelectBy,
    /// Average the picture and its mirror image in evaluation and service.
    #[serde(default)]
    pub mirror: bool,
    /// Licence of the resulting weights.
    #[serde(default)]
    pub licence: String,
    /// Licence of the training data.
    #[serde(default)]
    pub data_licence: String,
}

/// Most MiB of `run.frozen_cache`: a TiB.
const LARGEST_CACHE: usize = 1 << 20;

fn one() -> usize {
    1
}

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The files, or a `--set`.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// TOML, but not a recipe.
    #[error("{path}: {message}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Key and reason.
        message: String,
    },
    /// A value that no run can use.
    #[error("recipe: {0}")]
    Value(#[from] BadSetting),
    /// A setting of the pictures' random changes.
    #[error("recipe: {0}")]
    Augment(#[from] AugmentError),
    /// A setting of the network's input, the alignment or the detector.
    #[error("recipe: data.{0}")]
    Preprocess(#[from] PreprocessError),
    /// A file that the network's weights start from.
    #[error("recipe: {0}")]
    Weights(#[from] WeightsError),
    /// A setting of the network, or parts of the model that do not fit together.
    #[error("recipe: {0}")]
    Card(#[from] CardError),
}

impl Recipe {
    /// Reads a recipe with its bases, then applies `section.key=value` overrides in order.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::resolved(settings::read(path)?, path, overrides)
    }

    /// As [`load`](Self::load), of a recipe that stands in no file: `path` is what errors call it, and its bases lie beside it.
    pub fn from_settings(table: Table, path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::resolved(settings::inherit(table, path)?, path, overrides)
    }

    fn resolved(mut table: Table, path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        settings::set_all(&mut table, overrides)?;
        let content = |message: String| RecipeError::Content { path: path.to_owned(), message };
        let recipe: Self =
            Value::Table(table).try_into().map_err(|error: toml::de::Error| content(error.to_string()))?;
        recipe.validate().map_err(|error| content(error.to_string()))?;
        Ok(recipe)
    }

    /// The recipe as TOML with nothing left to inherit.
    ///
    /// # Panics
    /// Never: a recipe holds only what TOML can say.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe holds only what TOML can say")
    }

    /// Reads what [`to_toml`](Self::to_toml) wrote.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, RecipeError> {
        toml::from_str(text).map_err(|error| RecipeError::Content { path: path.to_owned(), message: error.to_string() })
    }

    /// Optimiser steps of the whole run, at so many in a full epoch.
    pub(crate) fn steps(&self, per_epoch: usize) -> usize {
        self.schedule.epochs.saturating_mul(per_epoch).min(self.run.max_steps.unwrap_or(usize::MAX))
    }

    /// The card of the model that this trains, before anything is known of its weights.
    pub(crate) fn card(&self) -> Card {
        let Self { data, network, run, .. } = self;
        Card {
            name: run.name.clone(),
            network: network.config.clone(),
            classes: data.classes.clone(),
            preprocess: data.preprocess.clone(),
            alignment: data.alignment.clone(),
            detector: data.detector.clone(),
            mirror: run.mirror,
            temperature: 1.0,
            provenance: Provenance::default(),
            results: Vec::new(),
            licence: Licence { weights: run.licence.clone(), data: run.data_licence.clone() },
        }
    }

    fn validate(&self) -> Result<(), RecipeError> {
        let Self { data, network, augment, objective, optimiser, schedule, run, .. } = self;
        check(schedule.epochs > 0, "schedule.epochs", schedule.epochs, "at least one epoch is needed")?;
        check(run.batch_size >= 2, "run.batch_size", run.batch_size, "batch normalisation needs at least 2")?;
        check(run.accumulate > 0, "run.accumulate", run.accumulate, "1 means no accumulation")?;
        check(run.max_steps != Some(0), "run.max_steps", 0, "at least one step is needed; leave it out for no limit")?;
        check(run.keep_every != Some(0), "run.keep_every", 0, "1 keeps every epoch; leave it out to keep none")?;
        let size = run.frozen_cache;
        let (mebibytes, known) = (size.unwrap_or(1), 1..=LARGEST_CACHE);
        check(known.contains(&mebibytes), "run.frozen_cache", mebibytes, "1 to 1048576 MiB; leave it out for none")?;
        let frozen = size.is_none() || !network.config.frozen().is_empty();
        check(frozen, "run.frozen_cache", mebibytes, "this network has no frozen part; leave it out")?;
        let decay = run.ema.unwrap_or(0.0);
        check((0.0..1.0).contains(&decay), "run.ema", decay, "a decay lies between 0 and 1")?;
        let share = data.hold_out;
        check((0.0..0.9).contains(&share), "data.hold_out", share, "a share between 0 and 0.9 is needed")?;
        let chosen = data.select.is_some() || share > 0.0 || run.select_on != SelectOn::Held;
        check(chosen, "data.hold_out", share, "name `data.select`, a share above 0, or run.select_on = \"last\"")?;
        let tested = !data.test.is_empty() || run.select_on != SelectOn::Test;
        check(tested, "run.select_on", "test", "`data.test` names no split")?;
        let votes = data.train.labels == LabelRule::Soft && !objective.takes_votes();
        check(!votes, "data.train.labels", "soft", "this objective wants single classes, as of \"majority\"")?;
        optimiser.check()?;
        schedule.shape.check()?;
        data.sampler.check()?;
        augment.check()?;
        start::check(&network.weights)?;
        match self.card().validate() {
            // It begins with its key, which stands in the section `data` here.
            Err(CardError::Preprocess(error)) => Err(error.into()),
            result => Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_of_the_project_can_be_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let device = emoxide::device::open("cpu").unwrap();
        let mut names = Vec::new();
        for path in recipes(&folder) {
            let recipe = Recipe::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
            let again = Recipe::from_toml(&recipe.to_toml(), &path).unwrap();
            assert_eq!(again, recipe, "{} changes when it is written", path.display());
            // The network is built, but draws no weights.
            assert!(recipe.card().network.parameters(recipe.data.classes.len(), &device) > 0, "{}", path.display());
            names.push(recipe.run.name);
        }
        names.sort();
        let count = names.len();
        names.dedup();
        assert!(names.len() == count && count >= 80, "{count} recipes, or names that stand twice: {names:?}");
    }

    #[test]
    fn a_cache_fits_the_machine_and_the_network() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let load = |recipe: &str, size: &str| {
            let loaded = Recipe::load(&folder.join(recipe), &[format!("run.frozen_cache={size}")]);
            loaded.map_err(|error| error.to_string())
        };
        assert_eq!(load("cafe/rafdb.toml", "1048576").unwrap().run.frozen_cache, Some(1 << 20));
        for size in ["0", "1048577", "9223372036854775807"] {
            let error = load("cafe/rafdb.toml", size).unwrap_err();
            assert!(error.contains(&format!("`run.frozen_cache` is {size}; 1 to 1048576 MiB")), "{error}");
        }
        for recipe in ["pcm/rafdb.toml", "cafe/rafdb-tuned.toml", "cafe/ablation-1-baseline.toml"] {
            let error = load(recipe, "8").unwrap_err();
            assert!(error.contains("`run.frozen_cache` is 8; this network has no frozen part"), "{error}");
        }
    }

    /// The recipes of a folder and of the folders in it, but for those named `base`: their files are parts of recipes.
    fn recipes(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                found.push(path);
            } else if !path.ends_with("base") {
                found.extend(recipes(&path));
            }
        }
        found.sort();
        found
    }
}
