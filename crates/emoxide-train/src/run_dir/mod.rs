//! The folder of one run: everything is written beside and renamed, so a kill at any moment loses at most the epoch
//! under way.

mod error;

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use emoxide::weights::start::Started;
use serde::{Deserialize, Serialize};

pub use error::RunDirError;

use crate::recipe::Recipe;

/// The run's recipe; a folder without it holds no run.
const RECIPE: &str = "recipe.resolved.toml";

/// What a run writes once an epoch is done, and would replace.
const WRITTEN: [&str; 9] = [
    "best/model.safetensors",
    "confusion.csv",
    "confusion.png",
    "confusion.svg",
    "curves.svg",
    "last/model.safetensors",
    "metrics.csv",
    "predictions.csv",
    "state",
];

/// One row of `metrics.csv`: an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub rate: f64,
    /// Mean training loss.
    pub train_loss: f64,
    /// Share of training pictures whose highest score is the highest label, as they were augmented, 0..1.
    pub train_accuracy: f64,
    /// Negative log-likelihood on the selection split; empty without one.
    pub select_loss: Option<f64>,
    /// Accuracy on the selection split, 0..1.
    pub select_accuracy: Option<f64>,
    /// Mean-class accuracy on the selection split, 0..1.
    pub select_mean_class_accuracy: Option<f64>,
    /// Wall time; the one column that differs between two equal runs.
    pub seconds: f64,
}

/// How far a run has come; the exact state of the weights lies beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs completed.
    pub epochs: usize,
    /// Optimiser steps made.
    pub steps: usize,
    /// Epoch of the best checkpoint.
    pub best: Option<usize>,
    /// Hash of the names and labels of every part of the data, by its part in the run.
    pub data: BTreeMap<String, String>,
    /// Files that the weights started from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub started_from: Vec<Started>,
    /// All rows so far. They lie beside as CSV, whose numbers come back bit for bit; JSON's may not.
    #[serde(skip)]
    pub rows: Vec<EpochRow>,
}

/// The folder of one run. As long as this lives, no other process, and nothing else in this one, can open it.
#[derive(Debug)]
pub struct RunDir {
    root: PathBuf,
    lock: fs_err::File,
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // Closing the file would do, as the end of the process does, but some systems take their time with that.
        let _ = self.lock.unlock();
    }
}

impl RunDir {
    /// Makes the folder for a new run and writes its resolved recipe and environment.
    pub fn create(root: &Path, recipe: &Recipe, environment: &Environment) -> Result<Self, RunDirError> {
        fs_err::create_dir_all(root)?;
        let run = Self::locked(root)?;
        if run.path(RECIPE).exists() {
            return Err(RunDirError::Occupied(root.to_owned()));
        }
        if let Some(path) = WRITTEN.iter().map(|name| run.path(name)).find(|path| path.exists()) {
            return Err(RunDirError::InTheWay(path));
        }
        let kept = recipe.run.keep_every.map(|_| "epochs");
        for folder in ["last", "best", "events"].into_iter().chain(kept) {
            fs_err::create_dir_all(root.join(folder))?;
        }
        write_whole(&run.environments_path(), to_json(&[environment]).as_bytes())?;
        write_whole(&run.path(RECIPE), recipe.to_toml().as_bytes())?;
        Ok(run)
    }

    /// Opens the folder of a run that was interrupted; its recipe must be the same. `None` where no run has begun.
    pub fn resume(root: &Path, recipe: &Recipe) -> Result<Option<Self>, RunDirError> {
        let path = root.join(RECIPE);
        if !path.exists() {
            return Ok(None);
        }
        let run = Self::locked(root)?;
        let before = Recipe::from_toml(&fs_err::read_to_string(&path)?, &path)?;
        if before == *recipe {
            return Ok(Some(run));
        }
        let (old, new) = (before.to_toml(), recipe.to_toml());
        let key = old.lines().zip(new.lines()).find(|(old, new)| old != new).map_or("its length", |(old, _)| old);
        Err(RunDirError::RecipeChanged { path, key: format!("`{key}`") })
    }

    /// Opens a folder for this run alone. It is the system that holds the lock: a file that a kill left locks nothing.
    fn locked(root: &Path) -> Result<Self, RunDirError> {
        let path = root.join("run.lock");
        let lock = fs_err::OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(RunDirError::Busy(root.to_owned())),
            Err(TryLockError::Error(error)) => Err(RunDirError::Lock { path, reason: error.to_string() }),
        }
    }

    /// A file or folder of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The checkpoint of the chosen epoch.
    pub fn best(&self) -> PathBuf {
        self.path("best/model.safetensors")
    }

    /// The checkpoint of the newest epoch.
    pub fn last(&self) -> PathBuf {
        self.path("last/model.safetensors")
    }

    /// The checkpoint of an epoch that is kept.
    pub fn epoch(&self, epoch: usize) -> PathBuf {
        self.path(&format!("epochs/{epoch:04}.safetensors"))
    }

    fn environments_path(&self) -> PathBuf {
        self.path("environment.json")
    }

    /// Adds the environment of one more start.
    pub fn add_environment(&self, environment: &Environment) -> Result<(), RunDirError> {
        let path = self.environments_path();
        let mut all: Vec<Environment> = serde_json::from_str(&fs_err::read_to_string(&path)?)
            .map_err(|error| RunDirError::Environment { path: path.clone(), reason: error.to_string() })?;
        all.push(environment.clone());
        write_whole(&path, to_json(&all).as_bytes())
    }

    /// The folder of the newest whole state.
    fn state(&self) -> Option<PathBuf> {
        // A kill between the two renames of `replace_state` leaves the previous state under its other name.
        ["state", "state.previous"].map(|name| self.path(name)).into_iter().find(|path| path.exists())
    }

    /// How far the run has come and the folder of its state; `None` before the first epoch is done.
    pub fn progress(&self) -> Result<Option<(Progress, PathBuf)>, RunDirError> {
        let Some(folder) = self.state() else { return Ok(None) };
        let path = folder.join("progress.json");
        let mut progress: Progress = serde_json::from_str(&fs_err::read_to_string(&path)?)
            .map_err(|error| RunDirError::State { path, reason: error.to_string() })?;
        let path = folder.join("metrics.csv");
        progress.rows = csv::Reader::from_reader(fs_err::File::open(&path)?)
            .deserialize()
            .collect::<Result<_, _>>()
            .map_err(|error| RunDirError::State { path, reason: error.to_string() })?;
        Ok(Some((progress, folder)))
    }

    /// Writes a new state with `fill` into a fresh folder, then puts it in the place of the old one.
    pub fn replace_state<E: From<RunDirError>>(
        &self,
        progress: &Progress,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let [state, next, previous] = ["state", "state.next", "state.previous"].map(|name| self.path(name));
        let prepare = || -> Result<(), RunDirError> {
            if next.exists() {
                fs_err::remove_dir_all(&next)?;
            }
            fs_err::create_dir_all(&next)?;
            fs_err::write(next.join("metrics.csv"), table(&progress.rows)?)?;
            Ok(fs_err::write(next.join("progress.json"), to_json(progress))?)
        };
        prepare()?;
        fill(&next)?;
        let swap = || -> Result<(), RunDirError> {
            if state.exists() {
                if previous.exists() {
                    fs_err::remove_dir_all(&previous)?;
                }
                fs_err::rename(&state, &previous)?;
            }
            fs_err::rename(&next, &state)?;
            if previous.exists() {
                fs_err::remove_dir_all(&previous)?;
            }
            Ok(())
        };
        Ok(swap()?)
    }

    /// Writes `metrics.csv` anew from all rows.
    pub fn write_metrics(&self, rows: &[EpochRow]) -> Result<(), RunDirError> {
        write_whole(&self.path("metrics.csv"), &table(rows)?)
    }
}

/// Rows as the bytes of a CSV file.
fn table(rows: &[EpochRow]) -> Result<Vec<u8>, RunDirError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(std::io::Error::other)?;
    }
    Ok(writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?)
}

/// The program that trains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Version of emoxide.
    pub version: String,
    /// Commit it was built from, `-dirty` behind it for a changed tree.
    pub commit: String,
    /// Version of Burn.
    pub burn: String,
}

/// Where and with what a run was made; `environment.json` has one for every start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// What ran.
    #[serde(flatten)]
    pub program: Program,
    /// Device asked for.
    pub device: String,
    /// Processor architecture and operating system.
    pub host: String,
    /// Threads that the machine offers.
    pub threads: usize,
    /// The command line.
    pub command: Vec<String>,
    /// `burn.toml` or `cubecl.toml` files that are in force here; they change fusion and autotuning.
    pub burn_settings: Vec<PathBuf>,
}

impl Environment {
    /// Reads what can be known of this process.
    pub fn here(program: Program, device: &str) -> Self {
        let folder = std::env::current_dir().unwrap_or_default();
        let settings = folder.ancestors().flat_map(|path| [path.join("burn.toml"), path.join("cubecl.toml")]);
        Self {
            program,
            device: device.to_owned(),
            host: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            command: std::env::args().collect(),
            burn_settings: settings.filter(|path| path.exists()).collect(),
        }
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("plain data always becomes JSON")
}

/// Writes beside the target and renames.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    fs_err::write(&beside, bytes)?;
    Ok(fs_err::rename(&beside, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_no_run_are_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let recipe =
            Recipe::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/quick.toml")), &[]).unwrap();
        let program = Program { version: String::new(), commit: String::new(), burn: String::new() };
        let environment = Environment::here(program, "cpu");
        for name in WRITTEN {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, "mine").unwrap();
            let refused = RunDir::create(folder.path(), &recipe, &environment).unwrap_err();
            assert!(matches!(&refused, RunDirError::InTheWay(found) if *found == path), "{refused}");
            assert_eq!(fs_err::read_to_string(&path).unwrap(), "mine");
            fs_err::remove_file(path).unwrap();
        }
        fs_err::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert!(RunDir::create(folder.path(), &recipe, &environment).is_ok());
    }

    #[test]
    fn a_folder_belongs_to_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::locked(folder.path()).unwrap();
        assert!(matches!(RunDir::locked(folder.path()), Err(RunDirError::Busy(path)) if path == folder.path()));
        drop(run);
        assert!(folder.path().join("run.lock").exists());
        assert!(RunDir::locked(folder.path()).is_ok());
    }
}
