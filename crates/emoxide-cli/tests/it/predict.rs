//! `predict`: formats, exit codes, files written beside.

use crate::{emoxide, err, out, photo, run};

#[test]
fn the_portrait_has_one_happy_face() {
    let output = run(&["predict", &photo("astronaut.jpg"), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let answer: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let faces = answer[0]["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 1);
    assert_eq!(faces[0]["dominant_emotion"], "happiness");
    let probabilities = faces[0]["probabilities"].as_object().unwrap();
    let total: f64 = probabilities.values().map(|value| value.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");
    assert_eq!(probabilities.len(), 8);
    for key in ["x", "y", "width", "height"] {
        assert!(faces[0]["box"][key].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn csv_has_the_published_columns_and_a_row_for_a_picture_without_a_face() {
    let output = run(&["predict", &photo("astronaut.jpg"), &photo("none.jpg"), "--format", "csv"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("none.jpg: no face found"), "{}", err(&output));
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("input,frame,timestamp,face_id,success,FaceScore,FaceRectX,FaceRectY,FaceRectWidth,"));
    assert!(lines[0].contains(",anger,disgust,fear,happiness,sadness,surprise,neutral,contempt,dominant_emotion,"));
    assert_eq!(lines.len(), 3);
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns));
    let success = |line: &str| line.split(',').nth(4).map(str::to_owned);
    assert_eq!([success(lines[1]), success(lines[2])], [Some("1".to_owned()), Some("0".to_owned())]);
}

#[test]
fn pictures_come_through_standard_input_and_marked_copies_and_crops_go_out() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let input = fs_err::File::open(photo("astronaut.jpg")).unwrap();
    let mut command = emoxide(&["predict", "-", "--format", "table"]);
    command.args(["--annotate", &place("marked"), "--save-crops", &place("crops"), "-o", &place("faces.txt")]);
    let output = command.stdin(input.into_parts().0).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(output.stdout.is_empty());
    assert!(fs_err::read_to_string(place("faces.txt")).unwrap().contains("face 0: happiness"));
    let marked = image::ImageReader::open(place("marked/stdin.png")).unwrap().decode().unwrap();
    assert!(marked.width() > 100);
    let crop = image::ImageReader::open(place("crops/stdin-face0.png")).unwrap().decode().unwrap();
    assert_eq!((crop.width(), crop.height()), (48, 48));
}

#[test]
fn a_subset_of_classes_shares_out_the_rest() {
    let output = run(&["predict", &photo("astronaut.jpg"), "--format", "ndjson", "--classes", "7"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let answer: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let probabilities = answer["faces"][0]["probabilities"].as_object().unwrap();
    assert_eq!(probabilities.len(), 7);
    assert!(!probabilities.contains_key("contempt"));
    let total: f64 = probabilities.values().map(|value| value.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");
}

#[test]
fn wrong_settings_are_refused_with_what_to_do() {
    struct Case {
        arguments: &'static [&'static str],
        code: i32,
        said: &'static str,
    }
    let cases = [
        Case { arguments: &["predict"], code: 2, said: "INPUTS" },
        Case { arguments: &["predict", "x.jpg", "--format", "xml"], code: 2, said: "ndjson" },
        Case { arguments: &["predict", "x.jpg", "--device", "gpu"], code: 1, said: "use cpu" },
        Case { arguments: &["predict", "x.jpg", "--device", "cuda"], code: 1, said: "--features cuda" },
        Case {
            arguments: &["predict", "x.jpg", "--model", "nowhere.safetensors"],
            code: 1,
            said: "nowhere.safetensors: there is no model",
        },
        Case {
            arguments: &["predict", "x.jpg", "--detector", "none", "--min-face", "30"],
            code: 1,
            said: "--detector mtcnn",
        },
        Case { arguments: &["predict", "x.jpg", "--min-face", "3"], code: 1, said: "10 pixels or more" },
        Case { arguments: &["predict", "x.jpg", "--min-confidence", "7"], code: 1, said: "between 0 and 1" },
        Case { arguments: &["predict", "x.jpg", "--classes", "glee"], code: 1, said: "`glee` is not an expression" },
        Case { arguments: &["frobnicate"], code: 2, said: "unrecognized subcommand" },
    ];
    for Case { arguments, code, said } in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn an_instruction_set_that_is_none_is_refused() {
    let output = emoxide(&["predict", &photo("astronaut.jpg")]).env("EMOXIDE_CPU", "mmx").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("EMOXIDE_CPU=mmx"), "{}", err(&output));
}
