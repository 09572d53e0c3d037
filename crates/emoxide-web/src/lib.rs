//! The recogniser for a browser, compiled to WebAssembly: the pictures never leave the machine that shows them.

use emoxide::face::Detector;
use emoxide::image::{Limits, decode};
use emoxide::recognizer::{Options, Prediction, Recognizer};
use emoxide::{device, zoo};
use wasm_bindgen::prelude::*;

/// A detector and a model.
#[wasm_bindgen]
pub struct Analyser(Recognizer);

#[wasm_bindgen]
impl Analyser {
    /// Opens the embedded detector and model.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Analyser, JsError> {
        let device = device::open("cpu")?;
        let model = zoo::open(zoo::DEFAULT, &device)?;
        let detector = Detector::new(&model.card().detector, &device)?;
        Ok(Self(Recognizer::new(detector, model, Options::default())?))
    }

    /// The faces of a picture's file, as the JSON of a prediction.
    pub fn predict(&self, input: &str, file: &[u8]) -> Result<String, JsError> {
        let image = decode(file, &Limits::default())?;
        let (width, height) = image.dimensions();
        let faces = self.0.recognise(&[image]).swap_remove(0);
        let prediction = Prediction { input: input.to_owned(), frame: 0, width, height, faces };
        Ok(serde_json::to_string(&prediction)?)
    }
}
