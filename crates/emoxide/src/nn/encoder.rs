use burn::module::{Flag, Module, ModuleMapper, Param, ParamId};
use burn::nn::Initializer;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Dropout, DropoutConfig, LayerNorm, Linear, linear};

const EPSILON: f64 = 1e-5;

/// Where the layers of an [`Encoder`] normalise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlace {
    /// The sum of a sublayer and its input: PyTorch's default.
    #[default]
    After,
    /// What enters a sublayer.
    Before,
}

/// Shape of an [`Encoder`].
#[derive(Clone, Copy, Debug)]
pub struct EncoderConfig {
    /// Numbers of a token.
    pub width: usize,
    /// Number of layers.
    pub depth: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Width between the two linear layers behind the attention.
    pub hidden: usize,
    /// Share that training drops of the attention, behind it, between the linear layers and behind them, in `[0, 1)`.
    pub dropout: f64,
    /// Where the layers normalise.
    pub norm: NormPlace,
}

impl EncoderConfig {
    /// An encoder whose layers all start with the same weights: PyTorch's makes copies of one layer.
    ///
    /// # Panics
    /// If the heads do not divide the width.
    pub fn init(&self, device: &Device) -> Encoder {
        let first = EncoderLayer::new(self, device);
        let copies = (1..self.depth).map(|_| first.clone().map(&mut OwnValues));
        Encoder { layers: std::iter::once(first.clone()).chain(copies).collect() }
    }
}

/// Makes the parameters of a cloned module its own, with the values that the clone would share.
struct OwnValues;

impl ModuleMapper for OwnValues {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let mut copy = param.init_mapper(Tensor::detach);
        copy.id = ParamId::new();
        copy
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        Param::from_bool(flag.is_enabled())
    }
}

/// PyTorch's `TransformerEncoder` without a norm at its end; made by [`EncoderConfig::init`].
#[derive(Module, Debug)]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    /// Tokens `[batch, tokens, width]` → the same shape, and of every layer what [`EncoderLayer::forward`] attends to.
    pub fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Vec<Tensor<4>>) {
        let mut attention = Vec::with_capacity(self.layers.len());
        let tokens = self.layers.iter().fold(tokens, |tokens, layer| {
            let (tokens, shares) = layer.forward(tokens);
            attention.push(shares);
            tokens
        });
        (tokens, attention)
    }
}

/// PyTorch's `TransformerEncoderLayer`: attention, then two linear layers with a rectifier between them, both carried
/// around.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    self_attn: SelfAttention,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
    dropout: Dropout,
    #[module(skip)]
    norm: NormPlace,
}

impl EncoderLayer {
    fn new(config: &EncoderConfig, device: &Device) -> Self {
        let EncoderConfig { width, heads, hidden, dropout, norm, .. } = *config;
        Self {
            self_attn: SelfAttention::new(width, heads, dropout, device),
            linear1: linear(width, hidden, device),
            linear2: linear(hidden, width, device),
            norm1: LayerNorm::new(width, EPSILON, device),
            norm2: LayerNorm::new(width, EPSILON, device),
            dropout: DropoutConfig::new(dropout).init(),
            norm,
        }
    }

    /// Tokens `[batch, tokens, width]` → the same shape, and the attention `[batch, heads, tokens, tokens]`: for every
    /// query the shares of all keys.
    pub fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        match self.norm {
            NormPlace::After => {
                let (seen, attention) = self.attend(tokens.clone());
                let tokens = self.norm1.forward(tokens + seen);
                (self.norm2.forward(tokens.clone() + self.transform(tokens)), attention)
            }
            NormPlace::Before => {
                let (seen, attention) = self.attend(self.norm1.forward(tokens.clone()));
                let tokens = tokens + seen;
                (tokens.clone() + self.transform(self.norm2.forward(tokens)), attention)
            }
        }
    }

    fn attend(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let (seen, attention) = self.self_attn.forward(tokens);
        (self.dropout.forward(seen), attention)
    }

    fn transform(&self, tokens: Tensor<3>) -> Tensor<3> {
        let hidden = self.dropout.forward(relu(self.linear1.forward(tokens)));
        self.dropout.forward(self.linear2.forward(hidden))
    }
}

/// PyTorch's `MultiheadAttention` of tokens to each other.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values in this order, `[3 width, width]`: PyTorch's own layout.
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out_proj: Linear,
    dropout: Dropout,
    heads: usize,
}

impl SelfAttention {
    /// The weights for queries, keys and values are Xavier uniform, biases 0. `dropout`: share of the attention that
    /// training drops.
    ///
    /// # Panics
    /// If the heads do not divide the width.
    pub fn new(width: usize, heads: usize, dropout: f64, device: &Device) -> Self {
        assert!(width.is_multiple_of(heads), "{heads} heads do not divide a width of {width}");
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let zeros = |count: usize| Initializer::Zeros.init([count], device);
        Self {
            in_proj_weight: xavier.init_with([3 * width, width], Some(width), Some(3 * width), device),
            in_proj_bias: zeros(3 * width),
            out_proj: Linear { bias: Some(zeros(width)), ..linear(width, width, device) },
            dropout: DropoutConfig::new(dropout).init(),
            heads,
        }
    }

    /// Tokens `[batch, tokens, width]` → the same shape, and the attention `[batch, heads, tokens, tokens]` before its
    /// dropout: for every query the shares of all keys.
    pub fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [batch, count, width] = tokens.dims();
        let size = width / self.heads;
        let (weight, bias) = (self.in_proj_weight.val().transpose(), self.in_proj_bias.val());
        let parts = burn::tensor::module::linear(tokens, weight, Some(bias));
        let parts = parts.reshape([batch, count, 3, self.heads, size]).permute([2, 0, 3, 1, 4]);
        let part = |index: usize| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
        let [query, key, value] = [part(0), part(1), part(2)];
        let attention = softmax(query.matmul(key.swap_dims(2, 3)) / (size as f64).sqrt(), 3);
        let seen = self.dropout.forward(attention.clone()).matmul(value);
        let seen = seen.swap_dims(1, 2).reshape([batch, count, width]);
        (self.out_proj.forward(seen), attention)
    }
}
