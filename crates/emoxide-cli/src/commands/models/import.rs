//! `emoxide models import`: weights of other programs become a checkpoint.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use emoxide::device;
use emoxide::labels::Classes;
use emoxide::models::NetworkConfig;
use emoxide::preprocess::{Alignment, DetectorConfig, Preprocess};
use emoxide::weights::checkpoint::{Card, Licence, Provenance};
use emoxide::weights::start::Start;
use emoxide::weights::{self, Head, KEY_MAPS};
use emoxide::zoo::{self, Model};
use emoxide_train::settings;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{Finish, output};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// PyTorch state dict (.pth, .pt), Paddle state dict (.pdparams, .pdiparams), Google's arrays (.npz) or safetensors file
    file: PathBuf,
    /// Architecture, one of `emoxide models list`
    #[arg(long, value_name = "NAME")]
    network: String,
    /// What the file's outputs mean, in its order: names with commas between. It cannot be read off the file
    #[arg(long, value_name = "A,B,C")]
    classes: String,
    /// Change a setting of the network, its input or how faces are found and cut out for it, such as
    /// preprocess.width=112 or alignment.kind=none; repeat for several
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// How the file names its tensors; by default paddle for Paddle's own files, google for arrays and
    /// pytorch for all others
    #[arg(long, value_name = "NAMING", value_parser = namings())]
    keys: Option<String>,
    /// Fill a part of the network, which the file has nothing of, from another file, such as clip=ViT-B-32.pt; repeat for
    /// several
    #[arg(long, value_name = "PART=FILE", value_parser = pair)]
    part: Vec<(String, String)>,
    /// How the file of such a part names its tensors, such as clip=clip-hf; repeat for several
    #[arg(long, value_name = "PART=NAMING", value_parser = pair)]
    part_keys: Vec<(String, String)>,
    /// Leave the file's classifier out: the checkpoint gets a fresh one and is there to start training from
    #[arg(long)]
    drop_head: bool,
    /// Checkpoint to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (part, value) = text.split_once('=').ok_or("write the part, `=` and its value")?;
    Ok((part.to_owned(), value.to_owned()))
}

/// The files of parts, each with its naming.
fn parts(files: &[(String, String)], namings: &[(String, String)]) -> Result<Vec<Start>> {
    if let Some((part, _)) = namings.iter().find(|(part, _)| files.iter().all(|(other, _)| other != part)) {
        bail!("--part-keys {part}: no `--part {part}=FILE` names its file");
    }
    let start = |(part, file): &(String, String)| Start {
        part: Some(part.clone()),
        keys: namings.iter().find(|(of, _)| of == part).map(|(_, naming)| naming.clone()),
        ..Start::new(file)
    };
    Ok(files.iter().map(start).collect())
}

pub(super) fn namings() -> clap::builder::PossibleValuesParser {
    let value = |map: &weights::KeyMap| clap::builder::PossibleValue::new(map.name).help(map.about);
    KEY_MAPS.iter().map(value).collect::<Vec<_>>().into()
}

/// What a file of weights does not say of itself; `--set` reaches every key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    mirror: bool,
    temperature: f32,
    network: NetworkConfig,
    preprocess: Preprocess,
    alignment: Alignment,
    detector: DetectorConfig,
    licence: Licence,
}

impl Settings {
    fn of(architecture: &zoo::Entry, file: &Path, overrides: &[String]) -> Result<Self> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let unknown = "unknown: ask whoever made the file";
        let defaults = Self {
            name: format!("{}.{stem}", architecture.name),
            mirror: false,
            temperature: 1.0,
            network: architecture.network.clone(),
            preprocess: architecture.preprocess.clone(),
            alignment: architecture.alignment.clone(),
            detector: DetectorConfig::default(),
            licence: Licence { weights: unknown.to_owned(), data: unknown.to_owned() },
        };
        let mut table = Table::try_from(defaults)?;
        settings::set_all(&mut table, overrides)?;
        Value::Table(table).try_into().context("--set")
    }
}

/// Seeds the fresh classifier of a backbone, so that equal commands give equal weights.
const SEED: u64 = 0;

pub(super) fn run(arguments: &Arguments) -> Result<Finish> {
    let Arguments { file, network, classes, set, keys, part, part_keys, drop_head, output } = arguments;
    let architectures = zoo::architectures();
    let Some(architecture) = architectures.iter().find(|entry| entry.name == network) else {
        let known: Vec<_> = architectures.iter().map(|entry| entry.name).collect();
        bail!("--network {network}: no such architecture; there are {}", known.join(", "));
    };
    let classes = Classes::from_names(classes.split(',')).context("--classes")?;
    let settings = Settings::of(architecture, file, set)?;
    let parts = parts(part, part_keys)?;
    let mut card = Card {
        name: settings.name,
        network: settings.network,
        classes,
        preprocess: settings.preprocess,
        alignment: settings.alignment,
        detector: settings.detector,
        mirror: settings.mirror,
        temperature: settings.temperature,
        provenance: Provenance {
            imported_from: Some((file.display().to_string(), weights::fingerprint(file)?)),
            ..Provenance::default()
        },
        results: Vec::new(),
        licence: settings.licence,
    };
    card.validate().context("--set")?;
    let device = device::open(device::default_name())?;
    device.seed(SEED);
    let head = if *drop_head { Head::Drop } else { Head::Keep };
    let (classes, keys) = (card.classes.len(), keys.as_deref());
    let (network, started) = weights::import_parts(file, &card.network, classes, keys, head, &parts, &device)?;
    card.provenance.started_from = started;
    let model = Model::new(&network, card, device);
    model.save(output)?;
    output::say(&format!("{}: {}, {} parameters", output.display(), model.card().name, model.parameters()));
    Ok(Finish::Done)
}
