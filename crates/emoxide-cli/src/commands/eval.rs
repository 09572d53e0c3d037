//! `emoxide eval`: a model measured on a data set.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use emoxide::labels::{Classes, Expression};
use emoxide_train::data::{LabelRule, Split};
use emoxide_train::evaluate::{Evaluation, Subject};
use emoxide_train::recipe::Recipe;
use emoxide_train::report;
use emoxide_train::train::{Changes, Question};

use crate::commands::computing::Computing;
use crate::gallery::Gallery;
use crate::{Finish, figures, output, progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    computing: Computing,
    /// Data set of cropped faces
    #[arg(long, value_name = "NAME=DIR", required = true)]
    data: String,
    /// Split to measure: train, valid, test, public, private, all
    #[arg(long, default_value = "test")]
    split: Split,
    /// How the votes of FER+ become labels: majority, argmax10, argmax8
    #[arg(long, default_value = "majority")]
    labels: LabelRule,
    /// Swap red and blue in every picture, as the program does with which the authors of CAFE measured
    #[arg(long)]
    bgr: bool,
    /// Leave out a class of model and data, such as contempt; repeat for several
    #[arg(long)]
    drop: Vec<Expression>,
    /// Measure on these classes only: 7 is short for --drop contempt
    #[arg(long)]
    classes: Option<String>,
    /// Change the pictures at random as this recipe changes them in training, from its seed on
    #[arg(long, value_name = "RECIPE")]
    augment: Option<PathBuf>,
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
    /// Also draw the faces that were answered wrongly, the surest answers first: .png; where all are right, no file is written
    #[arg(long, value_name = "FILE", conflicts_with = "augment")]
    gallery: Option<PathBuf>,
    /// Faces in the gallery at most
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=1000))]
    gallery_count: u16,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    if let Some(path) =
        arguments.confusion.as_deref().filter(|path| !matches!(ending(path), Some("svg" | "png" | "csv")))
    {
        bail!("--confusion {}: end the name in .svg, .png or .csv", path.display());
    }
    if let Some(path) = arguments.gallery.as_deref().filter(|path| ending(path) != Some("png")) {
        bail!("--gallery {}: end the name in .png", path.display());
    }
    let model = arguments.computing.open()?;
    let question = Question {
        source: arguments.data.parse()?,
        split: arguments.split,
        labels: arguments.labels,
        bgr: arguments.bgr,
        drop: arguments.drop.clone(),
        classes: arguments.classes.as_deref().map(Classes::from_list).transpose()?,
    };
    let examination = question.ask(&model)?;

    let recipe = arguments.augment.as_deref().map(|path| Recipe::load(path, &[])).transpose()?;
    let changes = recipe.as_ref().map(|recipe| Changes { augment: &recipe.augment, seed: recipe.run.seed });
    if changes.is_some_and(|changes| changes.augment.is_empty()) {
        bail!("--augment: the recipe changes nothing; its section `augment` lists no operation");
    }

    let bar = progress::bar(examination.data.len(), "eval", arguments.quiet);
    let (evaluation, predictions) = examination.measure(&model, changes, &mut |done| progress::advance(&bar, done))?;
    bar.finish_and_clear();
    let text = serde_json::to_string_pretty(&evaluation)?;
    if let Some(path) = &arguments.results {
        fs_err::write(path, &text)?;
    }
    if let Some(path) = &arguments.predictions {
        predictions.write(path)?;
    }
    if let Some(path) = &arguments.confusion {
        fs_err::write(path, confusion(&evaluation, path)?)?;
    }
    if let Some(path) = &arguments.gallery {
        let gallery = Gallery { evaluation: &evaluation, predictions: &predictions, data: &examination.data };
        if let Some(image) = gallery.draw(&model.card().preprocess, usize::from(arguments.gallery_count))? {
            output::picture(&image, path)?;
        } else {
            let text = format!("every one of {} faces was answered right; no file is written", evaluation.n);
            output::say(&format!("--gallery {}: {text}", path.display()));
        }
    }
    let mut sink = output::open(None)?;
    if arguments.json {
        writeln!(sink, "{text}")?;
    } else {
        figures::table(&mut sink, &evaluation)?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}

/// The confusion matrix in the form that the file's name asks for.
fn confusion(evaluation: &Evaluation, path: &Path) -> Result<Vec<u8>> {
    let (classes, counts) = (&evaluation.classes, &evaluation.confusion);
    let Subject { model, data, split, .. } = &evaluation.subject;
    let title = format!("{model} on {data} {split}");
    Ok(match ending(path) {
        Some("svg") => report::confusion_svg(classes, counts, &title)?.into_bytes(),
        Some("png") => report::confusion_png(classes, counts, &title)?,
        _ => report::confusion_csv(classes, counts).into_bytes(),
    })
}

fn ending(path: &Path) -> Option<&str> {
    path.extension().and_then(|ending| ending.to_str())
}
