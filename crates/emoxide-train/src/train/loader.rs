//! Batches ahead of the step that needs them: decoded, augmented and normalised on the CPU, two at a time at most.

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use emoxide::image::RgbImage;
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

/// Random changes to pictures, which follow from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'env> {
    /// What is changed.
    pub augment: &'env AugmentConfig,
    /// Seed of the run.
    pub seed: u64,
}

/// How pictures become inputs of a network, in training and in evaluation.
#[derive(Clone, Copy)]
pub(super) struct Making<'env> {
    pub(super) data: &'env DataSet,
    pub(super) preprocess: &'env Preprocess,
    pub(super) changes: Option<Changes<'env>>,
    /// Epoch, from 1; evaluation is epoch 0.
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
        let images = self.images(indices, position)?;
        let (samples, classes) = (&self.data.samples, self.data.classes.len());
        let targets = indices.iter().flat_map(|&index| samples[index].label.distribution(classes)).collect();
        Ok(Batch { images, targets })
    }

    /// The inputs of the samples `indices`, `[batch, channels, rows, cols]`; the first of them has the random numbers of
    /// `position`, the others those of the positions behind it.
    pub(super) fn images(&self, indices: &[usize], position: u64) -> Result<Vec<f32>, TrainError> {
        let mut images = vec![0.0; self.preprocess.len() * indices.len()];
        let slots = images.par_chunks_exact_mut(self.preprocess.len());
        slots.zip(indices).enumerate().try_for_each(|(offset, (slot, &index))| {
            let position = position + offset as u64;
            let image = match self.key(position).and_then(|(augment, key)| augment.box_shift(key)) {
                Some(shift) => self.data.load_changed(index, shift)?,
                None => self.data.load_image(index)?,
            };
            self.write(image, position, slot)
        })?;
        Ok(images)
    }

    /// What is changed in the sample at `position`, and its random numbers.
    fn key(&self, position: u64) -> Option<(&AugmentConfig, SampleKey)> {
        let Changes { augment, seed } = self.changes?;
        Some((augment, SampleKey { seed, epoch: self.epoch, index: position }))
    }

    fn write(&self, image: RgbImage, position: u64, slot: &mut [f32]) -> Result<(), TrainError> {
        let preprocess = self.preprocess;
        let Some((augment, key)) = self.key(position) else {
            preprocess.write(&preprocess.fit(&image), slot);
            return Ok(());
        };
        let image = augment.apply(image, key)?;
        // A window that the changes cut out is the input; a whole picture has yet to be brought to size.
        let image = if augment.sets_size() { Cow::Borrowed(&image) } else { preprocess.fit(&image) };
        preprocess.write(&image, slot);
        augment.apply_to_tensor(slot, preprocess.input(), key);
        Ok(())
    }
}
