//! `MobileNetV2` up to its last map, as part of other networks.
//!
//! Paper: Sandler et al., `MobileNetV2`: Inverted residuals and linear bottlenecks, arXiv 1801.04381. Reference: torchvision
//! 0.15, `MobileNetV2`; the parameter names are its names. Checkpoint: torchvision `mobilenet_v2`.
//! Deviations from the reference: all sizes are free.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{ConfigError, DEEPEST, check, check_width};
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig};

/// Where the activation stops to grow.
const CEILING: f64 = 6.0;
/// Stages of a [`MobileNetConfig`], and factor by which a block widens, at most.
const MOST: usize = 16;

/// Blocks of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvertedStage {
    /// Factor by which each block widens its input between its convolutions, 1 or more.
    pub expansion: usize,
    /// Channels behind each block.
    pub width: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Stride of the first block, 1 or 2.
    pub stride: usize,
}

/// Shape of a [`MobileNet`]. The default is torchvision's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MobileNetConfig {
    /// Channels behind the first convolution.
    pub stem_width: usize,
    /// The stages.
    pub stages: Vec<InvertedStage>,
    /// Channels of the map.
    pub width: usize,
}

impl Default for MobileNetConfig {
    fn default() -> Self {
        let stage = |[expansion, width, blocks, stride]: [usize; 4]| InvertedStage { expansion, width, blocks, stride };
        let stages =
            [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];
        Self { stem_width: 32, stages: stages.map(stage).to_vec(), width: 1280 }
    }
}

impl MobileNetConfig {
    /// Whether a network can be built from this.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self { stem_width, stages, width } = self;
        check_width(*stem_width, "stem_width")?;
        check((1..=MOST).contains(&stages.len()), "stages", || format!("{}, may be 1 to {MOST}", stages.len()))?;
        for InvertedStage { expansion, width, blocks, stride } in stages {
            let within = |key: &str, value: usize, most: usize| {
                check((1..=most).contains(&value), "stages", || format!("{key} is {value}, may be 1 to {most}"))
            };
            within("expansion", *expansion, MOST)?;
            check_width(*width, "stages")?;
            within("blocks", *blocks, DEEPEST)?;
            within("stride", *stride, 2)?;
        }
        check_width(*width, "width")
    }

    /// A network with fresh weights; they are drawn at first use.
    pub(super) fn init(&self, input_channels: usize, device: &Device) -> MobileNet {
        let mut features = vec![Layer::Outer(conv_norm(input_channels, self.stem_width, 3, 2, 1, device))];
        let mut inputs = self.stem_width;
        for stage in &self.stages {
            for block in 0..stage.blocks {
                let stride = if block == 0 { stage.stride } else { 1 };
                features.push(Layer::Block(InvertedBlock::new(inputs, stage, stride, device)));
                inputs = stage.width;
            }
        }
        features.push(Layer::Outer(conv_norm(inputs, self.width, 1, 1, 1, device)));
        MobileNet { features }
    }
}

/// A convolution and its norm.
type ConvNorm = (Conv2d, BatchNorm);

fn conv_norm(inputs: usize, outputs: usize, kernel: usize, stride: usize, groups: usize, device: &Device) -> ConvNorm {
    let conv = Conv2dConfig::new(inputs, outputs, kernel).with_stride(stride).with_groups(groups);
    (conv.init(device), BatchNorm::new(outputs, device))
}

fn activated((conv, norm): &ConvNorm, input: Tensor<4>) -> Tensor<4> {
    norm.forward(conv.forward(input)).clamp(0.0, CEILING)
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has few of them; boxing would only add a level")]
enum Layer {
    /// The first one and the last one.
    Outer(ConvNorm),
    Block(InvertedBlock),
}

/// Widens its input, convolves every channel by itself and narrows the result, which is not activated; the input is
/// carried around where the shape stays.
#[derive(Module, Debug)]
struct InvertedBlock {
    conv: Inner,
    carries: bool,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has few of them; boxing would only add a level")]
enum Inner {
    Wide((ConvNorm, ConvNorm, Conv2d, BatchNorm)),
    /// With an expansion of 1.
    Narrow((ConvNorm, Conv2d, BatchNorm)),
}

impl InvertedBlock {
    fn new(inputs: usize, stage: &InvertedStage, stride: usize, device: &Device) -> Self {
        let InvertedStage { expansion, width, .. } = *stage;
        let between = inputs * expansion;
        let depthwise = conv_norm(between, between, 3, stride, between, device);
        let (last, norm) = conv_norm(between, width, 1, 1, 1, device);
        let conv = if expansion == 1 {
            Inner::Narrow((depthwise, last, norm))
        } else {
            Inner::Wide((conv_norm(inputs, between, 1, 1, 1, device), depthwise, last, norm))
        };
        Self { conv, carries: stride == 1 && inputs == width }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let (x, last, norm) = match &self.conv {
            Inner::Wide((first, depthwise, last, norm)) => {
                (activated(depthwise, activated(first, input.clone())), last, norm)
            }
            Inner::Narrow((depthwise, last, norm)) => (activated(depthwise, input.clone()), last, norm),
        };
        let x = last.forward(x);
        if self.carries { norm.forward_add(x, input) } else { norm.forward(x) }
    }
}

/// A `MobileNetV2` without pool and classifier; shaped by a [`MobileNetConfig`].
#[derive(Module, Debug)]
pub struct MobileNet {
    features: Vec<Layer>,
}

impl MobileNet {
    /// Images `[batch, channels, rows, cols]` → `[batch, width, rows / 32, cols / 32]` with torchvision's strides.
    pub(super) fn map(&self, images: Tensor<4>) -> Tensor<4> {
        self.features.iter().fold(images, |x, layer| match layer {
            Layer::Outer(layer) => activated(layer, x),
            Layer::Block(block) => block.forward(x),
        })
    }
}
