//! `emoxide models export`: a model for other programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use emoxide::device;
use emoxide::weights::{self, KEY_MAPS};
use emoxide::zoo::{self, Model};
use emoxide_export::check::{self, Difference, Runtime};
use emoxide_export::onnx::{self, Precision};
use emoxide_export::{Staged, card};
use serde::Serialize;

use crate::{Finish, output};

/// Beside the file stands its card, FILE.md: what the model is, what it has to be fed, and under which terms.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `default` or a checkpoint
    model: String,
    /// What is written: onnx, the network with its preprocessing as metadata; safetensors, its weights under other people's names
    #[arg(long, value_enum)]
    format: Format,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How the tensors are named (safetensors)
    #[arg(long, value_name = "NAMING", value_parser = super::import::namings())]
    keys: Option<String>,
    /// Write a part of the network alone, such as clip (safetensors)
    #[arg(long)]
    part: Option<String>,
    /// Constants and computations in 16-bit floats, input and outputs stay in 32 (onnx)
    #[arg(long)]
    float16: bool,
    /// Let other runtimes answer random images with the file, in batches of 1 and 7, and write it only if they agree (onnx)
    #[arg(long, value_enum, value_name = "RUNTIME", value_delimiter = ',', num_args = 0..=1, require_equals = true,
        default_missing_value = "onnxruntime")]
    check: Vec<CheckedBy>,
    /// The Python that has these runtimes
    #[arg(long, value_name = "PROGRAM", default_value = "python3", requires = "check")]
    python: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Onnx,
    Safetensors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckedBy {
    Onnxruntime,
    Openvino,
}

impl From<CheckedBy> for Runtime {
    fn from(runtime: CheckedBy) -> Self {
        match runtime {
            CheckedBy::Onnxruntime => Self::Onnxruntime,
            CheckedBy::Openvino => Self::Openvino,
        }
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct Report<'a> {
    model: &'a str,
    file: String,
    bytes: usize,
    card: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Difference>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Finish> {
    let Arguments { model, format, output, keys, part, float16, check, .. } = arguments;
    match format {
        Format::Onnx if part.is_some() => bail!("--part is for safetensors files; ONNX is the whole network"),
        Format::Onnx if keys.is_some() => {
            bail!("--keys names the tensors of safetensors files; ONNX has them by the network's own names")
        }
        Format::Safetensors if *float16 => bail!("--float16 is for ONNX; weights are exchanged in 32-bit floats"),
        Format::Safetensors if !check.is_empty() => {
            bail!("--check is for ONNX; tools/onnx/twins.py compares weights with PyTorch's networks")
        }
        Format::Onnx | Format::Safetensors => (),
    }
    if model != zoo::DEFAULT && is_same(Path::new(model), output) {
        bail!("{}: the checkpoint itself, which is read; choose another name for --output", output.display());
    }
    let mut described = output.as_os_str().to_owned();
    described.push(".md");
    let described = PathBuf::from(described);
    if described.exists() && !card::is_card(&String::from_utf8_lossy(&fs_err::read(&described)?)) {
        bail!(
            "{}: the card would replace this file, which is none, or has been changed; choose another name for --output",
            described.display()
        );
    }
    let model = zoo::open(model, &device::open(device::default_name())?)?;
    let (staged, written, checks) = match format {
        Format::Onnx => as_onnx(&model, arguments)?,
        Format::Safetensors => as_weights(&model, keys.as_deref(), part.as_deref(), output)?,
    };
    let bytes = fs_err::metadata(staged.path())?.len() as usize;
    let sha256 = weights::fingerprint(staged.path())?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let text = card::markdown(model.card(), &name, &sha256, &written);
    let card = Staged::new(&described, text.as_bytes())?;
    card.keep()?;
    staged.keep()?;
    report(&model, output, bytes, &described, checks, arguments.json)
}

/// Whether two names are those of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs_err::canonicalize(path).ok();
    place(one).is_some_and(|one| place(other).is_some_and(|other| one == other))
}

fn as_onnx(model: &Model, arguments: &Arguments) -> Result<(Staged, card::Written, Vec<Difference>)> {
    let precision = if arguments.float16 { Precision::Float16 } else { Precision::Float32 };
    let bytes = onnx::encode(&onnx::export(model, precision)?)?;
    let staged = Staged::new(&arguments.output, &bytes)?;
    drop(bytes);
    let runtimes: Vec<Runtime> = arguments.check.iter().map(|&runtime| runtime.into()).collect();
    let checks = if runtimes.is_empty() {
        Vec::new()
    } else {
        check::compare(model, staged.path(), precision, &runtimes, &arguments.python).context("--check")?
    };
    Ok((staged, card::Written::Onnx { precision, checks: checks.clone() }, checks))
}

fn as_weights(
    model: &Model,
    keys: Option<&str>,
    part: Option<&str>,
    output: &Path,
) -> Result<(Staged, card::Written, Vec<Difference>)> {
    let card = model.card();
    let keys = keys.unwrap_or(KEY_MAPS[0].name);
    // Not the key of our own checkpoints: the file is none.
    let mut metadata = vec![("format".to_owned(), "pt".to_owned())];
    // What a part is of says nothing of it.
    if part.is_none() {
        metadata.extend(emoxide_export::metadata(card));
    }
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let bytes = weights::export(model.network(), &card.network, keys, part, &metadata)?;
    Ok((
        Staged::new(output, &bytes)?,
        card::Written::Weights { keys: keys.to_owned(), part: part.map(str::to_owned) },
        Vec::new(),
    ))
}

fn report(
    model: &Model,
    output: &Path,
    bytes: usize,
    described: &Path,
    checks: Vec<Difference>,
    as_json: bool,
) -> Result<Finish> {
    let name = &model.card().name;
    let (file, card) = (output.display().to_string(), described.display().to_string());
    if as_json {
        let report = Report { model: name, file, bytes, card, checks };
        let mut sink = output::open(None)?;
        writeln!(sink, "{}", serde_json::to_string_pretty(&report)?)?;
        sink.flush()?;
        return Ok(Finish::Done);
    }
    output::say(&format!("{file}: {name}, {:.1} MB; its card is {card}", bytes as f64 / 1e6));
    for Difference { runtime, version, batch, logits, probabilities, .. } in &checks {
        let runtime = runtime.name();
        output::say(&format!(
            "{runtime} {version}, batch of {batch}: logits differ by {logits:.1e} at most, probabilities by {probabilities:.1e}"
        ));
    }
    Ok(Finish::Done)
}
