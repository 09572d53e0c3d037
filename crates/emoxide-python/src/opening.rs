//! Devices, models and detectors by the names that Python gives them.

use emoxide::device;
use emoxide::face::DetectorConfig;
use emoxide::zoo::{self, Model, Precision};
use pyo3::PyResult;
use pyo3::exceptions::PyValueError;

use crate::error::{self, exceptions};

/// The device of this name; `auto` is the best that is there.
pub(crate) fn device_name(name: &str) -> &str {
    let there = || device::available().into_iter().find(|name| device::open(name).is_ok());
    if name == "auto" { there().unwrap_or(device::default_name()) } else { name }
}

/// A model, for products of this precision.
pub(crate) fn open(name: &str, device: &str, precision: Precision) -> PyResult<Model> {
    let device = device::open(device).map_err(error::device)?;
    let model = zoo::open(name, &device).map_err(error::model)?;
    if precision == Precision::F32 {
        return Ok(model);
    }
    model.compiled(precision).map_err(|why| exceptions::ModelError::new_err(format!("precision {precision}: {why}")))
}

/// What finds the faces; `auto` is what the model's card names.
pub(crate) fn detector_config(name: &str, min_face: Option<u32>, of_card: &DetectorConfig) -> PyResult<DetectorConfig> {
    let mut config = match (name, of_card) {
        ("auto", _) | ("mtcnn", DetectorConfig::Mtcnn(_)) => of_card.clone(),
        ("mtcnn", DetectorConfig::WholeImage {}) => DetectorConfig::default(),
        ("none", _) => DetectorConfig::WholeImage {},
        _ => {
            let text = format!("`{name}` is not a detector; use mtcnn, none, or auto for what the model's card names");
            return Err(PyValueError::new_err(text));
        }
    };
    match (&mut config, min_face) {
        (_, None) => {}
        (DetectorConfig::Mtcnn(config), Some(pixels)) => config.min_face = pixels,
        (DetectorConfig::WholeImage {}, Some(pixels)) => {
            let text =
                format!("min_face {pixels}: every picture is taken for one face; look for faces with detector mtcnn");
            return Err(PyValueError::new_err(text));
        }
    }
    Ok(config)
}
