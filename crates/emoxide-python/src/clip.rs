//! Clips: frames in order, faces that keep their numbers.

use std::convert::Infallible;
use std::iter::from_fn;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use emoxide::image::{Limits, RgbImage};
use emoxide::labels::Classes;
use emoxide::recognizer::{Prediction, Recognizer, Wanted};
use emoxide::video::{Analysis, DEFAULT_FPS, FollowOptions, Follower, Frames, Selection, Source, VideoError};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::{PyErr, PyResult, Python, pyclass, pymethods};

use crate::error::{self, exceptions};
use crate::process;
use crate::recognizer::json;
use crate::table::{Rows, Table};

/// Predictions of the frames, or what was wrong with one.
type Predictions = Box<dyn Iterator<Item = Result<Prediction, VideoError>> + Send>;

/// The frames of a clip, read and answered as they are asked for.
#[pyclass(frozen, module = "emoxide._emoxide")]
pub(crate) struct Clip {
    name: String,
    classes: Classes,
    /// Nothing once the clip is dropped.
    frames: Mutex<Option<Predictions>>,
    /// The process that reads it.
    process: u32,
}

impl Drop for Clip {
    fn drop(&mut self) {
        // The decoder of a process that was forked is that of the first one, and its threads are not here to be waited for.
        if std::process::id() != self.process {
            let frames = self.frames.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(frames.take());
        }
    }
}

#[pymethods]
impl Clip {
    /// The prediction of the next frame as JSON, `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let shown = self.step(py)?.transpose().map_err(|error| refused(&self.name, &error))?;
        shown.as_ref().map(json).transpose()
    }

    /// The rows of the frames that are left; with `keep`, a column with the reasons for what cannot be read.
    fn table(&self, py: Python<'_>, keep: bool) -> PyResult<Table> {
        let mut rows = Rows::new(&self.classes, keep);
        while let Some(next) = self.step(py)? {
            match next {
                Ok(prediction) => rows.add(&prediction),
                Err(error) if keep => rows.add_error(self.name.clone(), error.frame(), &error.to_string()),
                Err(error) => return Err(refused(&self.name, &error)),
            }
        }
        Ok(rows.finish())
    }
}

impl Clip {
    /// Opens a clip; `batch` frames are answered together.
    pub(crate) fn open(
        name: String,
        source: &Source,
        selection: Selection,
        following: &FollowOptions,
        recognizer: Arc<Recognizer>,
        batch: usize,
    ) -> PyResult<Self> {
        let follower = Follower::new(following).map_err(error::argument)?;
        let frames = Frames::open(source, selection, Limits::default()).map_err(|error| refused(&name, &error))?;
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
        let frames = Mutex::new(Some(Box::new(predictions) as Predictions));
        Ok(Self { name, classes, frames, process: std::process::id() })
    }

    fn step(&self, py: Python<'_>) -> PyResult<Option<Result<Prediction, VideoError>>> {
        process::check()?;
        py.check_signals()?;
        Ok(py.detach(|| self.frames.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.next()))
    }
}

/// Where the frames come from: the path of a video, `camera:0`, a folder or a pattern such as `frames/%04d.png`; or the paths of
/// pictures. Pictures are shown `fps` a second.
pub(crate) fn source(name: &str, paths: Vec<PathBuf>, pictures: bool, fps: Option<f64>) -> PyResult<Source> {
    let rate = fps.unwrap_or(DEFAULT_FPS);
    if pictures {
        return Source::pictures(paths, rate).map_err(|error| refused(name, &error));
    }
    let [path] = <[PathBuf; 1]>::try_from(paths).map_err(|_| PyTypeError::new_err("a clip has one path"))?;
    if path.is_dir() || (!path.exists() && is_pattern(&path)) {
        return Source::sequence(&path, rate).map_err(|error| refused(name, &error));
    }
    let camera = Source::camera(&path.to_string_lossy());
    if fps.is_some() && (camera.is_some() || path.exists()) {
        return Err(PyValueError::new_err(format!(
            "fps: {name} says by itself when its frames are shown; pictures do not"
        )));
    }
    Ok(camera.unwrap_or(Source::File(path)))
}

/// Whether the name of a file has a place for a number, such as `%04d`.
fn is_pattern(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('%').skip(1).any(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).starts_with('d'))
}

fn refused(name: &str, error: &VideoError) -> PyErr {
    let text = format!("{name}: {error}");
    match error {
        VideoError::Range { .. } | VideoError::FrameRate(_) => PyValueError::new_err(text),
        _ => exceptions::VideoError::new_err(text),
    }
}
