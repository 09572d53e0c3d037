//! The residual network whose 3x3 convolutions are involutions.

use burn::module::Module;
use burn::nn::{Initializer, Relu};
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::models::ConfigError;
use crate::models::check::{DEEPEST, check, check_widths};
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig, max_pool2d};

/// Output channels of a block for one channel of its stage's width.
const EXPANSION: usize = 4;
/// How many times fewer channels the kernels of an involution are made of.
const REDUCTION: usize = 4;
/// Side of the kernels in the stem.
const STEM_KERNEL: usize = 3;

/// Shape of the `RedNet`. The default is RedNet-50.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedNetConfig {
    /// Channels behind the stem.
    pub stem_width: usize,
    /// Width of each stage, one to four of them; a stage gives four times as many channels.
    pub widths: Vec<usize>,
    /// Blocks in each stage.
    pub blocks: Vec<usize>,
    /// Side of the kernels in the stages, in pixels; odd.
    pub kernel: usize,
    /// Channels that share their kernels; they divide every width, and half of `stem_width`.
    pub group: usize,
    /// Whether every block starts as what is carried around it: the scale of its last norm is 0, as in the reference.
    pub zero_blocks: bool,
}

impl Default for RedNetConfig {
    fn default() -> Self {
        Self {
            stem_width: 64,
            widths: vec![64, 128, 256, 512],
            blocks: vec![3, 4, 6, 3],
            kernel: 7,
            group: 16,
            zero_blocks: true,
        }
    }
}

impl RedNetConfig {
    /// The paper's `RedNet-26`.
    pub fn rednet26() -> Self {
        Self { blocks: vec![1, 2, 4, 1], ..Self::default() }
    }

    /// The paper's `RedNet-38`.
    pub fn rednet38() -> Self {
        Self { blocks: vec![2, 3, 5, 2], ..Self::default() }
    }

    /// The paper's `RedNet-50`.
    pub fn rednet50() -> Self {
        Self { blocks: vec![3, 4, 6, 3], ..Self::default() }
    }

    /// The paper's `RedNet-101`.
    pub fn rednet101() -> Self {
        Self { blocks: vec![3, 4, 23, 3], ..Self::default() }
    }

    /// The paper's `RedNet-152`.
    pub fn rednet152() -> Self {
        Self { blocks: vec![3, 8, 36, 3], ..Self::default() }
    }

    /// Channels of the last map.
    pub(super) fn channels(&self) -> usize {
        self.widths.last().copied().unwrap_or(self.stem_width) * EXPANSION
    }

    /// Rows of the image for one of the last map, and columns likewise.
    pub(super) fn reduction(&self) -> usize {
        2 << self.widths.len()
    }

    /// Whether it can be built; it stands below the key `rednet`.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self { stem_width, widths, blocks, kernel, group, .. } = self;
        check((1..=4).contains(&widths.len()), "rednet.widths", || format!("{} stages, may be 1 to 4", widths.len()))?;
        check_widths(widths, "rednet.widths")?;
        check_widths(std::slice::from_ref(stem_width), "rednet.stem_width")?;
        check(blocks.len() == widths.len(), "rednet.blocks", || {
            format!("{} stages, but `widths` has {}", blocks.len(), widths.len())
        })?;
        check(blocks.iter().all(|count| (1..=DEEPEST).contains(count)), "rednet.blocks", || {
            format!("is {blocks:?}, a stage may have 1 to {DEEPEST}")
        })?;
        check(kernel % 2 == 1 && *kernel <= 15, "rednet.kernel", || format!("is {kernel}, may be 1, 3, 5 up to 15"))?;
        let shared = |width: usize| *group > 0 && width.is_multiple_of(*group) && width >= REDUCTION;
        let fits = stem_width.is_multiple_of(2) && shared(stem_width / 2) && widths.iter().all(|&width| shared(width));
        check(fits, "rednet.group", || {
            format!("is {group}, must divide {widths:?} and half of `stem_width`, which is {stem_width}")
        })
    }

    /// A network with fresh weights; they are drawn at first use.
    pub(super) fn init(&self, input_channels: usize, device: &Device) -> RedNet {
        let (stem, half) = (self.stem_width, self.stem_width / 2);
        let mut inputs = stem;
        let mut stage = |index: usize| -> Vec<Block> {
            let (Some(&width), Some(&count)) = (self.widths.get(index), self.blocks.get(index)) else {
                return Vec::new();
            };
            (0..count)
                .map(|block| {
                    let stride = if index > 0 && block == 0 { 2 } else { 1 };
                    let block = Block::new(self, inputs, width, stride, device);
                    inputs = width * EXPANSION;
                    block
                })
                .collect()
        };
        RedNet {
            stem: (
                ConvBn::new(&Conv2dConfig::new(input_channels, half, 3).with_stride(2), half, device),
                Involution::new(half, STEM_KERNEL, self.group, 1, device),
                BatchNorm::new(half, device),
                Relu,
                ConvBn::new(&Conv2dConfig::new(half, stem, 3), stem, device),
            ),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }
}

/// A convolution and its norm.
#[derive(Module, Debug)]
struct ConvBn {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvBn {
    fn new(conv: &Conv2dConfig, channels: usize, device: &Device) -> Self {
        Self { conv: conv.init(device), bn: BatchNorm::new(channels, device) }
    }

    fn forward_relu(&self, input: Tensor<4>) -> Tensor<4> {
        self.bn.forward_relu(self.conv.forward(input))
    }
}

/// A convolution below one more name, as in the reference.
#[derive(Module, Debug)]
struct Bare {
    conv: Conv2d,
}

/// Involution: every pixel has a kernel of its own, made of what stands there, which the channels of a group share. Paper:
/// Li et al., Involution, CVPR 2021, arXiv 2103.06255, equations 4 and 6.
#[derive(Module, Debug)]
struct Involution {
    conv1: ConvBn,
    /// To `kernel²` numbers for each group, the group's together.
    conv2: Bare,
    groups: usize,
    kernel: usize,
    stride: usize,
}

impl Involution {
    fn new(channels: usize, kernel: usize, group: usize, stride: usize, device: &Device) -> Self {
        let (between, groups) = (channels / REDUCTION, channels / group);
        Self {
            conv1: ConvBn::new(&Conv2dConfig::new(channels, between, 1), between, device),
            conv2: Bare { conv: Conv2dConfig::new(between, kernel * kernel * groups, 1).with_bias(true).init(device) },
            groups,
            kernel,
            stride,
        }
    }

    /// `[batch, channels, rows, cols]` → `[batch, channels, rows / stride, cols / stride]`
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let seen = if self.stride > 1 {
            let window = [self.stride; 2];
            avg_pool2d(input.clone(), AvgPoolOptions::new(window).with_stride(window))
        } else {
            input.clone()
        };
        let kernels = self.conv2.conv.forward(self.conv1.forward_relu(seen));
        let [batch, _, rows, cols] = kernels.dims();
        let kernels = kernels.reshape([batch, self.groups, self.kernel * self.kernel, rows, cols]);
        emoxide_kernels::involution2d(input, kernels, self.stride)
    }
}

/// A convolution of single pixels, an involution and another convolution, around which the input is carried.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Involution,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    /// Where the shape changes.
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn new(config: &RedNetConfig, inputs: usize, width: usize, stride: usize, device: &Device) -> Self {
        let outputs = width * EXPANSION;
        let norm = |channels| BatchNorm::new(channels, device);
        let project = || (Conv2dConfig::new(inputs, outputs, 1).with_stride(stride).init(device), norm(outputs));
        let mut bn3 = norm(outputs);
        if config.zero_blocks {
            bn3.weight = Initializer::Zeros.init([outputs], device);
        }
        Self {
            conv1: Conv2dConfig::new(inputs, width, 1).init(device),
            bn1: norm(width),
            conv2: Involution::new(width, config.kernel, config.group, stride, device),
            bn2: norm(width),
            conv3: Conv2dConfig::new(width, outputs, 1).init(device),
            bn3,
            downsample: (stride != 1 || inputs != outputs).then(project),
        }
    }

    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows / stride, cols / stride]`
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.bn1.forward_relu(self.conv1.forward(input.clone()));
        let x = self.bn2.forward_relu(self.conv2.forward(x));
        let carried = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(input)),
            None => input,
        };
        self.bn3.forward_add_relu(self.conv3.forward(x), carried)
    }
}

/// The network, up to its last map; made by [`RedNetConfig::init`].
#[derive(Module, Debug)]
pub(super) struct RedNet {
    stem: (ConvBn, Involution, BatchNorm, Relu, ConvBn),
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
}

impl RedNet {
    /// `[batch, input channels, rows, cols]` → the last map, `[batch, channels, rows / 32, cols / 32]`.
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let (first, involution, norm, _, last) = &self.stem;
        let x = norm.forward_relu(involution.forward(first.forward_relu(images)));
        let x = max_pool2d(last.forward_relu(x), 3, 2, 1);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        stages.into_iter().flatten().fold(x, |x, block| block.forward(x))
    }
}
