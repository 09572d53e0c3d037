use burn::module::{Flag, Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};

use super::drop::one_of;
use super::{DropKind, DropMaps, Dropout, DropoutConfig, LayerNorm, Linear};

/// Deviation of fresh weights, as in timm.
pub const DEVIATION: f64 = 0.02;

/// Deviation of fresh biases of the linear layers behind the attention, as Google draws them.
const TINY: f64 = 1e-6;

/// How the linear layers of a [`Block`] start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockInit {
    /// Normal with deviation 0.02, biases 0: timm.
    Normal,
    /// Xavier uniform, each of queries, keys and values by itself; biases behind the attention normal with deviation 1e-6,
    /// others 0: Google.
    Xavier,
}

/// Shape of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub struct BlockConfig {
    /// Numbers of a token.
    pub width: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Width between the two linear layers behind the attention.
    pub hidden: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Factor of the products of queries and keys.
    pub scale: f64,
    /// Added to the variance by norms.
    pub epsilon: f64,
    /// What training zeroes of the heads' outputs, `[batch, heads, tokens, width / heads]`.
    pub drop: DropKind,
    /// In this share of the images, training zeroes query, key and value of one of the first `heads` tokens.
    pub drop_token: f64,
    /// Share that training drops behind each of the two linear layers behind the attention, in `[0, 1)`.
    pub dropout: f64,
    /// How the linear layers start.
    pub init: BlockInit,
}

impl BlockConfig {
    /// A block with fresh weights.
    ///
    /// # Panics
    /// If the heads do not divide the width.
    pub fn init(&self, device: &Device) -> Block {
        let Self { width, heads, hidden, qkv_bias, scale, epsilon, drop, drop_token, dropout, init } = *self;
        assert!(width.is_multiple_of(heads), "{heads} heads do not divide a width of {width}");
        Block {
            norm1: LayerNorm::new(width, epsilon, device),
            attn: Attention {
                qkv: init.linear([width, 3 * width], width, qkv_bias.then_some(0.0), device),
                proj: init.linear([width, width], width, Some(0.0), device),
                drop: DropMaps::new(drop),
                heads,
                scale,
                drop_token,
                training: Param::from_bool(true),
            },
            norm2: LayerNorm::new(width, epsilon, device),
            mlp: Mlp {
                fc1: init.linear([width, hidden], hidden, Some(TINY), device),
                fc2: init.linear([hidden, width], width, Some(TINY), device),
                dropout: DropoutConfig::new(dropout).init(),
            },
        }
    }
}

impl BlockInit {
    /// A linear layer of which `together` outputs are drawn as one layer's. `bias`: the deviation of
    /// its biases where they are drawn.
    fn linear(self, [inputs, outputs]: [usize; 2], together: usize, bias: Option<f64>, device: &Device) -> Linear {
        let weights = match self {
            Self::Normal => Initializer::Normal { mean: 0.0, std: DEVIATION },
            Self::Xavier => Initializer::XavierUniform { gain: 1.0 },
        };
        let biases = |deviation: f64| match self {
            Self::Xavier if deviation > 0.0 => Initializer::Normal { mean: 0.0, std: deviation },
            _ => Initializer::Zeros,
        };
        Linear {
            weight: weights.init_with([inputs, outputs], Some(inputs), Some(together), device),
            bias: bias.map(|deviation| biases(deviation).init([outputs], device)),
        }
    }
}

/// A block of a vision transformer, with the parameter names of timm: attention and two linear layers, each behind a norm
/// and carried around. Paper: Dosovitskiy et al., arXiv 2010.11929, equations 2 and 3.
#[derive(Module, Debug)]
pub struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    /// Tokens `[batch, tokens, width]` → the same shape, and the attention `[batch, heads, tokens, tokens]`: for every
    /// query the shares of all keys.
    pub fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let (seen, attention) = self.attn.forward(self.norm1.forward(tokens.clone()));
        let tokens = tokens + seen;
        (tokens.clone() + self.mlp.forward(self.norm2.forward(tokens)), attention)
    }
}

/// Attention of tokens to each other.
#[derive(Module, Debug)]
struct Attention {
    /// Columns of queries, keys and values in this order, each by head.
    qkv: Linear,
    proj: Linear,
    drop: DropMaps,
    heads: usize,
    scale: f64,
    drop_token: f64,
    training: Param<Flag>,
}

impl Attention {
    fn forward(&self, tokens: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [batch, count, width] = tokens.dims();
        let parts = self.without_token(self.qkv.forward(tokens));
        let parts = parts.reshape([batch, count, 3, self.heads, width / self.heads]).permute([2, 0, 3, 1, 4]);
        let part = |index: usize| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
        let [query, key, value] = [part(0), part(1), part(2)];
        let attention = softmax(query.matmul(key.swap_dims(2, 3)) * self.scale, 3);
        let seen = self.drop.forward(attention.clone().matmul(value));
        (self.proj.forward(seen.swap_dims(1, 2).reshape([batch, count, width])), attention)
    }

    /// Zeroes what a token asks, is asked for and tells.
    fn without_token(&self, parts: Tensor<3>) -> Tensor<3> {
        let device = parts.device();
        if self.drop_token == 0.0 || !(device.is_autodiff() && self.training.is_enabled()) {
            return parts;
        }
        let [batch, count, _] = parts.dims();
        let first = self.heads.min(count);
        let hit = one_of(batch, first, self.drop_token, &device).reshape([batch, first, 1]);
        let hit = hit.pad([(0, count - first), (0, 0)], PadMode::Constant(0.0));
        parts * (-hit + 1.0)
    }
}

/// Two linear layers with a Gaussian error linear unit between them.
#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
    dropout: Dropout,
}

impl Mlp {
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let hidden = self.dropout.forward(gelu(self.fc1.forward(tokens)));
        self.dropout.forward(self.fc2.forward(hidden))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Distribution, Tensor};
    use emoxide_testing::{Values, largest_difference};

    use super::{Attention, BlockConfig, BlockInit, DropKind, DropMaps, Linear};

    const IMAGES: usize = 32;
    const TOKENS: usize = 11;
    const WIDTH: usize = 768;
    const HEADS: usize = 8;
    const HEAD: usize = WIDTH / HEADS;

    /// The paper's sizes. What the projection would get comes out as it is.
    fn attention(drop: DropKind, drop_token: f64, device: &Device) -> Attention {
        let config = BlockConfig {
            width: WIDTH,
            heads: HEADS,
            hidden: 1,
            qkv_bias: false,
            scale: (HEAD as f64).sqrt().recip(),
            epsilon: 1e-6,
            drop,
            drop_token,
            dropout: 0.0,
            init: BlockInit::Normal,
        };
        let proj = Linear { weight: Param::from_tensor(Tensor::eye(WIDTH, device)), bias: None };
        Attention { proj, ..config.init(device).attn }
    }

    fn undropped(attention: &Attention) -> Attention {
        Attention { drop: DropMaps::new(DropKind::None), drop_token: 0.0, ..attention.clone() }
    }

    fn tokens(device: &Device) -> Tensor<3> {
        Tensor::random([IMAGES, TOKENS, WIDTH], Distribution::Normal(0.0, 1.0), device)
    }

    /// What every image gets, `TOKENS` x `WIDTH` numbers each.
    fn seen(attention: &Attention, tokens: &Tensor<3>) -> Vec<Vec<f32>> {
        let (seen, _) = attention.forward(tokens.clone());
        seen.inner().values().chunks(TOKENS * WIDTH).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_dropped_head_is_96_columns_of_zeros_and_every_block_draws_for_itself() {
        let device = Device::flex().autodiff();
        let block = attention(DropKind::Mad { rate: 1.0 }, 0.0, &device);
        let tokens = tokens(&device);
        let whole = seen(&undropped(&block), &tokens);
        let heads = |attention: &Attention, whole: &[Vec<f32>]| -> Vec<usize> {
            let without = |(seen, whole): (&Vec<f32>, &Vec<f32>)| {
                let zero = |head: usize| seen.chunks(WIDTH).all(|row| row[head * HEAD..][..HEAD] == [0.0; HEAD]);
                let zeros: Vec<usize> = (0..HEADS).filter(|&head| zero(head)).collect();
                assert_eq!(zeros.len(), 1, "one head of every image");
                let others = |values: &[f32]| -> Vec<Vec<f32>> {
                    let heads = values.chunks(HEAD).enumerate().filter(|(index, _)| index % HEADS != zeros[0]);
                    heads.map(|(_, head)| head.to_vec()).collect()
                };
                assert!(others(seen) == others(whole), "the other heads as they were");
                zeros[0]
            };
            seen(attention, &tokens).iter().zip(whole).map(without).collect()
        };
        let first = heads(&block, &whole);
        let second = attention(DropKind::Mad { rate: 1.0 }, 0.0, &device);
        let second = heads(&second, &seen(&undropped(&second), &tokens));
        assert_ne!(first, second, "one draw for two blocks");
        assert!(first.iter().any(|&head| head != first[0]), "one draw for all images");
    }

    /// Without a bias, a token of zeros has a query, key and value of zeros.
    #[test]
    fn a_dropped_token_has_no_query_no_key_and_no_value() {
        let device = Device::flex().autodiff();
        let block = attention(DropKind::None, 1.0, &device);
        let plain = undropped(&block);
        let tokens = tokens(&device);
        let dropped = seen(&block, &tokens);
        let without = |token: usize| {
            let zeros = Tensor::zeros([IMAGES, 1, WIDTH], &device);
            seen(&plain, &tokens.clone().slice_assign([0..IMAGES, token..token + 1, 0..WIDTH], zeros))
        };
        let possible: Vec<_> = (0..TOKENS).map(without).collect();
        let mut hits = [0; TOKENS];
        for (image, dropped) in dropped.iter().enumerate() {
            let same = |token: &usize| largest_difference("seen", dropped, &possible[*token][image]) < 1e-5;
            let tokens: Vec<usize> = (0..TOKENS).filter(same).collect();
            assert_eq!(tokens.len(), 1, "one token of every image: {tokens:?}");
            hits[tokens[0]] += 1;
        }
        assert_eq!(hits[HEADS..].iter().sum::<usize>(), 0, "of the first tokens, as many as heads: {hits:?}");
        assert!(hits.iter().filter(|&&count| count > 0).count() > 1, "every image draws: {hits:?}");
    }
}
