//! Batches ahead of the step that needs them: decoded, augmented and normalised on the CPU, two at a time at most.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use emoxide::preprocess::Preprocess;
use rayon::prelude::*;

use super::TrainError;
use crate::augment::{AugmentConfig, SampleKey};
use crate::data::DataSet;

/// Batches that wait; one is being used while one is being made.
const DEPTH: usize = 2;

/// Normalised pictures and their label distributions, row-major.
pub(super) struct Batch {
    /// `[batch, channels, rows, cols]`
    pub(super) images: Vec<f32>,
    /// `[batch, classes]`
    pub(super) targets: Vec<f32>,
}

/// How the pictures of one epoch are made.
#[derive(Clone, Copy)]
pub(super) struct Making<'env> {
    pub(super) data: &'env DataSet,
    pub(super) preprocess: &'env Preprocess,
    pub(super) augment: &'env AugmentConfig,
    pub(super) seed: u64,
    pub(super) epoch: u64,
}

/// Makes the batches of one epoch in the background. Every sample is seeded by itself, so the result depends on neither
/// threads nor timing.
pub(super) fn batches<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    making: Making<'env>,
    batches: Vec<&'env [usize]>,
) -> Receiver<Result<Batch, TrainError>> {
    let (sender, receiver) = sync_channel(DEPTH - 1);
    scope.spawn(move || {
        let mut position = 0;
        for indices in batches {
            let batch = making.batch(indices, position);
            position += indices.len() as u64;
            let failed = batch.is_err();
            // The receiver goes away when the run is interrupted.
            if sender.send(batch).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

impl Making<'_> {
    /// A batch of the samples `indices`, the first of which stands at `position` in the epoch's order.
    fn batch(&self, indices: &[usize], position: u64) -> Result<Batch, TrainError> {
        let Self { data, preprocess, augment, seed, epoch } = *self;
        let shape = [preprocess.channels.count(), preprocess.height as usize, preprocess.width as usize];
        let mut images = vec![0.0; preprocess.len() * indices.len()];
        let slots = images.par_chunks_exact_mut(preprocess.len());
        slots.zip(indices).enumerate().try_for_each(|(offset, (slot, &index))| {
            let key = SampleKey { seed, epoch, index: position + offset as u64 };
            preprocess.write(&augment.apply(data.load_image(index)?, key)?, slot);
            augment.apply_to_tensor(slot, shape, key);
            Ok::<(), TrainError>(())
        })?;
        let classes = data.classes.len();
        let targets = indices.iter().flat_map(|&index| data.samples[index].label.distribution(classes)).collect();
        Ok(Batch { images, targets })
    }
}
