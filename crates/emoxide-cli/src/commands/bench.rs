//! `emoxide bench`: how long a model takes on this machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use emoxide::device::{self, Device, TrainingPrecision};
use emoxide::weights::checkpoint::Card;
use emoxide::zoo::{self, Model, Precision};
use emoxide_train::train::Rehearsal;
use serde::Serialize;

use crate::commands::computing::{self, Engine};
use crate::{Finish, output};

/// Absolute times depend on the machine and on what else it does: compare with a peer measured in the same run
/// (`benchmarks/`).
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Model: `default` or a checkpoint
    #[arg(short, long, default_value = zoo::DEFAULT)]
    model: String,
    /// Images in one forward pass; several separated by commas
    #[arg(short, long, value_delimiter = ',', default_value = "1,8,32")]
    batch: Vec<usize>,
    /// What computes: the compiled network, Burn operation by operation, or both
    #[arg(short, long, value_enum, value_delimiter = ',', default_value = "compiled")]
    engine: Vec<Engine>,
    /// How exactly it multiplies: f32, bf16 or, the compiled network alone, int8; several separated by commas
    #[arg(long, value_delimiter = ',', default_value = "f32")]
    precision: Vec<Precision>,
    /// Time steps of training instead: forward pass, gradients, new weights
    #[arg(long, conflicts_with_all = ["engine", "logits"])]
    train: bool,
    /// Passes or steps that are timed, after half a second of others
    #[arg(short, long, default_value_t = 30)]
    runs: usize,
    /// Threads; default: as many as there are processors
    #[arg(short, long)]
    threads: Option<usize>,
    /// Device: cpu, or a GPU backend of this build such as vulkan or cuda:0
    #[arg(short, long, default_value = device::default_name())]
    device: String,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
    /// Also write the logits of the last pass to this JSON file, to compare them with another program's
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    engine: &'static str,
    precision: &'static str,
    batch: usize,
    threads: usize,
    median_ms: f64,
    images_per_second: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    ensure!(arguments.runs > 0, "--runs 0: at least one pass must be timed");
    if let Some(batch) = arguments.batch.iter().find(|batch| !(1..=4096).contains(*batch)) {
        bail!("--batch {batch}: a batch has 1 to 4096 images");
    }
    if let Some(threads) = arguments.threads {
        ensure!(threads > 0, "--threads 0: at least one thread must compute");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("--threads")?;
    }
    let device = device::open(&arguments.device)?;
    let rows = if arguments.train { steps(arguments, &device)? } else { passes(arguments, &device)? };
    let mut sink = output::open(None)?;
    if arguments.json {
        writeln!(sink, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        table(&mut sink, &rows)?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}

/// Forward passes, from preprocessed images to logits.
fn passes(arguments: &Arguments, device: &Device) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let precisions = |&engine| arguments.precision.iter().map(move |&precision| (engine, precision));
    for (engine, precision) in arguments.engine.iter().flat_map(precisions) {
        let model = computing::open(&arguments.model, device, precision, Some(engine))?;
        for &batch in &arguments.batch {
            let images = images(model.card(), batch);
            let median = median(arguments.runs, || {
                let images = images.clone();
                let start = Instant::now();
                std::hint::black_box(model.run(images));
                start.elapsed()
            });
            let name = if engine == Engine::Burn { "burn" } else { "compiled" };
            rows.push(Row::new(model.card(), name, precision, batch, median));
            if let Some(path) = &arguments.logits {
                write_logits(&model, images, path)?;
            }
        }
    }
    Ok(rows)
}

/// Steps of training.
fn steps(arguments: &Arguments, device: &Device) -> Result<Vec<Row>> {
    device::keep_freed_memory();
    let model = computing::open(&arguments.model, device, Precision::F32, None)?;
    let row = |precision: Precision, batch: usize| {
        ensure!(batch > 1, "--batch 1: batch normalisation cannot train on one image");
        let training = match precision {
            Precision::F32 => TrainingPrecision::F32,
            Precision::Bf16 if device::is_cpu(device) => TrainingPrecision::Bf16,
            Precision::Bf16 => bail!("--train --precision bf16: {} trains in f32", arguments.device),
            Precision::Int8 => bail!("--train --precision int8: training multiplies in f32 or bf16"),
        };
        let mut rehearsal = Rehearsal::new(model.card(), training, images(model.card(), batch), device);
        let median = median(arguments.runs, || {
            let start = Instant::now();
            std::hint::black_box(rehearsal.step());
            start.elapsed()
        });
        Ok(Row::new(model.card(), "training", precision, batch, median))
    };
    let precisions = arguments.precision.iter();
    precisions
        .flat_map(|&precision| arguments.batch.iter().map(move |&batch| (precision, batch)))
        .map(|(precision, batch)| row(precision, batch))
        .collect()
}

/// How long calls go before those that count: caches, memory and the processor's clock have settled then.
const WARM: Duration = Duration::from_millis(500);

/// Median in seconds of so many calls, each of which says how long it took; two at least go before, for [`WARM`].
fn median(runs: usize, mut call: impl FnMut() -> Duration) -> f64 {
    let begun = Instant::now();
    for done in 0.. {
        if done >= 2 && begun.elapsed() >= WARM {
            break;
        }
        call();
    }
    let mut seconds: Vec<f64> = (0..runs).map(|_| call().as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    f64::midpoint(seconds[(runs - 1) / 2], seconds[runs / 2])
}

impl Row {
    fn new(card: &Card, engine: &'static str, precision: Precision, batch: usize, median: f64) -> Self {
        Self {
            model: card.name.clone(),
            engine,
            precision: precision.name(),
            batch,
            threads: rayon::current_num_threads(),
            median_ms: median * 1e3,
            images_per_second: batch as f64 / median,
        }
    }
}

fn table(sink: &mut impl Write, rows: &[Row]) -> Result<()> {
    let [engine, precision, batch, threads] = ["engine", "precision", "batch", "threads"];
    writeln!(sink, "{engine:<10} {precision:>9} {batch:>6} {threads:>8} {:>12} {:>12}", "median", "images/s")?;
    for Row { engine, precision, batch, threads, median_ms, images_per_second, .. } in rows {
        writeln!(
            sink,
            "{engine:<10} {precision:>9} {batch:>6} {threads:>8} {median_ms:>9.3} ms {images_per_second:>12.1}"
        )?;
    }
    Ok(())
}

/// Values from -1 to 1 that other programs can make too: a 32-bit integer hash (the finaliser of murmur3) of the index,
/// offset by FNV-1a of the word `images`.
fn images(card: &Card, batch: usize) -> Vec<f32> {
    let seed =
        b"images".iter().fold(2_166_136_261, |seed: u32, byte| (seed ^ u32::from(*byte)).wrapping_mul(16_777_619));
    let value = |index: usize| {
        let mut x = (index as u32).wrapping_add(seed).wrapping_mul(0x9E37_79B1);
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        (f64::from(x) / 2_147_483_648.0 - 1.0) as f32
    };
    (0..batch * card.preprocess.len()).map(value).collect()
}

fn write_logits(model: &Model, images: Vec<f32>, path: &Path) -> Result<()> {
    let [channels, rows, cols] = model.card().preprocess.input();
    let shape = [images.len() / model.card().preprocess.len(), channels, rows, cols];
    let logits = model.run(images);
    let rows: Vec<&[f32]> = logits.chunks(model.classes().len()).collect();
    fs_err::write(path, serde_json::to_string(&serde_json::json!({ "shape": shape, "logits": rows }))?)?;
    Ok(())
}
