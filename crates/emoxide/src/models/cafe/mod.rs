//! CAFE: the features that CLIP has of a face, and a trainable network that says by a mask which of them are of its
//! expression.
//!
//! Paper: Zhang et al., Generalizable Facial Expression Recognition, ECCV 2024. Reference: zyh-uaiaaaa/Generalizable-FER.
//! Checkpoints: CLIP's image tower as `clip` (see [`ClipConfig`]), MS-Celeb-1M `resnet18_msceleb.pth` as `mask`, the
//! authors' own as `mask` and `fc`.
//! What training adds, groups of channels that answer for a class each, is the objective's: it looks at the embedding.
//! Deviations from the reference: the parameters of the mask network keep torchvision's names below `mask`, where its
//! checkpoints number them (`features.0`); all sizes are free.

mod clip;
mod clip_config;
mod config;

pub use clip_config::{ClipConfig, ClipNorm, ClipPrecision};
pub use config::{CafeConfig, FeatureMask, MaskBackbone};

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};

use super::{Classifier, Features, MobileNet, Outputs, ResNet};
use crate::nn::{Linear, global_average_pool, linear};
use clip::Clip;

impl CafeConfig {
    /// A network with fresh weights; they are drawn at first use. The convolutions of a residual mask network have
    /// PyTorch's default weights, as in the reference.
    pub fn init(&self, classes: usize, device: &Device) -> Cafe {
        let (masked, fixed) = (self.mask != FeatureMask::Probe, self.mask != FeatureMask::None);
        Cafe {
            clip: fixed.then(|| self.clip.init(self.input_channels, self.image_size, device)),
            mask: masked.then(|| self.backbone.init(self.input_channels, device)),
            fc: linear(self.clip.embedding, classes, device),
            kind: self.mask,
            frozen: !self.frozen().is_empty(),
            embedding: self.clip.embedding,
        }
    }
}

impl MaskBackbone {
    fn init(&self, input_channels: usize, device: &Device) -> MaskNetwork {
        match self {
            Self::Resnet(trunk) => MaskNetwork::Resnet(trunk.init_uniform(input_channels, device)),
            Self::MobilenetV2(config) => MaskNetwork::MobilenetV2(config.init(input_channels, device)),
        }
    }
}

/// What makes the mask.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a network has few of them; boxing would only add a level")]
enum MaskNetwork {
    Resnet(ResNet),
    MobilenetV2(MobileNet),
}

impl MaskNetwork {
    /// Images `[batch, channels, rows, cols]` → the last map.
    fn map(&self, images: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Resnet(network) => network.features(images).map,
            Self::MobilenetV2(network) => network.map(images),
        }
    }
}

/// CLIP's image tower, a mask network and a classifier; made by [`CafeConfig::init`].
#[derive(Module, Debug)]
pub struct Cafe {
    /// Absent where the mask takes the place of its features.
    clip: Option<Clip>,
    /// Absent in a linear probe.
    mask: Option<MaskNetwork>,
    fc: Linear,
    #[module(skip)]
    kind: FeatureMask,
    /// Whether there are fixed features that training leaves as they are.
    frozen: bool,
    embedding: usize,
}

impl Cafe {
    /// The map of the mask network → the mask before its sigmoid, `[batch, embedding]`.
    fn raw_mask(&self, map: Tensor<4>) -> Tensor<2> {
        let mean = global_average_pool(map);
        let [batch, channels] = mean.dims();
        if channels == self.embedding {
            return mean;
        }
        adaptive_avg_pool2d(mean.reshape([batch, 1, 1, channels]), [1, self.embedding]).flatten(1, 3)
    }

    /// See [`Network::frozen_features`](super::Network::frozen_features).
    pub(super) fn frozen_features(&self, images: Tensor<4>) -> Option<Tensor<2>> {
        self.clip.as_ref().filter(|_| self.frozen).map(|clip| clip.forward(images).feature)
    }

    /// See [`Network::outputs_with`](super::Network::outputs_with).
    pub(super) fn outputs_with(&self, images: Tensor<4>, frozen: Tensor<2>) -> Outputs {
        let embedding = match &self.mask {
            None => frozen,
            Some(network) => self.embed(Features { map: network.map(images), token: Some(frozen) }),
        };
        Outputs { logits: self.classify(embedding.clone()), embedding, attention: None, parallel: None }
    }

    /// `mask`: how much of every fixed feature is kept, `[batch, 1, 1, embedding]`; of every block of the image tower,
    /// `clip.0` and so on, for every token the shares of all tokens, `[batch, heads, tokens, tokens]`, the class token
    /// first.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let mask = self.mask.as_ref().filter(|_| self.kind == FeatureMask::Sigmoid).map(|network| {
            let mask = sigmoid(self.raw_mask(network.map(images.clone())));
            let [batch, width] = mask.dims();
            ("mask".to_owned(), mask.reshape([batch, 1, 1, width]))
        });
        let blocks = self.clip.as_ref().map_or_else(Vec::new, |clip| clip.forward(images).attention);
        let blocks = blocks.into_iter().enumerate().map(|(index, shares)| (format!("clip.{index}"), shares));
        mask.into_iter().chain(blocks).collect()
    }
}

impl Classifier for Cafe {
    /// The map of the mask network and, as token, the fixed features; in a linear probe, the map of the image tower.
    fn features(&self, images: Tensor<4>) -> Features {
        let seen = self.clip.as_ref().map(|clip| clip.forward(images.clone()));
        let (own_map, token) = seen.map_or((None, None), |seen| (Some(seen.map), Some(seen.feature)));
        let map = self.mask.as_ref().map(|network| network.map(images)).or(own_map);
        Features { map: map.expect("a network has a mask, an image tower or both"), token }
    }

    /// → the masked features
    ///
    /// # Panics
    /// If `features` are those of another network.
    fn embed(&self, features: Features) -> Tensor<2> {
        let Features { map, token } = features;
        let fixed = || token.expect("`features` gives the fixed ones as token");
        match self.kind {
            FeatureMask::Sigmoid => fixed() * sigmoid(self.raw_mask(map)),
            FeatureMask::Raw => fixed() * self.raw_mask(map),
            FeatureMask::None => self.raw_mask(map),
            FeatureMask::Probe => fixed(),
        }
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.fc.forward(embedding)
    }
}
