//! Every family of networks learns to tell drawn faces apart, and what it learned is what is served.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use emoxide::models::NetworkConfig;
use serde_json::Value;

use crate::train::{killed_and_resumed, metrics, quick, texts};
use crate::{err, out, run};

macro_rules! trunk {
    () => {
        "base={stem='compact', stem_width=16, widths=[16, 32, 64], blocks=[1, 1, 1], first_stride=2}"
    };
}

/// Family, settings of the network, and others that differ from those of the recipe.
pub(crate) const FAMILIES: &[(&str, &str, &[&str])] = &[
    ("ir", "kind='ir', input_channels=1, stem_width=16, widths=[16, 32, 64], units=[1, 1, 1]", &[]),
    (
        "alexnet",
        "kind='alexnet', widths=[16, 32, 32, 32, 32], hidden=64, dropout=0.0",
        &["data.preprocess.width=64", "data.preprocess.height=64", "schedule.epochs=10"],
    ),
    ("vgg", "kind='vgg', image_size=48, widths=[8, 16, 32, 32], hidden=64, dropout=0.1", &["schedule.epochs=6"]),
    (
        "local-transformer",
        "kind='local-transformer', base={kind='resnet', stem='compact', stem_width=16, widths=[16, 32, 64], blocks=[1, 1, 1], \
         first_stride=2}, local_width=32, depth=1, heads=4, hidden=64, dropout=0.0, local_drop={kind='map', rate=0.3}",
        &["optimiser.rate=1e-3"],
    ),
    (
        "local-transformer, plain",
        "kind='local-transformer', base={kind='plain', widths=[16, 32, 32]}, local_width=32, depth=1, heads=4, hidden=64, \
         dropout=0.0, local_drop={rate=0.2}",
        &[],
    ),
    (
        "dacl-attention",
        concat!("kind='dacl-attention', image_size=48, attention_width=8, ", trunk!()),
        &["schedule.epochs=8"],
    ),
    ("dacl", DACL, &[CENTRES, "schedule.epochs=8"]),
    (
        "transfer",
        "kind='transfer', input_channels=1, image_size=48, stem_width=16, widths=[16, 32, 64], units=[1, 1, 1], width=32, \
         depth=1, heads=2, hidden=64",
        &["schedule.epochs=32", "optimiser={kind='sgd', rate=0.1, momentum=0.9}", "run.batch_size=16"],
    ),
    ("pcm", PCM, &["objective={kind='parallel'}", "run.select_by=mean-class-accuracy", "schedule.epochs=6"]),
    ("cafe", CAFE, &[CHANNELS, "schedule.epochs=8"]),
    (
        "involution-vit",
        "kind='involution-vit', input_channels=1, image_size=64, rednet={stem_width=16, widths=[8, 16, 16, 32], \
         blocks=[1, 1, 1, 1], kernel=3, group=8}, vit={hybrid={root_width=8, widths=[8, 8, 16], units=[1, 1, 1], groups=4}, \
         width=32, depth=1, heads=2, hidden=64, dropout=0.0}, fusion={projected=32, width=32}",
        &[
            "data.preprocess.width=64",
            "data.preprocess.height=64",
            "schedule.epochs=8",
            "optimiser={kind='adamw', rate=2e-3}",
            "run.batch_size=16",
        ],
    ),
];

const DACL: &str = concat!("kind='dacl', input_channels=1, image_size=48, attention_widths=[64, 32, 16], ", trunk!());
const PCM: &str = "kind='pcm', input_channels=1, base={kind='ir', stem_width=16, widths=[16, 32, 64], units=[1, 1, 1]}, \
                   branches=3, width=16";
/// The tower is drawn and frozen.
const CAFE: &str = "kind='cafe', input_channels=1, image_size=48, backbone={kind='resnet', stem='compact', stem_width=16, \
     widths=[16, 32, 64], blocks=[1, 1, 1], first_stride=2}, clip={patch=16, width=32, depth=1, heads=2, hidden=64, \
     embedding=70}";
const CHANNELS: &str = "objective={kind='channel-separation', drop=1}";
const CENTRES: &str = "objective={kind='sparse-centre'}";

/// The residual network of the recipe itself is trained by the other tests.
#[test]
fn every_family_is_trained() {
    let error = serde_json::from_str::<NetworkConfig>(r#"{"kind": "none"}"#).unwrap_err().to_string();
    let families: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    let trained = FAMILIES.iter().map(|(_, network, _)| network.split('\'').nth(1).unwrap());
    let trained: BTreeSet<&str> = trained.chain(["resnet"]).collect();
    assert_eq!(families, trained);
}

pub(crate) fn draw(data: &Path, per_class: &str) {
    let drawn =
        run(&["data", "synth", "--layout", "folder", "--out", &data.display().to_string(), "--per-class", per_class]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    serde_json::from_str(&out(output)).unwrap()
}

#[test]
fn every_family_learns_drawn_faces_and_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    draw(&data, "100");
    for (index, (family, network, others)) in FAMILIES.iter().enumerate() {
        let run_dir = folder.path().join(format!("run{index}"));
        let network = format!("network={{{network}}}");
        let sets: Vec<&str> = [network.as_str()].iter().chain(*others).flat_map(|set| ["--set", *set]).collect();
        let output = run(&texts(&quick(&data, &run_dir, &sets)));
        assert_eq!(output.status.code(), Some(0), "{family}: {}", err(&output));

        let model = run_dir.join("best/model.safetensors").display().to_string();
        let figures =
            json(&run(&["eval", "--model", &model, "--data", &format!("folder={}", data.display()), "--json"]));
        let accuracy = figures["accuracy"].as_f64().unwrap();
        println!("{family}: {accuracy:.3}");
        // Chance is 14 % of 175 pictures, with a deviation of 2.6 %.
        assert!(accuracy > 0.35, "{family}: {accuracy}");

        let table = fs_err::read_to_string(run_dir.join("predictions.csv")).unwrap();
        let mut lines = table.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').skip(3).collect();
        let row: Vec<&str> = lines.next().unwrap().split(',').collect();
        let picture = data.join(row[0]).display().to_string();
        let served = run(&["predict", &picture, "--model", &model, "--detector", "none", "--format", "json"]);
        let face = json(&served)[0]["faces"][0].clone();
        for (name, expected) in names.iter().zip(&row[3..]) {
            let (found, expected) = (face["probabilities"][name].as_f64().unwrap(), expected.parse::<f64>().unwrap());
            assert!((found - expected).abs() < 1e-3, "{family}, {name}: {found} is served, {expected} was measured");
        }
    }
}

/// The centres of the classes are part of what a run leaves behind.
#[test]
fn a_killed_run_with_centres_resumes_to_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    draw(&data, "40");
    let network = format!("network={{{DACL}}}");
    killed_and_resumed(folder.path(), &data, &["--set", &network, "--set", CENTRES, "--set", "schedule.epochs=3"]);
}

#[test]
fn what_speaks_against_a_recipe_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run_dir) = (folder.path().join("faces"), folder.path().join("run"));
    draw(&data, "10");
    let network = format!("network={{{PCM}}}");
    let sets = [
        network.as_str(),
        "objective={kind='parallel', orthogonality={reading='paper-literal'}}",
        "run.select_by=mean-class-accuracy",
        "optimiser.factors={backbone=0.1}",
        "schedule.epochs=1",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let output = run(&texts(&quick(&data, &run_dir, &sets)));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let told = err(&output);
    assert!(told.contains("warning: objective.orthogonality.reading = \"paper-literal\" has no lower bound"), "{told}");
    let model = run_dir.join("best/model.safetensors").display().to_string();
    let card = json(&run(&["models", "info", &model, "--json"]));
    assert_eq!(card["provenance"]["selected_on"], "folder valid, by mean class accuracy", "{card}");

    let unknown = [sets.as_slice(), &["--set", "optimiser.factors={trunk=0.1}"]].concat();
    let output = run(&texts(&quick(&data, &folder.path().join("other"), &unknown)));
    assert!(err(&output).contains("`optimiser.factors` is trunk; "), "{}", err(&output));
}

/// What is dropped is drawn anew with every step, and the tower stays as it was.
#[test]
fn a_killed_run_with_a_frozen_part_resumes_to_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    draw(&data, "40");
    let network = format!("network={{{CAFE}}}");
    let sets = ["--set", &network, "--set", CHANNELS, "--set", "schedule.epochs=3"];
    let killed = killed_and_resumed(folder.path(), &data, &sets);

    // The same run where the tower sees no picture twice.
    let cached = folder.path().join("cached");
    let output = run(&texts(&quick(&data, &cached, &[&sets[..], &["--set", "run.frozen_cache=1"]].concat())));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(metrics(&cached), metrics(&killed));
    let [one, two] = [&cached, &killed].map(|run| fs_err::read(run.join("predictions.csv")).unwrap());
    assert!(one == two, "the predictions differ");

    let network = format!("network={{{CAFE}, weights='nowhere.pth'}}");
    let told = |network: &str, run_dir: &str| {
        let run_dir = folder.path().join(run_dir);
        let sets = ["--set", network, "--set", CHANNELS, "--set", "schedule.epochs=1"];
        err(&run(&texts(&quick(&data, &run_dir, &sets)))).contains("`clip` is frozen and keeps random weights")
    };
    assert!(told(&format!("network={{{CAFE}}}"), "told") && !told(&network, "refused"));
}
