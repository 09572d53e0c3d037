//! The training loop.
//!
//! Own code rather than burn-train's learner, which cannot do what a run here promises: a resume that repeats an
//! uninterrupted run bit for bit (its loader's shuffle is not part of a checkpoint), an average of the weights that is
//! what gets evaluated and saved, gradients averaged over batches, and no more than two batches in memory ahead of the
//! step. Optimisers and modules are Burn's.

mod epoch;
mod frozen;
mod loader;
mod measure;
mod question;
mod rehearsal;
mod splits;
mod state;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use emoxide::device::{self, TrainingPrecision};
use emoxide::labels::LabelError;
use emoxide::weights::WeightsError;
use emoxide::weights::checkpoint::{Card, CardError, CheckpointError, Provenance};
use emoxide::weights::start::Started;
use emoxide::zoo::Model;

use epoch::train_epoch;
use frozen::FrozenCache;
pub use loader::Changes;
pub use measure::{embeddings, measure, subject};
pub use question::{Examination, Question, QuestionError};
pub use rehearsal::Rehearsal;
use splits::{Splits, chosen_by, deciding};
use state::State;

use crate::augment::AugmentError;
use crate::data::{DataError, DataSet, DataSpec, Layout};
use crate::evaluate::{Evaluation, PredictionError};
use crate::loss::ObjectiveError;
use crate::recipe::Recipe;
use crate::report::ReportError;
use crate::run_dir::{Environment, EpochRow, Program, RunDir, RunDirError};
use crate::settings::BadSetting;
use crate::snapshot::StateError;
use crate::tensorboard::EventWriter;

/// A run, resolved: nothing of the command line is read after this.
#[derive(Clone, Debug)]
pub struct Job {
    /// The experiment.
    pub recipe: Recipe,
    /// Where each data set lies.
    pub sources: Vec<DataSpec>,
    /// Folder of the run.
    pub run_dir: PathBuf,
    /// Continue the run in that folder; where none has begun, one begins.
    pub resume: bool,
    /// Device without gradients.
    pub device: Device,
    /// Its name, for the record.
    pub device_name: String,
    /// The program, for the record.
    pub program: Program,
}

/// What a run tells while it goes on.
pub trait Observer {
    /// A run was to be continued, and none has begun in its folder: one begins.
    fn nothing_to_resume(&mut self, run_dir: &Path);
    /// The data is read: pictures to train on and to choose by, trained values of the network.
    fn started(&mut self, train: usize, select: usize, parameters: usize);
    /// Where the weights came from before the first step; nothing for random weights.
    fn started_from(&mut self, files: &[Started]);
    /// Something speaks against the recipe, which is trained all the same.
    fn warned(&mut self, warning: &str);
    /// An epoch begins with so many batches.
    fn epoch(&mut self, epoch: usize, epochs: usize, batches: usize);
    /// A batch is done; the loss is the mean of the epoch so far.
    fn batch(&mut self, loss: f64);
    /// An epoch is done.
    fn row(&mut self, row: &EpochRow, best: bool);
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All epochs are done; the figures of every test split.
    Done(Vec<Evaluation>),
    /// Stopped on request; so many epochs are safe on disk.
    Interrupted {
        /// Epochs that a resume will not repeat.
        epochs: usize,
    },
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A data set that the recipe needs and the command line does not place.
    #[error("the recipe needs the data set `{0}`; say where it lies with `--data {0}=DIR`")]
    NoSource(Layout),
    /// Classes of recipe and data that do not fit.
    #[error("{0}: `data.classes` and `data.drop` of the recipe say what is kept")]
    Classes(LabelError),
    /// A data set that the recipe does not use.
    #[error("the recipe uses no data set `{0}`; remove its `--data`")]
    UnusedSource(Layout),
    /// The same pictures on both sides.
    #[error(
        "{count} pictures of {first} are also in {second}, such as {example}: figures would be too good; choose splits that do not overlap"
    )]
    Overlap {
        /// One part of the data.
        first: String,
        /// The other.
        second: String,
        /// Pictures in both.
        count: usize,
        /// One of them.
        example: String,
    },
    /// The same pictures on both sides, each side with labels of its own.
    #[error("{first} and {second} are both of {part}: figures would be too good; choose splits that do not overlap")]
    SamePictures {
        /// One part of the data.
        first: String,
        /// The other.
        second: String,
        /// The pictures that are in both, in words.
        part: &'static str,
    },
    /// An augmentation that does not fit the pictures.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// Predictions that make no sense, or cannot be written.
    #[error(transparent)]
    Prediction(#[from] PredictionError),
    /// A report that cannot be drawn.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// No pictures to train on.
    #[error("the training split of `{0}` holds too few pictures for one batch")]
    Empty(Layout),
    /// Boxes to change where there are none.
    #[error(
        "augment.box_jitter changes the boxes of faces, and `{0}` has none: remove it, or use a data set with boxes"
    )]
    NoBoxes(Layout),
    /// The run's folder.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A setting that does not fit the network.
    #[error("recipe: {0}")]
    Setting(#[from] BadSetting),
    /// Settings of the model that do not fit together.
    #[error("recipe: {0}")]
    Card(#[from] CardError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The state of an interrupted run.
    #[error(transparent)]
    State(#[from] StateError),
    /// The loss does not fit the classes.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// A file that the weights start from.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A precision that the device does not have.
    #[error("run.precision = \"bf16\" is for the CPU, and {0} trains in f32: remove the setting, or use --device cpu")]
    Precision(String),
    /// A measurement that its caller ended.
    #[error("the measurement was ended before it was done")]
    Stopped,
    /// Training went wrong numerically.
    #[error(
        "the loss of epoch {epoch} is {loss}; lower `optimiser.rate`, add warm-up or clip gradients. The run's last good state is kept"
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Mean loss.
        loss: f64,
    },
}

/// Trains a recipe to its last epoch, or until `stop` becomes true.
pub fn train(job: &Job, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, TrainError> {
    let recipe = &job.recipe;
    let splits = Splits::read(job)?;
    let training = job.device.clone().autodiff();
    // Everything that can be refused comes before the folder is touched.
    if recipe.run.precision != TrainingPrecision::F32 && !device::is_cpu(&job.device) {
        return Err(TrainError::Precision(job.device_name.clone()));
    }
    card(job, &splits, &[], 0).validate()?;
    let state = State::fresh(job, &splits, &training)?;
    let environment = Environment::here(job.program.clone(), &job.device_name);
    let resumed = if job.resume { RunDir::resume(&job.run_dir, recipe)? } else { None };
    let saved = resumed.as_ref().map(RunDir::progress).transpose()?.flatten();
    let mut state = match (&resumed, saved) {
        (Some(run), Some(saved)) => state.restore(run, saved, &training)?,
        _ => state.start(job)?,
    };
    let run = if let Some(run) = resumed {
        run.add_environment(&environment)?;
        run
    } else {
        let run = RunDir::create(&job.run_dir, recipe, &environment)?;
        if job.resume {
            observer.nothing_to_resume(&job.run_dir);
        }
        run
    };
    let select = splits.select.as_ref().map_or(0, DataSet::len);
    let trained = recipe.network.config.trained_parameters(recipe.data.classes.len(), &job.device);
    observer.started(splits.train.len(), select, trained);
    observer.started_from(&state.progress.started_from);
    if let Some(warning) = recipe.objective.warning() {
        observer.warned(warning);
    }
    for part in recipe.network.left_random() {
        observer.warned(&format!(
            "`{part}` is frozen and keeps random weights: name a file for it, \
             --set 'network.weights=[{{file=\"FILE\", part=\"{part}\"}}]'"
        ));
    }
    let mut events = EventWriter::open(&run.path("events"), next_step(state.progress.epochs))?;

    let mut frozen = FrozenCache::of(recipe);
    let interrupted = |state: &State| Ok(Outcome::Interrupted { epochs: state.progress.epochs });
    for epoch in state.progress.epochs + 1..=recipe.schedule.epochs {
        if recipe.run.max_steps.is_some_and(|most| state.progress.steps >= most) {
            break;
        }
        let begun = Instant::now();
        let Some(mut row) = train_epoch(job, &splits.train, &mut state, &mut frozen, epoch, observer, stop)? else {
            return interrupted(&state);
        };
        if !row.train_loss.is_finite() {
            return Err(TrainError::Diverged { epoch, loss: row.train_loss });
        }
        let mut model =
            Model::new(&state.served(), card(job, &splits, &state.progress.started_from, epoch), job.device.clone());
        let mut better = true;
        if let Some(data) = &splits.select {
            let (metrics, temperature) = measure::choose(&model, data, test_changes(recipe))?;
            row.select_loss = Some(metrics.nll);
            row.select_accuracy = Some(metrics.accuracy);
            row.select_mean_class_accuracy = Some(metrics.mean_class_accuracy);
            let best = state.progress.best.and_then(|best| deciding(recipe, &state.progress.rows[best - 1]));
            better = best.is_none_or(|best| deciding(recipe, &row).is_some_and(|figure| figure > best));
            model.set_temperature(temperature);
        }
        if better {
            state.progress.best = Some(epoch);
        }
        row.seconds = begun.elapsed().as_secs_f64();
        model.save(&run.last())?;
        if better {
            model.save(&run.best())?;
        }
        if recipe.run.keep_every.is_some_and(|every| epoch.is_multiple_of(every)) {
            model.save(&run.epoch(epoch))?;
        }
        state.progress.epochs = epoch;
        state.progress.rows.push(row.clone());
        // The state comes last: what a kill leaves before it, the resumed run writes again.
        run.write_metrics(&state.progress.rows)?;
        write_event(&mut events, &row)?;
        state.save(&run)?;
        observer.row(&row, better);
    }
    if stop.load(Ordering::Relaxed) {
        return interrupted(&state);
    }
    measure::finish(job, &run, &splits.test).map(Outcome::Done)
}

/// What is done to the pictures that a run is chosen by and tested on.
fn test_changes(recipe: &Recipe) -> Option<Changes<'_>> {
    recipe.augment.test.then_some(Changes { augment: &recipe.augment, seed: recipe.run.seed })
}

/// Step of the event after `epochs` epochs; 0 starts a new file.
fn next_step(epochs: usize) -> u64 {
    if epochs == 0 { 0 } else { epochs as u64 + 1 }
}

fn write_event(events: &mut EventWriter, row: &EpochRow) -> Result<(), TrainError> {
    let mut values = vec![("train/loss", row.train_loss), ("train/accuracy", row.train_accuracy), ("rate", row.rate)];
    let select = [
        ("select/loss", row.select_loss),
        ("select/accuracy", row.select_accuracy),
        ("select/mean_class_accuracy", row.select_mean_class_accuracy),
    ];
    values.extend(select.into_iter().filter_map(|(tag, value)| Some((tag, value?))));
    Ok(events.scalars(row.epoch as u64, &values)?)
}

fn card(job: &Job, splits: &Splits, started_from: &[Started], epoch: usize) -> Card {
    let recipe = &job.recipe;
    let provenance = Provenance {
        recipe: recipe.to_toml(),
        data: vec![(recipe.data.train.set.to_string(), splits.train.manifest_hash())],
        commit: job.program.commit.clone(),
        selected_on: chosen_by(recipe),
        epoch,
        started_from: started_from.to_vec(),
        imported_from: None,
    };
    Card { provenance, ..recipe.card() }
}
