//! Whether other runtimes answer with an ONNX model what the network answers.
//!
//! They are asked through Python, which is needed for nothing else. Images are the same ones every time, of random numbers with mean
//! 0 and deviation 1, as preprocessed pictures have them.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use burn::tensor::{Distribution, Tensor};
use emoxide::zoo::{Model, softmax};
use serde::{Deserialize, Serialize};

use crate::onnx::Precision;

/// Images in each of the batches that are compared.
pub const BATCHES: [usize; 2] = [1, 7];

/// What runs the models, told what to do by its arguments.
const SCRIPT: &str = include_str!("answers.py");

/// Draws the images.
const SEED: u64 = 7;

/// Another program that runs ONNX models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// ONNX Runtime on the CPU.
    Onnxruntime,
    /// `OpenVINO` on the CPU, in single precision.
    Openvino,
}

impl Runtime {
    /// What it is called, and its package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnxruntime => "onnxruntime",
            Self::Openvino => "openvino",
        }
    }
}

/// How far a runtime's answers are from the network's.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Which runtime.
    pub runtime: Runtime,
    /// Its version.
    pub version: String,
    /// Images in the batch.
    pub batch: usize,
    /// Largest difference of a logit.
    pub logits: f32,
    /// The same as a share of the largest logit.
    pub relative: f32,
    /// Largest difference of a probability.
    pub probabilities: f32,
}

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Files for the runtimes could not be written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// No Python.
    #[error("{python}: {error}; --python names the Python that has the runtimes")]
    Python {
        /// What was started.
        python: String,
        /// What came of it.
        error: io::Error,
    },
    /// Python could not do it.
    #[error("{python}: {reason}")]
    Failed {
        /// What was started.
        python: String,
        /// What it says.
        reason: String,
    },
    /// The answers differ.
    #[error(
        "{} {} answers otherwise: with a batch of {} a logit differs by {:.1e} of the largest one, a probability by {:.1e}; {limit:.0e} \
         is allowed",
        found.runtime.name(), found.version, found.batch, found.relative, found.probabilities
    )]
    Differs {
        /// How far.
        found: Difference,
        /// Largest difference that is allowed.
        limit: f32,
    },
}

/// What a runtime says.
#[derive(Deserialize)]
struct Answers {
    runtime: Runtime,
    version: String,
    batches: Vec<Batch>,
}

/// Rows of a batch; what is not finite is absent.
#[derive(Deserialize)]
struct Batch {
    logits: Vec<Vec<Option<f32>>>,
    probabilities: Vec<Vec<Option<f32>>>,
}

/// Largest difference that is allowed: of a logit as a share of the largest one, and of a probability.
pub fn limit(precision: Precision) -> f32 {
    match precision {
        Precision::Float32 => 1e-4,
        Precision::Float16 => 2e-2,
    }
}

/// Lets `runtimes` answer with the ONNX model in the file `path`, through the program `python`, and holds that against `model`.
pub fn compare(
    model: &Model,
    path: &Path,
    precision: Precision,
    runtimes: &[Runtime],
    python: &str,
) -> Result<Vec<Difference>, CheckError> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(python);
    let names: Vec<&str> = runtimes.iter().map(|runtime| runtime.name()).collect();
    let out = folder.path().join("answers.json");
    command.args(["-c", SCRIPT]).arg(path).arg(&out).arg(names.join(","));
    let mut expected = Vec::new();
    for batch in BATCHES {
        let images = images(model, batch);
        let file = folder.path().join(format!("{batch}.f32"));
        fs_err::write(&file, images.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
        command.arg(file).arg(batch.to_string());
        expected.push(model.scores(images));
    }
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| CheckError::Python { python: python.to_owned(), error })?;
    let failed = |reason: String| CheckError::Failed { python: python.to_owned(), reason };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(if said.is_empty() { format!("ended with {}", output.status) } else { said }));
    }
    let unread = |error: &dyn std::fmt::Display| failed(format!("its answers cannot be read: {error}"));
    let answers = fs_err::read(&out).map_err(|error| unread(&error))?;
    let answers: Vec<Answers> = serde_json::from_slice(&answers).map_err(|error| unread(&error))?;
    let answered = answers.iter().map(|answers| answers.runtime).eq(runtimes.iter().copied());
    if !answered || answers.iter().any(|answers| answers.batches.len() != BATCHES.len()) {
        return Err(failed("not every runtime has answered every batch".to_owned()));
    }
    let mut differences = Vec::new();
    for Answers { runtime, version, batches } in answers {
        for ((batch, found), expected) in BATCHES.into_iter().zip(batches).zip(&expected) {
            let temperature = model.card().temperature;
            let probabilities: Vec<Vec<f32>> = expected.iter().map(|row| softmax(row, temperature)).collect();
            let logits = largest(&found.logits, expected);
            let scale = expected.iter().flatten().fold(0.0f32, |scale, value| scale.max(value.abs()));
            let probabilities = largest(&found.probabilities, &probabilities);
            let relative = logits / scale.max(f32::MIN_POSITIVE);
            let found = Difference { runtime, version: version.clone(), batch, logits, relative, probabilities };
            let limit = limit(precision);
            // What is no number is no agreement.
            let agree = found.relative <= limit && found.probabilities <= limit;
            if !agree {
                return Err(CheckError::Differs { found, limit });
            }
            differences.push(found);
        }
    }
    Ok(differences)
}

/// Preprocessed images, `[batch, channels, rows, cols]`.
fn images(model: &Model, batch: usize) -> Vec<f32> {
    let device = model.device();
    device.seed(SEED);
    let len = batch * model.card().preprocess.len();
    let values = Tensor::<1>::random([len], Distribution::Normal(0.0, 1.0), device).into_data();
    values.try_into_vec().expect("random numbers are 32-bit floats on every device that is opened")
}

/// Largest difference of two numbers at the same place; infinite where the places differ.
fn largest(found: &[Vec<Option<f32>>], expected: &[Vec<f32>]) -> f32 {
    if found.iter().map(Vec::len).ne(expected.iter().map(Vec::len)) {
        return f32::INFINITY;
    }
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    let differences = pairs.map(|(found, expected)| (found.unwrap_or(f32::NAN) - expected).abs());
    // `max` would forget what is no number.
    differences.fold(0.0, |largest, next| if next.is_nan() || next > largest { next } else { largest })
}
