use emoxide_export::check::{self, CheckError, Runtime};
use emoxide_export::onnx::{self, Precision};

use crate::networks::cases;
use crate::support::model;

/// With `EMOXIDE_PYTHON`, the name of a Python that has onnxruntime and openvino.
#[test]
fn other_runtimes_answer_as_every_network_does() {
    let Some(python) = std::env::var("EMOXIDE_PYTHON").ok().filter(|python| !python.is_empty()) else {
        eprintln!("SKIPPED: set EMOXIDE_PYTHON to a Python with onnxruntime and openvino to run this test");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for case in cases() {
        let model = model(&case);
        let bytes = onnx::encode(&onnx::export(&model, Precision::Float32).unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        let runtimes = [Runtime::Onnxruntime, Runtime::Openvino];
        let found = check::compare(&model, &path, Precision::Float32, &runtimes, &python);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let largest = found.iter().fold(0.0f32, |largest, found| largest.max(found.relative));
        println!("{}: {largest:.1e}", case.name);
    }
}

#[test]
fn a_python_that_is_not_there_is_named() {
    let case = cases().into_iter().next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let found = check::compare(
        &model(&case),
        &folder.path().join("none.onnx"),
        Precision::Float32,
        &[Runtime::Onnxruntime],
        "no-such-python",
    );
    let error = found.unwrap_err();
    assert!(matches!(&error, CheckError::Python { python, .. } if python == "no-such-python"), "{error}");
    assert!(error.to_string().contains("--python"), "{error}");
}
