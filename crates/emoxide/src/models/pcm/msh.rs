//! Attention of the tokens to each other.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor, assert_shape};

use super::config::PcmConfig;
use super::xavier;
use crate::models::Scale;
use crate::nn::{DEVIATION, LayerNorm, Linear};

/// Added to the variance by norms, which the paper does not have.
const EPSILON: f64 = 1e-5;

/// Positions, class token and layers of attention, "MSH". Paper: equations 3 to 6.
#[derive(Module, Debug)]
pub(super) struct Msh {
    /// `[1, 1, width]`
    cls_token: Option<Param<Tensor<3>>>,
    /// `[1, tokens, width]`
    pos_embed: Param<Tensor<3>>,
    layers: Vec<Layer>,
}

impl Msh {
    pub(super) fn new(config: &PcmConfig, device: &Device) -> Self {
        let width = config.token_width();
        let normal = Initializer::Normal { mean: 0.0, std: DEVIATION };
        Self {
            cls_token: config.msh.cls_token.then(|| normal.init([1, 1, width], device)),
            pos_embed: normal.init([1, config.all_tokens(), width], device),
            layers: (0..config.msh.depth).map(|_| Layer::new(config, device)).collect(),
        }
    }

    /// Tokens of the branches and of the whole face `[batch, tokens, width]` → the same and the class token's, mixed; and
    /// of every layer what [`Layer::forward`] attends to.
    pub(super) fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Vec<Tensor<4>>) {
        let [batch, _, width] = tokens.dims();
        let class = self.cls_token.as_ref().map(|token| token.val().expand([batch, 1, width]));
        let tokens = Tensor::cat([tokens].into_iter().chain(class).collect(), 1);
        let [_, count, _] = self.pos_embed.dims();
        assert_shape!(tokens, [_, count, width]);
        let mut attention = Vec::with_capacity(self.layers.len());
        let tokens = self.layers.iter().fold(tokens + self.pos_embed.val(), |tokens, layer| {
            let (tokens, shares) = layer.forward(tokens);
            attention.push(shares);
            tokens
        });
        (tokens, attention)
    }
}

/// Attention, around which the tokens are carried; norm, projection and linear layers where they are asked for.
#[derive(Module, Debug)]
struct Layer {
    norm: Option<LayerNorm>,
    /// Columns of queries, keys and values in this order, each by head.
    qkv: Linear,
    proj: Option<Linear>,
    mlp: Option<Mlp>,
    heads: usize,
    scale: f64,
}

impl Layer {
    fn new(config: &PcmConfig, device: &Device) -> Self {
        let (width, msh) = (config.token_width(), &config.msh);
        let draw = config.init.initializer();
        let norm = || msh.pre_norm.then(|| LayerNorm::new(width, EPSILON, device));
        let size = match msh.scale {
            Scale::Head => width / msh.heads,
            Scale::Embedding => width,
        };
        let hidden = msh.mlp_ratio * width;
        // Of queries, keys and values each a square matrix.
        let qkv = draw.init_with([width, 3 * width], Some(width), Some(width), device);
        Self {
            norm: norm(),
            qkv: Linear { weight: qkv, bias: None },
            proj: msh.out_proj.then(|| xavier(&draw, width, width, device)),
            mlp: (hidden > 0).then(|| Mlp {
                norm: norm(),
                fc1: xavier(&draw, width, hidden, device),
                fc2: xavier(&draw, hidden, width, device),
            }),
            heads: msh.heads,
            scale: (size as f64).sqrt().recip(),
        }
    }

    /// Tokens `[batch, tokens, width]` → the same shape, and the attention `[batch, heads, tokens, tokens]`: for every
    /// query the shares of all keys.
    fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [batch, count, width] = tokens.dims();
        let parts = self.qkv.forward(normalised(self.norm.as_ref(), tokens.clone()));
        let parts = parts.reshape([batch, count, 3, self.heads, width / self.heads]).permute([2, 0, 3, 1, 4]);
        let part = |index: usize| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
        let [query, key, value] = [part(0), part(1), part(2)];
        let attention = softmax(query.matmul(key.swap_dims(2, 3)) * self.scale, 3);
        let seen = attention.clone().matmul(value).swap_dims(1, 2).reshape([batch, count, width]);
        let seen = match &self.proj {
            Some(proj) => proj.forward(seen),
            None => seen,
        };
        let tokens = tokens + seen;
        let tokens = match &self.mlp {
            Some(mlp) => tokens.clone() + mlp.forward(tokens),
            None => tokens,
        };
        (tokens, attention)
    }
}

/// Two linear layers with a Gaussian error linear unit between them.
#[derive(Module, Debug)]
struct Mlp {
    norm: Option<LayerNorm>,
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(gelu(self.fc1.forward(normalised(self.norm.as_ref(), tokens))))
    }
}

fn normalised(norm: Option<&LayerNorm>, tokens: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(tokens),
        None => tokens,
    }
}
