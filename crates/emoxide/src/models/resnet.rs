//! Residual networks.
//!
//! Paper: Deep Residual Learning for Image Recognition, arXiv 1512.03385. Reference: torchvision 0.15, `ResNet`; the
//! parameter names are its names. Checkpoints: torchvision `resnet{18,34,50}`, MS-Celeb-1M `resnet18_msceleb.pth`.
//! Deviations from the reference: width and number of stages are free, the stem may be compact (for small faces), and
//! there may be dropout before the classifier. The trunk alone is part of other networks.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Classifier, ConfigError, DEEPEST, Features, WIDEST, check};
use crate::nn::{
    BatchNorm, Conv2d, Conv2dConfig, Dropout, DropoutConfig, Linear, global_average_pool, linear, max_pool2d,
};

/// How the image enters a [`ResNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// Convolution 7x7 with stride 2, then a max pool 3x3 with stride 2: for images of 112 pixels and more.
    Imagenet,
    /// Convolution 3x3 with stride 1: for images of 32 to 64 pixels.
    Compact,
}

/// How the weights of a convolution are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConvInit {
    /// Normal, by Kaiming's fan-out, as torchvision draws all convolutions of a residual network.
    Kaiming,
    /// Uniform in ±1/√(fan-in), PyTorch's default: what a convolution has that was put in another one's place.
    Uniform,
}

impl ConvInit {
    fn set(self, conv: Conv2dConfig) -> Conv2dConfig {
        match self {
            Self::Kaiming => conv,
            Self::Uniform => conv.with_uniform_init(),
        }
    }
}

/// What a [`ResNet`] repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Two convolutions 3x3.
    Basic,
    /// Convolutions 1x1, 3x3, 1x1; the last has four times the stage's width.
    Bottleneck,
}

impl BlockKind {
    /// Output channels of a block for one channel of its stage's width.
    pub fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Shape of a [`ResNet`]. The default is ResNet-18.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// How the image enters.
    pub stem: Stem,
    /// Channels behind the stem.
    pub stem_width: usize,
    /// How the stem's weights are drawn; absent: as the network's authors do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem_init: Option<ConvInit>,
    /// What the stages repeat.
    pub block: BlockKind,
    /// Width of each stage, one to four of them.
    pub widths: Vec<usize>,
    /// Blocks in each stage.
    pub blocks: Vec<usize>,
    /// Stride of the first stage, 1 or 2; every later stage has stride 2.
    pub first_stride: usize,
    /// Share of the embedding that training drops before the classifier, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self::resnet18()
    }
}

impl ResNetConfig {
    /// torchvision's `resnet18`.
    pub fn resnet18() -> Self {
        Self {
            input_channels: 3,
            stem: Stem::Imagenet,
            stem_width: 64,
            stem_init: None,
            block: BlockKind::Basic,
            widths: vec![64, 128, 256, 512],
            blocks: vec![2, 2, 2, 2],
            first_stride: 1,
            dropout: 0.0,
        }
    }

    /// torchvision's `resnet34`.
    pub fn resnet34() -> Self {
        Self { blocks: vec![3, 4, 6, 3], ..Self::resnet18() }
    }

    /// torchvision's `resnet50`.
    pub fn resnet50() -> Self {
        Self { block: BlockKind::Bottleneck, ..Self::resnet34() }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, stem_width, widths, blocks, first_stride, dropout, .. } = self;
        check(matches!(input_channels, 1 | 3), "input_channels", || format!("is {input_channels}, may be 1 or 3"))?;
        let width = 1..=WIDEST;
        check(width.contains(stem_width), "stem_width", || format!("is {stem_width}, may be 1 to {WIDEST}"))?;
        check((1..=4).contains(&widths.len()), "widths", || format!("{} stages, may be 1 to 4", widths.len()))?;
        check(widths.iter().all(|count| width.contains(count)), "widths", || {
            format!("is {widths:?}, a stage may have 1 to {WIDEST}")
        })?;
        check(blocks.len() == widths.len(), "blocks", || {
            format!("{} stages, but `widths` has {}", blocks.len(), widths.len())
        })?;
        check(blocks.iter().all(|count| (1..=DEEPEST).contains(count)), "blocks", || {
            format!("is {blocks:?}, a stage may have 1 to {DEEPEST}")
        })?;
        check(matches!(first_stride, 1 | 2), "first_stride", || format!("is {first_stride}, may be 1 or 2"))?;
        check((0.0..1.0).contains(dropout), "dropout", || format!("is {dropout}, may be 0 up to but not 1"))
    }

    /// Length of the embedding.
    pub fn embedding(&self) -> usize {
        self.widths.last().copied().unwrap_or(self.stem_width) * self.block.expansion()
    }

    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> ResNet {
        ResNet { fc: Some(linear(self.embedding(), classes, device)), ..self.trunk([ConvInit::Kaiming; 2], device) }
    }

    /// A network without classifier, whose authors draw the stem and all other convolutions as `authors` says.
    fn trunk(&self, authors: [ConvInit; 2], device: &Device) -> ResNet {
        let conv1 = match self.stem {
            Stem::Imagenet => Conv2dConfig::new(self.input_channels, self.stem_width, 7).with_stride(2),
            Stem::Compact => Conv2dConfig::new(self.input_channels, self.stem_width, 3),
        };
        let conv1 = self.stem_init.unwrap_or(authors[0]).set(conv1);
        let mut inputs = self.stem_width;
        let mut stage = |index: usize| -> Vec<Block> {
            let (Some(&width), Some(&count)) = (self.widths.get(index), self.blocks.get(index)) else {
                return Vec::new();
            };
            let first_stride = if index == 0 { self.first_stride } else { 2 };
            (0..count)
                .map(|block| {
                    let stride = if block == 0 { first_stride } else { 1 };
                    let block = Block::new((self.block, authors[1]), inputs, width, stride, device);
                    inputs = width * self.block.expansion();
                    block
                })
                .collect()
        };
        ResNet {
            conv1: conv1.init(device),
            bn1: BatchNorm::new(self.stem_width, device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            dropout: DropoutConfig::new(self.dropout).init(),
            fc: None,
            pooled_stem: self.stem == Stem::Imagenet,
        }
    }
}

/// Shape of the residual trunk of another network: a [`ResNet`] without pool and classifier. The default is ResNet-18's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrunkConfig {
    /// How the image enters.
    pub stem: Stem,
    /// Channels behind the stem.
    pub stem_width: usize,
    /// How the stem's weights are drawn; absent: as the network's authors do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem_init: Option<ConvInit>,
    /// What the stages repeat.
    pub block: BlockKind,
    /// Width of each stage, one to four of them.
    pub widths: Vec<usize>,
    /// Blocks in each stage.
    pub blocks: Vec<usize>,
    /// Stride of the first stage, 1 or 2; every later stage has stride 2.
    pub first_stride: usize,
}

impl Default for TrunkConfig {
    fn default() -> Self {
        let ResNetConfig { stem, stem_width, stem_init, block, widths, blocks, first_stride, .. } =
            ResNetConfig::resnet18();
        Self { stem, stem_width, stem_init, block, widths, blocks, first_stride }
    }
}

impl TrunkConfig {
    fn network(&self, input_channels: usize) -> ResNetConfig {
        let Self { stem, stem_width, stem_init, block, widths, blocks, first_stride } = self.clone();
        ResNetConfig { input_channels, stem, stem_width, stem_init, block, widths, blocks, first_stride, dropout: 0.0 }
    }

    /// That of ResNet-50.
    pub fn resnet50() -> Self {
        let ResNetConfig { block, blocks, .. } = ResNetConfig::resnet50();
        Self { block, blocks, ..Self::default() }
    }

    /// Whether a trunk can be built from this, which stands below the key `base`.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.validate_below("base")
    }

    /// Whether a trunk can be built from this, which stands below that key.
    pub(super) fn validate_below(&self, key: &str) -> Result<(), ConfigError> {
        self.network(3).validate().map_err(|error| error.below(key))
    }

    /// Channels of the map.
    pub(super) fn channels(&self) -> usize {
        self.network(3).embedding()
    }

    /// Rows of the map for an image of so many, and columns likewise.
    pub(super) fn map_side(&self, image: usize) -> usize {
        let halvings = match self.stem {
            Stem::Imagenet => 2,
            Stem::Compact => 0,
        };
        let strides = [self.first_stride].into_iter().chain((1..self.widths.len()).map(|_| 2));
        std::iter::repeat_n(2, halvings).chain(strides).fold(image, usize::div_ceil)
    }

    /// A trunk with fresh weights, whose embedding is the mean over its map and whose logits are the embedding; its
    /// stem's are drawn as `authors` says unless `stem_init` does.
    pub(super) fn init(&self, input_channels: usize, authors: ConvInit, device: &Device) -> ResNet {
        self.network(input_channels).trunk([authors, ConvInit::Kaiming], device)
    }

    /// The same, all of whose convolutions have PyTorch's default weights.
    pub(super) fn init_uniform(&self, input_channels: usize, device: &Device) -> ResNet {
        self.network(input_channels).trunk([ConvInit::Uniform; 2], device)
    }
}

/// Two or three convolutions around which the input is carried.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    /// Of bottlenecks only.
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    /// Where the shape changes.
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn new((kind, draw): (BlockKind, ConvInit), inputs: usize, width: usize, stride: usize, device: &Device) -> Self {
        let outputs = width * kind.expansion();
        let conv = |inputs, outputs, kernel, stride| {
            let conv = Conv2dConfig::new(inputs, outputs, kernel).with_stride(stride);
            draw.set(conv).init(device)
        };
        let norm = |channels| BatchNorm::new(channels, device);
        let (conv1, conv2, conv3) = match kind {
            BlockKind::Basic => (conv(inputs, width, 3, stride), conv(width, width, 3, 1), None),
            BlockKind::Bottleneck => {
                (conv(inputs, width, 1, 1), conv(width, width, 3, stride), Some(conv(width, outputs, 1, 1)))
            }
        };
        Self {
            conv1,
            bn1: norm(width),
            conv2,
            bn2: norm(width),
            bn3: conv3.is_some().then(|| norm(outputs)),
            conv3,
            downsample: (stride != 1 || inputs != outputs).then(|| (conv(inputs, outputs, 1, stride), norm(outputs))),
        }
    }

    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows / stride, cols / stride]`
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let x = self.bn1.forward_relu(self.conv1.forward(input.clone()));
        let x = self.conv2.forward(x);
        let carried = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(input)),
            None => input,
        };
        match (&self.conv3, &self.bn3) {
            (Some(conv), Some(norm)) => norm.forward_add_relu(conv.forward(self.bn2.forward_relu(x)), carried),
            _ => self.bn2.forward_add_relu(x, carried),
        }
    }
}

/// A residual network; made by [`ResNetConfig::init`].
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    dropout: Dropout,
    /// Absent where this is the trunk of another network.
    fc: Option<Linear>,
    pooled_stem: bool,
}

impl ResNet {
    fn stem(&self, images: Tensor<4>) -> Tensor<4> {
        let x = self.bn1.forward_relu(self.conv1.forward(images));
        if self.pooled_stem { max_pool2d(x, 3, 2, 1) } else { x }
    }

    /// Images `[batch, channels, rows, cols]` → the map behind every stage.
    pub(super) fn stages(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = self.stem(images);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let behind = |stage: &Vec<Block>| {
            x = stage.iter().fold(x.clone(), |x, block| block.forward(x));
            x.clone()
        };
        stages.into_iter().filter(|stage| !stage.is_empty()).map(behind).collect()
    }
}

impl Classifier for ResNet {
    fn features(&self, images: Tensor<4>) -> Features {
        let x = self.stem(images);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let map = stages.into_iter().flatten().fold(x, |x, block| block.forward(x));
        Features { map, token: None }
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        global_average_pool(features.map)
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        match &self.fc {
            Some(fc) => fc.forward(self.dropout.forward(embedding)),
            None => embedding,
        }
    }
}
