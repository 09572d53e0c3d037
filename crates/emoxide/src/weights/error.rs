use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use crate::models::ConfigError;

/// Why weights were not taken. Nothing is ever taken in part.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read; the text names it.
    #[error(transparent)]
    Read(#[from] std::io::Error),

    /// The file is damaged, or of no known format.
    #[error("{path}: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },

    /// The pickle asks for something that is neither a tensor nor a plain container. None of it was executed.
    #[error(
        "{path}: refused, because its pickle asks for {what}; only tensors and plain containers are read. \
         In Python, `torch.save(model.state_dict(), ...)` or `paddle.save` writes a file without it"
    )]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The name of the Python object, or the instruction.
        what: String,
    },

    /// The file lacks tensors that the network has.
    #[error(
        "{path}: no tensor for `{first}` ({count} missing in all); name the network, the key map and the part that this \
         file is for, or import it without its head"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The network's name of the first one.
        first: String,
        /// How many.
        count: usize,
    },

    /// The file holds tensors that the network has not.
    #[error("{path}: the network has no place for `{first}` ({count} such tensors in all); {}", advice(part.as_deref()))]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// The file's name of the first one.
        first: String,
        /// How many.
        count: usize,
        /// A part of the network that has a place for the first one.
        part: Option<String>,
    },

    /// Two tensors of the file would go to the same place.
    #[error("{path}: `{first}` and `{second}` are both `{name}` under this key map")]
    Twice {
        /// The file.
        path: PathBuf,
        /// The network's name.
        name: String,
        /// The file's name of the one.
        first: String,
        /// The file's name of the other.
        second: String,
    },

    /// A tensor has another shape than the network's.
    #[error("{path}: `{name}` has the shape {found:?}, the network's has {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The network's name.
        name: String,
        /// The network's shape, in the order of the file.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },

    /// A tensor is there but unusable: not of floats, or its data cannot be read.
    #[error("{path}: `{name}`: {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The network's name.
        name: String,
        /// What is wrong.
        problem: String,
    },

    /// There is no key map of this name.
    #[error("no key map `{name}`; there are {known}")]
    KeyMap {
        /// The name that was asked for.
        name: String,
        /// All names.
        known: String,
    },

    /// The network has no part of this name.
    #[error("the network has no part `{part}`; its parameters' names start with {known}")]
    Part {
        /// The part that was asked for.
        part: String,
        /// How the names start.
        known: String,
    },

    /// A network that cannot be written under the names of a key map.
    #[error("no export with the key map `{keys}`: {name} {problem}")]
    Export {
        /// The key map.
        keys: String,
        /// The network's name of a tensor, or a word for all of them.
        name: String,
        /// What is in the way.
        problem: String,
    },

    /// A setting of a file that training starts from.
    #[error("network.weights[{index}]: {problem}")]
    Start {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it, and what to do.
        problem: String,
    },

    /// A checkpoint of our own that cannot be used.
    #[error(transparent)]
    Checkpoint(Box<CheckpointError>),

    /// The network cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl From<CheckpointError> for WeightsError {
    fn from(error: CheckpointError) -> Self {
        Self::Checkpoint(Box::new(error))
    }
}

/// What to do about a tensor without a place.
fn advice(part: Option<&str>) -> String {
    match part {
        Some(part) => format!("its part `{part}` has: say `part = \"{part}\"` beside the file"),
        None => {
            "name the network, the key map and the part that this file is for, or import it without its head".to_owned()
        }
    }
}
