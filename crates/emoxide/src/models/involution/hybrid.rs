//! The residual network below the hybrid vision transformer: standardised convolutions and group norms.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d as pool;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::models::ConfigError;
use crate::models::check::{DEEPEST, check, check_widths};
use crate::nn::{Conv2d, Conv2dConfig, GroupNorm, max_pool2d};

/// Output channels of a unit for one channel of its stage's width.
const EXPANSION: usize = 4;

/// Whose arithmetic the network follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numerics {
    /// Google's: TensorFlow's padding; 1e-6 is added to the variance of groups, 1e-8 to that of filters. How the public
    /// weights were trained.
    JaxSame,
    /// timm's: the same but 1e-5 for groups.
    Timm,
    /// That of the PyTorch versions (`ViT-pytorch`, `TransUNet`): even padding and none of the pool; 1e-5 for filters; the
    /// norm of what is carried around has a group for every channel, and 1e-5.
    Transunet,
}

impl Numerics {
    fn filter_epsilon(self) -> f64 {
        match self {
            Self::JaxSame | Self::Timm => 1e-8,
            Self::Transunet => 1e-5,
        }
    }

    fn group_epsilon(self) -> f64 {
        match self {
            Self::JaxSame | Self::Transunet => 1e-6,
            Self::Timm => 1e-5,
        }
    }

    fn conv(self, inputs: usize, outputs: usize, kernel: usize, stride: usize, device: &Device) -> Conv2d {
        let conv = Conv2dConfig::new(inputs, outputs, kernel).with_stride(stride);
        let conv = if self == Self::Transunet { conv } else { conv.with_same_padding() };
        conv.with_standardised_weights(self.filter_epsilon()).init(device)
    }
}

/// Shape of the residual network. The default is that of the public `R50+ViT-B_16`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HybridConfig {
    /// Channels behind the root.
    pub root_width: usize,
    /// Width of each stage, three of them, so that a pixel of the map stands for 16 of the image; a stage gives four times as
    /// many channels.
    pub widths: [usize; 3],
    /// Units in each stage.
    pub units: [usize; 3],
    /// Groups of every norm; they divide `root_width` and all widths.
    pub groups: usize,
}

impl Default for HybridConfig {
    fn default() -> Self {
        Self { root_width: 64, widths: [64, 128, 256], units: [3, 4, 9], groups: 32 }
    }
}

impl HybridConfig {
    /// Channels of the map.
    pub(super) fn channels(&self) -> usize {
        self.widths[2] * EXPANSION
    }

    /// Whether it can be built; it stands below the key `vit.hybrid`.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self { root_width, widths, units, groups } = self;
        check_widths(std::slice::from_ref(root_width), "vit.hybrid.root_width")?;
        check_widths(widths, "vit.hybrid.widths")?;
        check(units.iter().all(|count| (1..=DEEPEST).contains(count)), "vit.hybrid.units", || {
            format!("is {units:?}, a stage may have 1 to {DEEPEST}")
        })?;
        let mut normed = widths.iter().chain([root_width]);
        check(*groups > 0 && normed.all(|width| width.is_multiple_of(*groups)), "vit.hybrid.groups", || {
            format!("is {groups}, must divide {widths:?} and `root_width`, which is {root_width}")
        })
    }

    /// A network with fresh weights; they are drawn at first use.
    pub(super) fn init(&self, input_channels: usize, numerics: Numerics, device: &Device) -> Hybrid {
        let root = self.root_width;
        let mut inputs = root;
        let stage = |(index, (&width, &count)): (usize, (&usize, &usize))| Stage {
            blocks: (0..count)
                .map(|unit| {
                    let stride = if index > 0 && unit == 0 { 2 } else { 1 };
                    let unit = Unit::new(inputs, width, stride, self.groups, numerics, device);
                    inputs = width * EXPANSION;
                    unit
                })
                .collect(),
        };
        Hybrid {
            stages: self.widths.iter().zip(&self.units).enumerate().map(stage).collect(),
            stem: ConvGn {
                conv: numerics.conv(input_channels, root, 7, 2, device),
                norm: GroupNorm::new(root, self.groups, numerics.group_epsilon(), device),
            },
            numerics,
        }
    }
}

/// A convolution and its norm.
#[derive(Module, Debug)]
struct ConvGn {
    conv: Conv2d,
    norm: GroupNorm,
}

impl ConvGn {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(input))
    }
}

/// Three convolutions around which the input is carried.
#[derive(Module, Debug)]
struct Unit {
    conv1: Conv2d,
    norm1: GroupNorm,
    conv2: Conv2d,
    norm2: GroupNorm,
    conv3: Conv2d,
    norm3: GroupNorm,
    /// Where the shape changes.
    downsample: Option<ConvGn>,
}

impl Unit {
    fn new(inputs: usize, width: usize, stride: usize, groups: usize, numerics: Numerics, device: &Device) -> Self {
        let outputs = width * EXPANSION;
        let norm = |channels| GroupNorm::new(channels, groups, numerics.group_epsilon(), device);
        let carried = || ConvGn {
            conv: numerics.conv(inputs, outputs, 1, stride, device),
            norm: if numerics == Numerics::Transunet {
                GroupNorm::new(outputs, outputs, 1e-5, device)
            } else {
                norm(outputs)
            },
        };
        Self {
            conv1: numerics.conv(inputs, width, 1, 1, device),
            norm1: norm(width),
            conv2: numerics.conv(width, width, 3, stride, device),
            norm2: norm(width),
            conv3: numerics.conv(width, outputs, 1, 1, device),
            norm3: norm(outputs),
            downsample: (stride != 1 || inputs != outputs).then(carried),
        }
    }

    /// `[batch, inputs, rows, cols]` → `[batch, outputs, ⌈rows / stride⌉, ⌈cols / stride⌉]`
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = relu(self.norm1.forward(self.conv1.forward(input.clone())));
        let x = relu(self.norm2.forward(self.conv2.forward(x)));
        let x = self.norm3.forward(self.conv3.forward(x));
        let carried = match &self.downsample {
            Some(project) => project.forward(input),
            None => input,
        };
        relu(x + carried)
    }
}

/// Units of one size.
#[derive(Module, Debug)]
struct Stage {
    blocks: Vec<Unit>,
}

/// The network, with timm's names; made by [`HybridConfig::init`].
#[derive(Module, Debug)]
pub(super) struct Hybrid {
    stem: ConvGn,
    stages: Vec<Stage>,
    #[module(skip)]
    numerics: Numerics,
}

impl Hybrid {
    /// `[batch, input channels, rows, cols]` → `[batch, channels, rows / 16, cols / 16]`. Rows and columns are multiples of
    /// 32.
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let x = relu(self.stem.forward(images));
        let x = if self.numerics == Numerics::Transunet {
            max_pool2d(x, 3, 2, 0)
        } else {
            // TensorFlow's padding of an even size: windows begin at the first pixel, and the last ones are cut off.
            pool(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_ceil_mode(true))
        };
        self.stages.iter().flat_map(|stage| &stage.blocks).fold(x, |x, unit| unit.forward(x))
    }
}
