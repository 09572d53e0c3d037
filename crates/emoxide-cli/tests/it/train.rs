//! `train`, `eval`, `data`: a run on drawn faces, killed and resumed.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::{emoxide, err, out, root, run};

fn quick(data: &Path, run_dir: &Path, more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["train".to_owned(), root().join("recipes/quick.toml").display().to_string()];
    arguments.extend(["--data".to_owned(), format!("folder={}", data.display())]);
    arguments.extend(["--run-dir".to_owned(), run_dir.display().to_string(), "--quiet".to_owned()]);
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    arguments
}

fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// `metrics.csv` without the one column that holds wall time.
fn metrics(run_dir: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(run_dir.join("metrics.csv")).unwrap();
    text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

#[test]
fn a_killed_run_resumes_to_the_numbers_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    let drawn =
        run(&["data", "synth", "--layout", "folder", "--out", &data.display().to_string(), "--per-class", "40"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    let set = ["--set", "schedule.epochs=3", "--set", "network.dropout=0.2"];

    let whole = folder.path().join("whole");
    let output = run(&texts(&quick(&data, &whole, &set)));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));

    let killed = folder.path().join("killed");
    let mut child = emoxide(&texts(&quick(&data, &killed, &set))).stderr(std::process::Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !killed.join("state/progress.json").exists() {
        assert!(begun.elapsed() < Duration::from_mins(5), "the first epoch never ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Somewhere within the second epoch.
    std::thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();

    let mut resume = set.to_vec();
    resume.push("--resume");
    let output = run(&texts(&quick(&data, &killed, &resume)));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(metrics(&killed), metrics(&whole));
    assert_eq!(metrics(&whole).len(), 4);
    for file in ["last/model.safetensors", "predictions.csv", "confusion.csv", "confusion.svg", "environment.json"] {
        assert!(killed.join(file).exists(), "{file}");
    }
    let [one, two] = [&killed, &whole].map(|run| fs_err::read(run.join("predictions.csv")).unwrap());
    assert_eq!(one, two, "the predictions differ");

    let model = killed.join("best/model.safetensors").display().to_string();
    let source = format!("folder={}", data.display());
    let output = run(&["eval", "--model", &model, "--data", &source, "--split", "test", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let figures: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        figures["n"].as_u64().unwrap(),
        figures["confusion"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap())
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>()
    );
    assert!(figures["interval"][0].as_f64() <= figures["accuracy"].as_f64());

    let again = run(&texts(&quick(&data, &killed, &set)));
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("--resume"), "{}", err(&again));
    let changed = run(&texts(&quick(&data, &killed, &["--resume", "--set", "optimiser.rate=0.01"])));
    assert_eq!(changed.status.code(), Some(1));
    assert!(err(&changed).contains("another recipe"), "{}", err(&changed));
}

#[test]
fn drawn_faces_are_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    let drawn =
        run(&["data", "synth", "--layout", "folder", "--out", &data.display().to_string(), "--per-class", "100"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    let run_dir = folder.path().join("run");
    let output = run(&texts(&quick(&data, &run_dir, &[])));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let rows = metrics(&run_dir);
    let last: Vec<&str> = rows.last().unwrap().split(',').collect();
    let column = rows[0].split(',').position(|name| name == "select_accuracy").unwrap();
    let accuracy: f64 = last[column].parse().unwrap();
    assert!(accuracy > 0.45, "chance is 0.14; got {accuracy}");
}

#[test]
fn recipes_and_data_that_cannot_work_are_refused() {
    struct Case<'a> {
        arguments: Vec<&'a str>,
        said: &'a str,
    }

    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("typo.toml");
    let base = root().join("recipes/default.toml").display().to_string();
    fs_err::write(&recipe, format!("base = ['{base}']\n[run]\nbach_size = 3\n")).unwrap();
    let recipe = recipe.display().to_string();
    let default = root().join("recipes/default.toml").display().to_string();
    let nowhere = format!("ferplus={}", folder.path().join("nowhere").display());
    let run_dir = folder.path().join("run").display().to_string();
    let cases = [
        Case { arguments: vec!["train", &recipe], said: "bach_size" },
        Case { arguments: vec!["train", "nowhere.toml"], said: "nowhere.toml" },
        Case { arguments: vec!["train", &default, "--run-dir", &run_dir], said: "--data ferplus=DIR" },
        Case { arguments: vec!["train", &default, "--data", &nowhere, "--run-dir", &run_dir], said: "nowhere" },
        Case { arguments: vec!["train", &default, "--set", "schedule.epochs=0"], said: "at least one epoch" },
        Case { arguments: vec!["train", &default, "--set", "run.seed"], said: "section.key=value" },
        Case { arguments: vec!["train", &default, "--data", "moon=x"], said: "moon" },
        Case { arguments: vec!["eval", "--data", &nowhere], said: "nowhere" },
    ];
    for Case { arguments, said } in cases {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
}
