//! A model measured on a split: the same path for training, `eval` and the final figures of a run.

use emoxide::image::RgbImage;
use emoxide::labels::Classes;
use emoxide::weights::checkpoint::Measured;
use emoxide::zoo::{self, Executor, Model, Precision, softmax};

use super::{Job, TrainError};
use crate::data::{DataError, DataSet, Layout};
use crate::evaluate::{Evaluation, Metrics, Predictions, Subject};
use crate::recipe::Part;
use crate::report;
use crate::run_dir::RunDir;

/// Pictures a forward pass.
const BATCH: usize = 64;

/// Logits of every picture of a split; `progress` hears how many more are done.
pub(super) fn logits(
    model: &Model,
    data: &DataSet,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f32>>, DataError> {
    let mut logits = Vec::with_capacity(data.len());
    for start in (0..data.len()).step_by(BATCH) {
        let end = (start + BATCH).min(data.len());
        let images = (start..end).map(|index| data.load_image(index)).collect::<Result<Vec<RgbImage>, _>>()?;
        logits.extend(model.logits(&images));
        progress(end - start);
    }
    Ok(logits)
}

/// Predictions of a model on a split; the split's classes must be among the model's, and the probability of the others
/// is shared out.
pub fn measure(model: &Model, data: &DataSet, progress: &mut dyn FnMut(usize)) -> Result<Predictions, DataError> {
    let logits = logits(model, data, progress)?;
    let temperature = model.card().temperature;
    let probabilities = logits
        .iter()
        .map(|row| model.classes().renormalise(&softmax(row, temperature), &data.classes))
        .collect::<Result<_, _>>()?;
    let files = data.samples.iter().map(|sample| sample.name.clone()).collect();
    Ok(Predictions { classes: data.classes.clone(), files, labels: data.class_indices(), probabilities })
}

/// Measures the chosen checkpoint on the test splits, writes the figures into it and the reports beside it.
pub(super) fn finish(job: &Job, run: &RunDir, tests: &[(Part, DataSet)]) -> Result<Vec<Evaluation>, TrainError> {
    let best = run.best();
    let mut model = zoo::open(&best.display().to_string(), &job.device)?;
    let mut outcome = Vec::new();
    for (index, (part, data)) in tests.iter().enumerate() {
        let predictions = measure(&model, data, &mut |_| ())?;
        let metrics = Metrics::compute(&predictions)?;
        let subject = subject(part, &model, &data.classes);
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

/// What figures of a model on a part of a data set are figures of.
pub fn subject(part: &Part, model: &Model, classes: &Classes) -> Subject {
    let card = model.card();
    let averaging = if card.mirror { "mean of the picture and its mirror image" } else { "no test-time averaging" };
    // Only FER+ has votes, so only there does a rule make them labels.
    let rule = if part.set == Layout::FerPlus { format!("{} rule, ", part.labels.name()) } else { String::new() };
    let precision = match model.executor() {
        Executor::Compiled(engine) if engine.precision() != Precision::F32 => format!(", {}", engine.precision()),
        _ => String::new(),
    };
    Subject {
        model: card.name.clone(),
        data: part.set.to_string(),
        split: part.split.to_string(),
        protocol: format!("{rule}{} classes, {averaging}{precision}", classes.len()),
        selected_on: card.selected_on().to_owned(),
    }
}

fn write_reports(run: &RunDir, predictions: &Predictions, metrics: &Metrics, title: &str) -> Result<(), TrainError> {
    predictions.write(&run.path("predictions.csv"))?;
    report::write_confusion(&run.path(""), &predictions.classes, &metrics.confusion, title)?;
    Ok(report::write_curves(&run.path("metrics.csv"), &run.path("curves.svg"))?)
}
