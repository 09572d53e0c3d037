//! `emoxide models`: what can be used, and what it says of itself.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use emoxide::weights::checkpoint::Card;
use emoxide::{device, zoo};
use serde_json::{Value, json};

use crate::{Finish, output};

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
    /// Load checkpoints whole: every tensor present, none left over, all values finite
    Verify {
        /// `default` or checkpoints
        #[arg(required = true)]
        models: Vec<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    match &arguments.action {
        Action::List { folder, json } => list(folder.as_deref(), *json),
        Action::Info { model, json } => info(model, *json),
        Action::Verify { models } => verify(models),
    }
}

/// One line of the list: an architecture without weights, or a file of weights.
fn entry(name: &str, parameters: usize, card: Option<&Card>, file: Option<&str>, network: &Value) -> Value {
    json!({
        "name": name,
        "parameters": parameters,
        "classes": card.map(|card| card.classes.iter().map(|class| class.name()).collect::<Vec<_>>()),
        "input": card.map(|card| json!([card.preprocess.channels.count(), card.preprocess.height, card.preprocess.width])),
        "weights": file,
        "results": card.map_or_else(|| json!([]), |card| json!(card.results)),
        "licence": card.map(|card| card.licence.weights.clone()),
        "network": network,
    })
}

fn list(folder: Option<&Path>, as_json: bool) -> Result<Finish> {
    let device = device::open(device::default_name())?;
    let mut entries = Vec::new();
    let mut names = vec![zoo::DEFAULT.to_owned()];
    if let Some(folder) = folder {
        for file in fs_err::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "safetensors") {
                names.push(path.display().to_string());
            }
        }
        names[1..].sort();
    }
    let mut skipped = 0;
    for name in &names {
        match zoo::open(name, &device) {
            Ok(model) => {
                let card = model.card();
                entries.push(entry(&card.name, model.parameters(), Some(card), Some(name), &json!(card.network)));
            }
            Err(error) => {
                skipped += 1;
                output::say(&format!("skipped {name}: {error}"));
            }
        }
    }
    for architecture in zoo::architectures() {
        let parameters = architecture.network.parameters(emoxide::labels::Classes::seven().len(), &device);
        let mut entry = entry(architecture.name, parameters, None, None, &json!(architecture.network));
        entry["paper"] = json!(architecture.paper);
        entries.push(entry);
    }
    let mut sink = output::open(None)?;
    if as_json {
        writeln!(sink, "{}", serde_json::to_string_pretty(&entries)?)?;
    } else {
        writeln!(sink, "{:<22} {:>12}  {:<12} {:<20} RESULTS", "NAME", "PARAMETERS", "INPUT", "WEIGHTS")?;
        for entry in &entries {
            let input = entry["input"]
                .as_array()
                .map_or("-".to_owned(), |sides| sides.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"));
            let results = entry["results"].as_array().map_or(String::new(), |results| {
                let line = |result: &Value| {
                    let accuracy = result["accuracy"].as_f64().unwrap_or(f64::NAN) * 100.0;
                    format!("{} {} {accuracy:.2} %", text(&result["data"]), text(&result["split"]))
                };
                results.iter().map(line).collect::<Vec<_>>().join("; ")
            });
            let weights = entry["weights"].as_str().unwrap_or("-");
            writeln!(
                sink,
                "{:<22} {:>12}  {input:<12} {weights:<20} {results}",
                text(&entry["name"]),
                entry["parameters"]
            )?;
        }
    }
    sink.flush()?;
    Ok(if skipped == 0 { Finish::Done } else { Finish::Skipped })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
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
    writeln!(sink, "mean, std    {:?}, {:?} (of 0..1)", preprocess.mean, preprocess.std)?;
    writeln!(sink, "temperature  {}", card.temperature)?;
    writeln!(sink, "mirror       {}", if card.mirror { "mean of the picture and its mirror image" } else { "no" })?;
    writeln!(sink, "trained by   emoxide {}, epoch {}", card.provenance.commit, card.provenance.epoch)?;
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
