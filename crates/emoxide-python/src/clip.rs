//! Clips: frames in order, faces that keep their numbers.

use std::convert::Infallible;
use std::iter::from_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use emoxide::image::{Limits, RgbImage};
use emoxide::labels::Classes;
use emoxide::preprocess::DetectorConfig;
use emoxide::recognizer::{Prediction, Recognizer, Wanted};
use emoxide::video::{
    Analysis, DEFAULT_FPS, FollowOptions, Follower, Frames, Selection, Source, TrackerConfig, VideoError,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::{FromPyObject, PyErr, PyResult, Python, pyclass, pymethods};

use crate::error::{self, exceptions};
use crate::process;
use crate::recognizer::json;
use crate::table::{Rows, Table};

/// What Python asks of a clip.
#[derive(FromPyObject)]
pub(crate) struct ClipOptions {
    name: String,
    start: f64,
    end: Option<f64>,
    skip_frames: usize,
    smooth: Option<f64>,
    track: bool,
    max_lost: f64,
}

/// Predictions of the frames, or what was wrong with one.
type Predictions = Box<dyn Iterator<Item = Result<Prediction, VideoError>> + Send>;

/// The frames of a clip, read and answered as they are asked for.
#[pyclass(frozen, module = "emoxide._emoxide")]
pub(crate) struct Clip {
    name: String,
    classes: Classes,
    frames: Mutex<Predictions>,
}

#[pymethods]
impl Clip {
    /// The prediction of the next frame as JSON, `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let shown = self.step(py)?.transpose().map_err(|error| self.unreadable(&error))?;
        shown.as_ref().map(json).transpose()
    }

    /// The rows of the frames that are left; with `keep`, a column with the reasons for what cannot be read.
    fn table(&self, py: Python<'_>, keep: bool) -> PyResult<Table> {
        let mut rows = Rows::new(&self.classes, keep);
        while let Some(next) = self.step(py)? {
            match next {
                Ok(prediction) => rows.add(&prediction),
                Err(error) if keep => rows.add_error(self.name.clone(), &error.to_string()),
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        Ok(rows.finish())
    }
}

impl Clip {
    /// Opens a clip; `batch` frames are answered together.
    pub(crate) fn open(
        source: &Source,
        options: ClipOptions,
        recognizer: Arc<Recognizer>,
        detector: &DetectorConfig,
        batch: usize,
    ) -> PyResult<Self> {
        let ClipOptions { name, start, end, skip_frames: skip, smooth, track, max_lost } = options;
        let tracker = TrackerConfig { max_lost, ..TrackerConfig::following(detector) };
        let min_confidence = recognizer.options().min_confidence;
        let following = FollowOptions { tracker: track.then_some(tracker), smooth, min_confidence };
        let follower = Follower::new(&following).map_err(error::argument)?;
        let selection = Selection { start, end, skip, first: 0 };
        let frames = Frames::open(source, selection, Limits::default()).map_err(|error| unreadable(&name, &error))?;
        let classes = recognizer.classes().clone();
        let wanted = Wanted { search: follower.search(), ..Wanted::default() };
        let recognise = move |images: &[RgbImage]| {
            let seen = recognizer.see(images, &vec![wanted; images.len()]);
            Ok::<_, Infallible>(seen.into_iter().map(|seen| seen.faces).collect())
        };
        let mut analysis = Analysis::new(name.clone(), frames, recognise, follower, batch);
        let predictions = from_fn(move || {
            let Ok(shown) = analysis.next()?;
            Some(shown.map(|shown| shown.prediction))
        });
        Ok(Self { name, classes, frames: Mutex::new(Box::new(predictions)) })
    }

    fn step(&self, py: Python<'_>) -> PyResult<Option<Result<Prediction, VideoError>>> {
        process::check()?;
        py.check_signals()?;
        Ok(py.detach(|| self.frames.lock().unwrap_or_else(PoisonError::into_inner).next()))
    }

    fn unreadable(&self, error: &VideoError) -> PyErr {
        unreadable(&self.name, error)
    }
}

/// Where the frames come from: the path of a video, `camera:0`, a folder or a pattern such as `frames/%04d.png`; or the paths of
/// pictures. Pictures are shown `fps` a second.
pub(crate) fn source(paths: Vec<PathBuf>, pictures: bool, fps: Option<f64>) -> PyResult<Source> {
    let rate = fps.unwrap_or(DEFAULT_FPS);
    if pictures {
        return Source::pictures(paths, rate).map_err(error::argument);
    }
    let [path] = <[PathBuf; 1]>::try_from(paths).map_err(|_| PyTypeError::new_err("a clip has one path"))?;
    if path.is_dir() || (!path.exists() && path.to_string_lossy().contains('%')) {
        return Source::sequence(&path, rate).map_err(error::argument);
    }
    if fps.is_some() {
        return Err(PyValueError::new_err(format!(
            "fps: {} says by itself when its frames are shown; pictures do not",
            path.display()
        )));
    }
    Ok(Source::camera(&path.to_string_lossy()).unwrap_or(Source::File(path)))
}

fn unreadable(name: &str, error: &VideoError) -> PyErr {
    let text = format!("{name}: {error}");
    if let VideoError::Range { .. } = error {
        PyValueError::new_err(text)
    } else {
        exceptions::VideoError::new_err(text)
    }
}
