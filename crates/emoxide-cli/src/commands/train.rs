//! `emoxide train`: a recipe becomes a run directory with checkpoints.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::Args;
use emoxide::device;
use emoxide::weights::start::Started;
use emoxide_train::data::DataSpec;
use emoxide_train::recipe::Recipe;
use emoxide_train::run_dir::{EpochRow, Program};
use emoxide_train::train::{Job, Observer, Outcome, train};
use indicatif::ProgressBar;

use crate::{Finish, figures, output, progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Recipe, a TOML file
    recipe: PathBuf,
    /// Where a data set lies; repeat for several
    #[arg(long, value_name = "NAME=DIR")]
    data: Vec<String>,
    /// Change one setting of the recipe, such as schedule.epochs=2; repeat for several
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the run; by default runs/ and the recipe's name
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Continue the run in the folder where it was interrupted; where there is none yet, begin it
    #[arg(long)]
    resume: bool,
    /// Device: cpu, or a GPU backend of this build such as vulkan or cuda:0
    #[arg(short, long, default_value = device::default_name())]
    device: String,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    device::keep_freed_memory();
    let recipe = Recipe::load(&arguments.recipe, &arguments.set)?;
    let stem = arguments.recipe.file_stem().unwrap_or_default();
    let run_dir = arguments.run_dir.clone().unwrap_or_else(|| PathBuf::from("runs").join(stem));
    let job = Job {
        recipe,
        sources: DataSpec::all(&arguments.data)?,
        run_dir: run_dir.clone(),
        resume: arguments.resume,
        device: device::open(&arguments.device)?,
        device_name: arguments.device.clone(),
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("EMOXIDE_COMMIT").to_owned(),
            burn: env!("EMOXIDE_BURN").to_owned(),
        },
    };
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            // Asked twice: everything that is safe is on disk already.
            #[expect(clippy::exit, reason = "a second Ctrl-C wants out at once")]
            std::process::exit(130);
        }
        output::say("stopping after this batch or measurement; press Ctrl-C again to stop at once");
    })
    .context("cannot listen for Ctrl-C")?;

    let mut display = Display { bar: progress::bar(0, "", true), quiet: arguments.quiet };
    match train(&job, &mut display, &stop)? {
        Outcome::Interrupted { epochs } => {
            output::say(&format!(
                "interrupted; {epochs} epochs are safe in {}, the same command with --resume goes on",
                run_dir.display()
            ));
            Ok(Finish::Interrupted)
        }
        Outcome::Done(evaluations) => {
            let mut sink = output::open(None)?;
            for evaluation in &evaluations {
                figures::table(&mut sink, evaluation)?;
            }
            sink.flush()?;
            output::say(&format!("the chosen model is {}", run_dir.join("best/model.safetensors").display()));
            Ok(Finish::Done)
        }
    }
}

/// The run on a terminal: a bar for the epoch under way, a line for every epoch done.
struct Display {
    bar: ProgressBar,
    quiet: bool,
}

impl Observer for Display {
    fn nothing_to_resume(&mut self, run_dir: &Path) {
        output::say(&format!("{} holds no run to resume: a new one begins", run_dir.display()));
    }

    fn started(&mut self, train: usize, select: usize, parameters: usize) {
        output::say(&format!("{train} pictures to train on, {select} to choose by, {parameters} parameters"));
    }

    fn started_from(&mut self, files: &[Started]) {
        for started in files {
            output::say(&format!("weights from {}", figures::started(started)));
        }
    }

    fn warned(&mut self, warning: &str) {
        output::say(&format!("warning: {warning}"));
    }

    fn epoch(&mut self, epoch: usize, epochs: usize, batches: usize) {
        self.bar = progress::bar(batches, &format!("epoch {epoch}/{epochs}"), self.quiet);
    }

    fn batch(&mut self, loss: f64) {
        self.bar.inc(1);
        self.bar.set_message(format!("loss {loss:.4}"));
    }

    fn row(&mut self, row: &EpochRow, best: bool) {
        self.bar.finish_and_clear();
        let select = row.select_accuracy.map_or(String::new(), |accuracy| {
            format!("  select {:.2} %{}", accuracy * 100.0, if best { " (best so far)" } else { "" })
        });
        output::say(&format!(
            "epoch {:>3}  loss {:.4}  train {:.2} %{select}  rate {:.2e}  {:.0} s",
            row.epoch,
            row.train_loss,
            row.train_accuracy * 100.0,
            row.rate,
            row.seconds
        ));
    }
}
