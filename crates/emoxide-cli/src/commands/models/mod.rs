//! `emoxide models`: what can be used, and what it says of itself.

mod export;
mod import;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use emoxide::device;
use emoxide::preprocess::{DetectorConfig, MtcnnConfig};
use emoxide::weights::checkpoint::{Card, Measured};
use emoxide::zoo::{self, Listed};

use crate::{Finish, figures, output};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Architectures, the embedded model and the checkpoints of a folder
    List {
        /// Also list the checkpoints in this folder
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Classes with which architectures are counted
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(2..=8))]
        classes: u16,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Everything that a checkpoint says of itself
    Info {
        /// `default` or a checkpoint
        model: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a checkpoint from weights that another program wrote
    Import(import::Arguments),
    /// Write a model for other programs: ONNX, or weights under other people's names
    Export(export::Arguments),
    /// Load checkpoints whole: every tensor present, none left over, all values finite
    Verify {
        /// `default` or checkpoints
        #[arg(required = true)]
        models: Vec<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    match &arguments.action {
        Action::List { folder, classes, json } => list(folder.as_deref(), (*classes).into(), *json),
        Action::Info { model, json } => info(model, *json),
        Action::Import(arguments) => import::run(arguments),
        Action::Export(arguments) => export::run(arguments),
        Action::Verify { models } => verify(models),
    }
}

fn list(folder: Option<&Path>, classes: usize, as_json: bool) -> Result<Finish> {
    let device = device::open(device::default_name())?;
    let names = zoo::names(folder)?;
    let mut skipped = 0;
    let mut models = Vec::new();
    for name in &names {
        match zoo::open(name, &device) {
            Ok(model) => models.push((name, model)),
            Err(error) => {
                skipped += 1;
                output::say(&format!("skipped {name}: {error}"));
            }
        }
    }
    let architectures = zoo::architectures();
    let mut lines: Vec<Listed> = models.iter().map(|(file, model)| Listed::model(model, file)).collect();
    lines.extend(architectures.iter().map(|architecture| Listed::architecture(architecture, classes, &device)));
    let mut sink = output::open(None)?;
    if as_json {
        writeln!(sink, "{}", serde_json::to_string_pretty(&lines)?)?;
    } else {
        let wide = lines.iter().map(|line| line.name.len()).max().unwrap_or_default();
        writeln!(sink, "{:<wide$} {:>12}  {:<12} {:<20} RESULTS", "NAME", "PARAMETERS", "INPUT", "WEIGHTS")?;
        for Listed { name, parameters, input: [channels, rows, cols], weights, results, .. } in &lines {
            let input = format!("{channels}x{rows}x{cols}");
            let result =
                |result: &Measured| format!("{} {} {:.2} %", result.data, result.split, result.accuracy * 100.0);
            let results = results.iter().map(result).collect::<Vec<_>>().join("; ");
            let weights = weights.unwrap_or("-");
            writeln!(sink, "{name:<wide$} {parameters:>12}  {input:<12} {weights:<20} {results}")?;
        }
    }
    sink.flush()?;
    Ok(if skipped == 0 { Finish::Done } else { Finish::Skipped })
}

fn info(model: &str, as_json: bool) -> Result<Finish> {
    let card = zoo::card(model).with_context(|| model.to_owned())?;
    let mut sink = output::open(None)?;
    if as_json {
        writeln!(sink, "{}", serde_json::to_string_pretty(&card)?)?;
        sink.flush()?;
        return Ok(Finish::Done);
    }
    let preprocess = &card.preprocess;
    writeln!(sink, "{}", card.name)?;
    writeln!(sink, "classes      {}", card.classes)?;
    writeln!(
        sink,
        "input        {}x{} {:?}, {:?}",
        preprocess.width, preprocess.height, preprocess.channels, preprocess.filter
    )?;
    if let Some(resize) = preprocess.resize {
        writeln!(sink, "resize       {resize}, then the middle of the picture")?;
    }
    writeln!(sink, "mean, std    {:?}, {:?} (of 0..1)", preprocess.mean, preprocess.std)?;
    let detector = match &card.detector {
        DetectorConfig::Mtcnn(MtcnnConfig { min_face, .. }) => format!("mtcnn, faces of {min_face} pixels and more"),
        DetectorConfig::WholeImage {} => "none, every picture is one face".to_owned(),
    };
    writeln!(sink, "detector     {detector}")?;
    writeln!(sink, "temperature  {}", card.temperature)?;
    writeln!(sink, "mirror       {}", if card.mirror { "mean of the picture and its mirror image" } else { "no" })?;
    match &card.provenance.imported_from {
        Some((file, hash)) => writeln!(sink, "imported     {file}, SHA-256 {hash}")?,
        None => writeln!(
            sink,
            "trained by   emoxide {}, epoch {} (chosen on {})",
            card.provenance.commit,
            card.provenance.epoch,
            card.selected_on()
        )?,
    }
    let (all, trained) = parameters(&card)?;
    let frozen = if trained < all { format!(", {trained} of them trained") } else { String::new() };
    writeln!(sink, "parameters   {all}{frozen}")?;
    for started in &card.provenance.started_from {
        writeln!(sink, "started from {}", figures::started(started))?;
    }
    writeln!(sink, "licence      {} (data: {})", card.licence.weights, card.licence.data)?;
    for result in &card.results {
        writeln!(
            sink,
            "result       {} {}: accuracy {:.2} %, mean class {:.2} %, macro F1 {:.3}, n = {} ({}; epoch chosen on {})",
            result.data,
            result.split,
            result.accuracy * 100.0,
            result.mean_class_accuracy * 100.0,
            result.macro_f1,
            result.n,
            result.protocol,
            result.selected_on
        )?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}

/// All of a card's network, and those that training changes.
fn parameters(card: &Card) -> Result<(usize, usize)> {
    let device = device::open(device::default_name())?;
    let (network, classes) = (&card.network, card.classes.len());
    Ok((network.parameters(classes, &device), network.trained_parameters(classes, &device)))
}

fn verify(models: &[String]) -> Result<Finish> {
    let device = device::open(device::default_name())?;
    let mut sink = output::open(None)?;
    let mut failed = 0;
    for name in models {
        match zoo::open(name, &device) {
            Ok(model) => {
                let side = &model.card().preprocess;
                let grey = emoxide::image::RgbImage::from_pixel(side.width, side.height, image::Rgb([127; 3]));
                if model.logits(&[grey]).iter().flatten().all(|value| value.is_finite()) {
                    writeln!(sink, "{name}: sound, {} parameters", model.parameters())?;
                } else {
                    failed += 1;
                    output::say(&format!("{name}: answers a plain picture with values that are not finite"));
                }
            }
            Err(error) => {
                failed += 1;
                output::say(&format!("{error}"));
            }
        }
    }
    sink.flush()?;
    if failed > 0 {
        bail!("{failed} of {} checkpoints are not sound", models.len());
    }
    Ok(Finish::Done)
}
