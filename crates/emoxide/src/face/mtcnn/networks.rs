//! The three networks.
//!
//! All convolutions are unpadded, each `PReLU` has a slope for each channel, all pools keep their last partial window
//! (ceil mode). Fields are named as in facenet-pytorch.

use burn::module::Module;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{PRelu, PReluConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::nn::{Conv2d, Conv2dConfig, Linear, linear};

fn conv([inputs, outputs]: [usize; 2], kernel: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(inputs, outputs, kernel).with_padding(0).with_bias(true).init(device)
}

/// Burn's own layer, because the file names its slopes `alpha` as it does.
fn prelu(channels: usize, device: &Device) -> PRelu {
    PReluConfig::new().with_num_parameters(channels).init(device)
}

fn pool(kernel: usize) -> MaxPool2d {
    MaxPool2dConfig::new([kernel, kernel]).with_strides([2, 2]).with_ceil_mode(true).init()
}

/// `[batch, channels, rows, cols]` -> `[batch, cols * rows * channels]`, channel fastest: the order that the weights,
/// which began in Caffe's Matlab interface, expect.
fn flatten(map: Tensor<4>) -> Tensor<2> {
    map.permute([0, 3, 2, 1]).flatten(1, 3)
}

/// Scores and box offsets of proposals or crops; `D` is 4 for the map of the first network, 2 for crops.
#[derive(Debug)]
pub struct ScoredOffsets<const D: usize> {
    /// Softmax over no face, face: `[batch, 2, ...]`.
    pub scores: Tensor<D>,
    /// Left, top, right, bottom in units of the box's side: `[batch, 4, ...]`.
    pub offsets: Tensor<D>,
}

/// P-Net: fully convolutional, looks at 12 x 12 pixels every 2 pixels.
#[derive(Module, Debug)]
pub struct ProposalNet {
    conv1: Conv2d,
    prelu1: PRelu,
    pool1: MaxPool2d,
    conv2: Conv2d,
    prelu2: PRelu,
    conv3: Conv2d,
    prelu3: PRelu,
    conv4_1: Conv2d,
    conv4_2: Conv2d,
}

impl ProposalNet {
    /// Distance of neighbouring cells in input pixels.
    pub(super) const STRIDE: usize = 2;
    /// Side in input pixels of what a cell looks at.
    pub(super) const CELL: usize = 12;

    pub(super) fn new(device: &Device) -> Self {
        Self {
            conv1: conv([3, 10], 3, device),
            prelu1: prelu(10, device),
            pool1: pool(2),
            conv2: conv([10, 16], 3, device),
            prelu2: prelu(16, device),
            conv3: conv([16, 32], 3, device),
            prelu3: prelu(32, device),
            conv4_1: conv([32, 2], 1, device),
            conv4_2: conv([32, 4], 1, device),
        }
    }

    /// Cells along a side of so many pixels, at least [`Self::CELL`].
    pub(super) fn cells(pixels: usize) -> usize {
        (pixels - 2).div_ceil(2) - 4
    }

    /// `images`: `[batch, 3, rows, cols]` in -1..1, at least 12 x 12 -> maps of the cells.
    pub fn forward(&self, images: Tensor<4>) -> ScoredOffsets<4> {
        let map = self.pool1.forward(self.prelu1.forward(self.conv1.forward(images)));
        let map = self.prelu2.forward(self.conv2.forward(map));
        let map = self.prelu3.forward(self.conv3.forward(map));
        ScoredOffsets { scores: softmax(self.conv4_1.forward(map.clone()), 1), offsets: self.conv4_2.forward(map) }
    }
}

/// R-Net: crops of 24 x 24 pixels.
#[derive(Module, Debug)]
pub struct RefineNet {
    conv1: Conv2d,
    prelu1: PRelu,
    pool1: MaxPool2d,
    conv2: Conv2d,
    prelu2: PRelu,
    pool2: MaxPool2d,
    conv3: Conv2d,
    prelu3: PRelu,
    dense4: Linear,
    prelu4: PRelu,
    dense5_1: Linear,
    dense5_2: Linear,
}

impl RefineNet {
    pub(super) const SIDE: usize = 24;

    pub(super) fn new(device: &Device) -> Self {
        Self {
            conv1: conv([3, 28], 3, device),
            prelu1: prelu(28, device),
            pool1: pool(3),
            conv2: conv([28, 48], 3, device),
            prelu2: prelu(48, device),
            pool2: pool(3),
            conv3: conv([48, 64], 2, device),
            prelu3: prelu(64, device),
            dense4: linear(576, 128, device),
            prelu4: prelu(128, device),
            dense5_1: linear(128, 2, device),
            dense5_2: linear(128, 4, device),
        }
    }

    /// `crops`: `[batch, 3, 24, 24]` in -1..1.
    ///
    /// # Panics
    /// If the crops have another shape.
    pub fn forward(&self, crops: Tensor<4>) -> ScoredOffsets<2> {
        assert_shape!(crops, [_, 3, Self::SIDE, Self::SIDE]);
        let map = self.pool1.forward(self.prelu1.forward(self.conv1.forward(crops)));
        let map = self.pool2.forward(self.prelu2.forward(self.conv2.forward(map)));
        let map = self.prelu3.forward(self.conv3.forward(map)); // [batch, 64, 3, 3]
        let width = self.prelu4.forward(self.dense4.forward(flatten(map)));
        ScoredOffsets {
            scores: softmax(self.dense5_1.forward(width.clone()), 1),
            offsets: self.dense5_2.forward(width),
        }
    }
}

/// What O-Net says about a batch of crops.
#[derive(Debug)]
pub struct OutputNetOutput {
    /// Softmax over no face, face: `[batch, 2]`.
    pub scores: Tensor<2>,
    /// Left, top, right, bottom in units of the box's side: `[batch, 4]`.
    pub offsets: Tensor<2>,
    /// Five x, then five y, in units of the box's side from its top left corner: `[batch, 10]`.
    pub points: Tensor<2>,
}

/// O-Net: crops of 48 x 48 pixels.
#[derive(Module, Debug)]
pub struct OutputNet {
    conv1: Conv2d,
    prelu1: PRelu,
    pool1: MaxPool2d,
    conv2: Conv2d,
    prelu2: PRelu,
    pool2: MaxPool2d,
    conv3: Conv2d,
    prelu3: PRelu,
    pool3: MaxPool2d,
    conv4: Conv2d,
    prelu4: PRelu,
    dense5: Linear,
    prelu5: PRelu,
    dense6_1: Linear,
    dense6_2: Linear,
    dense6_3: Linear,
}

impl OutputNet {
    pub(super) const SIDE: usize = 48;

    pub(super) fn new(device: &Device) -> Self {
        Self {
            conv1: conv([3, 32], 3, device),
            prelu1: prelu(32, device),
            pool1: pool(3),
            conv2: conv([32, 64], 3, device),
            prelu2: prelu(64, device),
            pool2: pool(3),
            conv3: conv([64, 64], 3, device),
            prelu3: prelu(64, device),
            pool3: pool(2),
            conv4: conv([64, 128], 2, device),
            prelu4: prelu(128, device),
            dense5: linear(1152, 256, device),
            prelu5: prelu(256, device),
            dense6_1: linear(256, 2, device),
            dense6_2: linear(256, 4, device),
            dense6_3: linear(256, 10, device),
        }
    }

    /// `crops`: `[batch, 3, 48, 48]` in -1..1.
    ///
    /// # Panics
    /// If the crops have another shape.
    pub fn forward(&self, crops: Tensor<4>) -> OutputNetOutput {
        assert_shape!(crops, [_, 3, Self::SIDE, Self::SIDE]);
        let map = self.pool1.forward(self.prelu1.forward(self.conv1.forward(crops)));
        let map = self.pool2.forward(self.prelu2.forward(self.conv2.forward(map)));
        let map = self.pool3.forward(self.prelu3.forward(self.conv3.forward(map)));
        let map = self.prelu4.forward(self.conv4.forward(map)); // [batch, 128, 3, 3]
        let width = self.prelu5.forward(self.dense5.forward(flatten(map)));
        OutputNetOutput {
            scores: softmax(self.dense6_1.forward(width.clone()), 1),
            offsets: self.dense6_2.forward(width.clone()),
            points: self.dense6_3.forward(width),
        }
    }
}
