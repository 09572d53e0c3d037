//! `train`, `eval`, `data`: a run on drawn faces, killed and resumed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{emoxide, err, out, root, run};

pub(crate) fn quick(data: &Path, run_dir: &Path, more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["train".to_owned(), root().join("recipes/quick.toml").display().to_string()];
    arguments.extend(["--data".to_owned(), format!("folder={}", data.display())]);
    arguments.extend(["--run-dir".to_owned(), run_dir.display().to_string(), "--quiet".to_owned()]);
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    arguments
}

pub(crate) fn texts(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// `metrics.csv` without the one column that holds wall time.
pub(crate) fn metrics(run_dir: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(run_dir.join("metrics.csv")).unwrap();
    text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

/// Trains three epochs, then the same again with a kill in the second and a resume; the folder of the latter.
pub(crate) fn killed_and_resumed(folder: &Path, data: &Path, set: &[&str]) -> PathBuf {
    let whole = folder.join("whole");
    let output = run(&texts(&quick(data, &whole, set)));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));

    let killed = folder.join("killed");
    let mut child = emoxide(&texts(&quick(data, &killed, set))).stderr(std::process::Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !killed.join("state/progress.json").exists() {
        assert!(begun.elapsed() < Duration::from_mins(5), "the first epoch never ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Somewhere within the second epoch.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("predictions.csv").exists(), "the run was over before it was killed");

    let resume = [set, &["--resume"]].concat();
    let output = run(&texts(&quick(data, &killed, &resume)));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(metrics(&killed), metrics(&whole));
    assert_eq!(metrics(&whole).len(), 4);
    for file in ["last/model.safetensors", "predictions.csv", "confusion.csv", "confusion.svg", "environment.json"] {
        assert!(killed.join(file).exists(), "{file}");
    }
    let [one, two] = [&killed, &whole].map(|run| fs_err::read(run.join("predictions.csv")).unwrap());
    assert_eq!(one, two, "the predictions differ");
    killed
}

#[test]
fn a_killed_run_resumes_to_the_numbers_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    let drawn =
        run(&["data", "synth", "--layout", "folder", "--out", &data.display().to_string(), "--per-class", "40"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    let set = ["--set", "schedule.epochs=3", "--set", "network.dropout=0.2", "--set", "run.keep_every=2"];

    let killed = killed_and_resumed(folder.path(), &data, &set);
    let resume = [&set[..], &["--resume"]].concat();
    let kept = |run: &str| {
        let files: Vec<PathBuf> = fs_err::read_dir(folder.path().join(run).join("epochs"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert!(matches!(&files[..], [file] if file.ends_with("0002.safetensors")), "{files:?}");
        // The header lists what is said of the tensors in no particular order.
        let bytes = fs_err::read(&files[0]).unwrap();
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
        (serde_json::from_slice::<serde_json::Value>(header).unwrap(), tensors.to_vec())
    };
    assert!(kept("killed") == kept("whole"), "the checkpoints that are kept differ");

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

    let other = fs_err::File::create(killed.join("run.lock")).unwrap();
    other.lock().unwrap();
    for more in [&set[..], &resume[..]] {
        let busy = run(&texts(&quick(&data, &killed, more)));
        assert_eq!(busy.status.code(), Some(1));
        assert!(err(&busy).contains("a run goes on in this folder"), "{}", err(&busy));
    }
}

#[test]
fn a_run_does_not_resume_on_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |name: &str, seed: &str| {
        let data = folder.path().join(name);
        let out = data.display().to_string();
        let drawn = run(&["data", "synth", "--layout", "folder", "--out", &out, "--per-class", "8", "--seed", seed]);
        assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
        data
    };
    let (first, run_dir) = (draw("first", "1"), folder.path().join("run"));
    let command = quick(&first, &run_dir, &["--set", "schedule.epochs=1", "--resume"]);
    let output = run(&texts(&command));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("run holds no run to resume: a new one begins"), "{}", err(&output));
    let figures = out(&output);
    assert!(figures.contains("7 classes") && figures.contains("epoch chosen on folder valid"), "{figures}");

    let mut fewer = fs_err::read_dir(first.join("train/happiness")).unwrap();
    fs_err::remove_file(fewer.next().unwrap().unwrap().path()).unwrap();
    let output = run(&texts(&command));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("other pictures or labels in train"), "{}", err(&output));
    let starts = fs_err::read_to_string(run_dir.join("environment.json")).unwrap();
    let starts: Vec<serde_json::Value> = serde_json::from_str(&starts).unwrap();
    assert_eq!(starts.len(), 1, "a refused start is none");
}

#[test]
fn splits_that_share_pictures_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("faces");
    let drawn = run(&["data", "synth", "--layout", "folder", "--out", &data.display().to_string(), "--per-class", "8"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    let run_dir = folder.path().join("run");
    for set in ["data.select={set='folder',split='test'}", "data.train={set='folder',split='all'}"] {
        let output = run(&texts(&quick(&data, &run_dir, &["--set", set])));
        assert_eq!(output.status.code(), Some(1), "{set}");
        assert!(err(&output).contains("figures would be too good"), "{}", err(&output));
    }
    assert!(!run_dir.exists(), "a refused run leaves nothing behind");
}

#[test]
fn fer2013_and_fer_plus_share_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let [fer2013, ferplus] = ["fer2013", "ferplus"].map(|layout| {
        let out = folder.path().join(layout).display().to_string();
        let drawn = run(&["data", "synth", "--layout", layout, "--out", &out, "--per-class", "4"]);
        assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
        format!("{layout}={out}")
    });
    let recipe = root().join("recipes/default.toml").display().to_string();
    let run_dir = folder.path().join("run").display().to_string();
    let mut arguments = vec!["train", &recipe, "--run-dir", &run_dir, "--data", &fer2013, "--data", &ferplus];
    arguments.extend(["--set", "data.test=[{set='fer2013',split='test'}]", "--set", "data.drop=['contempt']"]);
    let seven = "data.classes=['anger','disgust','fear','happiness','sadness','surprise','neutral']";
    arguments.extend(["--set", seven]);
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = "ferplus valid and fer2013 test are both of the PublicTest pictures of FER2013";
    assert!(err(&output).contains(said), "{}", err(&output));
}

#[test]
fn a_check_that_could_not_read_everything_says_so_in_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("faces.csv");
    fs_err::write(&table, "path,label,split\na.png,sad,train\nb.png,happy,test\n").unwrap();
    let data = format!("manifest={}", table.display());
    let code = || run(&["data", "check", &data]).status.code();
    let draw = |name: &str| image::GrayImage::new(48, 48).save(folder.path().join(name)).unwrap();
    assert_eq!(code(), Some(1), "nothing can be read");
    draw("a.png");
    assert_eq!(code(), Some(3), "one split of two can be read");
    draw("b.png");
    assert_eq!(code(), Some(0));
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
        Case { arguments: vec!["train", &default, "--set", "run.max_steps=0"], said: "at least one step" },
        Case { arguments: vec!["train", &default, "--set", "run.keep_every=0"], said: "1 keeps every epoch" },
        Case {
            arguments: vec!["train", &default, "--set", "objective={kind='sparse-centre'}"],
            said: "this objective wants single classes",
        },
        Case {
            arguments: vec!["train", &default, "--set", "data.preprocess.resize={width=40,height=50}"],
            said: "data.preprocess.resize is 40x50",
        },
        Case {
            arguments: vec!["train", &default, "--set", "augment={test=true,image=[],tensor=[]}"],
            said: "lists no operation",
        },
        Case { arguments: vec!["train", &default, "--set", "run.seed"], said: "section.key=value" },
        Case { arguments: vec!["train", &default, "--set", "optimiser.clip_norm=0"], said: "clip_norm" },
        Case { arguments: vec!["train", &default, "--set", "optimiser.momentum=0"], said: "nesterov" },
        Case { arguments: vec!["train", &default, "--set", "network.input_channels=3"], said: "takes 3 channel(s)" },
        Case {
            arguments: vec!["train", &default, "--set", "data.detector={kind='mtcnn',min_face=3}"],
            said: "data.detector.min_face is 3",
        },
        Case { arguments: vec!["train", &default, "--data", "moon=x"], said: "moon" },
        Case { arguments: vec!["eval", "--data", &nowhere], said: "nowhere" },
    ];
    for Case { arguments, said } in cases {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
}
