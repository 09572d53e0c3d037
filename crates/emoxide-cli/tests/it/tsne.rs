//! `tsne`: embeddings on a plane, a panel a kept epoch.

use std::path::Path;

use crate::train::{quick, texts};
use crate::{err, out, run};

/// Draws faces into a folder; what `--source` and `--target` take.
fn faces(folder: &Path, name: &str, seed: &str) -> String {
    let out = folder.join(name).display().to_string();
    let drawn = run(&["data", "synth", "--layout", "folder", "--out", &out, "--per-class", "20", "--seed", seed]);
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    format!("folder={out}")
}

#[test]
fn kept_epochs_become_panels() {
    let folder = tempfile::tempdir().unwrap();
    let source = faces(folder.path(), "source", "1");
    let target = faces(folder.path(), "target", "2");
    let run_dir = folder.path().join("run");
    let more = ["--set", "schedule.epochs=2", "--set", "run.keep_every=1"];
    let trained = run(&texts(&quick(&folder.path().join("source"), &run_dir, &more)));
    assert_eq!(trained.status.code(), Some(0), "{}", err(&trained));

    let models =
        ["0001", "0002"].map(|epoch| run_dir.join(format!("epochs/{epoch}.safetensors")).display().to_string());
    let [svg, png, csv] = ["svg", "png", "csv"].map(|ending| folder.path().join(format!("figure.{ending}")));
    let drawn = || {
        let files = [&svg, &png, &csv].map(|path| path.display().to_string());
        let [first, second] = &models;
        let mut arguments = vec!["tsne", "-m", first, "-m", second, "--source", &source, "--target", &target];
        arguments.extend(["--split", "all", "--limit", "70", "--perplexity", "10", "--quiet"]);
        arguments.extend(files.iter().flat_map(|file| ["-o", file]));
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let said = out(&output);
        assert!(said.starts_with("epoch 1: 140 pictures, KL divergence"), "{said}");
        [&svg, &png, &csv].map(|path| fs_err::read(path).unwrap())
    };
    let files = drawn();
    assert!(files == drawn(), "the same pictures and models give other bytes");

    let svg = String::from_utf8(files[0].clone()).unwrap();
    for text in ["epoch 1", "epoch 2", "resnet-tiny.drawn", "happiness", "source", "folder all (2), 70 pictures"] {
        assert!(svg.lines().any(|line| line.trim() == text), "{text}");
    }
    let count = |mark: &str| svg.matches(mark).count();
    assert_eq!(count("<circle"), 2 * 70 + 7 + 1, "a ring a source picture, a dot a class and a ring in the legend");
    assert_eq!(count("<polyline"), 2 * (2 * 70 + 1), "two strokes a target picture, and in the legend");
    let picture = image::load_from_memory(&files[1]).unwrap();
    assert_eq!(picture.width(), 2 * (20 + 2 * 360 + 236 + 20));

    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(&files[2][..]).records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 2 * 140);
    let happy = |role: &str| rows.iter().filter(|row| &row[0] == role && &row[3] == "happiness").count();
    assert_eq!((happy("source"), happy("target")), (20, 20), "ten of a class and data set, in two panels");
    assert!(rows.iter().all(|row| row[5].parse::<f64>().is_ok() && row[6].parse::<f64>().is_ok()));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    struct Case<'a> {
        more: Vec<&'a str>,
        said: &'a str,
    }

    let folder = tempfile::tempdir().unwrap();
    let seven = faces(folder.path(), "seven", "1");
    let file = folder.path().join("figure.svg").display().to_string();
    let jpeg = folder.path().join("figure.jpeg").display().to_string();
    let classes = fs_err::read_dir(folder.path().join("seven/test")).unwrap().count();
    assert_eq!(classes, 7);
    let cases = [
        Case { more: vec!["-o", &jpeg], said: "end the name in .svg, .png or .csv" },
        Case { more: vec!["-o", &file], said: "leave a class out with --drop NAME" },
        Case { more: vec!["-o", &file, "--drop", "contempt", "--limit", "21"], said: "below a third of their number" },
        Case { more: vec!["-o", &file, "--drop", "contempt", "--perplexity", "1"], said: "above 1" },
        Case { more: vec!["-o", &file, "--drop", "contempt", "--target", &seven], said: "is named twice" },
        Case { more: vec!["-o", &file, "--drop", "contempt", "-m", "nowhere.safetensors"], said: "nowhere" },
        Case { more: vec!["-o", &file, "--drop", "contempt", "--target", "moon=x"], said: "--target moon=x" },
    ];
    for Case { more, said } in cases {
        let arguments = [&["tsne", "-m", "default", "--source", &seven, "--split", "all"], &more[..]].concat();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{more:?}: {}", err(&output));
        assert!(!Path::new(&file).exists() && !Path::new(&jpeg).exists(), "{more:?} left a file");
    }
}
