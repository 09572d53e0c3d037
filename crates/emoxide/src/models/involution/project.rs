//! A convolution of single pixels between the parts.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::nn::{BatchNorm, Conv2d, Conv2dConfig};

/// Shape of a [`Project`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ProjectConfig {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether it is normalised.
    pub(super) norm: bool,
    /// Whether it is rectified.
    pub(super) rectified: bool,
}

impl ProjectConfig {
    pub(super) fn init(&self, device: &Device) -> Project {
        let Self { inputs, outputs, norm, rectified } = *self;
        Project {
            conv: Conv2dConfig::new(inputs, outputs, 1).with_bias(true).with_uniform_init().init(device),
            bn: norm.then(|| BatchNorm::new(outputs, device)),
            rectified,
        }
    }
}

/// A convolution of single pixels with a bias, its norm and the rectifier; made by [`ProjectConfig::init`].
#[derive(Module, Debug)]
pub(super) struct Project {
    conv: Conv2d,
    bn: Option<BatchNorm>,
    rectified: bool,
}

impl Project {
    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows, cols]`
    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.conv.forward(input);
        match (&self.bn, self.rectified) {
            (Some(norm), true) => norm.forward_relu(x),
            (Some(norm), false) => norm.forward(x),
            (None, true) => relu(x),
            (None, false) => x,
        }
    }
}
