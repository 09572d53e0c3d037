//! The vision transformer beside the `RedNet`.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

use super::config::{PatchEmbedding, VitConfig};
use super::hybrid::Hybrid;
use super::project::{Project, ProjectConfig};
use crate::nn::{
    Block, BlockConfig, BlockInit, Conv2d, Conv2dConfig, DropKind, Dropout, DropoutConfig, LayerNorm, resize_corners,
};

/// Added to the variance by norms.
const EPSILON: f64 = 1e-6;

impl VitConfig {
    /// A transformer with fresh weights, drawn at first use. `rednet`: channels of the `RedNet`'s map; `tokens`: places of
    /// the grid.
    pub(super) fn init(&self, input_channels: usize, rednet: usize, tokens: usize, device: &Device) -> Vit {
        let Self { width, heads, hidden, dropout, .. } = *self;
        let block = BlockConfig {
            width,
            heads,
            hidden,
            qkv_bias: true,
            scale: ((width / heads) as f64).sqrt().recip(),
            epsilon: EPSILON,
            drop: DropKind::None,
            drop_token: 0.0,
            dropout,
            init: BlockInit::Xavier,
        };
        let zeros = |tokens: usize| Initializer::Zeros.init([1, tokens, width], device);
        Vit {
            patch_embed: PatchEmbed::new(self, input_channels, rednet, device),
            cls_token: self.cls_token.then(|| zeros(1)),
            pos_embed: zeros(tokens + usize::from(self.cls_token)),
            blocks: (0..self.depth).map(|_| block.init(device)).collect(),
            norm: LayerNorm::new(width, EPSILON, device),
            dropout: DropoutConfig::new(dropout).init(),
        }
    }
}

/// From an image, or the `RedNet`'s map, to tokens.
#[derive(Module, Debug)]
struct PatchEmbed {
    /// Of the usual hybrid.
    backbone: Option<Hybrid>,
    /// Of the hybrid with the `RedNet`.
    project: Option<Project>,
    proj: Conv2d,
}

impl PatchEmbed {
    fn new(config: &VitConfig, input_channels: usize, rednet: usize, device: &Device) -> Self {
        let (backbone, project) = match config.embed {
            PatchEmbedding::R50 => (Some(config.hybrid.init(input_channels, config.numerics, device)), None),
            PatchEmbedding::Patch16 => (None, None),
            PatchEmbedding::RednetHybrid => {
                let project = ProjectConfig { inputs: rednet, outputs: rednet / 2, norm: true, rectified: true };
                (None, Some(project.init(device)))
            }
        };
        let proj = match config.embed {
            PatchEmbedding::R50 => Conv2dConfig::new(config.hybrid.channels(), config.width, 1),
            PatchEmbedding::Patch16 => {
                Conv2dConfig::new(input_channels, config.width, 16).with_stride(16).with_padding(0)
            }
            PatchEmbedding::RednetHybrid => Conv2dConfig::new(rednet / 2, config.width, 1),
        };
        Self { backbone, project, proj: proj.with_bias(true).with_uniform_init().init(device) }
    }

    /// → `[batch, width, rows / 16, cols / 16]`
    fn forward(&self, images: Tensor<4>, rednet: Option<&Tensor<4>>) -> Tensor<4> {
        let map = match (&self.backbone, &self.project, rednet) {
            (Some(backbone), ..) => backbone.forward(images),
            (None, Some(project), Some(map)) => {
                let [_, _, rows, cols] = map.dims();
                resize_corners(project.forward(map.clone()), [2 * rows, 2 * cols])
            }
            _ => images,
        };
        self.proj.forward(map)
    }
}

/// What comes out of the transformer.
pub(super) struct Encoded {
    /// The tokens where they lie in the image, `[batch, width, rows / 16, cols / 16]`.
    pub(super) map: Tensor<4>,
    /// The class token, `[batch, width]`.
    pub(super) token: Option<Tensor<2>>,
    /// Of every block, for every token the shares of all tokens, `[batch, heads, tokens, tokens]`, the class token first.
    pub(super) attention: Vec<Tensor<4>>,
}

/// The transformer, with timm's names; made by [`VitConfig::init`].
#[derive(Module, Debug)]
pub(super) struct Vit {
    patch_embed: PatchEmbed,
    /// `[1, 1, width]`
    cls_token: Option<Param<Tensor<3>>>,
    /// `[1, tokens, width]`
    pos_embed: Param<Tensor<3>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    dropout: Dropout,
}

impl Vit {
    pub(super) fn has_class_token(&self) -> bool {
        self.cls_token.is_some()
    }

    /// Images `[batch, channels, rows, cols]`, and the `RedNet`'s map where there is one.
    ///
    /// # Panics
    /// If the images have another number of patches than positions.
    pub(super) fn forward(&self, images: Tensor<4>, rednet: Option<&Tensor<4>>) -> Encoded {
        let patches = self.patch_embed.forward(images, rednet);
        let [batch, width, rows, cols] = patches.dims();
        let places = patches.flatten::<3>(2, 3).swap_dims(1, 2);
        let tokens = match &self.cls_token {
            Some(token) => Tensor::cat(vec![token.val().expand([batch, 1, width]), places], 1),
            None => places,
        };
        let [_, count, _] = self.pos_embed.dims();
        assert_shape!(tokens, [_, count, width]);
        let mut tokens = self.dropout.forward(tokens + self.pos_embed.val());
        let mut attention = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (after, shares) = block.forward(tokens);
            attention.push(shares);
            tokens = after;
        }
        let tokens = self.norm.forward(tokens);
        let token = self.cls_token.is_some().then(|| tokens.clone().narrow(1, 0, 1).squeeze_dim(1));
        let places = tokens.narrow(1, count - rows * cols, rows * cols);
        Encoded { map: places.swap_dims(1, 2).reshape([batch, width, rows, cols]), token, attention }
    }
}
