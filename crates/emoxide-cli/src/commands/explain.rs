//! `emoxide explain`: where a network looks in faces, as pictures.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use emoxide::explain::{KINDS, Map, colour, looked_at, overlay};
use emoxide::image::{Limits, RgbImage};
use emoxide::labels::Expression;
use emoxide::recognizer::{Face, Options, Recognizer};
use emoxide::zoo::Model;

use crate::commands::computing::Computing;
use crate::commands::detecting::Detecting;
use crate::inputs::{Stems, expand};
use crate::sheet::{Group, Sheet, Tile, scaled};
use crate::{Finish, output, progress};

const SIDE: u32 = 144;
const COLUMNS: usize = 6;

/// What is shown of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Its own maps of attention that lie as the picture does: one a branch; of a transformer what the class token looks at
    #[value(alias = "attention")]
    Branches,
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
    /// What is shown
    #[arg(long, value_enum, default_value = "branches")]
    method: Method,
    /// Folder for the pictures, one a face
    #[arg(short, long, value_name = "DIR", default_value = "explained")]
    out: PathBuf,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Finish> {
    let Method::Branches = arguments.method;
    let model = arguments.computing.open()?;
    check(&arguments.computing.model, &model)?;
    let detector = arguments.detecting.open(&model)?;
    let recognizer = Recognizer::new(detector, model, Options::default())?;
    fs_err::create_dir_all(&arguments.out)?;

    let inputs = expand(&arguments.inputs);
    let bar = progress::bar(inputs.len(), "explain", arguments.quiet || output::is_terminal() || inputs.len() < 2);
    let mut sink = output::open(None)?;
    let (mut stems, mut skipped) = (Stems::default(), 0);
    for input in &inputs {
        let mut skip = |reason: &str| {
            skipped += 1;
            bar.suspend(|| output::say(&format!("skipped {}: {reason}", input.name())));
        };
        match input.picture(&Limits::default()) {
            Ok(image) => {
                let stem = stems.of(&input.name());
                let images = [image];
                let crops = recognizer.crops(&images);
                let [faces] = <[Vec<Face>; 1]>::try_from(recognizer.recognise_crops(&images, &crops))
                    .expect("one list of faces a picture");
                if faces.is_empty() {
                    skip("no face found");
                }
                for (crop, face) in crops.iter().zip(&faces) {
                    let path = arguments.out.join(format!("{stem}-face{}.png", face.face_id));
                    let title = format!("{stem}, face {}: {}", face.face_id, verdict(face));
                    output::picture(&sheet(title, recognizer.model(), &crop.image).draw(), &path)?;
                    writeln!(sink, "{}  {}", path.display(), verdict(face))?;
                }
                sink.flush()?;
            }
            Err(reason) => skip(&reason),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if skipped == 0 {
        return Ok(Finish::Done);
    }
    output::say(&format!("{skipped} of {} inputs skipped", inputs.len()));
    Ok(Finish::Skipped)
}

/// The answer of highest probability.
fn verdict(face: &Face) -> String {
    let name = face.dominant_emotion.map_or("uncertain", Expression::name);
    let probability = face.probabilities.top().map_or(0.0, |(_, probability)| probability);
    format!("{name} {:.1} %", 100.0 * probability)
}

/// Refuses a network that has nothing to show, and names what it has and does not show.
fn check(name: &str, model: &Model) -> Result<()> {
    let card = model.card();
    let blank = RgbImage::new(card.preprocess.width, card.preprocess.height);
    let (found, left_out) = looked_at(model, &blank);
    let left_out: Vec<String> = left_out
        .chunk_by(|one, other| one.reason == other.reason)
        .map(|alike| {
            let names: Vec<&str> = alike.iter().map(|left_out| left_out.name.as_str()).collect();
            format!("{} ({})", names.join(", "), alike[0].reason)
        })
        .collect();
    if found.is_empty() {
        let kind = serde_json::to_value(&card.network)?["kind"].as_str().unwrap_or_default().to_owned();
        let has = if left_out.is_empty() { "no attention".to_owned() } else { format!("only {}", left_out.join(", ")) };
        let kinds: Vec<String> = KINDS
            .iter()
            .map(|(kind, setting)| if setting.is_empty() { (*kind).to_owned() } else { format!("{kind} ({setting})") })
            .collect();
        bail!(
            "--model {name}: nothing shows where this network looks: its kind is {kind}, and it has {has}; kinds that show \
             it: {}",
            kinds.join(", ")
        );
    }
    if !left_out.is_empty() {
        output::say(&format!("not shown: {}", left_out.join(", ")));
    }
    Ok(())
}

/// The face as the network is given it, and beside it where the network looks.
fn sheet(title: String, model: &Model, face: &RgbImage) -> Sheet {
    let (found, _) = looked_at(model, face);
    let face = scaled(face, SIDE);
    let mut groups: Vec<Group> = Vec::new();
    let mut alone = false;
    for maps in found {
        // Maps that are the only ones of their name share rows.
        let joins = maps.len() == 1 && alone;
        alone = maps.len() == 1;
        let tiles = maps.iter().map(|map| tile(&face, map));
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.tiles.extend(tiles),
            None => groups.push(Group { heading: None, tiles: tiles.collect() }),
        }
    }
    let size = &model.card().preprocess;
    Sheet {
        title,
        notes: vec![format!("where {} looks; below each map its name, lowest and highest value", model.card().name)],
        legend: Some(("lowest".to_owned(), bar(), "highest value of the map".to_owned())),
        lead: Some(Tile {
            image: face.clone(),
            strip: Vec::new(),
            captions: vec!["face".to_owned(), format!("{}×{}", size.width, size.height)],
        }),
        groups,
        side: SIDE,
        columns: COLUMNS,
    }
}

fn tile(face: &RgbImage, map: &Map) -> Tile {
    let (low, high) = map.range();
    let captions = vec![map.name.clone(), format!("{} – {}", number(low), number(high))];
    Tile { image: overlay(face, map), strip: Vec::new(), captions }
}

/// Four places behind the point, or a power of ten where these would be next to nothing.
fn number(value: f32) -> String {
    if value == 0.0 || value.abs() >= 1e-3 { format!("{value:.4}") } else { format!("{value:.2e}") }
}

/// The colours of the maps, from the lowest value on.
fn bar() -> RgbImage {
    RgbImage::from_fn(160, 14, |x, _| image::Rgb(colour(x as f32 / 159.0)))
}
