//! The committed WebAssembly says what the library says.

use std::path::{Path, PathBuf};
use std::process::Command;

use emoxide::face::Detector;
use emoxide::image::Limits;
use emoxide::recognizer::{Options, Prediction, Recognizer};
use emoxide::{device, zoo};

/// Largest difference of a probability: the two sum in another order.
const TOLERANCE: f32 = 1e-3;

#[test]
fn the_committed_module_agrees_with_the_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if Command::new("node").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no Node.js to run the page's WebAssembly with");
        return;
    }
    let pictures: Vec<PathBuf> =
        ["astronaut.jpg", "none.jpg", "small.jpg"].iter().map(|name| root.join("assets/photos").join(name)).collect();
    let output = Command::new("node")
        .arg(root.join("crates/emoxide-web/tests/agree.mjs"))
        .arg(root.join("crates/emoxide-server/page/dist"))
        .args(["mtcnn", "default"].map(|name| root.join(format!("assets/{name}.safetensors"))))
        .args(&pictures)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Prediction> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), pictures.len());

    let device = device::open("cpu").unwrap();
    let model = zoo::open(zoo::DEFAULT, &device).unwrap();
    let detector = Detector::new(&model.card().detector, &device).unwrap();
    let recognizer = Recognizer::new(detector, model, Options::default()).unwrap();
    for (picture, answer) in pictures.iter().zip(answers) {
        let file = (answer.input.clone(), fs_err::read(picture).unwrap());
        let expected = recognizer.recognise_bytes(&[file], &Limits::default()).remove(0).unwrap();
        assert_eq!(answer.faces.len(), expected.faces.len(), "{}", answer.input);
        for (face, expected) in answer.faces.iter().zip(&expected.faces) {
            assert_eq!(face.dominant_emotion, expected.dominant_emotion, "{}", answer.input);
            for (name, probability) in &face.probabilities.0 {
                let other = expected.probabilities.get(*name).unwrap();
                assert!((probability - other).abs() <= TOLERANCE, "{}: {name} {probability} {other}", answer.input);
            }
        }
    }
}
