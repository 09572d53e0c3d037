//! Batches ahead of the step that needs them: decoded, augmented and normalised on the CPU, two at a time at most.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use emoxide::preprocess::Preprocess;
use rayon::prelude::*;

use crate::augment::Augmenter;
use crate::data::{DataError, DataSet};

/// Batches that wait; one is being used while one is being made.
const DEPTH: usize = 2;

/// Normalised pictures and their label distributions, row-major.
pub(super) struct Batch {
    /// `[batch, channels, rows, cols]`
    pub(super) images: Vec<f32>,
    /// `[batch, classes]`
    pub(super) targets: Vec<f32>,
}

/// Makes the batches of one epoch in the background. Every sample is seeded by itself, so the result depends on neither
/// threads nor timing.
pub(super) fn batches<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    data: &'env DataSet,
    preprocess: &'env Preprocess,
    augmenter: Augmenter<'env>,
    order: Vec<Vec<usize>>,
) -> Receiver<Result<Batch, DataError>> {
    let (sender, receiver) = sync_channel(DEPTH - 1);
    scope.spawn(move || {
        for indices in order {
            let batch = make(data, preprocess, &augmenter, &indices);
            let failed = batch.is_err();
            // The receiver goes away when the run is interrupted.
            if sender.send(batch).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn make(
    data: &DataSet,
    preprocess: &Preprocess,
    augmenter: &Augmenter<'_>,
    indices: &[usize],
) -> Result<Batch, DataError> {
    let mut images = vec![0.0; preprocess.len() * indices.len()];
    images.par_chunks_exact_mut(preprocess.len()).zip(indices).try_for_each(|(slot, &index)| {
        let image = augmenter.image(data.load_image(index)?, index);
        preprocess.write(&image, slot);
        augmenter.tensor(slot, preprocess, index);
        Ok::<(), DataError>(())
    })?;
    let classes = data.classes.len();
    let targets = indices.iter().flat_map(|&index| data.samples[index].label.distribution(classes)).collect();
    Ok(Batch { images, targets })
}
