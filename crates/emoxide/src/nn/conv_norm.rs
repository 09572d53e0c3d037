use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BatchNorm, Conv2d, Conv2dConfig};

/// A 3x3 convolution that keeps the size, batch normalisation and the rectifier.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvNorm {
    /// Initialised as PyTorch's layers are: weight and bias of the convolution uniform, scale 1, shift 0.
    pub fn new(inputs: usize, outputs: usize, bias: bool, device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new(inputs, outputs, 3).with_bias(bias).with_uniform_init().init(device),
            bn: BatchNorm::new(outputs, device),
        }
    }

    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows, cols]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.bn.forward_relu(self.conv.forward(input))
    }
}
