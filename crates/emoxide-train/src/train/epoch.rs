//! One pass over the training split.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Tensor, TensorData};
use emoxide::device::with_precision;

use super::frozen::{FrozenCache, keys};
use super::loader::{self, Changes, Making};
use super::state::State;
use super::{Job, Observer, TrainError};
use crate::data::DataSet;
use crate::optimiser::clamped;
use crate::run_dir::EpochRow;
use crate::sampler::{self, LastBatch};

/// One pass over the training split; `None` if it was stopped.
pub(super) fn train_epoch(
    job: &Job,
    data: &DataSet,
    state: &mut State,
    frozen: &mut Option<FrozenCache>,
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
    let mut batches = sampler::batches(&order, recipe.run.batch_size, LastBatch::AtLeast(2));
    let steps = batches.len().div_ceil(recipe.run.accumulate);
    let all_steps = recipe.steps(steps);
    batches.truncate(recipe.run.accumulate.saturating_mul(all_steps - state.progress.steps));
    observer.epoch(epoch, all_steps.div_ceil(steps), batches.len());

    let changes = Some(Changes { augment: &recipe.augment, seed: recipe.run.seed });
    let making = Making { data, preprocess: &recipe.data.preprocess, changes, epoch: epoch as u64 };
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
            let keys = frozen.as_ref().map(|_| keys(&batch.images, recipe.data.preprocess.len()));
            let images = recipe.data.preprocess.tensor(batch.images, &training);
            let size = images.dims()[0];
            let targets = TensorData::new(batch.targets, [size, recipe.data.classes.len()]);
            let targets = Tensor::<2>::from_data(targets, &training);
            let outputs = with_precision(recipe.run.precision, || {
                let seen = frozen.as_mut().zip(keys).map(|(frozen, keys)| frozen.look(&state.network, &images, &keys));
                state.network.outputs_with(images, seen)
            });
            let logits = outputs.logits.clone().inner();
            let loss = state.objective.forward(outputs, targets.clone());
            let hits = logits.argmax(1).equal(targets.inner().argmax(1)).int().sum();

            let last = index + 1 == count;
            let first_in_group = index - index % recipe.run.accumulate;
            let in_group = recipe.run.accumulate.min(count - first_in_group);
            let gradients = GradientsParams::from_grads((loss.clone() / in_group as f64).backward(), &state.network);
            gathered.accumulate(&state.network, gradients);
            if let Some(limit) = recipe.optimiser.clip_value() {
                let gradients = clamped(&state.network, gathered.grads(), limit);
                gathered.accumulate(&state.network, gradients);
            }

            if last || (index + 1) % recipe.run.accumulate == 0 {
                let step = state.progress.steps;
                rate = recipe.schedule.shape.rate(recipe.optimiser.rate(), step, steps, all_steps);
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
