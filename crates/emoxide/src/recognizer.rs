//! The pipeline: image bytes in, faces with calibrated expression probabilities out.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::face::{Detection, Detector};
use crate::image::{ImageError, Limits, RgbImage, decode};
use crate::labels::{Classes, Expression};
use crate::zoo::Model;

/// Faces classified in one forward pass at most.
const BATCH: usize = 32;

/// A box in pixels of the original picture, origin at its top left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FaceBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// One face and its expression.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Face {
    /// Number of the face within its picture, from 0, the largest face first.
    pub face_id: usize,
    /// Where it is, clamped to the picture.
    #[serde(rename = "box")]
    pub bbox: FaceBox,
    /// The detector's confidence, 0..1; `None` where the whole picture was taken for a face.
    pub detection_score: Option<f32>,
    /// Left eye, right eye, nose tip, left and right mouth corner in pixels, image-left first.
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// The most probable expression; `None` (JSON: "uncertain") where it stays below the minimum confidence.
    #[serde(serialize_with = "or_uncertain")]
    pub dominant_emotion: Option<Expression>,
    /// Probability of every class; they sum to 1.
    pub probabilities: Probabilities,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference to the field"
)]
fn or_uncertain<S: Serializer>(expression: &Option<Expression>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(expression.map_or("uncertain", Expression::name))
}

/// Probabilities by name, in the model's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Probabilities(pub Vec<(Expression, f32)>);

impl Probabilities {
    /// Probability of one expression; `None` where the model lacks the class.
    pub fn get(&self, expression: Expression) -> Option<f32> {
        self.0.iter().find(|(name, _)| *name == expression).map(|(_, probability)| *probability)
    }

    /// The most probable expression and its probability.
    pub fn top(&self) -> Option<(Expression, f32)> {
        self.0.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Serialize for Probabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, probability) in &self.0 {
            map.serialize_entry(name, probability)?;
        }
        map.end()
    }
}

/// All faces of one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Name of the picture as it was given.
    pub input: String,
    /// Frame of a video or 0.
    pub frame: usize,
    /// Width of the picture in pixels.
    #[serde(skip)]
    pub width: u32,
    /// Height of the picture in pixels.
    #[serde(skip)]
    pub height: u32,
    /// Its faces, the largest first.
    pub faces: Vec<Face>,
}

/// Answers below this probability are `uncertain`, and which classes are answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Minimum probability of the dominant expression, 0..1.
    pub min_confidence: f32,
    /// Classes to answer with, a subset of the model's; `None` for all.
    pub classes: Option<Classes>,
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
    pub fn new(detector: Detector, model: Model, options: Options) -> Self {
        Self { detector, model, options }
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Finds the faces of every picture and cuts them out as the model's card says.
    pub fn crops(&self, images: &[RgbImage]) -> Vec<Crop> {
        let card = self.model.card();
        let (width, height) = (card.preprocess.width, card.preprocess.height);
        let mut crops = Vec::new();
        for (picture, (image, mut found)) in images.iter().zip(self.detector.detect(images)).enumerate() {
            let area = |detection: &Option<Detection>| detection.map_or(0.0, |detection| detection.bbox.area());
            found.sort_by(|a, b| area(b).total_cmp(&area(a)));
            crops.extend(found.into_iter().map(|detection| Crop {
                picture,
                image: card.alignment.crop(image, detection.as_ref(), width, height),
                detection,
            }));
        }
        crops
    }

    /// Classifies the faces of decoded pictures; one list of faces a picture, the largest first.
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
                faces[crop.picture].push(self.face(face_id, image, crop.detection.as_ref(), &row));
            }
        }
        faces
    }

    fn face(&self, face_id: usize, image: &RgbImage, detection: Option<&Detection>, row: &[f32]) -> Face {
        let classes = self.model.classes();
        let probabilities = match &self.options.classes {
            None => classes.iter().zip(row.iter().copied()).collect(),
            Some(subset) => {
                let kept = classes.renormalise(row, subset).expect("the subset was checked when the options were made");
                subset.iter().zip(kept).collect()
            }
        };
        let probabilities = Probabilities(probabilities);
        let sure = probabilities.top().filter(|(_, probability)| *probability >= self.options.min_confidence);
        Face {
            face_id,
            bbox: clamp(image, detection),
            detection_score: detection.map(|detection| detection.score),
            landmarks: detection.map(|detection| detection.landmarks.0),
            dominant_emotion: sure.map(|(name, _)| name),
            probabilities,
        }
    }

    /// Decodes and answers a batch of files; each gets its own result, so one bad file costs nothing but itself.
    pub fn recognise_bytes(&self, files: &[(String, Vec<u8>)], limits: &Limits) -> Vec<Result<Prediction, ImageError>> {
        let decoded: Vec<Result<RgbImage, ImageError>> = files.iter().map(|(_, bytes)| decode(bytes, limits)).collect();
        let images: Vec<RgbImage> = decoded.iter().filter_map(|image| image.as_ref().ok()).cloned().collect();
        let mut faces = self.recognise(&images).into_iter();
        let answer = |((input, _), image): (&(String, Vec<u8>), Result<RgbImage, ImageError>)| {
            let image = image?;
            let faces = faces.next().unwrap_or_default();
            Ok(Prediction { input: input.clone(), frame: 0, width: image.width(), height: image.height(), faces })
        };
        files.iter().zip(decoded).map(answer).collect()
    }
}

fn clamp(image: &RgbImage, detection: Option<&Detection>) -> FaceBox {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let Some(bbox) = detection.map(|detection| detection.bbox) else {
        return FaceBox { x: 0.0, y: 0.0, width, height };
    };
    let (left, top) = (bbox.left.clamp(0.0, width), bbox.top.clamp(0.0, height));
    FaceBox {
        x: left,
        y: top,
        width: bbox.right.clamp(left, width) - left,
        height: bbox.bottom.clamp(top, height) - top,
    }
}

type Request = (Vec<RgbImage>, Sender<Vec<Vec<Face>>>);

/// A recogniser on its own long-lived thread.
///
/// GPU backends keep a stream and a memory pool for every thread that calls them, so callers with changing threads (a
/// server, a thread pool) send their pictures here.
#[derive(Debug)]
pub struct Worker {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// The worker's thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recogniser's thread has stopped; restart the program and report what was asked of it")]
pub struct WorkerStopped;

impl Worker {
    /// Starts the thread and builds the recogniser on it.
    ///
    /// # Panics
    /// If `build` does.
    pub fn spawn<E: Send + 'static>(build: impl FnOnce() -> Result<Recognizer, E> + Send + 'static) -> Result<Self, E> {
        let (requests, inbox): (Sender<Request>, Receiver<Request>) = channel();
        let (ready, built) = channel();
        let thread = std::thread::spawn(move || match build() {
            Ok(recognizer) => {
                let _ = ready.send(Ok(()));
                for (images, reply) in inbox {
                    // A caller that no longer waits is no error.
                    let _ = reply.send(recognizer.recognise(&images));
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        built.recv().expect("the thread answers before it ends")?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Sends decoded pictures and waits for their faces.
    pub fn recognise(&self, images: Vec<RgbImage>) -> Result<Vec<Vec<Face>>, WorkerStopped> {
        let (reply, answer) = channel();
        self.requests.as_ref().ok_or(WorkerStopped)?.send((images, reply)).map_err(|_| WorkerStopped)?;
        answer.recv().map_err(|_| WorkerStopped)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
