//! The invariants of ARCHITECTURE.md that can be read off the sources.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs_err::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Fails with the places where a file that `wanted` selects holds one of `words` outside a comment.
fn assert_absent(folder: &Path, words: &[&str], wanted: impl Fn(&Path) -> bool) {
    let files = sources(folder);
    assert!(!files.is_empty(), "{} holds no sources", folder.display());
    let places: Vec<String> = files
        .iter()
        .filter(|(path, _)| wanted(path))
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(line, text)| (path, line + 1, text)))
        .filter(|(_, _, text)| !text.trim_start().starts_with("//") && words.iter().any(|word| text.contains(word)))
        .map(|(path, line, text)| format!("{}:{line}: {}", path.display(), text.trim()))
        .collect();
    assert!(places.is_empty(), "{}", places.join("\n"));
}

#[test]
fn networks_open_no_file_and_know_no_label() {
    for module in ["nn", "models"] {
        let folder = crates().join("emoxide/src").join(module);
        let words =
            ["fs_err", "std::fs", "File::", "crate::labels", "Expression", "crate::preprocess", "crate::weights"];
        assert_absent(&folder, &words, |_| true);
    }
}

#[test]
fn backends_are_named_in_one_file() {
    let words = [
        "feature = \"vulkan\"",
        "feature = \"cuda\"",
        "feature = \"metal\"",
        "feature = \"wgpu\"",
        "feature = \"flex\"",
    ];
    for name in ["emoxide", "emoxide-export", "emoxide-train", "emoxide-server", "emoxide-cli", "emoxide-python"] {
        assert_absent(&crates().join(name).join("src"), &words, |path| !path.ends_with("emoxide/src/device.rs"));
    }
}

#[test]
fn nothing_takes_the_default_device() {
    for name in [
        "emoxide",
        "emoxide-engine",
        "emoxide-export",
        "emoxide-train",
        "emoxide-server",
        "emoxide-cli",
        "emoxide-python",
        "emoxide-kernels",
    ] {
        assert_absent(&crates().join(name).join("src"), &["Device::default()"], |_| true);
    }
}

#[test]
fn training_adds_no_preprocessing() {
    let words = ["preprocess.mean", "preprocess.std", "/ 255.0"];
    assert_absent(&crates().join("emoxide-train/src/train"), &words, |_| true);
}

#[test]
fn unsafe_stays_in_the_kernels() {
    for name in [
        "emoxide",
        "emoxide-engine",
        "emoxide-export",
        "emoxide-train",
        "emoxide-server",
        "emoxide-cli",
        "emoxide-python",
        "emoxide-testing",
    ] {
        assert_absent(&crates().join(name).join("src"), &["unsafe ", "unsafe_code"], |_| true);
    }
}

#[test]
fn public_results_hold_no_tensor() {
    for module in ["recognizer", "video"] {
        assert_absent(&crates().join("emoxide/src").join(module), &["Tensor"], |_| true);
    }
}

#[test]
fn modules_use_only_what_stands_to_their_left() {
    let order: [&[&str]; 9] = [
        &["labels", "geometry"],
        &["image", "device"],
        &["nn"],
        &["models", "preprocess"],
        &["weights"],
        &["zoo", "face"],
        &["explain"],
        &["recognizer"],
        &["video"],
    ];
    let root = crates().join("emoxide/src");
    for (rank, modules) in order.iter().enumerate() {
        let later: Vec<String> =
            order[rank + 1..].iter().flat_map(|names| names.iter().map(|name| format!("crate::{name}"))).collect();
        let later: Vec<&str> = later.iter().map(String::as_str).collect();
        for module in *modules {
            let (folder, file) = (root.join(module), root.join(format!("{module}.rs")));
            if folder.is_dir() {
                assert_absent(&folder, &later, |_| true);
            } else if file.exists() {
                assert_absent(&root, &later, |path| path == file);
            }
        }
    }
}
