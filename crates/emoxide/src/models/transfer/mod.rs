//! `TransFER`: attention of several local branches, one of which training drops at random, on the map of a face-recognition
//! trunk; then a transformer over the pixels, one of whose heads training drops.
//!
//! Paper: Xue, Wang and Guo, `TransFER`: Learning Relation-aware Facial Expression Representations with Transformers, ICCV
//! 2021. Reference: youqingxiaozhua/APViT, PyTorch and Paddle, whose names the parameters have. Checkpoints: face.evoLVe
//! `backbone_ir50_ms1m_epoch120.pth` as `extractor`, timm `vit_small_p16_224-15ec54c9.pth` as `vit`, the authors' own.
//! Deviations from the reference: all sizes are free; fresh weights of the encoder are normal without a cut at ±2.

mod config;

pub use config::{HeadDrop, MapDrop, Mask, Scale, TransferConfig};

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor, assert_shape};

use super::{Classifier, Features, Ir};
use crate::nn::{
    BatchNorm, Block, BlockConfig, BlockInit, Conv2d, Conv2dConfig, DEVIATION, DropMaps, LayerNorm, Linear, linear,
};

impl TransferConfig {
    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> Transfer {
        let (channels, width) = (self.channels(), self.width);
        let normal = Initializer::Normal { mean: 0.0, std: DEVIATION };
        let size = match self.scale {
            Scale::Head => width / self.heads,
            Scale::Embedding => width,
        };
        let (drop, drop_token) = self.head_drop.kind();
        let block = BlockConfig {
            width,
            heads: self.heads,
            hidden: self.hidden,
            qkv_bias: self.qkv_bias,
            scale: (size as f64).sqrt().recip(),
            epsilon: self.norm_epsilon,
            drop,
            drop_token,
            dropout: 0.0,
            init: BlockInit::Normal,
        };
        let fc = if self.zero_head {
            let zeros = Initializer::Zeros;
            Linear { weight: zeros.init([width, classes], device), bias: Some(zeros.init([classes], device)) }
        } else {
            linear(width, classes, device)
        };
        let branch = |_| LaNet::new(channels, channels / self.lanet_ratio, self.lanet_norm, device);
        Transfer {
            extractor: self.trunk().init(classes, device),
            attention: (self.branches > 0).then(|| LocalAttention {
                las: (0..self.branches).map(branch).collect(),
                drop: DropMaps::new(self.local_drop.kind()),
            }),
            convert: Convert {
                proj: Conv2dConfig::new(channels, width, 1).with_bias(true).with_uniform_init().init(device),
            },
            vit: Vit {
                cls_token: normal.init([1, 1, width], device),
                pos_embed: normal.init([1, 1 + self.side() * self.side(), width], device),
                blocks: (0..self.depth).map(|_| block.init(device)).collect(),
                norm: LayerNorm::new(width, self.norm_epsilon, device),
            },
            head: Head { fc },
            mask: self.mask,
        }
    }
}

/// A local branch, "`LANet`": which places of a map matter. Paper: `TransFER`, section 3.1, after Wang and Guo, `LS-CNN`:
/// Characterizing Local Patches at Multiple Scales for Face Recognition, 2019; the norms are the released code's.
#[derive(Module, Debug)]
struct LaNet {
    la_conv1: Conv2d,
    bn1: Option<BatchNorm>,
    la_conv2: Conv2d,
    bn2: Option<BatchNorm>,
}

impl LaNet {
    fn new(channels: usize, between: usize, norm: bool, device: &Device) -> Self {
        let conv =
            |inputs, outputs| Conv2dConfig::new(inputs, outputs, 1).with_bias(true).with_uniform_init().init(device);
        Self {
            la_conv1: conv(channels, between),
            bn1: norm.then(|| BatchNorm::new(between, device)),
            la_conv2: conv(between, 1),
            bn2: norm.then(|| BatchNorm::new(1, device)),
        }
    }

    /// `[batch, channels, rows, cols]` → `[batch, 1, rows, cols]` in `(0, 1)`
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let x = self.la_conv1.forward(map);
        let x = match &self.bn1 {
            Some(norm) => norm.forward_relu(x),
            None => relu(x),
        };
        let x = self.la_conv2.forward(x);
        sigmoid(match &self.bn2 {
            Some(norm) => norm.forward(x),
            None => x,
        })
    }
}

/// The branches.
#[derive(Module, Debug)]
struct LocalAttention {
    las: Vec<LaNet>,
    drop: DropMaps,
}

impl LocalAttention {
    /// `[batch, channels, rows, cols]` → `[batch, branches, rows, cols]`, after what training drops.
    fn maps(&self, map: &Tensor<4>) -> Tensor<4> {
        self.drop.forward(Tensor::cat(self.las.iter().map(|branch| branch.forward(map.clone())).collect(), 1))
    }

    /// The largest of the branches at every place: `[batch, 1, rows, cols]`. Paper: equation 1.
    fn forward(&self, map: &Tensor<4>) -> Tensor<4> {
        let maps = self.maps(map);
        let branch = |index| maps.clone().narrow(1, index, 1);
        (1..self.las.len()).fold(branch(0), |largest, index| largest.max_pair(branch(index)))
    }
}

/// Channels to tokens.
#[derive(Module, Debug)]
struct Convert {
    proj: Conv2d,
}

/// The encoder.
#[derive(Module, Debug)]
struct Vit {
    /// `[1, 1, width]`
    cls_token: Param<Tensor<3>>,
    /// `[1, tokens, width]`
    pos_embed: Param<Tensor<3>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Head {
    fc: Linear,
}

/// A trunk, local branches and an encoder; made by [`TransferConfig::init`].
#[derive(Module, Debug)]
pub struct Transfer {
    extractor: Ir,
    attention: Option<LocalAttention>,
    convert: Convert,
    vit: Vit,
    head: Head,
    #[module(skip)]
    mask: Mask,
}

impl Transfer {
    /// The features → class token and pixels with their positions, `[batch, tokens, width]`.
    ///
    /// # Panics
    /// If the images did not have the configured size.
    fn tokens(&self, map: Tensor<4>) -> Tensor<3> {
        let pixels = match self.mask {
            Mask::BeforeProjection => self.convert.proj.forward(map),
            // There the map that is handed out is the trunk's own, which the branches look at too.
            Mask::AfterProjection => self.masked(&map, self.convert.proj.forward(map.clone())),
        };
        let pixels = pixels.flatten::<3>(2, 3).swap_dims(1, 2);
        let [batch, _, width] = pixels.dims();
        let token = self.vit.cls_token.val().expand([batch, 1, width]);
        let tokens = Tensor::cat(vec![token, pixels], 1);
        let [_, count, _] = self.vit.pos_embed.dims();
        assert_shape!(tokens, [_, count, width]);
        tokens + self.vit.pos_embed.val()
    }

    /// `values` times what the branches see in the map.
    fn masked(&self, map: &Tensor<4>, values: Tensor<4>) -> Tensor<4> {
        match &self.attention {
            Some(attention) => values * attention.forward(map),
            None => values,
        }
    }

    fn encode(&self, map: Tensor<4>) -> (Tensor<3>, Vec<Tensor<4>>) {
        let mut attention = Vec::with_capacity(self.vit.blocks.len());
        let tokens = self.vit.blocks.iter().fold(self.tokens(map), |tokens, block| {
            let (tokens, shares) = block.forward(tokens);
            attention.push(shares);
            tokens
        });
        (tokens, attention)
    }

    /// `local`: where each branch looks, `[batch, branches, rows, cols]`; of every block, `blocks.0` and so on, for every
    /// token the shares of all tokens, `[batch, heads, tokens, tokens]`, the class token first.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let map = self.extractor.features(images).map;
        let local = self.attention.as_ref().map(|attention| ("local".to_owned(), attention.maps(&map)));
        let (_, blocks) = self.encode(self.seen(map));
        let blocks = blocks.into_iter().enumerate().map(|(index, shares)| (format!("blocks.{index}"), shares));
        local.into_iter().chain(blocks).collect()
    }

    /// The trunk's map as the encoder gets it.
    fn seen(&self, map: Tensor<4>) -> Tensor<4> {
        match self.mask {
            Mask::BeforeProjection => self.masked(&map, map.clone()),
            Mask::AfterProjection => map,
        }
    }
}

impl Classifier for Transfer {
    /// The trunk's map, times the attention of the branches unless that comes later ([`Mask`]).
    fn features(&self, images: Tensor<4>) -> Features {
        Features { map: self.seen(self.extractor.features(images).map), token: None }
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        let (tokens, _) = self.encode(features.map);
        // Norms act on each token alone, so the first one is enough.
        self.vit.norm.forward(tokens.narrow(1, 0, 1)).squeeze_dim(1)
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.head.fc.forward(embedding)
    }
}
