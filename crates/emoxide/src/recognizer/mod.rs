//! The pipeline: image bytes in, faces with calibrated expression probabilities out.

mod result;
pub mod rows;
mod worker;

use result::UNCERTAIN;
pub use result::{Face, FaceBox, Prediction, Probabilities, Seen};
pub use worker::{Answer, Batching, Reply, Request, Worker, WorkerError};

use crate::face::{Detection, Detector};
use crate::image::{ImageError, Limits, RgbImage, decode};
use crate::labels::{Classes, LabelError};
use crate::zoo::Model;

/// What faces show and whom it must not be asked of; design and law, not settings.
pub const NOTICES: [&str; 2] = [
    "A face shows an expression, not a feeling.",
    "Inferring emotions of people at work or in education is prohibited in the EU (AI Act, Art. 5(1)(f)) save for medical or safety reasons.",
];

/// Faces classified in one forward pass at most.
const BATCH: usize = 32;

/// Which answers are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Minimum probability of the dominant expression, 0..=1; a face that stays below it is `uncertain`.
    pub min_confidence: f32,
    /// Classes to answer with, a subset of the model's, among which the others' probability is shared out; `None` for all.
    pub classes: Option<Classes>,
}

/// Where a picture's faces are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// Where the detector finds them.
    #[default]
    Detector,
    /// There too, and where it is unsure: for a [`Tracker`](crate::video::Tracker).
    Unsure,
    /// Where the detector finds them; a picture in which it finds none is one face as a whole.
    DetectorOrWhole,
    /// The picture is one face as a whole.
    Whole,
}

/// What is wanted of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where its faces are.
    pub search: Search,
    /// Faces to classify at most, the first in the detector's order; those that it is unsure of come last.
    pub faces: usize,
}

impl Default for Wanted {
    /// All faces that the detector finds.
    fn default() -> Self {
        Self { search: Search::Detector, faces: usize::MAX }
    }
}

/// Options that no answer can meet.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A minimum that is no probability.
    #[error("the minimum confidence is {0}; a probability lies between 0 and 1")]
    MinConfidence(f32),
    /// A class that the model does not know.
    #[error("the model cannot answer with {wanted}: {reason}")]
    Classes {
        /// Classes asked for.
        wanted: Classes,
        /// Which one is missing.
        reason: LabelError,
    },
}

/// Detector and model together.
#[derive(Debug)]
pub struct Recognizer {
    detector: Detector,
    model: Model,
    options: Options,
}

/// A face cut out for the network, with what the detector said of it.
#[derive(Clone, Debug)]
pub struct Crop {
    /// Index of its picture within the batch.
    pub picture: usize,
    /// `None` where the whole picture is the face.
    pub detection: Option<Detection>,
    /// Exactly what the network is given before normalisation.
    pub image: RgbImage,
}

impl Recognizer {
    /// Joins a detector and a model.
    pub fn new(detector: Detector, model: Model, options: Options) -> Result<Self, OptionsError> {
        if !(0.0..=1.0).contains(&options.min_confidence) {
            return Err(OptionsError::MinConfidence(options.min_confidence));
        }
        if let Some(wanted) = &options.classes {
            let refused = |reason| OptionsError::Classes { wanted: wanted.clone(), reason };
            model.classes().positions(wanted).map_err(refused)?;
        }
        Ok(Self { detector, model, options })
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What finds the faces.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Which answers it gives.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The classes of every answer, in order.
    pub fn classes(&self) -> &Classes {
        self.options.classes.as_ref().unwrap_or(self.model.classes())
    }

    /// Finds the faces of every picture, in the detector's order, and cuts them out as the model's card says.
    pub fn crops(&self, images: &[RgbImage]) -> Vec<Crop> {
        let mut crops = Vec::new();
        for (picture, (image, found)) in images.iter().zip(self.detector.detect(images)).enumerate() {
            crops.extend(found.into_iter().map(|detection| self.crop(picture, image, detection)));
        }
        crops
    }

    fn crop(&self, picture: usize, image: &RgbImage, detection: Option<Detection>) -> Crop {
        let card = self.model.card();
        Crop { picture, image: card.alignment.crop(image, detection.as_ref(), &card.preprocess), detection }
    }

    /// As [`crops`](Self::crops), but of each picture what is wanted of it; and how many of its faces are left out.
    fn wanted_crops(&self, images: &[RgbImage], wanted: &[Wanted]) -> (Vec<Crop>, Vec<usize>) {
        let searched: Vec<usize> = (0..images.len()).filter(|at| wanted[*at].search != Search::Whole).collect();
        let unsure = wanted.iter().any(|wanted| wanted.search == Search::Unsure);
        let detect = |images| if unsure { self.detector.detect_unsure(images) } else { self.detector.detect(images) };
        let mut found: Vec<Vec<Option<Detection>>> = vec![Vec::new(); images.len()];
        if searched.len() == images.len() {
            found = detect(images);
        } else {
            for at in searched {
                found[at] = detect(&images[at..=at]).remove(0);
            }
        }
        let (mut crops, mut left_out) = (Vec::new(), Vec::new());
        for (picture, (image, mut found)) in images.iter().zip(found).enumerate() {
            let Wanted { search, faces } = wanted[picture];
            let is_sure = |face: &Option<Detection>| self.detector.is_sure(face.as_ref());
            match search {
                Search::Unsure if found.len() > faces => found.sort_by_key(|face| !is_sure(face)),
                Search::Unsure => {}
                Search::Detector | Search::DetectorOrWhole | Search::Whole => found.retain(is_sure),
            }
            if found.is_empty() && matches!(search, Search::DetectorOrWhole | Search::Whole) {
                found.push(None);
            }
            left_out.push(found.len().saturating_sub(faces));
            crops.extend(found.into_iter().take(faces).map(|detection| self.crop(picture, image, detection)));
        }
        (crops, left_out)
    }

    /// Classifies the faces of decoded pictures; one entry a picture, with what is wanted of it.
    ///
    /// # Panics
    /// If there are not as many wishes as pictures.
    pub fn see(&self, images: &[RgbImage], wanted: &[Wanted]) -> Vec<Seen> {
        assert_eq!(images.len(), wanted.len(), "one wish a picture");
        let (crops, left_out) = self.wanted_crops(images, wanted);
        let faces = self.recognise_crops(images, &crops).into_iter();
        faces.zip(left_out).map(|(faces, left_out)| Seen { faces, left_out }).collect()
    }

    /// Classifies the faces of decoded pictures; one list of faces a picture, in the detector's order.
    pub fn recognise(&self, images: &[RgbImage]) -> Vec<Vec<Face>> {
        self.recognise_crops(images, &self.crops(images))
    }

    /// As [`recognise`](Self::recognise), for faces already cut out of these pictures.
    pub fn recognise_crops(&self, images: &[RgbImage], crops: &[Crop]) -> Vec<Vec<Face>> {
        let mut faces: Vec<Vec<Face>> = vec![Vec::new(); images.len()];
        for crops in crops.chunks(BATCH) {
            let pictures: Vec<RgbImage> = crops.iter().map(|crop| crop.image.clone()).collect();
            for (crop, row) in crops.iter().zip(self.model.probabilities(&pictures)) {
                let image = &images[crop.picture];
                let face_id = faces[crop.picture].len();
                faces[crop.picture].push(self.face(face_id, image, crop.detection.as_ref(), row));
            }
        }
        faces
    }

    fn face(&self, face_id: usize, image: &RgbImage, detection: Option<&Detection>, row: Vec<f32>) -> Face {
        let row = match &self.options.classes {
            Some(subset) => self.model.classes().renormalise(&row, subset).expect("`new` checked the subset"),
            None => row,
        };
        let probabilities = Probabilities(self.classes().iter().zip(row).collect());
        Face {
            face_id,
            bbox: FaceBox::within(image, detection.map(|detection| &detection.bbox)),
            detection_score: detection.map(|detection| detection.score),
            landmarks: detection.map(|detection| detection.landmarks.0),
            dominant_emotion: probabilities.dominant(self.options.min_confidence),
            probabilities,
        }
    }

    /// Decodes and answers a batch of files; each gets its own result, so one bad file costs nothing but itself.
    pub fn recognise_bytes(&self, files: &[(String, Vec<u8>)], limits: &Limits) -> Vec<Result<Prediction, ImageError>> {
        let mut images = Vec::new();
        let place = |(_, bytes): &(String, Vec<u8>)| -> Result<usize, ImageError> {
            images.push(decode(bytes, limits)?);
            Ok(images.len() - 1)
        };
        let places: Vec<_> = files.iter().map(place).collect();
        let mut faces = self.recognise(&images);
        let answer = |((input, _), place): (&(String, Vec<u8>), Result<usize, ImageError>)| {
            let place = place?;
            let (width, height) = images[place].dimensions();
            let faces = std::mem::take(&mut faces[place]);
            Ok(Prediction { input: input.clone(), frame: 0, timestamp: None, width, height, faces })
        };
        files.iter().zip(places).map(answer).collect()
    }
}
