//! `emoxide data`: layouts that can be read, a check of what lies on disk, and drawn faces for a first try.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use emoxide::labels::Expression;
use emoxide_train::data::synth::SynthConfig;
use emoxide_train::data::{DataOptions, DataSpec, LabelRule, Layout};

use crate::{Finish, output};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Data sets that can be read, and how each lies on disk
    List,
    /// Count pictures per class and split, against the published numbers where there are any
    ///
    /// The exit code is 3 where a split that is there, or a picture of it, cannot be read.
    Check {
        /// Data set
        #[arg(value_name = "NAME=DIR")]
        data: String,
        /// How the votes of FER+ become labels: majority, argmax10, argmax8, soft
        #[arg(long, default_value = "majority")]
        labels: LabelRule,
        /// Leave out a class, such as contempt; repeat for several
        #[arg(long)]
        drop: Vec<Expression>,
        /// Also decode every picture
        #[arg(long)]
        decode: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Draw parametric faces in the layout of a data set: seven expressions, three splits
    Synth {
        /// Layout to write
        #[arg(long, value_enum)]
        layout: LayoutName,
        /// Folder to write to; must be empty or new
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Faces per class in the training split; the other splits hold a quarter of it each
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(4..=100_000))]
        per_class: u32,
        /// Seed; the same seed draws the same faces
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// One folder a class, in folders of splits
    Folder,
    /// fer2013.csv
    Fer2013,
    /// fer2013new.csv with votes, and pictures
    Ferplus,
    /// basic/EmoLabel and basic/Image/aligned
    Rafdb,
    /// basic/Image/original and basic/Annotation/boundingbox
    RafdbOriginal,
    /// Folders of train and validation pictures, as of 2021
    Affectnet,
    /// Train and Val, one folder a class
    Sfew,
    /// The official aligned faces, one folder a class
    SfewAligned,
    /// TIFF files
    Jaffe,
    /// label/label.lst, pictures with more than the face
    Expw,
    /// list/*_list.txt, pictures with more than the face
    Afed,
    /// train, valid and test, one folder a class
    Mma,
    /// Emotion and cohn-kanade-images
    Ckplus,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    match &arguments.action {
        Action::List => list(),
        Action::Check { data, labels, drop, decode, json } => {
            let spec: DataSpec = data.parse()?;
            let report = spec.check(&DataOptions { label_rule: *labels, drop: drop.clone(), bgr: false }, *decode)?;
            let mut sink = output::open(None)?;
            if *json {
                writeln!(sink, "{}", serde_json::to_string_pretty(&report)?)?;
            } else {
                write!(sink, "{report}")?;
            }
            sink.flush()?;
            Ok(if report.is_sound() { Finish::Done } else { Finish::Skipped })
        }
        Action::Synth { layout, out, per_class, seed } => {
            let layout = match layout {
                LayoutName::Folder => Layout::Folder,
                LayoutName::Fer2013 => Layout::Fer2013,
                LayoutName::Ferplus => Layout::FerPlus,
                LayoutName::Rafdb => Layout::RafDb,
                LayoutName::RafdbOriginal => Layout::RafDbOriginal,
                LayoutName::Affectnet => Layout::AffectNet,
                LayoutName::Sfew => Layout::Sfew,
                LayoutName::SfewAligned => Layout::SfewAligned,
                LayoutName::Jaffe => Layout::Jaffe,
                LayoutName::Expw => Layout::ExpW,
                LayoutName::Afed => Layout::Afed,
                LayoutName::Mma => Layout::Mma,
                LayoutName::Ckplus => Layout::CkPlus,
            };
            let config = SynthConfig { layout, out: out.clone(), per_class: *per_class as usize, seed: *seed };
            let written = config.write()?;
            output::say(&format!("drew faces for --data {written}"));
            Ok(Finish::Done)
        }
    }
}

fn list() -> Result<Finish> {
    let mut sink = output::open(None)?;
    for layout in Layout::ALL {
        let form = match layout {
            Layout::Fer2013 => "fer2013.csv, or train/<class>/* and test/<class>/*",
            Layout::FerPlus => {
                "ferplus.csv (column `file`), or fer2013new.csv with FER2013Train, -Valid, -Test or fer2013.csv; \
                 ferplus=TABLE@IMAGES where they lie apart"
            }
            Layout::RafDb => "basic/EmoLabel/list_patition_label.txt and basic/Image/aligned/*",
            Layout::RafDbOriginal => "the same with basic/Image/original/* and basic/Annotation/boundingbox/*",
            Layout::AffectNet => {
                "train_set and val_set (images, annotations/*_exp.npy), or training.csv, validation.csv and \
                 Manually_Annotated_Images"
            }
            Layout::Sfew => "Train|Val/<class>/*, or Train|Val/imgs/<class>/* and Annotations/Bboxs (SFEW 2.0, frames)",
            Layout::SfewAligned => "Train|Val_Aligned_Faces/<class>/* (SFEW 2.0, the official aligned faces)",
            Layout::Jaffe => "KA.AN1.39.tiff and so on, in jaffedbase, jaffe or images",
            Layout::ExpW => "label/label.lst and image/origin/*; the splits are random thirds of every class",
            Layout::Afed => "list/train_list.txt, list/val_list.txt and images/*, as in the CD-FER benchmark",
            Layout::Mma => "train|valid|test/<class>/*, perhaps below MMAFEDB",
            Layout::CkPlus => {
                "Emotion/*/*/*_emotion.txt and cohn-kanade-images; the last frame of every labelled sequence"
            }
            Layout::Folder => "<class>/*, or train|valid|test/<class>/*",
            Layout::Manifest => "a CSV with path,label[,split]; manifest=TABLE@IMAGES where they lie apart",
        };
        let splits: Vec<_> = layout.splits().iter().map(|split| split.name()).collect();
        writeln!(sink, "{:<14} {form}\n{:<14} splits: {}", layout.name(), "", splits.join(", "))?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}
