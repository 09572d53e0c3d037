//! `models export`: files for other programs, with their cards.

use serde_json::Value;

use crate::{err, out, run};

/// The names of the files in a folder.
fn files(folder: &std::path::Path) -> Vec<String> {
    let names = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().display().to_string());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn the_embedded_model_becomes_onnx_with_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let whole = run(&["models", "export", "default", "--format", "onnx", "-o", &path("whole.onnx")]);
    assert_eq!(whole.status.code(), Some(0), "{}", err(&whole));
    assert!(err(&whole).contains("its card is"), "{}", err(&whole));
    let half =
        run(&["models", "export", "default", "--format", "onnx", "--float16", "--json", "-o", &path("half.onnx")]);
    assert_eq!(half.status.code(), Some(0), "{}", err(&half));
    let report: Value = serde_json::from_str(&out(&half)).unwrap();
    assert!(report["checks"].is_null() && report["file"] == path("half.onnx"), "{report}");
    assert_eq!(files(folder.path()), ["half.onnx", "half.onnx.md", "whole.onnx", "whole.onnx.md"]);
    let bytes = |name: &str| fs_err::metadata(path(name)).unwrap().len();
    assert_eq!(report["bytes"], bytes("half.onnx"));
    let share = bytes("half.onnx") as f64 / bytes("whole.onnx") as f64;
    assert!((0.5..0.52).contains(&share), "{share}");
    let card = fs_err::read_to_string(path("whole.onnx.md")).unwrap();
    for said in ["---\nlicense: ", "pipeline_tag: image-classification", "`whole.onnx`, SHA-256", "AI Act"] {
        assert!(card.contains(said), "{said} in {card}");
    }
}

#[test]
fn weights_go_out_and_come_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (weights, back) = (path("weights.safetensors"), path("back.safetensors"));
    let made = run(&["models", "export", "default", "--format", "safetensors", "-o", &weights]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let card: Value = serde_json::from_str(&out(&run(&["models", "info", "default", "--json"]))).unwrap();
    let classes: Vec<&str> = card["classes"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut arguments: Vec<String> =
        ["models", "import", &weights, "--network", "resnet18", "-o", &back, "--classes"].map(str::to_owned).to_vec();
    arguments.push(classes.join(","));
    // JSON is TOML here, but for what stands between a key and its value.
    for (key, value) in card["network"].as_object().unwrap().iter().filter(|(key, _)| *key != "kind") {
        arguments.extend(["--set".to_owned(), format!("network.{key}={value}")]);
    }
    for (key, value) in card["preprocess"].as_object().unwrap() {
        arguments.extend(["--set".to_owned(), format!("preprocess.{key}={value}")]);
    }
    arguments.extend(["--set".to_owned(), "mirror=true".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let made = run(&arguments);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let logits = |model: &str| {
        let file = path("logits.json");
        let timed = run(&["bench", "--model", model, "--batch", "2", "--runs", "1", "--logits", &file]);
        assert_eq!(timed.status.code(), Some(0), "{}", err(&timed));
        fs_err::read_to_string(file).unwrap()
    };
    assert_eq!(logits(&back), logits("default"));
}

#[test]
fn what_cannot_be_exported_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let export = |more: &[&str]| {
        let mut arguments = vec!["models", "export", "default"];
        arguments.extend(more);
        run(&arguments)
    };
    let (onnx, weights) = (path("m.onnx"), path("m.safetensors"));
    let cases = [
        (export(&["--format", "onnx", "-o", &onnx, "--keys", "timm"]), "ONNX has them by the network's own names"),
        (export(&["--format", "onnx", "-o", &onnx, "--part", "fc"]), "ONNX is the whole network"),
        (export(&["--format", "safetensors", "-o", &weights, "--part", "clip"]), "the network has no part `clip`"),
        (export(&["--format", "safetensors", "-o", &weights, "--float16"]), "--float16 is for ONNX"),
        (export(&["--format", "safetensors", "-o", &weights, "--check"]), "--check is for ONNX"),
        (export(&["--format", "safetensors", "-o", &weights, "--keys", "paddle"]), "only PyTorch's are written"),
        (export(&["--format", "safetensors", "-o", &weights, "--keys", "google"]), "only PyTorch's are written"),
        (export(&["--format", "onnx", "-o", &path("nowhere/m.onnx")]), "nowhere"),
        (export(&["--format", "onnx", "-o", &onnx, "--check", "--python", "no-such-python"]), "--python names"),
        (
            run(&["models", "export", "none.safetensors", "--format", "onnx", "-o", &onnx]),
            "no model `none.safetensors`",
        ),
    ];
    for (output, said) in cases {
        assert_eq!(output.status.code(), Some(1), "{said}");
        let text = err(&output);
        assert!(text.contains(said), "wanted {said:?} in: {text}");
        println!("{}", text.trim_end());
    }
    assert_eq!(export(&["--format", "torchscript", "-o", &onnx]).status.code(), Some(2));
    assert_eq!(files(folder.path()), [""; 0]);

    // A card replaces cards, and nothing else.
    fs_err::write(path("README.md"), "# My thesis").unwrap();
    let refused = export(&["--format", "onnx", "-o", &path("README")]);
    assert!(refused.status.code() == Some(1) && err(&refused).contains("would replace"), "{}", err(&refused));
    assert_eq!(files(folder.path()), ["README.md"]);
    assert_eq!(fs_err::read_to_string(path("README.md")).unwrap(), "# My thesis");
    for _ in 0..2 {
        let made = export(&["--format", "onnx", "-o", &onnx]);
        assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    }
    // Nor one that somebody has written on.
    let notes = format!("{}My notes.\n", fs_err::read_to_string(path("m.onnx.md")).unwrap());
    fs_err::write(path("m.onnx.md"), &notes).unwrap();
    assert_eq!(export(&["--format", "onnx", "-o", &onnx]).status.code(), Some(1));
    assert_eq!(fs_err::read_to_string(path("m.onnx.md")).unwrap(), notes);
}

#[test]
fn a_checkpoint_is_not_replaced_by_what_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/default.safetensors");
    fs_err::copy(own, path("m.safetensors")).unwrap();
    for format in ["onnx", "safetensors"] {
        let again = folder.path().join(".").join("m.safetensors").display().to_string();
        let refused = run(&["models", "export", &path("m.safetensors"), "--format", format, "-o", &again]);
        assert!(refused.status.code() == Some(1), "{}", err(&refused));
        assert!(err(&refused).contains("the checkpoint itself"), "{}", err(&refused));
    }
    assert_eq!(fs_err::read(path("m.safetensors")).unwrap(), fs_err::read(own).unwrap());
    assert_eq!(files(folder.path()), ["m.safetensors"]);
    let folder_there = run(&["models", "export", "default", "--format", "onnx", "-o", &path("")]);
    assert!(err(&folder_there).contains("is no file"), "{}", err(&folder_there));
}

/// What is printed, or lies about, is not taken for an answer.
#[cfg(unix)]
#[test]
fn a_check_without_answers_does_not_pass() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    // Its second argument behind `-c SCRIPT MODEL` is where answers go.
    let cases = [
        ("echo '[]'", "its answers cannot be read"),
        ("echo '[]' > \"$4\"", "not every runtime has answered every batch"),
        (
            r#"echo '[{"runtime":"onnxruntime","version":"9","batches":[]}]' > "$4""#,
            "not every runtime has answered every batch",
        ),
        ("exit 3", "ended with exit status: 3"),
    ];
    for (script, said) in cases {
        fs_err::write(path("python"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(path("python"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let refused = run(&[
            "models",
            "export",
            "default",
            "--format",
            "onnx",
            "-o",
            &path("m.onnx"),
            "--check",
            "--python",
            &path("python"),
        ]);
        assert_eq!(refused.status.code(), Some(1), "{script}");
        assert!(err(&refused).contains(said), "wanted {said:?} in: {}", err(&refused));
        assert_eq!(files(folder.path()), ["python"]);
    }
}
