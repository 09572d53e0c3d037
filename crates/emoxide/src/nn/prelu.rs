use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// Rectifier with a learned slope per channel for negative values.
#[derive(Module, Debug)]
pub struct PRelu {
    /// `[channels]`
    pub weight: Param<Tensor<1>>,
}

impl PRelu {
    /// All slopes 0.25.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self { weight: Initializer::Constant { value: 0.25 }.init([channels], device) }
    }

    /// `[batch, channels, ..]` → the same shape.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        emoxide_kernels::prelu(input, self.weight.val())
    }
}
