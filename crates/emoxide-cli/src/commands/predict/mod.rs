//! `emoxide predict`: pictures and clips in, faces and expressions out.

mod clip_options;
mod clips;
mod formats;
mod pictures;
mod resume;
mod stop;
mod summaries;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use emoxide::face::Detector;
use emoxide::labels::Classes;
use emoxide::recognizer::{Options, Recognizer};

use self::clip_options::ClipOptions;
use self::clips::State;
use self::formats::Writer;
use self::stop::Stop;
use crate::commands::computing::Computing;
use crate::commands::detecting::Detecting;
use crate::inputs::{Input, Stems};
use crate::{Finish, output};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A bar for every class, for people
    Table,
    /// One JSON array
    Json,
    /// One JSON object a line, for each picture or frame
    Ndjson,
    /// One row a face
    Csv,
    /// The columns of CSV, typed; needs --output
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Images, videos, folders, globs, `camera:0`, or `-` for a picture on standard input
    #[arg(required = true)]
    inputs: Vec<String>,
    #[command(flatten)]
    computing: Computing,
    #[command(flatten)]
    detecting: Detecting,
    /// Pictures or frames worked on together
    #[arg(short, long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch_size: u16,
    /// Output format; a table on a terminal, NDJSON elsewhere
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write results to this file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Draw boxes and labels on copies of the pictures and videos, in this folder
    #[arg(long, value_name = "DIR")]
    annotate: Option<PathBuf>,
    /// Save the faces exactly as the network sees them, in this folder
    #[arg(long, value_name = "DIR")]
    save_crops: Option<PathBuf>,
    /// Call an expression `uncertain` where its probability is lower
    #[arg(long, default_value_t = 0.0)]
    min_confidence: f32,
    /// Answer with these classes only: 7, or a list such as happiness,neutral; the others' probability is shared out
    #[arg(long)]
    classes: Option<String>,
    #[command(flatten)]
    clips: ClipOptions,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

impl Arguments {
    fn recognizer(&self) -> Result<Recognizer> {
        let classes = self.classes.as_deref().map(Classes::from_list).transpose().context("--classes")?;
        let model = self.computing.open()?;
        let detector = Detector::new(&self.detecting.config(&model.card().detector)?, model.device())?;
        Ok(Recognizer::new(detector, model, Options { min_confidence: self.min_confidence, classes })?)
    }

    /// What is kept beside the output, if the run is one that can be continued.
    fn record(&self, inputs: &[Input], format: Format) -> Result<Option<resume::Record>> {
        let continued = matches!(format, Format::Csv | Format::Ndjson | Format::Parquet);
        if self.output.is_none() || !continued || !inputs.iter().any(is_clip) {
            return Ok(None);
        }
        let record = resume::Record::new(self, inputs, format);
        if self.clips.resume { record.map(Some) } else { Ok(record.ok()) }
    }

    fn check(&self, inputs: &[Input], format: Format) -> Result<()> {
        self.clips.check()?;
        let clips = inputs.iter().filter(|input| matches!(input, Input::Clip(..))).count();
        if clips > 0 && self.save_crops.is_some() {
            bail!("--save-crops: the faces of pictures are saved, not those of clips; extract the frames first");
        }
        if self.clips.resume {
            ensure!(self.output.is_some(), "--resume: name the file to go on with, by --output");
            ensure!(
                matches!(format, Format::Csv | Format::Ndjson | Format::Parquet),
                "--resume: only csv, ndjson and parquet can be continued; choose one by --format"
            );
            ensure!(
                self.annotate.is_none(),
                "--resume: a video that was broken off cannot be continued; run --annotate by itself"
            );
            ensure!(inputs.iter().any(is_clip), "--resume: only runs over clips are continued, and here is none");
        }
        Ok(())
    }
}

/// A run, as far as it is done.
struct Job<'a> {
    arguments: &'a Arguments,
    writer: Writer,
    stems: Stems,
    skipped: usize,
    quiet: bool,
    stop: Stop,
    /// What is kept beside an output that can be continued.
    record: Option<resume::Record>,
}

impl Job<'_> {
    /// Counts a clip once, however much is wrong with it, and says what.
    fn skip(&mut self, name: &str, reasons: &[String]) -> Result<()> {
        if reasons.is_empty() {
            return Ok(());
        }
        self.skipped += 1;
        for reason in reasons {
            output::say(&format!("skipped {name}: {reason}"));
        }
        if let (Some(record), Some(path)) = (&mut self.record, &self.arguments.output) {
            record.skip(name);
            resume::note(path, record)?;
        }
        Ok(())
    }

    /// Ends between two frames: what was written stays as it is and can be continued.
    fn interrupted(self) -> Result<Finish> {
        match (&self.record, &self.arguments.output) {
            (Some(_), Some(path)) => {
                self.writer.pause()?;
                let path = path.display();
                output::say(&format!("interrupted; the same command with --resume goes on with {path}"));
            }
            _ => self.writer.finish()?,
        }
        Ok(Finish::Interrupted)
    }

    fn finish(self, inputs: usize) -> Result<Finish> {
        self.writer.finish()?;
        if let (Some(_), Some(path)) = (&self.record, &self.arguments.output) {
            resume::done(path)?;
        }
        if self.skipped == 0 {
            return Ok(Finish::Done);
        }
        output::say(&format!("{} of {inputs} inputs skipped", self.skipped));
        Ok(Finish::Skipped)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    let inputs = arguments.clips.inputs(&arguments.inputs);
    let on_terminal = arguments.output.is_none() && output::is_terminal();
    let format = arguments.format.unwrap_or(if on_terminal { Format::Table } else { Format::Ndjson });
    arguments.check(&inputs, format)?;
    for folder in [&arguments.annotate, &arguments.save_crops, &arguments.clips.summary].into_iter().flatten() {
        fs_err::create_dir_all(folder)?;
    }
    let clips = inputs.iter().any(is_clip);
    let recognizer = arguments.recognizer()?;
    let detector = arguments.detecting.config(&recognizer.model().card().detector)?;
    let following = arguments.clips.following(&detector, arguments.min_confidence);

    let mut record = arguments.record(&inputs, format)?;
    let found = match (&arguments.output, &mut record) {
        (Some(path), Some(record)) if arguments.clips.resume => {
            resume::find(path, format, record, &inputs, recognizer.classes(), &following)?
        }
        _ => None,
    };
    let mut job = Job {
        arguments,
        writer: match (&found, &arguments.output) {
            (Some(found), Some(path)) => Writer::behind(format, path, recognizer.classes(), found.begun)?,
            _ => Writer::new(format, arguments.output.as_deref(), recognizer.classes())?,
        },
        stems: Stems::default(),
        skipped: found.as_ref().map_or(0, |found| found.skipped),
        quiet: arguments.quiet || on_terminal,
        stop: Stop::default(),
        record,
    };
    if clips {
        job.stop.listen()?;
    }
    match (&arguments.output, &job.record) {
        (Some(path), Some(record)) => resume::note(path, record)?,
        (Some(path), None) => resume::done(path)?,
        _ => {}
    }

    let (begin, mut state) = found.map_or((0, None), |found| (found.clip, Some(found.state)));
    let mut place = 0;
    for group in inputs.chunk_by(|one, other| !is_clip(one) && !is_clip(other)) {
        place += group.len();
        match group {
            [Input::Clip(name, _)] if place <= begin => drop(job.stems.of(name)),
            _ if place <= begin => {}
            [Input::Clip(name, source)] => {
                let state = state.take().map_or_else(|| State::new(&following), Ok)?;
                if !clips::run(&mut job, &recognizer, name, source, state)? {
                    return job.interrupted();
                }
            }
            group => pictures::run(&mut job, &recognizer, group)?,
        }
    }
    job.finish(inputs.len())
}

fn is_clip(input: &Input) -> bool {
    matches!(input, Input::Clip(..))
}
