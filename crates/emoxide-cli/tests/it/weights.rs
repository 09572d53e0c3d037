//! Weights of other files: Paddle's through `models import`, and those that `train` starts from.

use serde_json::Value;

use crate::{err, out, root, run};

#[test]
fn a_paddle_file_becomes_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("face.safetensors").display().to_string();
    let file = root().join("crates/emoxide/tests/fixtures/paddle/v3-protocol-4.pdparams").display().to_string();
    let sets = [
        "network.stem_width=4",
        "network.widths=[4, 4, 6]",
        "network.units=[2, 1, 2]",
        "preprocess.width=16",
        "preprocess.height=16",
    ];
    let mut arguments = vec!["models", "import", &file, "--network", "ir18", "--classes", "happiness,neutral"];
    arguments.extend(["--drop-head", "-o", &path]);
    arguments.extend(sets.iter().flat_map(|set| ["--set", *set]));
    let made = run(&arguments);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert_eq!(run(&["models", "verify", &path]).status.code(), Some(0));

    // A checkpoint of ours is none of other programs.
    let again = run(&["models", "import", &path, "--network", "ir18", "--classes", "happiness,neutral", "-o", &path]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("an emoxide checkpoint already"), "{}", err(&again));
}

#[test]
fn a_run_starts_from_the_file_that_its_recipe_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, recipe) = (path("faces"), root().join("recipes/quick.toml").display().to_string());
    let drawn = run(&["data", "synth", "--layout", "folder", "--out", &data, "--per-class", "8"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    let source = format!("folder={data}");
    let train = |run_dir: &str, more: &[&str]| {
        let mut arguments = vec!["train", &recipe, "--data", &source, "--run-dir", run_dir, "--quiet"];
        arguments.extend(["--set", "schedule.epochs=1"]);
        arguments.extend(more);
        run(&arguments)
    };
    let (first, second) = (path("first"), path("second"));
    let output = train(&first, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(!err(&output).contains("weights from"), "{}", err(&output));

    let file = path("start.safetensors");
    fs_err::copy(format!("{first}/best/model.safetensors"), &file).unwrap();
    let start = format!("network.weights={file}");
    let output = train(&second, &["--set", &start]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains(&format!("weights from {file}: ")), "{}", err(&output));
    let model = format!("{second}/best/model.safetensors");
    let card: Value = serde_json::from_str(&out(&run(&["models", "info", &model, "--json"]))).unwrap();
    let started = &card["provenance"]["started_from"][0];
    assert_eq!((started["file"].as_str(), started["sha256"].as_str().unwrap().len()), (Some(file.as_str()), 64));
    let plain = out(&run(&["models", "info", &model]));
    assert!(plain.contains(&format!("started from {file}")), "{plain}");

    // What goes on has its weights in its own folder.
    fs_err::remove_file(&file).unwrap();
    let output = train(&second, &["--set", &start, "--resume"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));

    let third = path("third");
    let output = train(&third, &["--set", &start]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains(&file), "{}", err(&output));
    let listed = format!("network.weights=[{{file=\"{first}/best/model.safetensors\", part=\"trunk\"}}]");
    let output = train(&third, &["--set", &listed]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("the network has no part `trunk`"), "{}", err(&output));
    let output = train(&third, &["--set", "network.weights=7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("network.weights: is 7;"), "{}", err(&output));
    assert!(!std::path::Path::new(&third).exists(), "a refused run leaves nothing behind");
}
