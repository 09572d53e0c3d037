//! What finds the faces: options that several verbs share.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use emoxide::face::{Detector, DetectorConfig};
use emoxide::zoo::Model;

/// What a picture's faces are found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DetectorName {
    /// The embedded MTCNN
    Mtcnn,
    /// No detection: every picture is one face, already cropped
    None,
}

#[derive(Debug, Args)]
pub(crate) struct Detecting {
    /// What finds the faces; by default what the model's card names
    #[arg(long, value_enum)]
    detector: Option<DetectorName>,
    /// Smallest face to look for, in pixels; by default what the model's card names
    #[arg(long, value_name = "PIXELS")]
    min_face: Option<u32>,
}

impl Detecting {
    /// The detector of the model's card, but for what was asked for.
    pub(crate) fn open(&self, model: &Model) -> Result<Detector> {
        Ok(Detector::new(&self.config(&model.card().detector)?, model.device())?)
    }

    /// The settings of [`open`](Self::open).
    pub(crate) fn config(&self, of_card: &DetectorConfig) -> Result<DetectorConfig> {
        let mut detector = match (self.detector, of_card) {
            (Some(DetectorName::None), _) => DetectorConfig::WholeImage {},
            (Some(DetectorName::Mtcnn), DetectorConfig::WholeImage {}) => DetectorConfig::default(),
            _ => of_card.clone(),
        };
        match (&mut detector, self.min_face) {
            (_, None) => {}
            (DetectorConfig::Mtcnn(config), Some(pixels)) => config.min_face = pixels,
            (DetectorConfig::WholeImage {}, Some(pixels)) => {
                bail!("--min-face {pixels}: every picture is taken for one face; look for faces with --detector mtcnn")
            }
        }
        Ok(detector)
    }
}
