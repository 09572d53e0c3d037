//! A model measured on a split: the same path for training, `eval` and the final figures of a run.

use std::ops::ControlFlow;

use emoxide::labels::Classes;
use emoxide::weights::checkpoint::Measured;
use emoxide::zoo::{self, Executor, Model, Precision, softmax};

use super::loader::{Changes, Making};
use super::{Job, TrainError, test_changes};
use crate::data::{DataError, DataSet, Layout};
use crate::evaluate::{Evaluation, Metrics, Predictions, Subject, fit_temperature};
use crate::recipe::Part;
use crate::report;
use crate::run_dir::RunDir;

/// Pictures a forward pass.
const BATCH: usize = 64;

/// Logits of every picture of a split; `progress` hears how many more are done, and may end it.
fn logits(
    model: &Model,
    data: &DataSet,
    changes: Option<Changes>,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let making = Making { data, preprocess: &model.card().preprocess, changes, epoch: 0 };
    let indices: Vec<usize> = (0..data.len()).collect();
    let mut logits = Vec::with_capacity(data.len());
    for batch in indices.chunks(BATCH) {
        logits.extend(model.scores(making.images(batch, batch[0] as u64)?));
        if progress(batch.len()).is_break() {
            return Err(TrainError::Stopped);
        }
    }
    Ok(logits)
}

/// The network's embedding of every picture of a split; `progress` hears how many more are done, and may end it.
pub fn embeddings(
    model: &Model,
    data: &DataSet,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let making = Making { data, preprocess: &model.card().preprocess, changes: None, epoch: 0 };
    let indices: Vec<usize> = (0..data.len()).collect();
    let mut rows = Vec::with_capacity(data.len());
    for batch in indices.chunks(BATCH) {
        rows.extend(model.embeddings(making.images(batch, batch[0] as u64)?));
        if progress(batch.len()).is_break() {
            return Err(TrainError::Stopped);
        }
    }
    Ok(rows)
}

/// Predictions of a model on a split; the split's classes must be among the model's, and the probability of the others
/// is shared out. `changes` are made to every picture, the same ones whenever this is called. `progress`
/// hears how many more are done, and may end it.
pub fn measure(
    model: &Model,
    data: &DataSet,
    changes: Option<Changes>,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Predictions, TrainError> {
    predictions(model, data, &logits(model, data, changes, progress)?, model.card().temperature)
}

/// Metrics on the selection split, and the temperature fitted there.
pub(super) fn choose(model: &Model, data: &DataSet, changes: Option<Changes>) -> Result<(Metrics, f32), TrainError> {
    let logits = logits(model, data, changes, &mut |_| ControlFlow::Continue(()))?;
    let targets: Vec<Vec<f32>> =
        data.samples.iter().map(|sample| sample.label.distribution(data.classes.len())).collect();
    let metrics = Metrics::compute(&predictions(model, data, &logits, 1.0)?)?;
    Ok((metrics, fit_temperature(&logits, &targets)))
}

/// What the logits of a split say of its pictures, over the split's own classes.
fn predictions(
    model: &Model,
    data: &DataSet,
    logits: &[Vec<f32>],
    temperature: f32,
) -> Result<Predictions, TrainError> {
    let places = model.classes().positions(&data.classes).map_err(DataError::from)?;
    let renormalised = |row: &Vec<f32>| model.classes().renormalise(&softmax(row, temperature), &data.classes);
    Ok(Predictions {
        classes: data.classes.clone(),
        files: data.samples.iter().map(|sample| sample.name.clone()).collect(),
        labels: data.class_indices(),
        probabilities: logits.iter().map(renormalised).collect::<Result<_, _>>().map_err(DataError::from)?,
        logits: Some(logits.iter().map(|row| places.iter().map(|&place| row[place]).collect()).collect()),
    })
}

/// Measures the chosen checkpoint on the test splits, writes the figures into it and the reports beside it.
pub(super) fn finish(job: &Job, run: &RunDir, tests: &[(Part, DataSet)]) -> Result<Vec<Evaluation>, TrainError> {
    let best = run.best();
    let mut model = zoo::open(&best.display().to_string(), &job.device)?;
    let changes = test_changes(&job.recipe);
    let mut outcome = Vec::new();
    for (index, (part, data)) in tests.iter().enumerate() {
        let predictions = measure(&model, data, changes, &mut |_| ControlFlow::Continue(()))?;
        let metrics = Metrics::compute(&predictions)?;
        let subject = subject(part, &model, &data.classes, changes);
        if index == 0 {
            let title = format!("{} on {} {}", subject.model, subject.data, subject.split);
            write_reports(run, &predictions, &metrics, &title)?;
        }
        outcome.push(Evaluation::new(subject, &data.classes, &metrics));
    }
    model.set_results(outcome.iter().map(measured).collect());
    model.save(&best)?;
    Ok(outcome)
}

/// The line of an evaluation that stays in the checkpoint.
fn measured(evaluation: &Evaluation) -> Measured {
    let Subject { data, split, protocol, selected_on, .. } = evaluation.subject.clone();
    Measured {
        data,
        split,
        protocol,
        selected_on,
        n: evaluation.n,
        accuracy: evaluation.accuracy,
        mean_class_accuracy: evaluation.mean_class_accuracy,
        macro_f1: evaluation.macro_f1,
    }
}

/// What figures of a model on a part of a data set, with such changes to the pictures, are figures of.
pub fn subject(part: &Part, model: &Model, classes: &Classes, changes: Option<Changes>) -> Subject {
    let card = model.card();
    let averaging = if card.mirror { "mean of the picture and its mirror image" } else { "no test-time averaging" };
    // Only FER+ has votes, so only there does a rule make them labels.
    let rule = if part.set == Layout::FerPlus { format!("{} rule, ", part.labels.name()) } else { String::new() };
    let precision = match model.executor() {
        Executor::Compiled(engine) if engine.precision() != Precision::F32 => format!(", {}", engine.precision()),
        _ => String::new(),
    };
    let changed = changes.map_or(String::new(), |Changes { seed, .. }| {
        format!(", pictures changed at random as in training (seed {seed})")
    });
    let swapped = if part.bgr { ", red and blue swapped" } else { "" };
    Subject {
        model: card.name.clone(),
        data: part.set.to_string(),
        split: part.split.to_string(),
        protocol: format!("{rule}{} classes, {averaging}{precision}{swapped}{changed}", classes.len()),
        selected_on: card.selected_on().to_owned(),
    }
}

fn write_reports(run: &RunDir, predictions: &Predictions, metrics: &Metrics, title: &str) -> Result<(), TrainError> {
    predictions.write(&run.path("predictions.csv"))?;
    report::write_confusion(&run.path(""), &predictions.classes, &metrics.confusion, title)?;
    Ok(report::write_curves(&run.path("metrics.csv"), &run.path("curves.svg"))?)
}
