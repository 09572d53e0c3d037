//! What can be used.

use std::path::PathBuf;

use emoxide::device;
use emoxide::zoo::{self, Listed};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::{PyResult, Python, pyfunction};

use crate::error;

/// Devices of this build, best first.
#[pyfunction]
pub(crate) fn devices() -> Vec<&'static str> {
    device::available()
}

/// The list of `emoxide models list --json`, and of the checkpoints of the folder that cannot be used why.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "it comes out of Python")]
pub(crate) fn models(py: Python<'_>, folder: Option<PathBuf>, classes: usize) -> PyResult<(String, Vec<String>)> {
    if !(2..=8).contains(&classes) {
        return Err(PyValueError::new_err(format!("classes is {classes}; architectures have 2 to 8 of them")));
    }
    py.detach(|| {
        let device = device::open(device::default_name()).map_err(error::device)?;
        let names = zoo::names(folder.as_deref()).map_err(|error| PyOSError::new_err(error.to_string()))?;
        let (mut opened, mut skipped) = (Vec::new(), Vec::new());
        for name in &names {
            match zoo::open(name, &device) {
                Ok(model) => opened.push((name, model)),
                Err(error) => skipped.push(format!("skipped {name}: {error}")),
            }
        }
        let architectures = zoo::architectures();
        let mut lines: Vec<Listed> = opened.iter().map(|(file, model)| Listed::model(model, file)).collect();
        lines.extend(architectures.iter().map(|architecture| Listed::architecture(architecture, classes, &device)));
        let text = serde_json::to_string(&lines).map_err(error::other)?;
        Ok((text, skipped))
    })
}
