//! A recipe becomes a run directory with checkpoints.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use emoxide::device;
use emoxide::weights::start::Started;
use emoxide_train::data::synth::SynthConfig;
use emoxide_train::data::{DataSpec, Layout};
use emoxide_train::recipe::Recipe;
use emoxide_train::run_dir::{EpochRow, Program};
use emoxide_train::settings;
use emoxide_train::train::{Job, Observer, Outcome, TrainError};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::types::PyAnyMethods;
use pyo3::{Py, PyAny, PyErr, PyResult, Python, pyfunction};
use serde_json::{Value, to_value};
use toml::Table;

use crate::recognizer::json;
use crate::{error, process};

/// Runs draw from generators that belong to the device: one at a time.
static RUN: Mutex<()> = Mutex::new(());
/// How often a run that waits for its turn looks for Ctrl-C.
const PAUSE: Duration = Duration::from_millis(50);

thread_local! {
    /// Whether this thread trains.
    static TRAINS: Cell<bool> = const { Cell::new(false) };
}

/// Trains a recipe: a `file`'s path, or its settings as `toml` or `json`. `observer` has the methods `told`, `warned` and
/// `epoch`. Returns the run's folder and, as JSON, the figures of its test splits.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they are those of the function in Python, which has names for them")]
#[expect(clippy::needless_pass_by_value, reason = "they come out of Python")]
pub(crate) fn train(
    py: Python<'_>,
    form: &str,
    recipe: &str,
    data: Vec<String>,
    set: Vec<String>,
    run_dir: Option<PathBuf>,
    resume: bool,
    device: &str,
    observer: Py<PyAny>,
) -> PyResult<(PathBuf, String)> {
    process::check()?;
    if TRAINS.get() {
        return Err(PyRuntimeError::new_err(
            "a run goes on in this thread: train the next one when it is over, not in its on_epoch",
        ));
    }
    let stem = (form == "file")
        .then(|| Path::new(recipe).file_stem())
        .flatten()
        .map(|stem| stem.to_string_lossy().into_owned());
    let recipe = read(form, recipe, &set)?;
    let run_dir = run_dir.unwrap_or_else(|| Path::new("runs").join(stem.unwrap_or_else(|| recipe.run.name.clone())));
    let job = Job {
        recipe,
        sources: DataSpec::all(&data).map_err(error::argument)?,
        run_dir: run_dir.clone(),
        resume,
        device: device::open(device).map_err(error::device)?,
        device_name: device.to_owned(),
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("EMOXIDE_COMMIT").to_owned(),
            burn: env!("EMOXIDE_BURN").to_owned(),
        },
    };
    let stop = AtomicBool::new(false);
    let mut observer = Listener { python: observer, stop: &stop, ended: None };
    let turn = Turn::wait(py)?;
    let outcome = py.detach(|| emoxide_train::train::train(&job, &mut observer, &stop));
    drop(turn);
    match (observer.ended, outcome) {
        (Some(ended), _) => Err(ended),
        (None, Ok(Outcome::Done(evaluations))) => Ok((run_dir, json(&evaluations)?)),
        (None, Ok(Outcome::Interrupted { .. })) => Err(PyKeyboardInterrupt::new_err(())),
        (None, Err(TrainError::Data(data))) => Err(error::data(data)),
        (None, Err(other)) => Err(error::training(other)),
    }
}

/// The time in which this thread trains and no other one does.
struct Turn(#[expect(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

impl Turn {
    /// Waits until no other run goes on.
    fn wait(py: Python<'_>) -> PyResult<Self> {
        let alone = loop {
            match RUN.try_lock() {
                Ok(alone) => break alone,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => py.detach(|| std::thread::sleep(PAUSE)),
            }
            py.check_signals()?;
        };
        TRAINS.set(true);
        Ok(Self(alone))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TRAINS.set(false);
    }
}

/// Draws faces in the layout of a data set; returns its name, and its path as data are given.
#[pyfunction]
pub(crate) fn draw_faces(
    py: Python<'_>,
    layout: &str,
    out: PathBuf,
    per_class: usize,
    seed: u64,
) -> PyResult<(String, OsString)> {
    process::check()?;
    let layout = layout.parse::<Layout>().map_err(error::argument)?;
    let config = SynthConfig { layout, out, per_class, seed };
    let spec = py.detach(|| config.write()).map_err(error::data)?;
    let mut path = spec.path.into_os_string();
    if let Some(images) = spec.images {
        path.push("@");
        path.push(images);
    }
    Ok((spec.layout.to_string(), path))
}

fn read(form: &str, recipe: &str, set: &[String]) -> PyResult<Recipe> {
    // What errors call it; its bases lie in the working directory.
    let name = Path::new("recipe");
    let table: Table = match form {
        "file" => return Recipe::load(Path::new(recipe), set).map_err(error::training),
        "toml" => settings::parse(recipe, name).map_err(error::training)?,
        "json" => serde_json::from_str(recipe).map_err(error::argument)?,
        _ => return Err(PyValueError::new_err(format!("`{form}` is no form of a recipe"))),
    };
    Recipe::from_settings(table, name, set).map_err(error::training)
}

/// What Python hears of a run, and how it ends it: by an exception, Ctrl-C's among them.
struct Listener<'a> {
    python: Py<PyAny>,
    stop: &'a AtomicBool,
    ended: Option<PyErr>,
}

impl Listener<'_> {
    /// Calls Python; after its first exception nothing more is said.
    fn call(&mut self, work: impl FnOnce(Python<'_>, &Py<PyAny>) -> PyResult<()>) {
        if self.ended.is_some() {
            return;
        }
        if let Err(error) = Python::attach(|py| work(py, &self.python)) {
            self.ended = Some(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn say(&mut self, method: &str, text: &str) {
        self.call(|py, python| python.bind(py).call_method1(method, (text,)).map(drop));
    }
}

impl Observer for Listener<'_> {
    fn nothing_to_resume(&mut self, run_dir: &Path) {
        self.say("told", &format!("{} holds no run to resume: a new one begins", run_dir.display()));
    }

    fn started(&mut self, train: usize, select: usize, parameters: usize) {
        self.say("told", &format!("{train} pictures to train on, {select} to choose by, {parameters} parameters"));
    }

    fn started_from(&mut self, files: &[Started]) {
        for started in files {
            self.say("told", &format!("weights from {}", started.file));
        }
    }

    fn warned(&mut self, warning: &str) {
        self.say("warned", warning);
    }

    fn epoch(&mut self, _epoch: usize, _epochs: usize, _batches: usize) {}

    fn batch(&mut self, _loss: f64) {
        self.call(|py, _| py.check_signals());
    }

    fn row(&mut self, row: &EpochRow, best: bool) {
        self.call(|py, python| {
            let mut figures = to_value(row).map_err(error::other)?;
            figures["best"] = Value::Bool(best);
            python.bind(py).call_method1("epoch", (json(&figures)?,)).map(drop)
        });
        self.call(|py, _| py.check_signals());
    }
}
