//! `emoxide predict`: pictures in, faces and expressions out.

mod formats;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use emoxide::face::{Detector, DetectorConfig};
use emoxide::image::{Limits, RgbImage, decode};
use emoxide::recognizer::{Crop, Options, Prediction, Recognizer};

use self::formats::Writer;
use crate::commands::computing::Computing;
use crate::inputs::{Input, expand};
use crate::{Finish, annotate, output, progress};

/// What a picture's faces are found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DetectorName {
    /// The embedded MTCNN
    Mtcnn,
    /// No detection: every picture is one face, already cropped
    None,
}

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
    /// What finds the faces; by default what the model's card names
    #[arg(long, value_enum)]
    detector: Option<DetectorName>,
    /// Smallest face to look for, in pixels; by default what the model's card names
    #[arg(long, value_name = "PIXELS")]
    min_face: Option<u32>,
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
        let detector = Detector::new(&self.detector(&model.card().detector)?, model.device())?;
        Ok(Recognizer::new(detector, model, Options { min_confidence: self.min_confidence, classes })?)
    }

    /// The card's detector, but for what was asked for.
    fn detector(&self, of_card: &DetectorConfig) -> Result<DetectorConfig> {
        let mut detector = match (self.detector, of_card) {
            (Some(DetectorName::None), _) => DetectorConfig::WholeImage {},
            (Some(DetectorName::Mtcnn), DetectorConfig::WholeImage {}) => DetectorConfig::default(),
            _ => of_card.clone(),
        };
        match (&mut detector, self.min_face) {
            (_, None) => {}
            (DetectorConfig::Mtcnn(config), Some(pixels)) => config.min_face = pixels,
            (DetectorConfig::WholeImage {}, Some(pixels)) => {
                bail!("--min-face {pixels}: every picture is taken for one face; look for faces with --detector mtcnn")
            }
        }
        Ok(detector)
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
    let mut used = HashSet::new();
    for chunk in inputs.chunks(usize::from(arguments.batch_size)) {
        let mut names = Vec::new();
        let mut images = Vec::new();
        for input in chunk {
            match read(input, &limits) {
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
            let stem = unique_stem(&prediction.input, &mut used);
            if let Some(folder) = &arguments.save_crops {
                save_crops(folder, &stem, index, &crops)?;
            }
            if let Some(folder) = &arguments.annotate {
                save(&annotate::draw(image, &prediction.faces), &folder.join(format!("{stem}.png")))?;
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

fn read(input: &Input, limits: &Limits) -> Result<RgbImage, String> {
    let bytes = input.read(limits.max_bytes)?;
    decode(&bytes, limits).map_err(|error| error.to_string())
}

/// A file stem for what is derived from an input; two inputs of one name do not overwrite each other.
fn unique_stem(input: &str, used: &mut HashSet<String>) -> String {
    let stem = Path::new(input).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = stem.filter(|stem| stem != "-").unwrap_or_else(|| "stdin".to_owned());
    let numbered = (2..).map(|count| format!("{stem}-{count}"));
    let free = std::iter::once(stem.clone()).chain(numbered).find(|name| !used.contains(name));
    let free = free.unwrap_or(stem);
    used.insert(free.clone());
    free
}

fn save_crops(folder: &Path, stem: &str, picture: usize, crops: &[Crop]) -> Result<()> {
    for (face_id, crop) in crops.iter().filter(|crop| crop.picture == picture).enumerate() {
        save(&crop.image, &folder.join(format!("{stem}-face{face_id}.png")))?;
    }
    Ok(())
}

fn save(image: &RgbImage, path: &Path) -> Result<()> {
    image.save(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice() {
        let mut used = HashSet::new();
        let stems: Vec<_> =
            ["cat-2.jpg", "cat.jpg", "b/cat.png", "-"].map(|name| unique_stem(name, &mut used)).into_iter().collect();
        assert_eq!(stems, ["cat-2", "cat", "cat-3", "stdin"]);
    }
}
