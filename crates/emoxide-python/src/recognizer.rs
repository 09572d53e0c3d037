//! The recogniser, shared by all threads of the interpreter.

use std::ffi::{CString, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use emoxide::face::Detector;
use emoxide::image::{Limits, RgbImage};
use emoxide::labels::Classes;
use emoxide::preprocess::DetectorConfig;
use emoxide::recognizer::{self as recognizer, Options, Prediction, Search, Wanted};
use emoxide::video::{FollowOptions, Selection, TrackerConfig};
use emoxide::zoo::{Executor, Precision, Why};
use numpy::{PyArray2, PyArrayMethods, ToPyArray};
use pyo3::exceptions::{PyRuntimeWarning, PyValueError};
use pyo3::types::{PyList, PyListMethods};
use pyo3::{Bound, IntoPyObjectExt, Py, PyAny, PyErr, PyResult, Python, pyclass, pymethods};
use rayon::prelude::*;
use serde::Serialize;

use crate::clip::{self, Clip};
use crate::error::{self, exceptions};
use crate::picture::Picture;
use crate::table::{Rows, Table};
use crate::{opening, process};

/// Detector and model; nothing of it changes.
#[pyclass(frozen, module = "emoxide._emoxide")]
pub(crate) struct Recognizer {
    inner: Arc<recognizer::Recognizer>,
    detector: DetectorConfig,
    device: String,
    batch_size: usize,
    limits: Limits,
}

/// A picture under its name: read, or why not.
type Read = (String, Result<RgbImage, String>);
/// What is in a picture, or its name and why it cannot be read.
type Found = Result<Prediction, (String, String)>;

#[pymethods]
impl Recognizer {
    #[new]
    #[pyo3(signature = (model, device, detector, batch_size, min_face, min_confidence, classes, precision))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the arguments of the class in Python, which has names for them"
    )]
    fn new(
        py: Python<'_>,
        model: &str,
        device: &str,
        detector: &str,
        batch_size: usize,
        min_face: Option<u32>,
        min_confidence: f32,
        classes: Option<&str>,
        precision: &str,
    ) -> PyResult<Self> {
        process::check()?;
        if batch_size == 0 {
            return Err(PyValueError::new_err("batch_size is 0; at least one picture is worked on at a time"));
        }
        let precision: Precision = precision.parse().map_err(error::argument)?;
        let classes = classes.map(Classes::from_list).transpose();
        let classes = classes.map_err(|error| PyValueError::new_err(format!("classes: {error}")))?;
        let device = opening::device_name(device);
        let (inner, detector) = py.detach(|| {
            let model = opening::open(model, device, precision)?;
            let config = opening::detector_config(detector, min_face, &model.card().detector)?;
            let detector = Detector::new(&config, model.device()).map_err(error::argument)?;
            let options = Options { min_confidence, classes };
            let recognizer = recognizer::Recognizer::new(detector, model, options).map_err(error::argument)?;
            PyResult::Ok((recognizer, config))
        })?;
        if let Executor::Burn(why @ (Why::Engine(_) | Why::Level(_))) = py.detach(|| inner.model().executor()) {
            let text = CString::new(format!("{model}: {why}; Burn computes it, which is slower"))?;
            PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 3)?;
        }
        Ok(Self { inner: Arc::new(inner), detector, device: device.to_owned(), batch_size, limits: Limits::default() })
    }

    /// Where it computes.
    #[getter]
    fn device(&self) -> &str {
        &self.device
    }

    /// Names of the classes of every answer, in order.
    #[getter]
    fn classes(&self) -> Vec<&'static str> {
        self.inner.classes().iter().map(emoxide::labels::Expression::name).collect()
    }

    /// What the checkpoint says of itself, as JSON.
    #[getter]
    fn card(&self) -> PyResult<String> {
        json(self.inner.model().card())
    }

    /// A prediction as JSON for each picture; with `keep`, an exception for one that cannot be read.
    fn predict(
        &self,
        py: Python<'_>,
        names: Vec<OsString>,
        pictures: &Bound<'_, PyList>,
        keep: bool,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let mut answers = Vec::with_capacity(names.len());
        let answer = |prediction: Found| match prediction {
            Ok(prediction) => json(&prediction)?.into_py_any(py),
            Err((name, reason)) => Ok(unreadable(&name, &reason).into_value(py).into_any()),
        };
        self.batches(
            py,
            names,
            pictures,
            |read| self.recognise(read, keep),
            |found| {
                for prediction in found {
                    answers.push(answer(prediction)?);
                }
                Ok(())
            },
        )?;
        Ok(answers)
    }

    /// The rows of all pictures; with `keep`, a column with the reasons for those that cannot be read.
    fn table(&self, py: Python<'_>, names: Vec<OsString>, pictures: &Bound<'_, PyList>, keep: bool) -> PyResult<Table> {
        let mut rows = Rows::new(self.inner.classes(), keep);
        self.batches(
            py,
            names,
            pictures,
            |read| self.recognise(read, keep),
            |found| {
                for prediction in found {
                    match prediction {
                        Ok(prediction) => rows.add(&prediction),
                        Err((name, reason)) => rows.add_error(name, None, &reason),
                    }
                }
                Ok(())
            },
        )?;
        Ok(rows.finish())
    }

    /// The frames of a clip; see [`clip::source`].
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the arguments of the method in Python, which has names for them"
    )]
    fn clip(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        pictures: bool,
        name: OsString,
        start: f64,
        end: Option<f64>,
        skip_frames: usize,
        track: bool,
        max_lost: f64,
        smooth: Option<f64>,
        fps: Option<f64>,
    ) -> PyResult<Clip> {
        process::check()?;
        let name = shown(name);
        let selection = Selection { start, end, skip: skip_frames, first: 0 };
        let tracker = TrackerConfig { max_lost, ..TrackerConfig::following(&self.detector) };
        let min_confidence = self.inner.options().min_confidence;
        let following = FollowOptions { tracker: track.then_some(tracker), smooth, min_confidence };
        py.detach(|| {
            let source = clip::source(&name, paths, pictures, fps)?;
            Clip::open(name, &source, selection, &following, Arc::clone(&self.inner), self.batch_size)
        })
    }

    /// `[faces, width]`: the network's embedding of every face.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        names: Vec<OsString>,
        pictures: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = self.numbers(py, names, pictures, |images| self.embeddings(images))?;
        let width = match rows.first() {
            Some(row) => row.len(),
            None => py.detach(|| self.embedding_width()),
        };
        matrix(py, &rows, width)
    }

    /// `[pictures, classes]`: the probabilities of every picture, each a face as a whole.
    fn probabilities<'py>(
        &self,
        py: Python<'py>,
        names: Vec<OsString>,
        pictures: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = self.numbers(py, names, pictures, |images| self.whole(images))?;
        matrix(py, &rows, self.inner.classes().len())
    }
}

impl Recognizer {
    /// What computes.
    pub(crate) fn inner(&self) -> &recognizer::Recognizer {
        &self.inner
    }

    /// What `work` makes of all pictures, in order.
    fn numbers(
        &self,
        py: Python<'_>,
        names: Vec<OsString>,
        pictures: &Bound<'_, PyList>,
        work: impl Fn(&[RgbImage]) -> Vec<Vec<f32>> + Send + Sync,
    ) -> PyResult<Vec<Vec<f32>>> {
        let mut rows = Vec::new();
        let take = |found: Vec<Vec<f32>>| {
            rows.extend(found);
            Ok(())
        };
        self.batches(py, names, pictures, |read| Ok(work(&readable(read)?)), take)?;
        Ok(rows)
    }

    /// Reads pictures, a batch at a time; `work` looks at them without holding the interpreter, `take` hears what it found.
    fn batches<T: Send>(
        &self,
        py: Python<'_>,
        names: Vec<OsString>,
        pictures: &Bound<'_, PyList>,
        work: impl Fn(Vec<Read>) -> PyResult<T> + Send + Sync,
        mut take: impl FnMut(T) -> PyResult<()>,
    ) -> PyResult<()> {
        process::check()?;
        if names.len() != pictures.len() {
            return Err(PyValueError::new_err(format!("{} names for {} pictures", names.len(), pictures.len())));
        }
        let mut waiting = names.into_iter().map(shown).zip(pictures.iter());
        loop {
            py.check_signals()?;
            let batch = waiting.by_ref().take(self.batch_size);
            let batch = batch.map(|(name, picture)| Ok((Picture::from_python(&name, &picture)?, name)));
            let batch: Vec<(Picture, String)> = batch.collect::<PyResult<_>>()?;
            if batch.is_empty() {
                return Ok(());
            }
            let read = |(picture, name): (Picture, String)| (name, picture.read(&self.limits));
            take(py.detach(|| work(batch.into_par_iter().map(read).collect()))?)?;
        }
    }

    /// What is found in each picture of a batch; without `keep`, one that cannot be read is an error.
    fn recognise(&self, read: Vec<Read>, keep: bool) -> PyResult<Vec<Found>> {
        let (mut images, mut places) = (Vec::new(), Vec::new());
        for (name, picture) in read {
            places.push(match picture {
                Ok(image) => {
                    images.push(image);
                    Ok(name)
                }
                Err(reason) if keep => Err((name, reason)),
                Err(reason) => return Err(unreadable(&name, &reason)),
            });
        }
        let mut faces = images.iter().zip(self.inner.recognise(&images));
        let mut prediction = |input| {
            let (image, faces) = faces.next().expect("faces for every picture");
            let (width, height) = image.dimensions();
            Prediction { input, frame: 0, timestamp: None, width, height, faces }
        };
        Ok(places.into_iter().map(|place| place.map(&mut prediction)).collect())
    }

    /// The network's embedding of every face.
    fn embeddings(&self, images: &[RgbImage]) -> Vec<Vec<f32>> {
        let model = self.inner.model();
        let crops: Vec<RgbImage> = self.inner.crops(images).into_iter().map(|crop| crop.image).collect();
        let batches = crops.chunks(self.batch_size);
        batches.flat_map(|crops| model.embeddings(model.card().preprocess.batch(crops))).collect()
    }

    /// Values of an embedding, which the network tells of a blank picture.
    fn embedding_width(&self) -> usize {
        let model = self.inner.model();
        let preprocess = &model.card().preprocess;
        let blank = RgbImage::new(preprocess.width, preprocess.height);
        model.embeddings(preprocess.batch(&[blank])).first().map_or(0, Vec::len)
    }

    /// The probabilities of pictures that are a face as a whole.
    fn whole(&self, images: &[RgbImage]) -> Vec<Vec<f32>> {
        let wanted = vec![Wanted { search: Search::Whole, ..Wanted::default() }; images.len()];
        let faces = self.inner.see(images, &wanted).into_iter().flat_map(|seen| seen.faces);
        faces.map(|face| face.probabilities.0.into_iter().map(|(_, probability)| probability).collect()).collect()
    }
}

/// A name as the command line shows it: what is no Unicode in it is replaced.
fn shown(name: OsString) -> String {
    name.into_string().unwrap_or_else(|name| name.to_string_lossy().into_owned())
}

/// The pictures of a batch, all of which are wanted.
fn readable(read: Vec<Read>) -> PyResult<Vec<RgbImage>> {
    read.into_iter().map(|(name, picture)| picture.map_err(|reason| unreadable(&name, &reason))).collect()
}

fn unreadable(name: &str, reason: &str) -> PyErr {
    exceptions::ImageError::new_err(format!("{name}: {reason}"))
}

/// Rows of one length as an array, also where there is no row.
fn matrix<'py>(py: Python<'py>, rows: &[Vec<f32>], width: usize) -> PyResult<Bound<'py, PyArray2<f32>>> {
    rows.concat().to_pyarray(py).reshape([rows.len(), width])
}

pub(crate) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(error::other)
}
