//! The training loop.
//!
//! Own code rather than burn-train's learner, which cannot do what a run here promises: a resume that repeats an
//! uninterrupted run bit for bit (its loader's shuffle is not part of a checkpoint), an average of the weights that is
//! what gets evaluated and saved, gradients averaged over batches, and no more than two batches in memory ahead of the
//! step. Optimisers and modules are Burn's.

mod loader;
mod measure;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use emoxide::models::{Classifier, Network, parameters};
use emoxide::weights::checkpoint::{self, Card, CheckpointError, Licence, Provenance};
use emoxide::zoo::{Model, softmax};

use loader::Making;
pub use measure::{measure, protocol};

use crate::augment::AugmentError;
use crate::data::{DataError, DataSet, DataSpec, Layout};
use crate::ema::{Ema, EmaConfig};
use crate::evaluate::{Metrics, PredictionError, Predictions, fit_temperature};
use crate::loss::ObjectiveError;
use crate::optimiser::Optimiser;
use crate::recipe::{Part, Recipe, SelectOn};
use crate::report::ReportError;
use crate::run_dir::{Environment, EpochRow, Progress, RunDir, RunDirError};
use crate::sampler::{self, LastBatch};
use crate::snapshot::{self, StateError};
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
    /// Continue an interrupted run.
    pub resume: bool,
    /// Device without gradients.
    pub device: Device,
    /// Its name, for the record.
    pub device_name: String,
}

/// What a run tells while it goes on.
pub trait Observer {
    /// The data is read: pictures to train on and to choose by, trained values of the network.
    fn started(&mut self, train: usize, select: usize, parameters: usize);
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
    /// All epochs are done; every test split with its metrics.
    Done(Vec<(Part, Metrics)>),
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
    /// The run's folder.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The state of an interrupted run.
    #[error(transparent)]
    State(#[from] StateError),
    /// The loss does not fit the classes.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// The checkpoint to start from holds another network.
    #[error("run.start_from: {0} holds another network or other classes than the recipe")]
    StartFrom(PathBuf),
    /// Training went wrong numerically.
    #[error(
        "the loss of epoch {epoch} is {loss}; lower `schedule.rate`, add warm-up or clip gradients. The run's last good state is kept"
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Mean loss.
        loss: f64,
    },
}

/// The parts of the data that a run uses.
struct Splits {
    train: DataSet,
    select: Option<DataSet>,
    test: Vec<(Part, DataSet)>,
}

impl Splits {
    fn read(job: &Job) -> Result<Self, TrainError> {
        let recipe = &job.recipe;
        let read = |part: &Part| -> Result<DataSet, TrainError> {
            let spec = job.sources.iter().find(|spec| spec.layout == part.set).ok_or(TrainError::NoSource(part.set))?;
            Ok(part.open(spec, &recipe.data.classes, &recipe.data.drop)?)
        };
        let test = recipe
            .data
            .test
            .iter()
            .map(|part| Ok((part.clone(), read(part)?)))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let all = read(&recipe.data.train)?;
        let (train, select) = match (&recipe.data.select, recipe.run.select_on) {
            (_, SelectOn::Last) => (all, None),
            (_, SelectOn::Test) => (all, test.first().map(|(_, data)| data.clone())),
            (Some(part), SelectOn::Held) => (all, Some(read(part)?)),
            (None, SelectOn::Held) => {
                let (train, held) = all.hold_out(recipe.data.hold_out, recipe.run.seed)?;
                (train, Some(held))
            }
        };
        if train.len() < recipe.run.batch_size.min(2) {
            return Err(TrainError::Empty(recipe.data.train.set));
        }
        Ok(Self { train, select, test })
    }

    fn select_name(&self, recipe: &Recipe) -> String {
        match (recipe.run.select_on, &recipe.data.select) {
            (SelectOn::Last, _) => "last epoch".to_owned(),
            (SelectOn::Test, _) => "the test split itself".to_owned(),
            (SelectOn::Held, Some(part)) => format!("{} {}", part.set, part.split),
            (SelectOn::Held, None) => format!("{:.0} % held out of train", recipe.data.hold_out * 100.0),
        }
    }
}

const NETWORK: &str = "network.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMISER: &str = "optimiser.safetensors";

/// Everything that changes from step to step.
struct State {
    network: Network,
    average: Option<Ema<Network>>,
    optimiser: Optimiser,
    progress: Progress,
}

impl State {
    fn fresh(job: &Job, training: &Device) -> Result<Self, TrainError> {
        let recipe = &job.recipe;
        training.seed(recipe.run.seed);
        let network = match &recipe.run.start_from {
            None => recipe.network.init(recipe.data.classes.len(), training),
            Some(path) => {
                let (network, card) = checkpoint::load(path, training)?;
                if card.network != recipe.network || card.classes != recipe.data.classes {
                    return Err(TrainError::StartFrom(path.clone()));
                }
                network
            }
        };
        let average = recipe.run.ema.map(|decay| Ema::new(EmaConfig { decay }, &network));
        Ok(Self { network, average, optimiser: recipe.optimiser.init(), progress: Progress::default() })
    }

    /// The weights that are evaluated and saved, ready for inference.
    fn served(&self) -> Network {
        self.average.as_ref().map_or_else(|| self.network.valid(), |average| average.network().valid())
    }

    fn save(&self, run: &RunDir) -> Result<(), TrainError> {
        run.replace_state(&self.progress, |folder| {
            snapshot::save_module(&self.network, &folder.join(NETWORK))?;
            if let Some(average) = &self.average {
                average.save(&folder.join(AVERAGE))?;
            }
            Ok(self.optimiser.save(&folder.join(OPTIMISER))?)
        })
    }

    fn restore(self, run: &RunDir, device: &Device) -> Result<Self, TrainError> {
        let Some((progress, folder)) = run.progress()? else { return Ok(self) };
        Ok(Self {
            network: snapshot::load_module(self.network, &folder.join(NETWORK))?,
            average: self.average.map(|average| average.load(&folder.join(AVERAGE))).transpose()?,
            optimiser: self.optimiser.load(&folder.join(OPTIMISER), device)?,
            progress,
        })
    }
}

/// Trains a recipe to its last epoch, or until `stop` becomes true.
pub fn train(job: &Job, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, TrainError> {
    let recipe = &job.recipe;
    let splits = Splits::read(job)?;
    let run = if job.resume {
        RunDir::resume(&job.run_dir, recipe)?
    } else {
        RunDir::create(&job.run_dir, recipe, &Environment::here(&job.device_name))?
    };
    let training = job.device.clone().autodiff();
    let mut state = State::fresh(job, &training)?;
    if job.resume {
        state = state.restore(&run, &training)?;
    }
    let chosen_by = splits.select.as_ref().map_or(0, |data| data.len());
    observer.started(splits.train.len(), chosen_by, parameters(&state.network));
    let mut events = EventWriter::open(&run.path("events"), next_step(state.progress.epochs))?;

    for epoch in state.progress.epochs + 1..=recipe.schedule.epochs {
        let begun = Instant::now();
        let Some(mut row) = train_epoch(job, &splits.train, &mut state, epoch, observer, stop)? else {
            return Ok(Outcome::Interrupted { epochs: state.progress.epochs });
        };
        if !row.train_loss.is_finite() {
            return Err(TrainError::Diverged { epoch, loss: row.train_loss });
        }
        let mut model = Model::new(state.served(), card(job, &splits, epoch), job.device.clone());
        let mut better = true;
        if let Some(data) = &splits.select {
            let (metrics, temperature) = choose(&model, data)?;
            row.select_loss = Some(metrics.nll);
            row.select_accuracy = Some(metrics.accuracy);
            row.select_mean_class_accuracy = Some(metrics.mean_class_accuracy);
            let best = state.progress.best.and_then(|best| state.progress.rows[best - 1].select_accuracy);
            better = best.is_none_or(|best| metrics.accuracy > best);
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
        state.progress.epochs = epoch;
        state.progress.rows.push(row.clone());
        state.save(&run)?;
        run.write_metrics(&state.progress.rows)?;
        write_event(&mut events, &row)?;
        observer.row(&row, better);
    }
    measure::finish(job, &run, &splits.test, &splits.select_name(recipe)).map(Outcome::Done)
}

/// Metrics on the selection split, and the temperature fitted there.
fn choose(model: &Model, data: &DataSet) -> Result<(Metrics, f32), TrainError> {
    let logits = measure::logits(model, data, &mut |_| ())?;
    let targets: Vec<Vec<f32>> =
        data.samples.iter().map(|sample| sample.label.distribution(data.classes.len())).collect();
    let predictions = Predictions {
        classes: data.classes.clone(),
        files: data.samples.iter().map(|sample| sample.name.clone()).collect(),
        labels: data.class_indices(),
        probabilities: logits.iter().map(|row| softmax(row, 1.0)).collect(),
    };
    Ok((Metrics::compute(&predictions)?, fit_temperature(&logits, &targets)))
}

/// One pass over the training split; `None` if it was stopped.
fn train_epoch(
    job: &Job,
    data: &DataSet,
    state: &mut State,
    epoch: usize,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<EpochRow>, TrainError> {
    let recipe = &job.recipe;
    let training = job.device.clone().autodiff();
    // Dropout draws from the device; a resumed epoch must draw what an uninterrupted one would.
    training.seed(recipe.run.seed.wrapping_mul(1_000_003).wrapping_add(epoch as u64));
    let order = recipe.data.sampler.order(&data.class_indices(), recipe.run.seed, epoch as u64);
    // Batch normalisation cannot train on one picture.
    let batches = sampler::batches(&order, recipe.run.batch_size, LastBatch::AtLeast(2));
    let steps = batches.len().div_ceil(recipe.run.accumulate);
    observer.epoch(epoch, recipe.schedule.epochs, batches.len());

    let objective = recipe.objective.init(&recipe.data.classes, &data.class_counts(), &training)?;
    let making = Making {
        data,
        preprocess: &recipe.data.preprocess,
        augment: &recipe.augment,
        seed: recipe.run.seed,
        epoch: epoch as u64,
    };
    let [mut loss_sum, mut correct, mut seen] = [0.0, 0.0, 0.0];
    let mut rate = 0.0;
    std::thread::scope(|scope| {
        let count = batches.len();
        let receiver = loader::batches(scope, making, batches);
        let mut gathered = GradientsAccumulator::new();
        for (index, batch) in receiver.iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let batch = batch?;
            let images = recipe.data.preprocess.tensor(batch.images, &training);
            let size = images.dims()[0];
            let targets = TensorData::new(batch.targets, [size, recipe.data.classes.len()]);
            let targets = Tensor::<2>::from_data(targets, &training);
            let logits = state.network.forward(images);
            let loss = objective.forward(logits.clone(), targets.clone());
            let hits = logits.inner().argmax(1).equal(targets.inner().argmax(1)).int().sum();

            let last = index + 1 == count;
            let group = index / recipe.run.accumulate;
            let in_group =
                if group + 1 == steps { count - group * recipe.run.accumulate } else { recipe.run.accumulate };
            let gradients = GradientsParams::from_grads((loss.clone() / in_group as f64).backward(), &state.network);
            gathered.accumulate(&state.network, gradients);

            if last || (index + 1) % recipe.run.accumulate == 0 {
                rate = recipe.schedule.shape.rate(
                    recipe.optimiser.rate(),
                    (epoch - 1) * steps + group,
                    steps,
                    recipe.schedule.epochs,
                );
                let network = state.network.clone();
                state.network = state.optimiser.step(rate, network, gathered.grads());
                state.progress.steps += 1;
                state.average = state.average.take().map(|average| average.update(&state.network));
            }
            let loss = f64::from(loss.inner().into_scalar::<f32>());
            loss_sum += loss * size as f64;
            correct += hits.into_scalar::<i64>() as f64;
            seen += size as f64;
            observer.batch(loss_sum / seen);
            if !loss.is_finite() {
                break;
            }
        }
        Ok(Some(EpochRow {
            epoch,
            rate,
            train_loss: loss_sum / seen,
            train_accuracy: correct / seen,
            select_loss: None,
            select_accuracy: None,
            select_mean_class_accuracy: None,
            seconds: 0.0,
        }))
    })
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

fn card(job: &Job, splits: &Splits, epoch: usize) -> Card {
    let recipe = &job.recipe;
    Card {
        name: recipe.run.name.clone(),
        network: recipe.network.clone(),
        classes: recipe.data.classes.clone(),
        preprocess: recipe.data.preprocess.clone(),
        alignment: recipe.data.alignment.clone(),
        mirror: recipe.run.mirror,
        temperature: 1.0,
        provenance: Provenance {
            recipe: recipe.to_toml(),
            data: vec![(recipe.data.train.set.to_string(), splits.train.manifest_hash())],
            commit: env!("EMOXIDE_COMMIT").to_owned(),
            epoch,
            imported_from: None,
        },
        results: Vec::new(),
        licence: Licence { weights: recipe.run.licence.clone(), data: recipe.run.data_licence.clone() },
    }
}
