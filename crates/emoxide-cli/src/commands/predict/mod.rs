//! `emoxide predict`: pictures in, faces and expressions out.

mod formats;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use emoxide::image::Limits;
use emoxide::recognizer::{Crop, Options, Prediction, Recognizer};

use self::formats::Writer;
use crate::commands::computing::Computing;
use crate::commands::detecting::Detecting;
use crate::inputs::{Stems, expand};
use crate::{Finish, annotate, output, progress};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A bar for every class, for people
    Table,
    /// One JSON array
    Json,
    /// One JSON object a line and picture
    Ndjson,
    /// One row a face
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Images, folders, globs, or `-` for standard input
    #[arg(required = true)]
    inputs: Vec<String>,
    #[command(flatten)]
    computing: Computing,
    #[command(flatten)]
    detecting: Detecting,
    /// Pictures worked on together
    #[arg(short, long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch_size: u16,
    /// Output format; a table on a terminal, NDJSON elsewhere
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write results to this file instead of standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Draw boxes and labels on copies of the pictures, in this folder
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
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

impl Arguments {
    fn recognizer(&self) -> Result<Recognizer> {
        let classes = self.classes.as_deref().map(super::classes).transpose().context("--classes")?;
        let model = self.computing.open()?;
        let detector = self.detecting.open(&model)?;
        Ok(Recognizer::new(detector, model, Options { min_confidence: self.min_confidence, classes })?)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    let recognizer = arguments.recognizer()?;
    for folder in [&arguments.annotate, &arguments.save_crops].into_iter().flatten() {
        fs_err::create_dir_all(folder)?;
    }
    let inputs = expand(&arguments.inputs);
    let on_terminal = arguments.output.is_none() && output::is_terminal();
    let format = arguments.format.unwrap_or(if on_terminal { Format::Table } else { Format::Ndjson });
    let mut writer = Writer::new(format, output::open(arguments.output.as_deref())?, recognizer.classes());

    // A bar would be torn apart by a table on the same terminal.
    let bar = progress::bar(inputs.len(), "predict", arguments.quiet || on_terminal || inputs.len() < 2);
    let limits = Limits::default();
    let mut skipped = 0;
    let mut stems = Stems::default();
    for chunk in inputs.chunks(usize::from(arguments.batch_size)) {
        let mut names = Vec::new();
        let mut images = Vec::new();
        for input in chunk {
            match input.picture(&limits) {
                Ok(image) => {
                    names.push(input.name());
                    images.push(image);
                }
                Err(reason) => {
                    skipped += 1;
                    bar.suspend(|| output::say(&format!("skipped {}: {reason}", input.name())));
                }
            }
        }
        let crops = recognizer.crops(&images);
        let faces = recognizer.recognise_crops(&images, &crops);
        for (index, (input, faces)) in names.into_iter().zip(faces).enumerate() {
            let image = &images[index];
            if faces.is_empty() {
                skipped += 1;
                bar.suspend(|| output::say(&format!("skipped {input}: no face found")));
            }
            let prediction = Prediction { input, frame: 0, width: image.width(), height: image.height(), faces };
            let stem = stems.of(&prediction.input);
            if let Some(folder) = &arguments.save_crops {
                save_crops(folder, &stem, index, &crops)?;
            }
            if let Some(folder) = &arguments.annotate {
                output::picture(&annotate::draw(image, &prediction.faces), &folder.join(format!("{stem}.png")))?;
            }
            writer.write(&prediction)?;
        }
        bar.inc(chunk.len() as u64);
    }
    writer.finish()?;
    bar.finish_and_clear();
    if skipped == 0 {
        return Ok(Finish::Done);
    }
    output::say(&format!("{skipped} of {} inputs skipped", inputs.len()));
    Ok(Finish::Skipped)
}

fn save_crops(folder: &Path, stem: &str, picture: usize, crops: &[Crop]) -> Result<()> {
    for (face_id, crop) in crops.iter().filter(|crop| crop.picture == picture).enumerate() {
        output::picture(&crop.image, &folder.join(format!("{stem}-face{face_id}.png")))?;
    }
    Ok(())
}
