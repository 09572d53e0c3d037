//! What the server says of itself.

use emoxide::explain::{KINDS, looked_at};
use emoxide::face::Detector;
use emoxide::image::RgbImage;
use emoxide::labels::Expression;
use emoxide::preprocess::DetectorConfig;
use emoxide::recognizer::{NOTICES, Recognizer};
use emoxide::zoo::{self, Executor};
use serde::Serialize;
use serde_json::{Value, json};

use crate::settings::Settings;

/// What only the program that starts a server knows of it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The device as it was asked for, such as `cpu`.
    pub device: String,
    /// Version of the program, with its commit.
    pub version: String,
}

/// Facts about model and server that no request changes.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The model's name on its card.
    pub(crate) model: String,
    pub(crate) device: String,
    /// `mtcnn`, or `none` where pictures are faces as a whole.
    pub(crate) detector: &'static str,
    /// Its settings.
    pub(crate) detector_config: DetectorConfig,
    /// Why no maps of attention can be shown; `None` where they can.
    pub(crate) unexplained: Option<String>,
    /// `/v1/info`.
    pub(crate) info: Value,
    /// `/v1/models`.
    pub(crate) models: Value,
}

impl About {
    /// Asks the recogniser; on its own thread, because the network is compiled and run on a blank picture.
    pub(crate) fn new(recognizer: &Recognizer, program: &Program, settings: &Settings) -> Self {
        let model = recognizer.model();
        let card = model.card();
        let names: Vec<&str> = recognizer.classes().iter().map(Expression::name).collect();
        let (detector, config) = match recognizer.detector() {
            Detector::Mtcnn(mtcnn) => ("mtcnn", DetectorConfig::Mtcnn(mtcnn.config().clone())),
            Detector::WholeImage => ("none", DetectorConfig::WholeImage {}),
        };
        let executor = match model.executor() {
            Executor::Compiled(_) => "compiled".to_owned(),
            Executor::Burn(why) => format!("burn: {why}"),
        };
        let blank = RgbImage::new(card.preprocess.width, card.preprocess.height);
        let (found, _) = looked_at(model, &blank);
        let kinds = || KINDS.map(|(kind, _)| kind).join(", ");
        let embedded = zoo::card(zoo::DEFAULT).is_ok_and(|embedded| embedded == *card);
        let as_carded = config == card.detector && recognizer.classes() == model.classes();
        let limits = &settings.limits;
        let info = json!({
            "version": program.version,
            "model": value(card),
            "classes": names,
            "preprocess": value(&card.preprocess),
            "detector": value(&config),
            "device": program.device,
            "executor": executor,
            "explains": !found.is_empty(),
            // Whether the recogniser that the page can load into a browser gives the same answers.
            "browser": embedded && as_carded,
            "batching": {
                "pictures": settings.batching.pictures,
                "wait_ms": settings.batching.wait.as_secs_f64() * 1e3,
                "queue": settings.batching.queue,
            },
            "limits": {
                "body_bytes": limits.body_bytes,
                "video_bytes": limits.video_bytes,
                "pixels": limits.pixels,
                "faces": limits.faces,
                "batch": limits.batch,
                "upload_seconds": limits.upload_timeout.as_secs_f64(),
                "write_seconds": limits.write_timeout.as_secs_f64(),
                "deadline_seconds": limits.deadline.as_secs_f64(),
            },
            "notices": NOTICES,
        });
        let models = json!({ "models": [{
            "name": card.name,
            "classes": names,
            "parameters": model.parameters(),
            "input": [card.preprocess.width, card.preprocess.height],
            "licence": value(&card.licence),
            "results": value(&card.results),
        }] });
        Self {
            model: card.name.clone(),
            device: program.device.clone(),
            detector,
            detector_config: config,
            unexplained: found.is_empty().then(kinds),
            info,
            models,
        }
    }
}

/// As JSON; what a checkpoint holds always can be.
fn value(part: &impl Serialize) -> Value {
    serde_json::to_value(part).expect("cards are read from JSON")
}
