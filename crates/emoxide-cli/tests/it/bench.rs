//! `bench`: rows of figures, and logits to compare.

use serde_json::Value;

use crate::{err, out, run};

#[test]
fn both_engines_are_timed_and_give_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    let logits = |engine: &str| {
        let path = folder.path().join(format!("{engine}.json")).display().to_string();
        let arguments = ["--engine", engine, "--batch", "1,3", "--runs", "1", "--threads", "2", "--json"];
        let timed = run(&[&["bench"], &arguments[..], &["--logits", &path]].concat());
        assert_eq!(timed.status.code(), Some(0), "{}", err(&timed));
        let rows: Value = serde_json::from_str(&out(&timed)).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 2);
        for (row, batch) in rows.as_array().unwrap().iter().zip([1, 3]) {
            assert_eq!([&row["engine"], &row["precision"]], [engine, "f32"]);
            assert_eq!([row["batch"].as_u64(), row["threads"].as_u64()], [Some(batch), Some(2)]);
            let (median, rate) = (row["median_ms"].as_f64().unwrap(), row["images_per_second"].as_f64().unwrap());
            assert!(median > 0.0 && (median * rate / 1000.0 - batch as f64).abs() < 1e-6);
        }
        let written: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(written["shape"], serde_json::json!([3, 1, 48, 48]));
        let rows = written["logits"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap().clone());
        rows.map(|value| value.as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let (compiled, burn) = (logits("compiled"), logits("burn"));
    assert_eq!(compiled.len(), 24);
    assert!(compiled.iter().zip(&burn).all(|(one, other)| (one - other).abs() < 1e-4), "{compiled:?} {burn:?}");
}

#[test]
fn precisions_are_timed_by_name() {
    let timed = run(&["bench", "--precision", "int8,bf16", "--batch", "2", "--runs", "1", "--json"]);
    assert_eq!(timed.status.code(), Some(0), "{}", err(&timed));
    let rows: Value = serde_json::from_str(&out(&timed)).unwrap();
    assert_eq!([&rows[0]["precision"], &rows[1]["precision"]], ["int8", "bf16"]);
}

#[test]
fn what_cannot_be_timed_is_refused() {
    for (arguments, expected) in [
        (["--runs", "0"], "--runs 0: at least one pass must be timed"),
        (["--batch", "1,0"], "--batch 0: a batch has 1 to 4096 images"),
        (["--threads", "0"], "--threads 0: at least one thread must compute"),
        (["--train", "--batch=1"], "--batch 1: batch normalisation cannot train on one image"),
        (["--precision=bf16", "--engine=burn"], "--precision bf16: Burn computes in f32; use --engine compiled"),
        (["--model", "nowhere.safetensors"], "--model nowhere.safetensors"),
    ] {
        let refused = run(&[&["bench"], &arguments[..]].concat());
        assert_eq!(refused.status.code(), Some(1), "{}", err(&refused));
        assert!(err(&refused).contains(expected), "{}", err(&refused));
    }
    let refused = run(&["bench", "--precision", "f16"]);
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    assert!(err(&refused).contains("unknown precision `f16`; there are f32, bf16 and int8"), "{}", err(&refused));
}

#[test]
fn steps_of_training_are_timed() {
    let timed = run(&["bench", "--train", "--batch", "2", "--runs", "1", "--json"]);
    assert_eq!(timed.status.code(), Some(0), "{}", err(&timed));
    let rows: Value = serde_json::from_str(&out(&timed)).unwrap();
    assert_eq!([&rows[0]["engine"], &rows[0]["precision"]], ["training", "f32"]);
    assert!(rows[0]["median_ms"].as_f64().unwrap() > 0.0);
}
