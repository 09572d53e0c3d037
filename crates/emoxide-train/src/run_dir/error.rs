//! Why a run folder cannot be used.

use std::path::PathBuf;

use crate::recipe::RecipeError;

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunDirError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A finished or interrupted run is there already.
    #[error("{0} holds a run already; continue it with `--resume`, or name another `--run-dir`")]
    Occupied(PathBuf),
    /// A file that no run has written, and a new one would replace.
    #[error("{0} is in the way: it would be replaced, and belongs to no run; name another `--run-dir`")]
    InTheWay(PathBuf),
    /// A run goes on there.
    #[error("{0}: a run goes on in this folder; wait until it ends, or name another `--run-dir`")]
    Busy(PathBuf),
    /// The folder cannot be kept to one run.
    #[error("{path}: cannot be locked ({reason}); name a `--run-dir` on a file system that locks files")]
    Lock {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The recipe differs from the one that the run began with.
    #[error("{path}: the run began with another recipe ({key} differs); resume with the same one, or start a new run")]
    RecipeChanged {
        /// The run's resolved recipe.
        path: PathBuf,
        /// First line that differs.
        key: String,
    },
    /// The data differ from those that the run began with.
    #[error(
        "{path}: the run began with other pictures or labels in {part}; resume with the same data, or start a new run"
    )]
    DataChanged {
        /// The run's folder.
        path: PathBuf,
        /// Part of the data, such as `train`.
        part: String,
    },
    /// The record of the run's starts cannot be read.
    #[error("{path}: not the record of the run's starts ({reason}); put a file with `[]` in its place to go on")]
    Environment {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// The resolved recipe of the run cannot be read.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A state file that is not what was written.
    #[error("{path}: the state cannot be read ({reason}); delete the folder `state` to start the run again")]
    State {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
}
