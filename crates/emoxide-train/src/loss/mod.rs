//! What training minimises.

mod channel_separation;
mod config;
mod cross_entropy;
mod error;
mod parallel;
mod sparse_centre;

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emoxide::models::{Classifier, Network, Outputs};

pub use channel_separation::{ChannelError, ChannelSeparation, ChannelSeparationConfig, Divisor, Groups};
pub use config::{ClassWeights, ObjectiveConfig};
pub use cross_entropy::CrossEntropy;
pub use error::ObjectiveError;
pub use parallel::{Orthogonality, ParallelLoss, Reading, Stages};
pub use sparse_centre::SparseCentre;

use crate::snapshot::{self, StateError, Tensors};

/// The centres' name in a saved state.
const CENTRES: &str = "centres";

/// An objective, ready to use, with what it learns itself.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one exists per run; boxing would only add a level")]
pub enum Objective {
    /// Cross-entropy of the softmax of the logits.
    CrossEntropy(CrossEntropy),
    /// Cross-entropy plus the sparse centre loss.
    SparseCentre(SparseCentre),
    /// Cross-entropy of two heads plus the orthogonality of branches.
    Parallel(ParallelLoss),
    /// Cross-entropy plus the losses of groups of channels.
    ChannelSeparation(ChannelSeparation),
}

impl Objective {
    /// Whether `network` gives what this objective looks at, for inputs of so many channels, rows and columns.
    pub fn check(
        &self,
        network: &Network,
        [channels, rows, cols]: [usize; 3],
        device: &Device,
    ) -> Result<(), ObjectiveError> {
        let outputs = || {
            let image = Tensor::zeros([1, channels, rows, cols], &device.clone().without_autodiff());
            network.valid().outputs(image)
        };
        match self {
            Self::CrossEntropy(_) | Self::ChannelSeparation(_) => Ok(()),
            Self::SparseCentre(loss) if !loss.is_attentive() || outputs().attention.is_some() => Ok(()),
            Self::SparseCentre(_) => Err(ObjectiveError::NoAttention),
            Self::Parallel(_) if outputs().parallel.is_some() => Ok(()),
            Self::Parallel(_) => Err(ObjectiveError::NoBranches),
        }
    }

    /// The loss `[1]` of a network's outputs against target distributions `[batch, classes]`; a single class is a row with
    /// one 1. An objective that learns takes its own step from this batch.
    pub fn forward(&mut self, outputs: Outputs, targets: Tensor<2>) -> Tensor<1> {
        match self {
            Self::CrossEntropy(loss) => loss.forward(outputs.logits, targets),
            Self::SparseCentre(loss) => loss.forward(outputs, targets),
            Self::Parallel(loss) => loss.forward(outputs, targets),
            Self::ChannelSeparation(loss) => loss.forward(outputs, targets),
        }
    }

    /// What it has learnt, by name; empty for objectives that learn nothing.
    pub fn state(&self) -> Tensors {
        match self {
            Self::CrossEntropy(_) | Self::Parallel(_) | Self::ChannelSeparation(_) => Tensors::new(),
            Self::SparseCentre(loss) => Tensors::from([(CENTRES.to_owned(), loss.centres().clone().into_data())]),
        }
    }

    /// Takes back what [`state`](Self::state) gave.
    pub fn restored(self, mut state: Tensors) -> Result<Self, StateError> {
        let restored = match self {
            Self::CrossEntropy(_) | Self::Parallel(_) | Self::ChannelSeparation(_) => self,
            Self::SparseCentre(loss) => {
                let name = || CENTRES.to_owned();
                let data = state.remove(CENTRES).ok_or_else(|| StateError::Missing { name: name() })?;
                let (wanted, found) = (loss.centres().dims().to_vec(), data.shape().to_vec());
                if found != wanted {
                    return Err(StateError::Shape { name: name(), found, wanted });
                }
                let centres = Tensor::from_data(data, &loss.centres().device());
                Self::SparseCentre(loss.with_centres(centres))
            }
        };
        match state.into_keys().next() {
            None => Ok(restored),
            Some(name) => Err(StateError::Unused { name }),
        }
    }

    /// Writes what it has learnt to a file, beside it first; no file where it learns nothing.
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        let state = self.state();
        if state.is_empty() { Ok(()) } else { snapshot::write(path, &snapshot::to_bytes(&state, &())?) }
    }

    /// Takes back what [`save`](Self::save) wrote.
    pub fn load(self, path: &Path) -> Result<Self, StateError> {
        if self.state().is_empty() {
            return Ok(self);
        }
        let (state, ()) = snapshot::from_bytes(&fs_err::read(path)?)?;
        self.restored(state)
    }
}
