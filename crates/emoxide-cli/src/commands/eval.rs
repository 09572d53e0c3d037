//! `emoxide eval`: a model measured on a data set.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use emoxide::labels::Expression;
use emoxide::{device, zoo};
use emoxide_train::data::{DataSpec, LabelRule, Split};
use emoxide_train::evaluate::{EvalReport, Metrics};
use emoxide_train::recipe::Part;
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
    let metrics = Metrics::compute(&predictions);
    let report = EvalReport::new(&model.card().name, spec.layout.name(), arguments.split.name(), &protocol(&part, &model, &classes), &metrics);
    let text = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &arguments.results {
        fs_err::write(path, &text)?;
    }
    if let Some(path) = &arguments.predictions {
        predictions.write_csv(path)?;
    }
    if let Some(path) = &arguments.confusion {
        confusion(&metrics, path)?;
    }
    let mut sink = output::open(None)?;
    if arguments.json {
        writeln!(sink, "{text}")?;
    } else {
        write!(sink, "{report}")?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}

fn confusion(metrics: &Metrics, path: &std::path::Path) -> Result<()> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => emoxide_train::report::confusion_svg(metrics, path)?,
        Some("png") => emoxide_train::report::confusion_png(metrics, path)?,
        Some("csv") => emoxide_train::report::confusion_csv(metrics, path)?,
        _ => bail!("--confusion {}: end the name in .svg, .png or .csv", path.display()),
    }
    Ok(())
}
