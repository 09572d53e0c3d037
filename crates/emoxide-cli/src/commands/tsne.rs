//! `emoxide tsne`: the embeddings of source and target pictures on a plane, a panel a model.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use emoxide::device::{self, Device};
use emoxide::labels::{Classes, Expression};
use emoxide::weights::checkpoint::Card;
use emoxide::zoo;
use emoxide_train::data::{DataError, DataSet, DataSpec, LabelRule, Split};
use emoxide_train::recipe::Part;
use emoxide_train::report::{self, Embeddings, Group, Panel, Role};
use emoxide_train::train::embeddings;

use crate::{Finish, output, progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Model, `default` or a checkpoint, such as runs/NAME/epochs/0010.safetensors; repeat for a panel each
    #[arg(short, long, required = true)]
    model: Vec<String>,
    /// Data set that the models learnt on, drawn as circles
    #[arg(long, value_name = "NAME=DIR")]
    source: String,
    /// Data set that they did not learn on, drawn as crosses; repeat for several
    #[arg(long, value_name = "NAME=DIR")]
    target: Vec<String>,
    /// Split of the data sets: train, valid, test, public, private, all
    #[arg(long, default_value = "test")]
    split: Split,
    /// Split of the targets, where it is another
    #[arg(long, value_name = "SPLIT")]
    target_split: Option<Split>,
    /// How the votes of FER+ become labels: majority, argmax10, argmax8
    #[arg(long, default_value = "majority")]
    labels: LabelRule,
    /// Leave out a class of models and data, such as contempt; repeat for several
    #[arg(long)]
    drop: Vec<Expression>,
    /// Most pictures of a data set, drawn evenly over its classes
    #[arg(long, value_name = "PICTURES", default_value_t = 500)]
    limit: usize,
    /// About how many neighbours a picture has: below a third of all pictures
    #[arg(long, default_value_t = 30.0)]
    perplexity: f64,
    /// Which pictures are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Figure, .svg or .png, or table, .csv; repeat for several
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Vec<PathBuf>,
    /// Device: cpu, or a GPU backend of this build such as vulkan or cuda:0
    #[arg(short, long, default_value = device::default_name())]
    device: String,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    // Everything that can be refused comes before the first picture is looked at.
    let forms = arguments.output.iter().map(|path| Form::of(path)).collect::<Result<Vec<_>>>()?;
    let device = device::open(&arguments.device)?;
    let cards = arguments
        .model
        .iter()
        .map(|name| zoo::card(name).with_context(|| format!("--model {name}")))
        .collect::<Result<Vec<_>>>()?;
    let classes = classes(arguments, &cards)?;
    let sets = sets(arguments, &classes)?;
    let count = sets.iter().map(|(_, data)| data.len()).sum();
    report::check_perplexity(arguments.perplexity, count).context("--perplexity, --limit")?;

    let panels = panels(arguments, &cards, &sets, count, &device)?;
    let figure = Embeddings {
        title: if cards.iter().all(|card| card.name == cards[0].name) {
            cards[0].name.clone()
        } else {
            format!("{} models", cards.len())
        },
        subtitle: format!("embeddings by t-SNE, perplexity {}", arguments.perplexity),
        classes,
        groups: groups(&sets),
        panels,
    };
    for (path, form) in arguments.output.iter().zip(forms) {
        let bytes = match form {
            Form::Svg => figure.svg()?.into_bytes(),
            Form::Png => figure.png()?,
            Form::Csv => figure.csv()?,
        };
        fs_err::write(path, bytes)?;
    }
    let mut sink = output::open(None)?;
    for panel in &figure.panels {
        writeln!(sink, "{}: {count} pictures, KL divergence {:.4}", panel.title, panel.plane.divergence)?;
    }
    sink.flush()?;
    Ok(Finish::Done)
}

/// What is written into a file.
#[derive(Clone, Copy)]
enum Form {
    Svg,
    Png,
    Csv,
}

impl Form {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some("csv") => Ok(Self::Csv),
            _ => bail!("--output {}: end the name in .svg, .png or .csv", path.display()),
        }
    }
}

/// The classes of the figure: those of all models, in the order of the first, but for those that are left out.
fn classes(arguments: &Arguments, cards: &[Card]) -> Result<Classes> {
    let kept = |card: &Card| -> Result<Classes> {
        let known: Vec<Expression> = card.classes.iter().filter(|name| arguments.drop.contains(name)).collect();
        Ok(card.classes.without(&known)?)
    };
    let first = kept(&cards[0])?;
    for (card, name) in cards.iter().zip(&arguments.model) {
        let mapped = kept(card)?.map_to(&first);
        mapped
            .with_context(|| format!("--model {name}: the models have to agree; leave a class out with --drop NAME"))?;
    }
    Ok(first)
}

/// The pictures: of the source, then of every target.
fn sets(arguments: &Arguments, classes: &Classes) -> Result<Vec<(Role, DataSet)>> {
    let source = (Role::Source, &arguments.source, arguments.split);
    let target_split = arguments.target_split.unwrap_or(arguments.split);
    let targets = arguments.target.iter().map(|target| (Role::Target, target, target_split));
    let mut sets = Vec::new();
    let mut seen: Vec<(DataSpec, Split)> = Vec::new();
    for (role, text, split) in std::iter::once(source).chain(targets) {
        let option = || format!("--{} {text}", role.name());
        let spec: DataSpec = text.parse().with_context(option)?;
        let part = Part { set: spec.layout, split, labels: arguments.labels, bgr: false };
        let data = part.open(&spec, classes, &arguments.drop).map_err(|error| match error {
            DataError::Label(error) => anyhow!("{error}; leave a class out with --drop NAME"),
            error => error.into(),
        });
        let key = (spec, split);
        ensure!(!seen.contains(&key), "{}: its split {split} is named twice", option());
        seen.push(key);
        sets.push((role, data.with_context(option)?.drawn(arguments.limit, arguments.seed)));
    }
    Ok(sets)
}

/// What every model makes of the pictures; one model is in memory at a time.
fn panels(
    arguments: &Arguments,
    cards: &[Card],
    sets: &[(Role, DataSet)],
    count: usize,
    device: &Device,
) -> Result<Vec<Panel>> {
    let bar = progress::bar(count * cards.len(), "tsne", arguments.quiet);
    let mut panels = Vec::new();
    for (name, title) in arguments.model.iter().zip(titles(&arguments.model, cards)) {
        let model = zoo::open(name, device)?;
        let mut rows = Vec::with_capacity(count);
        for (_, data) in sets {
            rows.extend(embeddings(&model, data, &mut |done| progress::advance(&bar, done))?);
        }
        let plane = report::tsne(&rows, arguments.perplexity).with_context(|| format!("--model {name}"))?;
        panels.push(Panel { model: name.clone(), title, plane });
    }
    bar.finish_and_clear();
    Ok(panels)
}

/// What stands above the panels: the epochs, where the models are epochs of one run, with the files' names where an epoch
/// is there twice; otherwise the models' names, or the files'; the models as they were named where all that is not enough.
fn titles(models: &[String], cards: &[Card]) -> Vec<String> {
    let stem = |model: &String| Some(Path::new(model).file_stem()?.to_string_lossy().into_owned());
    let names: Vec<String> = cards.iter().map(|card| card.name.clone()).collect();
    let one_run = cards.iter().all(|card| card.name == names[0] && card.provenance.epoch > 0);
    let epochs: Vec<String> = cards.iter().map(|card| format!("epoch {}", card.provenance.epoch)).collect();
    let stems: Vec<String> = models.iter().map(|model| stem(model).unwrap_or_else(|| model.clone())).collect();
    let both = epochs.iter().zip(&stems).map(|(epoch, stem)| format!("{epoch}, {stem}")).collect();
    let candidates = if one_run { [epochs, both] } else { [names, stems] };
    candidates.into_iter().find(|titles| all_differ(titles)).unwrap_or_else(|| models.to_vec())
}

fn all_differ(names: &[String]) -> bool {
    (1..names.len()).all(|index| !names[..index].contains(&names[index]))
}

/// The sets of the figure; those of the same layout and split are told apart by their places in the command line.
fn groups(sets: &[(Role, DataSet)]) -> Vec<Group> {
    let name = |data: &DataSet| format!("{} {}", data.name, data.split);
    let numbered = |index: usize| {
        let own = name(&sets[index].1);
        let alike = |sets: &[(Role, DataSet)]| sets.iter().filter(|(_, data)| name(data) == own).count();
        if alike(sets) > 1 { format!("{own} ({})", 1 + alike(&sets[..index])) } else { own }
    };
    let group = |(index, (role, data)): (usize, &(Role, DataSet))| Group {
        role: *role,
        name: numbered(index),
        files: data.samples.iter().map(|sample| sample.name.clone()).collect(),
        labels: data.class_indices(),
    };
    sets.iter().enumerate().map(group).collect()
}
