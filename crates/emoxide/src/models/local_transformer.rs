//! The comparison's "`TransFER`": a trunk, two wide convolutions whose maps are dropped at random, an encoder over the
//! pixels of both.
//!
//! Paper: Lee's comparison on FER2013 (CS577 project) after `TransFER` (ICCV 2021), of which it keeps neither the attention
//! of the branches nor the dropping of heads. Reference: its notebook, whose names the parameters have, but for the trunk
//! (below). Checkpoint of the trunk: torchvision `resnet18`, as `stem_cnn`.
//! There are no positions: the order of the tokens has no effect. All layers of the encoder start with equal weights.
//! Deviations from the reference: the trunk's parameters keep torchvision's names, which the notebook numbers
//! (`stem_cnn.features.0`); all sizes are free. The text's `CustomCNN` was not published: [`PlainConfig`] is ours.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    Classifier, ConfigError, ConvInit, DEEPEST, Features, ResNet, TrunkConfig, check, check_channels, check_rate,
    check_width, check_widths,
};
use crate::nn::{
    Conv2d, Conv2dConfig, ConvNorm, Encoder, EncoderConfig, Linear, NormPlace, linear, max_pool2d, one_of,
};

/// Stages of a [`PlainConfig`] at most.
const MOST_STAGES: usize = 8;

/// Plain stages, five by default, each a 3x3 convolution without bias, batch normalisation, the rectifier and a 2x2 pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlainConfig {
    /// Width of each stage; every stage halves the map.
    pub widths: Vec<usize>,
}

impl Default for PlainConfig {
    fn default() -> Self {
        Self { widths: vec![64, 128, 256, 512, 512] }
    }
}

/// What turns the image into the map that the local convolutions see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LocalBase {
    /// A residual trunk.
    Resnet(TrunkConfig),
    /// Plain convolutions.
    Plain(PlainConfig),
}

impl LocalBase {
    /// Pixels of the shorter side that leave something behind the last stage.
    pub(super) fn smallest_image(&self) -> usize {
        match self {
            Self::Resnet(_) => 1,
            Self::Plain(config) => 1 << config.widths.len(),
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Resnet(trunk) => trunk.validate(),
            Self::Plain(PlainConfig { widths }) => {
                check((1..=MOST_STAGES).contains(&widths.len()), "base.widths", || {
                    format!("{} stages, may be 1 to {MOST_STAGES}", widths.len())
                })?;
                check_widths(widths, "base.widths")
            }
        }
    }

    /// The layers, and how many channels they give.
    fn init(&self, input_channels: usize, device: &Device) -> (StemCnn, usize) {
        match self {
            Self::Resnet(trunk) => {
                let stem = StemCnn::Resnet(trunk.init(input_channels, ConvInit::Kaiming, device));
                (stem, trunk.channels())
            }
            Self::Plain(PlainConfig { widths }) => {
                let mut inputs = input_channels;
                let mut stages = Vec::new();
                for &width in widths {
                    stages.push(ConvNorm::new(inputs, width, false, device));
                    inputs = width;
                }
                (StemCnn::Plain(stages), inputs)
            }
        }
    }
}

/// What training zeroes in the two local maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalDropKind {
    /// Every number by itself; the others keep their size, so that evaluation sees larger ones than training. The
    /// notebook.
    Elements,
    /// Every number by itself; the others grow by `1 / (1 - rate)`: ordinary dropout.
    ScaledElements,
    /// In a share `rate` of the images one of the two maps, as a whole; the other keeps its size. The text, after
    /// `TransFER`.
    Map,
    /// Every channel of either map by itself; the others keep their size.
    Channels,
    /// Nothing.
    None,
}

/// How training drops parts of the two local maps. Evaluation drops nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalDropConfig {
    /// What is zeroed.
    pub kind: LocalDropKind,
    /// With which probability, in `[0, 1)`; no effect with the kind `none`.
    pub rate: f64,
}

impl Default for LocalDropConfig {
    /// As in the notebook.
    fn default() -> Self {
        Self { kind: LocalDropKind::Elements, rate: 0.6 }
    }
}

impl LocalDropConfig {
    /// The layer.
    pub fn init(&self) -> LocalDrop {
        LocalDrop { kind: self.kind, rate: self.rate, training: Param::from_bool(true) }
    }
}

/// Zeroes parts of the two local maps; made by [`LocalDropConfig::init`]. It does so only where both hold: the maps live on
/// an autodiff device, and the layer is not frozen.
#[derive(Module, Debug)]
pub struct LocalDrop {
    #[module(skip)]
    kind: LocalDropKind,
    rate: f64,
    training: Param<Flag>,
}

impl LocalDrop {
    /// Two maps `[batch, channels, rows, cols]` → the same shapes.
    pub fn forward(&self, maps: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let device = maps[0].device();
        if !(device.is_autodiff() && self.training.is_enabled()) {
            return maps;
        }
        let [batch, channels, ..] = maps[0].dims();
        let draw = |shape: [usize; 4], share: f64| Tensor::random(shape, Distribution::Bernoulli(share), &device);
        let kept = 1.0 - self.rate;
        match self.kind {
            LocalDropKind::Elements => maps.map(|map| map.clone() * draw(map.dims(), kept)),
            LocalDropKind::ScaledElements => maps.map(|map| map.clone() * draw(map.dims(), kept) / kept),
            LocalDropKind::Channels => maps.map(|map| map * draw([batch, channels, 1, 1], kept)),
            LocalDropKind::Map => {
                let hit = one_of(batch, 2, self.rate, &device);
                let [one, other] = [0, 1].map(|index| -hit.clone().narrow(1, index, 1) + 1.0);
                let [first, second] = maps;
                [first * one, second * other]
            }
            LocalDropKind::None => maps,
        }
    }
}

/// Shape of a [`LocalTransformer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalTransformerConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// What turns the image into a map.
    pub base: LocalBase,
    /// Channels of the local convolutions, and numbers of a token.
    pub local_width: usize,
    /// What training drops of the local maps.
    pub local_drop: LocalDropConfig,
    /// Layers of the encoder.
    pub depth: usize,
    /// Heads of each layer; they divide `local_width`.
    pub heads: usize,
    /// Width between the two linear layers of each layer.
    pub hidden: usize,
    /// Share that training drops at the four places of each layer, in `[0, 1)`.
    pub dropout: f64,
    /// Where the layers normalise.
    pub norm: NormPlace,
}

impl Default for LocalTransformerConfig {
    /// As in the notebook.
    fn default() -> Self {
        Self {
            input_channels: 1,
            base: LocalBase::Resnet(TrunkConfig::default()),
            local_width: 2048,
            local_drop: LocalDropConfig::default(),
            depth: 8,
            heads: 8,
            hidden: 2048,
            dropout: 0.1,
            norm: NormPlace::After,
        }
    }
}

impl LocalTransformerConfig {
    /// The text's `CustomCNN` and transformer.
    pub fn plain() -> Self {
        Self { base: LocalBase::Plain(PlainConfig::default()), ..Self::default() }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, base, local_width, local_drop, depth, heads, hidden, dropout, norm: _ } = self;
        check_channels(*input_channels)?;
        base.validate()?;
        check_width(*local_width, "local_width")?;
        check_rate(local_drop.rate, "local_drop.rate")?;
        check((1..=DEEPEST).contains(depth), "depth", || format!("is {depth}, may be 1 to {DEEPEST}"))?;
        check(*heads > 0 && local_width.is_multiple_of(*heads), "heads", || {
            format!("is {heads}, must divide `local_width`, which is {local_width}")
        })?;
        check_width(*hidden, "hidden")?;
        check_rate(*dropout, "dropout")
    }

    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> LocalTransformer {
        let (stem_cnn, channels) = self.base.init(self.input_channels, device);
        let width = self.local_width;
        let local = || Conv2dConfig::new(channels, width, 3).with_bias(true).with_uniform_init().init(device);
        let Self { depth, heads, hidden, dropout, norm, .. } = *self;
        LocalTransformer {
            stem_cnn,
            local_cnn1: local(),
            local_cnn2: local(),
            local_drop: self.local_drop.init(),
            transformer_encoder: EncoderConfig { width, depth, heads, hidden, dropout, norm }.init(device),
            classifier: linear(width, classes, device),
        }
    }
}

/// What turns the image into a map.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one exists per network")]
enum StemCnn {
    Resnet(ResNet),
    Plain(Vec<ConvNorm>),
}

/// A trunk, two local maps and an encoder; made by [`LocalTransformerConfig::init`].
#[derive(Module, Debug)]
pub struct LocalTransformer {
    stem_cnn: StemCnn,
    local_cnn1: Conv2d,
    local_cnn2: Conv2d,
    local_drop: LocalDrop,
    transformer_encoder: Encoder,
    classifier: Linear,
}

impl LocalTransformer {
    /// The trunk's map → the pixels of both local maps, first all of the first: `[batch, tokens, width]` with
    /// `tokens = 2 rows cols`.
    fn tokens(&self, map: Tensor<4>) -> Tensor<3> {
        let maps = [self.local_cnn1.forward(map.clone()), self.local_cnn2.forward(map)];
        let stacked = Tensor::cat(self.local_drop.forward(maps).to_vec(), 2);
        stacked.flatten::<3>(2, 3).swap_dims(1, 2)
    }

    /// Of every layer of the encoder, `layers.0` and so on, for every token the shares of all tokens:
    /// `[batch, heads, tokens, tokens]`.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let (_, layers) = self.transformer_encoder.forward(self.tokens(self.features(images).map));
        layers.into_iter().enumerate().map(|(index, shares)| (format!("layers.{index}"), shares)).collect()
    }
}

impl Classifier for LocalTransformer {
    /// The map of the trunk, the last one that lies as the image does.
    fn features(&self, images: Tensor<4>) -> Features {
        let map = match &self.stem_cnn {
            StemCnn::Resnet(trunk) => trunk.features(images).map,
            StemCnn::Plain(stages) => stages.iter().fold(images, |x, stage| max_pool2d(stage.forward(x), 2, 2, 0)),
        };
        Features { map, token: None }
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        let (tokens, _) = self.transformer_encoder.forward(self.tokens(features.map));
        tokens.mean_dim(1).squeeze_dim(1)
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(embedding)
    }
}
