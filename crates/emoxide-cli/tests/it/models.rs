//! `models`: weights of other programs become checkpoints, and what is listed.

use serde_json::Value;

use crate::{err, out, root, run};

/// The settings of the network in the library's fixtures (`tools/reference/pth_files.py`).
const TINY: &[&str] = &[
    "network.input_channels=1",
    "network.stem=compact",
    "network.stem_width=4",
    "network.widths=[4, 6]",
    "network.blocks=[1, 1]",
    "preprocess.channels=grey",
    "preprocess.mean=[0.5]",
    "preprocess.std=[0.25]",
    "preprocess.width=16",
    "preprocess.height=16",
    "alignment.kind=none",
    "detector.kind=whole-image",
    "licence.weights=MIT",
];

fn import(file: &str, output: &str, classes: &str, sets: &[&str], more: &[&str]) -> std::process::Output {
    let file = root().join("crates/emoxide/tests/fixtures/pth").join(file).display().to_string();
    let mut arguments =
        vec!["models", "import", &file, "--network", "resnet18", "--classes", classes, "--output", output];
    arguments.extend(sets.iter().flat_map(|set| ["--set", *set]));
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn foreign_weights_become_a_model_that_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.safetensors").display().to_string();
    let made = import("zip.pth", &path, "happiness,sadness,neutral", TINY, &[]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(err(&made).contains("resnet18.zip"), "{}", err(&made));

    let verified = run(&["models", "verify", &path]);
    assert_eq!(verified.status.code(), Some(0), "{}", err(&verified));
    let card: Value = serde_json::from_str(&out(&run(&["models", "info", &path, "--json"]))).unwrap();
    assert_eq!(card["classes"], serde_json::json!(["happiness", "sadness", "neutral"]));
    assert_eq!(card["licence"]["weights"], "MIT");
    assert_eq!(card["provenance"]["imported_from"][1].as_str().unwrap().len(), 64);
    let plain = out(&run(&["models", "info", &path]));
    assert!(plain.contains("imported") && plain.contains("zip.pth"), "{plain}");
    assert!(plain.contains("every picture is one face"), "{plain}");

    let photo = crate::photo("astronaut.jpg");
    let predicted = run(&["predict", &photo, "--model", &path, "--format", "json"]);
    assert_eq!(predicted.status.code(), Some(0), "{}", err(&predicted));
    let faces: Value = serde_json::from_str(&out(&predicted)).unwrap();
    assert_eq!(faces[0]["faces"][0]["probabilities"].as_object().unwrap().len(), 3);
    // The card's detector looks for no faces; the command line's does.
    assert!(faces[0]["faces"][0]["detection_score"].is_null());
    let predicted = run(&["predict", &photo, "--model", &path, "--detector", "mtcnn", "--format", "json"]);
    let faces: Value = serde_json::from_str(&out(&predicted)).unwrap();
    assert!(faces[0]["faces"][0]["detection_score"].as_f64().unwrap() > 0.9);

    let listed = out(&run(&["models", "list", "--folder", &folder.path().display().to_string(), "--json"]));
    let lines: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let line = lines.iter().find(|line| line["name"] == "resnet18.zip").expect("the new model is listed");
    assert_eq!(line["input"], serde_json::json!([1, 16, 16]));
}

/// The figures of the dossiers of the papers, with seven classes and with FER+'s eight.
#[test]
fn listed_parameters_are_those_of_the_papers_networks() {
    let listed = |classes: &str| -> Vec<Value> {
        let listed = run(&["models", "list", "--classes", classes, "--json"]);
        assert_eq!(listed.status.code(), Some(0), "{}", err(&listed));
        serde_json::from_str(&out(&listed)).unwrap()
    };
    let seven = [
        ("alexnet", 57_017_031),
        ("vgg", 432_543_943),
        ("vgg-pooled", 124_262_599),
        ("resnet50-grey", 23_516_103),
        ("transfer-resnet18", 231_553_479),
        ("transfer-plain", 224_294_343),
        ("dacl-resnet18", 11_469_319),
        ("dacl", 103_042_311),
        ("transfer", 65_217_869),
        ("transfer-pytorch", 65_217_869),
        ("transfer-4", 65_226_195),
        ("transfer-stage2", 49_293_837),
        ("transfer-stage4", 78_441_677),
        ("pcm", 31_732_366),
        ("cafe", 99_029_319),
        ("involution-vit", 115_544_997),
        ("involution-vit-patch16", 103_453_541),
        ("involution-vit-rednet", 105_750_373),
        ("rednet50", 13_491_806 + 7 * 2049),
    ];
    for (classes, expected) in [("7", &seven[..]), ("8", &[("transfer", 65_218_638)])] {
        let lines = listed(classes);
        for (name, parameters) in expected {
            let line = lines.iter().find(|line| line["name"] == *name).unwrap_or_else(|| panic!("{name} is listed"));
            assert_eq!(line["parameters"], *parameters, "{name} with {classes} classes");
        }
    }
    let refused = run(&["models", "list", "--classes", "9"]);
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
}

#[test]
fn a_backbone_comes_without_its_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors").display().to_string();
    let made = import("zip.pth", &path, "7", TINY, &["--drop-head"]);
    assert_eq!(made.status.code(), Some(1), "a number of classes is no list of names: {}", err(&made));
    let made = import("zip.pth", &path, "happiness,neutral", TINY, &["--drop-head"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let card: Value = serde_json::from_str(&out(&run(&["models", "info", &path, "--json"]))).unwrap();
    assert_eq!(card["classes"].as_array().unwrap().len(), 2);

    let again = folder.path().join("again.safetensors").display().to_string();
    let made = import("zip.pth", &again, "happiness,neutral", TINY, &["--drop-head"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let answer = |model: &str| {
        let answer = run(&["predict", &crate::photo("astronaut.jpg"), "--model", model]);
        assert_eq!(answer.status.code(), Some(0), "{}", err(&answer));
        out(&answer)
    };
    assert_eq!(answer(&path), answer(&again), "the fresh head is drawn from a fixed seed");
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.safetensors").display().to_string();
    let three = "happiness,sadness,neutral";
    let grey_only = &TINY[..5];
    let cases = [
        (import("zip.pth", &path, "happiness,neutral", TINY, &[]), "fc."),
        (import("zip.pth", &path, "happiness,giddy,neutral", TINY, &[]), "--classes"),
        (import("zip.pth", &path, three, grey_only, &[]), "preprocess.channels"),
        (
            import("zip.pth", &path, three, &[TINY, &["detector.kind=mtcnn", "detector.min_face=3"]].concat(), &[]),
            "min_face",
        ),
        (import("zip.pth", &path, three, &["network.width=[4]"], &[]), "width"),
        (import("zip.pth", &path, three, &["mirror"], &[]), "section.key=value"),
        (import("nowhere.pth", &path, three, TINY, &[]), "nowhere.pth"),
        (run(&["models", "verify", &path]), "`default` or a checkpoint file"),
        (run(&["models", "import", "x.pth", "--network", "inception", "--classes", three, "-o", &path]), "resnet18"),
    ];
    for (output, said) in cases {
        assert_eq!(output.status.code(), Some(1), "{said}");
        let text = err(&output);
        assert!(text.contains(said), "wanted {said:?} in: {text}");
        println!("{}", text.trim_end());
    }
    assert!(fs_err::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn a_network_with_a_frozen_part_is_listed_with_both_counts() {
    let listed = out(&run(&["models", "list", "--json"]));
    let lines: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let counts = |name: &str| {
        let line = lines.iter().find(|line| line["name"] == name).expect("listed");
        (line["parameters"].as_u64().unwrap(), line["trained"].as_u64().unwrap())
    };
    assert_eq!(counts("cafe"), (99_029_319, 11_180_103));
    assert_eq!(counts("resnet18"), (11_180_103, 11_180_103));
}

/// A checkpoint of CAFE's authors, and CLIP in a file of its own.
#[test]
fn a_part_comes_from_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cafe.safetensors").display().to_string();
    let file = |name: &str| root().join("crates/emoxide/tests/fixtures/authors").join(name).display().to_string();
    let sets = [
        "network.image_size=16",
        "network.backbone={kind='resnet', stem_width=8, widths=[8, 10], blocks=[1, 1]}",
        "network.clip={patch=8, width=8, depth=2, heads=2, hidden=12, embedding=10}",
        "preprocess.width=16",
        "preprocess.height=16",
    ];
    let (main, tower) = (file("cafe.pth"), format!("clip={}", file("cafe-clip.pt")));
    let import = |more: &[&str]| {
        let mut arguments = vec!["models", "import", &main, "--network", "cafe", "-o", &path];
        arguments.extend(["--classes", "happiness,sadness,neutral"]);
        arguments.extend(sets.iter().flat_map(|set| ["--set", *set]));
        arguments.extend(more);
        run(&arguments)
    };
    for (more, said) in [
        (&[][..], "no tensor for `clip."),
        (&["--part", &tower][..], "no place for"),
        (&["--part", "clip"][..], "write the part"),
        (&["--part", &tower, "--part-keys", "mask=clip"][..], "no `--part mask=FILE`"),
        (&["--part", &tower, "--part-keys", "clip=keras"][..], "no key map `keras`"),
    ] {
        let output = import(more);
        assert!(!output.status.success() && err(&output).contains(said), "{}", err(&output));
    }
    let made = import(&["--part", &tower, "--part-keys", "clip=clip"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert_eq!(run(&["models", "verify", &path]).status.code(), Some(0));
    let plain = out(&run(&["models", "info", &path]));
    assert!(plain.contains("cafe-clip.pt for `clip`: 32 tensors") && plain.contains("of them trained"), "{plain}");
}
