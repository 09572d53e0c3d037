//! CLIP's image tower: a vision transformer whose class token, projected, is what an image means.
//!
//! Paper: Radford et al., Learning transferable visual models from natural language supervision, arXiv 2103.00020.
//! Reference: openai/CLIP, `VisionTransformer`, whose names the parameters have. Checkpoint: `ViT-B-32.pt`, without its
//! text tower, or the same as `openai/clip-vit-base-patch32`.
//! Deviations from the reference: all sizes are free.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor, assert_shape};

use super::{ClipConfig, ClipNorm, ClipPrecision};
use crate::nn::{Conv2d, Conv2dConfig, LayerNorm, Linear, linear};

/// Added to the variance by the tower's norms.
const EPSILON: f64 = 1e-5;
/// Slope of the sigmoid that stands in for the Gaussian error linear unit.
const QUICK: f64 = 1.702;

/// Mean and deviation of ImageNet, which the input is normalised by.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Mean and deviation that CLIP was trained with.
const CLIP: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

impl ClipConfig {
    /// A tower with fresh weights for square images; they are drawn at first use. Weights are PyTorch's own, tokens,
    /// positions and projection normal with deviation `1 / √width`.
    pub(super) fn init(&self, input_channels: usize, image_size: usize, device: &Device) -> Clip {
        let Self { patch, width, depth, embedding, trainable, precision, norm, .. } = *self;
        let normal = Initializer::Normal { mean: 0.0, std: (width as f64).sqrt().recip() };
        let places = (image_size / patch).pow(2);
        let conv = Conv2dConfig::new(input_channels, width, patch).with_stride(patch).with_padding(0);
        let clip = Clip {
            conv1: conv.with_uniform_init().init(device),
            class_embedding: normal.init([width], device),
            positional_embedding: normal.init([1 + places, width], device),
            ln_pre: LayerNorm::new(width, EPSILON, device),
            transformer: Transformer { resblocks: (0..depth).map(|_| ResBlock::new(self, device)).collect() },
            ln_post: LayerNorm::new(width, EPSILON, device),
            proj: normal.init([width, embedding], device),
            precision,
            norm,
        };
        if trainable { clip } else { clip.no_grad() }
    }
}

/// What a [`Clip`] sees in images.
pub(super) struct Seen {
    /// The class token, projected: `[batch, embedding]`, of any length.
    pub(super) feature: Tensor<2>,
    /// The other tokens behind the last block, where they lie: `[batch, width, rows, cols]`.
    pub(super) map: Tensor<4>,
    /// Of every block, for every token the shares of all tokens, `[batch, heads, tokens, tokens]`, the class token first.
    pub(super) attention: Vec<Tensor<4>>,
}

/// An image tower; made by [`ClipConfig::init`].
#[derive(Module, Debug)]
pub(super) struct Clip {
    conv1: Conv2d,
    /// `[width]`
    class_embedding: Param<Tensor<1>>,
    /// `[tokens, width]`
    positional_embedding: Param<Tensor<2>>,
    ln_pre: LayerNorm,
    transformer: Transformer,
    ln_post: LayerNorm,
    /// `[width, embedding]`
    proj: Param<Tensor<2>>,
    #[module(skip)]
    precision: ClipPrecision,
    #[module(skip)]
    norm: ClipNorm,
}

impl Clip {
    /// Images `[batch, channels, rows, cols]`, normalised by ImageNet's statistics.
    ///
    /// # Panics
    /// If the images did not have the configured size.
    pub(super) fn forward(&self, images: Tensor<4>) -> Seen {
        let half = self.precision;
        let images = half.round(self.normalise(images));
        let patches = half.round(self.conv1.forward_with(images, |weight| half.round(weight)));
        let [batch, width, rows, cols] = patches.dims();
        let token = half.round(self.class_embedding.val()).reshape([1, 1, width]).expand([batch, 1, width]);
        let tokens = Tensor::cat(vec![token, patches.flatten::<3>(2, 3).swap_dims(1, 2)], 1);
        let [count, _] = self.positional_embedding.dims();
        assert_shape!(tokens, [_, count, width]);
        let positions = half.round(self.positional_embedding.val()).unsqueeze();
        let tokens = half.round(self.ln_pre.forward(half.round(tokens + positions)));

        let mut attention = Vec::with_capacity(self.transformer.resblocks.len());
        let tokens = self.transformer.resblocks.iter().fold(tokens, |tokens, block| {
            let (tokens, shares) = block.forward(tokens, half);
            attention.push(shares);
            tokens
        });
        let token = half.round(self.ln_post.forward(tokens.clone().narrow(1, 0, 1))).squeeze_dim::<2>(1);
        let feature = half.round(token.matmul(half.round(self.proj.val())));
        let map = tokens.narrow(1, 1, rows * cols).swap_dims(1, 2).reshape([batch, width, rows, cols]);
        Seen { feature, map, attention }
    }

    fn normalise(&self, images: Tensor<4>) -> Tensor<4> {
        if self.norm == ClipNorm::Imagenet {
            return images;
        }
        let ([mean, deviation], [to_mean, to_deviation]) = (IMAGENET, CLIP);
        let channels = [0, 1, 2];
        let constant = |values: [f32; 3]| Tensor::<1>::from_floats(values, &images.device()).reshape([1, 3, 1, 1]);
        let scale = constant(channels.map(|channel| deviation[channel] / to_deviation[channel]));
        let shift = constant(channels.map(|channel| (mean[channel] - to_mean[channel]) / to_deviation[channel]));
        images * scale + shift
    }
}

#[derive(Module, Debug)]
struct Transformer {
    resblocks: Vec<ResBlock>,
}

/// Attention and two linear layers, each behind a norm and carried around.
#[derive(Module, Debug)]
struct ResBlock {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl ResBlock {
    fn new(config: &ClipConfig, device: &Device) -> Self {
        let ClipConfig { width, hidden, heads, .. } = *config;
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let zeros = |count: usize| Initializer::Zeros.init([count], device);
        Self {
            ln_1: LayerNorm::new(width, EPSILON, device),
            attn: Attention {
                in_proj_weight: xavier.init_with([3 * width, width], Some(width), Some(3 * width), device),
                in_proj_bias: zeros(3 * width),
                out_proj: Linear { bias: Some(zeros(width)), ..linear(width, width, device) },
                heads,
            },
            ln_2: LayerNorm::new(width, EPSILON, device),
            mlp: Mlp { c_fc: linear(width, hidden, device), c_proj: linear(hidden, width, device) },
        }
    }

    /// Tokens `[batch, tokens, width]` → the same shape, and the attention `[batch, heads, tokens, tokens]`.
    fn forward(&self, tokens: Tensor<3>, half: ClipPrecision) -> (Tensor<3>, Tensor<4>) {
        let (seen, shares) = self.attn.forward(half.round(self.ln_1.forward(tokens.clone())), half);
        let tokens = half.round(tokens + seen);
        let hidden = self.mlp.forward(half.round(self.ln_2.forward(tokens.clone())), half);
        (half.round(tokens + hidden), shares)
    }
}

/// Attention of tokens to each other, as PyTorch's `MultiheadAttention` names it.
#[derive(Module, Debug)]
struct Attention {
    /// Queries, keys and values in this order, `[3 width, width]`.
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    fn forward(&self, tokens: Tensor<3>, half: ClipPrecision) -> (Tensor<3>, Tensor<4>) {
        let [batch, count, width] = tokens.dims();
        let size = width / self.heads;
        let parts = layer(tokens, self.in_proj_weight.val().transpose(), self.in_proj_bias.val(), half);
        let parts = parts.reshape([batch, count, 3, self.heads, size]).permute([2, 0, 3, 1, 4]);
        let part = |index: usize| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
        let query = half.round(part(0) / (size as f64).sqrt());
        let scores = half.round(query.matmul(part(1).swap_dims(2, 3)));
        let shares = half.round(softmax(scores, 3));
        let seen = half.round(shares.clone().matmul(part(2))).swap_dims(1, 2).reshape([batch, count, width]);
        (linear_layer(&self.out_proj, seen, half), shares)
    }
}

/// Two linear layers with `x · sigmoid(1.702 x)` between them.
#[derive(Module, Debug)]
struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
}

impl Mlp {
    fn forward(&self, tokens: Tensor<3>, half: ClipPrecision) -> Tensor<3> {
        let hidden = linear_layer(&self.c_fc, tokens, half);
        let gate = half.round(sigmoid(half.round(hidden.clone() * QUICK)));
        linear_layer(&self.c_proj, half.round(hidden * gate), half)
    }
}

fn linear_layer(linear: &Linear, tokens: Tensor<3>, half: ClipPrecision) -> Tensor<3> {
    let bias = linear.bias.as_ref().expect("all linear layers of the tower have a bias");
    layer(tokens, linear.weight.val(), bias.val(), half)
}

/// `weight`: `[inputs, outputs]`
fn layer(tokens: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>, half: ClipPrecision) -> Tensor<3> {
    half.round(burn::tensor::module::linear(tokens, half.round(weight), Some(half.round(bias))))
}
