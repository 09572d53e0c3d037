//! Errors of the library as exceptions of Python, with the texts of the command line: an error and its causes.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// The exceptions, which Python defines.
pub(crate) mod exceptions {
    pyo3::import_exception!(emoxide._errors, DataError);
    pyo3::import_exception!(emoxide._errors, DeviceError);
    pyo3::import_exception!(emoxide._errors, EmoxideError);
    pyo3::import_exception!(emoxide._errors, ImageError);
    pyo3::import_exception!(emoxide._errors, ModelError);
    pyo3::import_exception!(emoxide._errors, TrainingError);
    pyo3::import_exception!(emoxide._errors, VideoError);
}

/// An argument that cannot be.
pub(crate) fn argument(error: impl Into<anyhow::Error>) -> PyErr {
    PyValueError::new_err(text(error))
}

/// A data set.
pub(crate) fn data(error: impl Into<anyhow::Error>) -> PyErr {
    exceptions::DataError::new_err(text(error))
}

/// A device that cannot be had.
pub(crate) fn device(error: impl Into<anyhow::Error>) -> PyErr {
    exceptions::DeviceError::new_err(text(error))
}

/// A checkpoint.
pub(crate) fn model(error: impl Into<anyhow::Error>) -> PyErr {
    exceptions::ModelError::new_err(text(error))
}

/// A recipe or a run.
pub(crate) fn training(error: impl Into<anyhow::Error>) -> PyErr {
    exceptions::TrainingError::new_err(text(error))
}

/// Something that should not happen.
pub(crate) fn other(error: impl Into<anyhow::Error>) -> PyErr {
    exceptions::EmoxideError::new_err(text(error))
}

fn text(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into()).trim_end().to_owned()
}
