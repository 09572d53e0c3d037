//! What computes the logits of a model.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use emoxide_engine::{CompileError, Engine, Precision};
use emoxide_kernels::{Level, LevelError};

use crate::device;
use crate::models::{Classifier, Network};

/// What computes the logits of a model.
#[derive(Debug)]
pub enum Executor {
    /// The network, compiled for the CPU.
    Compiled(Engine),
    /// Burn, operation by operation.
    Burn(Why),
}

/// Why a model is not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It computes on a GPU, for which Burn compiles.
    #[error("the device is not the CPU")]
    Device,
    /// The caller wanted it so.
    #[error("it was asked for")]
    Asked,
    /// The engine lacks something.
    #[error(transparent)]
    Engine(#[from] CompileError),
    /// The environment asks for instructions that cannot be had.
    #[error(transparent)]
    Level(#[from] LevelError),
}

impl Executor {
    /// Compiles the network for images `[channels, rows, cols]`, if it is on the CPU and the engine knows all of it.
    pub(super) fn compiled(
        network: &Network,
        input: [usize; 3],
        device: &Device,
        precision: Precision,
    ) -> Result<Self, Why> {
        if !device::is_cpu(device) {
            return Err(Why::Device);
        }
        // A clone would share its running statistics with the network, and take them along.
        let forward = |device: &Device, image| network.valid().to_device(device).forward(image);
        Ok(Self::Compiled(Engine::compile(Level::active()?, precision, input, forward)?))
    }

    /// `[batch, channels, rows, cols]` → logits `[batch, outputs]`, row-major.
    pub(super) fn run(&self, network: &Network, shape: [usize; 4], images: Vec<f32>, device: &Device) -> Vec<f32> {
        match self {
            Self::Compiled(engine) => engine.run(shape[0], &images),
            Self::Burn(_) => {
                let images = Tensor::<4>::from_data(TensorData::new(images, shape), device);
                let logits = network.forward(images).into_data().try_into_vec();
                logits.expect("logits are 32-bit floats on every device that is opened")
            }
        }
    }
}
