//! MTCNN: proposals on an image pyramid, refined twice, with five landmarks.
//!
//! Paper: Zhang, Zhang, Li, Qiao, *Joint face detection and alignment using multi-task cascaded convolutional networks*,
//! 2016. Reference: facenet-pytorch 2.6.0, `detect_face`, whose weights are embedded ([`WEIGHTS`]). Its conventions are
//! kept to the pixel: box edges counted from 1 when cropping, sides one longer when regressing, landmarks moved by -1.
//!
//! Deviations: candidates without a pixel inside the image are dropped (there they are an error); images of a batch may
//! differ in size; large pyramid levels pass the first network in strips, which gives the same numbers in less memory.

mod cascade;
mod error;
mod networks;
mod pyramid;

use burn::module::Module;
use burn::tensor::Device;
use burn_store::{ModuleSnapshot, SafetensorsStore};
use image::RgbImage;
use rayon::prelude::*;
use safetensors::SafeTensors;

use super::Detection;
use crate::device;
use crate::geometry::{Overlap, non_maximum_suppression};
use crate::image::Window;
pub use crate::preprocess::{FaceOrder, MtcnnConfig};
use crate::weights::unfit_tensor;
use cascade::Candidate;
pub use error::MtcnnError;
pub use networks::{OutputNet, OutputNetOutput, ProposalNet, RefineNet, ScoredOffsets};

/// The embedded weights: `assets/mtcnn.safetensors`, from facenet-pytorch 2.6.0 (MIT).
pub const WEIGHTS: &[u8] = include_bytes!("../../../../../assets/mtcnn.safetensors");

/// Overlap (smaller area) above which the lesser of two final boxes goes.
const FINAL_OVERLAP: f32 = 0.7;

/// The three networks of the cascade.
#[derive(Module, Debug)]
pub struct MtcnnNetworks {
    /// Proposes, on images of any size.
    pub pnet: ProposalNet,
    /// Refines crops of 24 x 24 pixels.
    pub rnet: RefineNet,
    /// Refines crops of 48 x 48 pixels and finds landmarks.
    pub onet: OutputNet,
}

impl MtcnnNetworks {
    /// Networks with random weights.
    pub fn new(device: &Device) -> Self {
        Self { pnet: ProposalNet::new(device), rnet: RefineNet::new(device), onet: OutputNet::new(device) }
    }

    /// Loads a safetensors file in the spelling of [`WEIGHTS`]; each tensor must be there and be used.
    pub fn load(bytes: &[u8], device: &Device) -> Result<Self, MtcnnError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| MtcnnError::Unreadable(error.to_string()))?;
        if let Some(reason) = unfit_tensor(&file) {
            return Err(MtcnnError::Unfit(reason));
        }
        let mut networks = Self::new(device);
        let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec())).validate(false).allow_partial(true);
        let applied = networks.load_from(&mut store).map_err(|error| MtcnnError::Unreadable(error.to_string()))?;
        if let Some(error) = applied.errors.first() {
            return Err(MtcnnError::Unfit(error.to_string()));
        }
        if let Some((name, _)) = applied.missing.first() {
            return Err(MtcnnError::Missing { count: applied.missing.len(), first: name.clone() });
        }
        if let Some(name) = applied.unused.first() {
            return Err(MtcnnError::Unused { count: applied.unused.len(), first: name.clone() });
        }
        Ok(networks)
    }
}

/// The detector: networks, settings and the device they run on.
#[derive(Debug)]
pub struct Mtcnn {
    networks: MtcnnNetworks,
    config: MtcnnConfig,
    device: Device,
}

impl Mtcnn {
    /// Loads weights ([`WEIGHTS`] or a file in its spelling) with the default settings.
    pub fn load(bytes: &[u8], device: &Device) -> Result<Self, MtcnnError> {
        Ok(Self {
            networks: MtcnnNetworks::load(bytes, device)?,
            config: MtcnnConfig::default(),
            device: device.clone(),
        })
    }

    /// The same networks with other settings.
    pub fn with_config(mut self, config: MtcnnConfig) -> Result<Self, MtcnnError> {
        config.validate()?;
        self.config = config;
        Ok(self)
    }

    /// The settings.
    pub fn config(&self) -> &MtcnnConfig {
        &self.config
    }

    /// The faces of each image, in the order that the settings name. Images may differ in size.
    pub fn detect(&self, images: &[RgbImage]) -> Vec<Vec<Detection>> {
        self.detect_above(images, self.config.thresholds[2])
    }

    /// As [`detect`](Self::detect), with another score (0..=1) that the last network has to give a face.
    ///
    /// The first network sees each image by itself (on a CPU several at a time, on a GPU one after another, because every
    /// thread there would have a stream of its own), the others see the candidates of all images in common batches.
    pub fn detect_above(&self, images: &[RgbImage], score: f32) -> Vec<Vec<Detection>> {
        let propose = |(index, image)| pyramid::propose(&self.networks.pnet, image, index, &self.config, &self.device);
        let candidates: Vec<Vec<Candidate>> = if device::is_cpu(&self.device) {
            images.par_iter().enumerate().map(propose).collect()
        } else {
            images.iter().enumerate().map(propose).collect()
        };
        let candidates = candidates.concat();
        let candidates =
            cascade::refine(&self.networks.rnet, images, candidates, self.config.thresholds[1], &self.device);
        let found = cascade::finish(&self.networks.onet, images, candidates, score, &self.device);

        let mut faces: Vec<Vec<Detection>> = vec![Vec::new(); images.len()];
        for (image, face) in found {
            faces[image].push(face);
        }
        faces.into_iter().map(|faces| self.select(&faces)).collect()
    }

    /// The last suppression and the order of the result.
    fn select(&self, faces: &[Detection]) -> Vec<Detection> {
        let boxes: Vec<_> = faces.iter().map(|face| face.bbox).collect();
        let scores: Vec<_> = faces.iter().map(|face| face.score).collect();
        let kept = non_maximum_suppression(&boxes, &scores, FINAL_OVERLAP, Overlap::Minimum);
        let mut faces: Vec<Detection> = kept.into_iter().map(|index| faces[index]).collect();
        if self.config.order == FaceOrder::Largest {
            faces.sort_by(|one, other| other.bbox.area().total_cmp(&one.bbox.area()));
        }
        faces
    }
}

/// What the networks are given: grey levels 0..=255 brought to -1..1.
fn normalised(value: f32) -> f32 {
    (value - 127.5) * 0.007_812_5
}

/// Cells that the pixel-counting crop of `bbox` covers, if any lies in the image.
fn crop_window(bbox: &crate::geometry::BoundingBox, image: &RgbImage) -> Option<Window> {
    // Edges count pixels from 1; the casts cut towards zero and saturate, as the reference's do.
    let left = (bbox.left as i64).max(1) - 1;
    let top = (bbox.top as i64).max(1) - 1;
    let right = (bbox.right as i64).min(i64::from(image.width()));
    let bottom = (bbox.bottom as i64).min(i64::from(image.height()));
    (right > left && bottom > top).then(|| Window {
        left: left as u32,
        top: top as u32,
        width: (right - left) as u32,
        height: (bottom - top) as u32,
    })
}
