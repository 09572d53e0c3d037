//! Exponential moving average of a network's weights.

use std::any::Any;
use std::collections::VecDeque;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::snapshot::{self, StateError};

/// How weights are averaged: `[ema] decay = 0.999`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// What the average keeps of itself at each step, in `0..1`.
    pub decay: f64,
}

/// A second copy of a network, without gradients, that follows the trained one:
/// `average ← d · average + (1 − d) · network` after every optimiser step.
///
/// `d = min(decay, (1 + n) / (10 + n))` at the n-th update, counted from 0, so that the first weights are soon
/// forgotten. Running statistics are averaged like parameters.
#[derive(Clone, Debug)]
pub struct Ema<M> {
    average: M,
    decay: f64,
    updates: u64,
}

#[derive(Serialize, Deserialize)]
struct Note {
    updates: u64,
}

impl<M: Module> Ema<M> {
    /// Starts the average at the present weights of `network`.
    pub fn new(config: EmaConfig, network: &M) -> Self {
        Self { average: network.valid(), decay: config.decay, updates: 0 }
    }

    /// What the average keeps of itself at the next update.
    pub fn next_decay(&self) -> f64 {
        let count = self.updates as f64;
        self.decay.min((1.0 + count) / (10.0 + count))
    }

    /// Moves the average towards `network`: one pass over the values, nothing leaves the device.
    #[must_use]
    pub fn update(self, network: &M) -> Self {
        let decay = self.next_decay();
        let mut reader = Reader { tensors: VecDeque::new() };
        network.valid().visit(&mut reader);
        let average = self.average.map(&mut Blend { tensors: reader.tensors, decay });
        Self { average, decay: self.decay, updates: self.updates + 1 }
    }

    /// The averaged network, ready for inference.
    pub fn network(&self) -> &M {
        &self.average
    }

    /// Number of updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The exact state; the same state always gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        snapshot::to_bytes(&snapshot::tensors_of(&self.average), &Note { updates: self.updates })
    }

    /// Takes back what [`Ema::to_bytes`] gave; `self` may be fresh.
    pub fn from_bytes(self, bytes: &[u8]) -> Result<Self, StateError> {
        let (tensors, note): (_, Note) = snapshot::from_bytes(bytes)?;
        // A fresh copy: the running statistics of a clone are shared, those of `valid` are not.
        let average = snapshot::restore(self.average.valid(), tensors)?;
        Ok(Self { average, decay: self.decay, updates: note.updates })
    }

    /// Writes the state to a file, beside it first.
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        snapshot::write(path, &self.to_bytes()?)
    }

    /// Takes the state back from a file.
    pub fn load(self, path: &Path) -> Result<Self, StateError> {
        self.from_bytes(&fs_err::read(path)?)
    }
}

/// Collects the tensors of a network in the order of the walk; a tensor is a handle, nothing is copied.
struct Reader {
    tensors: VecDeque<Box<dyn Any>>,
}

impl ModuleVisitor for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.push_back(Box::new(param.val()));
    }
}

struct Blend {
    tensors: VecDeque<Box<dyn Any>>,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let new = self.tensors.pop_front().and_then(|tensor| tensor.downcast::<Tensor<D>>().ok());
        let new = new.expect("a network and its average are walked in the same order");
        let (id, old, mapper) = param.consume();
        // In this form a value that training leaves alone is its own average, bit for bit.
        let blended = old.clone() + (*new - old).mul_scalar(1.0 - self.decay);
        Param::from_mapped_value(id, blended, mapper)
    }
}
