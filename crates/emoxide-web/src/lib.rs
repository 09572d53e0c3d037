//! The recogniser for a browser, compiled to WebAssembly, so that pictures never leave the machine that shows them.
//!
//! The page's worker (`emoxide-server/page/src/worker.ts`) gives it the files of detector and model, which are no part of the
//! module: it is code alone.

use std::fmt::Display;

use emoxide::device;
use emoxide::face::{Detector, DetectorConfig, Mtcnn};
use emoxide::image::Limits;
use emoxide::recognizer::{Options, Prediction, Recognizer};
use emoxide::weights::checkpoint;
use emoxide::zoo::Model;
use wasm_bindgen::prelude::*;

/// A detector and a model.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Analyser(Recognizer);

#[wasm_bindgen]
impl Analyser {
    /// Opens the detector's weights and a checkpoint, both safetensors.
    ///
    /// # Errors
    /// A JavaScript error with the same text as in every other front end.
    #[wasm_bindgen(constructor)]
    pub fn new(detector: &[u8], model: Vec<u8>) -> Result<Analyser, JsError> {
        let device = device::open("cpu").map_err(error)?;
        let (network, card) = checkpoint::read(model, "the model", &device).map_err(error)?;
        let detector = match &card.detector {
            DetectorConfig::Mtcnn(config) => {
                let mtcnn = Mtcnn::load(detector, &device).map_err(error)?;
                Detector::Mtcnn(Box::new(mtcnn.with_config(config.clone()).map_err(error)?))
            }
            DetectorConfig::WholeImage {} => Detector::WholeImage,
        };
        let model = Model::new(&network, card, device);
        Ok(Self(Recognizer::new(detector, model, Options::default()).map_err(error)?))
    }

    /// The faces in a picture's file, as the JSON of a [`Prediction`]; `input` is the file's name.
    ///
    /// # Errors
    /// Where the file is no picture, or one beyond the limits.
    pub fn predict(&self, input: &str, file: &[u8]) -> Result<String, JsError> {
        let answer = self.0.recognise_bytes(&[(input.to_owned(), file.to_vec())], &Limits::default());
        let prediction: Vec<Prediction> = answer.into_iter().collect::<Result<_, _>>().map_err(error)?;
        serde_json::to_string(&prediction[0]).map_err(error)
    }
}

fn error(reason: impl Display) -> JsError {
    JsError::new(&reason.to_string())
}
