//! `emoxide eval`: a model measured on a data set.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use emoxide::labels::Expression;
use emoxide::{device, zoo};
use emoxide_train::data::{DataSpec, LabelRule, Split};
use emoxide_train::evaluate::{Evaluation, Metrics};
use emoxide_train::recipe::Part;
use emoxide_train::report;
use emoxide_train::train::{measure, protocol};

use crate::{Finish, output, progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Model: `default` or a checkpoint
    #[arg(short, long, default_value = zoo::DEFAULT)]
    model: String,
    /// Data set of cropped faces
    #[arg(long, value_name = "NAME=DIR", required = true)]
    data: String,
    /// Split to measure: train, valid, test, public, private, all
    #[arg(long, default_value = "test")]
    split: Split,
    /// How the votes of FER+ become labels: majority, argmax10, argmax8
    #[arg(long, default_value = "majority")]
    labels: LabelRule,
    /// Leave out a class of model and data, such as contempt; repeat for several
    #[arg(long)]
    drop: Vec<Expression>,
    /// Measure on these classes only: 7 is short for --drop contempt
    #[arg(long)]
    classes: Option<String>,
    /// Device: cpu, or a GPU backend of this build such as vulkan or cuda:0
    #[arg(short, long, default_value = device::default_name())]
    device: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also write the JSON to this file
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Also write every picture's prediction to this CSV file
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Also draw the confusion matrix: .svg, .png or .csv
    #[arg(long, value_name = "FILE")]
    confusion: Option<PathBuf>,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    let device = device::open(&arguments.device)?;
    let model = zoo::open(&arguments.model, &device).with_context(|| format!("--model {}", arguments.model))?;
    let spec: DataSpec = arguments.data.parse()?;

    let mut dropped = arguments.drop.clone();
    if let Some(text) = &arguments.classes {
        let kept = super::classes(text)?;
        dropped.extend(model.classes().iter().filter(|name| kept.index_of(*name).is_none()));
    }
    let classes = model.classes().without(&dropped)?;
    let part = Part { set: spec.layout, split: arguments.split, labels: arguments.labels };
    let data = part.open(&spec, &classes, &dropped).with_context(|| {
        format!("the model's classes are {}; those of the data are reached with --classes or --drop", model.classes())
    })?;

    let bar = progress::bar(data.len(), "eval", arguments.quiet);
    let predictions = measure(&model, &data, &mut |done| bar.inc(done as u64))?;
    bar.finish_and_clear();
    let metrics = Metrics::compute(&predictions)?;
    let protocol = protocol(&part, &model, &classes);
    let (data, split) = (spec.layout.name(), arguments.split.name());
    let evaluation = Evaluation::new(&model.card().name, data, split, protocol, &classes, &metrics);
    let text = serde_json::to_string_pretty(&evaluation)?;
    if let Some(path) = &arguments.results {
        fs_err::write(path, &text)?;
    }
    if let Some(path) = &arguments.predictions {
        predictions.write(path)?;
    }
    if let Some(path) = &arguments.confusion {
        confusion(&evaluation, path)?;
    }
    let mut sink = output::open(None)?;
    if arguments.json {
        writeln!(sink, "{text}")?;
    } else {
        table(&mut sink, &evaluation)?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}

/// The figures for people: overall first, then a line a class.
fn table(sink: &mut dyn Write, evaluation: &Evaluation) -> Result<()> {
    let Evaluation { model, data, split, protocol, n, interval: [low, high], .. } = evaluation;
    writeln!(sink, "{model} on {data} {split}: {protocol}; n = {n}")?;
    writeln!(
        sink,
        "accuracy        {:6.2} %   95 % interval {:.2} to {:.2}",
        evaluation.accuracy * 100.0,
        low * 100.0,
        high * 100.0
    )?;
    writeln!(sink, "mean class      {:6.2} %", evaluation.mean_class_accuracy * 100.0)?;
    writeln!(sink, "macro F1        {:6.4}     weighted F1 {:.4}", evaluation.macro_f1, evaluation.weighted_f1)?;
    let auc = evaluation.auc.map_or("-".to_owned(), |auc| format!("{auc:.4}"));
    writeln!(sink, "AUC {auc}   ECE {:.4}   NLL {:.4}", evaluation.ece, evaluation.nll)?;
    writeln!(sink, "{:<12} {:>9} {:>9} {:>9} {:>8}", "class", "precision", "recall", "F1", "pictures")?;
    for class in evaluation.classes.iter() {
        let figures = &evaluation.per_class[&class];
        writeln!(
            sink,
            "{class:<12} {:>9.4} {:>9.4} {:>9.4} {:>8}",
            figures.precision, figures.recall, figures.f1, figures.support
        )?;
    }
    Ok(())
}

fn confusion(evaluation: &Evaluation, path: &std::path::Path) -> Result<()> {
    let (classes, counts) = (&evaluation.classes, &evaluation.confusion);
    let title = format!("{} on {} {}", evaluation.model, evaluation.data, evaluation.split);
    let bytes = match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => report::confusion_svg(classes, counts, &title)?.into_bytes(),
        Some("png") => report::confusion_png(classes, counts, &title)?,
        Some("csv") => report::confusion_csv(classes, counts).into_bytes(),
        _ => bail!("--confusion {}: end the name in .svg, .png or .csv", path.display()),
    };
    Ok(fs_err::write(path, bytes)?)
}
