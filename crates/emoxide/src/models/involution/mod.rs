//! Involution and attention side by side: a `RedNet`, whose 3x3 convolutions are involutions, and a hybrid vision
//! transformer see the same image; a convolution of single pixels sees the maps of both.
//!
//! Paper: Liu, facial expression recognition with involution and vision transformer on SFEW (2021). Reference: the author's
//! RogerLiu-98/TransInvNet for how the branches meet; d-li14/involution, `RedNet`; Google's vision transformer. The parameter
//! names are d-li14's below `rednet`, timm's below `vit`. Checkpoints: `rednet50-1c7a7c5d.pth`;
//! `imagenet21k+imagenet2012_R50+ViT-B_16.npz` and timm's copies; `TransInvNet`'s own, but for what segments.
//! What the paper does not say (the fusion's widths, the pool, the classifier) is settled by [`FusionConfig`]. Deviations from
//! the references: all sizes are free.

mod config;
mod hybrid;
mod project;
mod rednet;
mod vit;

pub use config::{Branches, FusionConfig, FusionGrid, FusionKind, InvolutionVitConfig, PatchEmbedding, VitConfig};
pub use hybrid::{HybridConfig, Numerics};
pub use rednet::RedNetConfig;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Classifier, Features};
use crate::nn::{Dropout, DropoutConfig, Linear, global_average_pool, linear, resize_corners};
use config::PATCH;
use project::{Project, ProjectConfig};
use rednet::RedNet;
use vit::{Encoded, Vit};

impl InvolutionVitConfig {
    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> InvolutionVit {
        let (channels, side) = (self.rednet.channels(), self.image_size / PATCH);
        let vit = || self.vit.init(self.input_channels, channels, side * side, device);
        InvolutionVit {
            rednet: self.has_rednet().then(|| self.rednet.init(self.input_channels, device)),
            vit: self.has_vit().then(vit),
            fusion: (self.branches == Branches::Both).then(|| self.fusion.init([channels, self.vit.width], device)),
            dropout: DropoutConfig::new(self.dropout).init(),
            fc: linear(self.embedding(), classes, device),
            branches: self.branches,
        }
    }
}

impl FusionConfig {
    /// `inputs`: channels of the `RedNet`'s map and of the transformer's.
    fn init(&self, inputs: [usize; 2], device: &Device) -> Fusion {
        let Self { kind, grid, projected, width, norm, rectified } = *self;
        let project = |inputs, outputs| ProjectConfig { inputs, outputs, norm, rectified }.init(device);
        let each = |inputs| (kind != FusionKind::DirectConcat).then(|| project(inputs, projected));
        let seen = match kind {
            FusionKind::ProjectConcat => 2 * projected,
            FusionKind::DirectConcat => inputs.iter().sum(),
            FusionKind::Sum => projected,
        };
        Fusion { rednet: each(inputs[0]), vit: each(inputs[1]), both: project(seen, width), kind, grid }
    }
}

/// Where the branches meet.
#[derive(Module, Debug)]
struct Fusion {
    rednet: Option<Project>,
    vit: Option<Project>,
    both: Project,
    #[module(skip)]
    kind: FusionKind,
    #[module(skip)]
    grid: FusionGrid,
}

impl Fusion {
    /// The `RedNet`'s map and the transformer's → `[batch, width, rows, cols]` with the places of one of them.
    fn forward(&self, rednet: Tensor<4>, vit: Tensor<4>) -> Tensor<4> {
        let project = |layer: &Option<Project>, map: Tensor<4>| match layer {
            Some(layer) => layer.forward(map),
            None => map,
        };
        let (rednet, vit) = (project(&self.rednet, rednet), project(&self.vit, vit));
        let size = |map: &Tensor<4>| {
            let [_, _, rows, cols] = map.dims();
            [rows, cols]
        };
        let (rednet, vit) = match self.grid {
            FusionGrid::Rednet => {
                let to = size(&rednet);
                (rednet, resize_corners(vit, to))
            }
            FusionGrid::Vit => (resize_corners(rednet, size(&vit)), vit),
        };
        self.both.forward(match self.kind {
            FusionKind::ProjectConcat | FusionKind::DirectConcat => Tensor::cat(vec![rednet, vit], 1),
            FusionKind::Sum => rednet + vit,
        })
    }
}

/// The branches, their fusion and a classifier; made by [`InvolutionVitConfig::init`].
#[derive(Module, Debug)]
pub struct InvolutionVit {
    rednet: Option<RedNet>,
    vit: Option<Vit>,
    fusion: Option<Fusion>,
    dropout: Dropout,
    fc: Linear,
    #[module(skip)]
    branches: Branches,
}

impl InvolutionVit {
    /// What the branches see: the `RedNet`'s map, and what comes out of the transformer.
    fn branches(&self, images: Tensor<4>) -> (Option<Tensor<4>>, Option<Encoded>) {
        let rednet = self.rednet.as_ref().map(|rednet| rednet.forward(images.clone()));
        let vit = self.vit.as_ref().map(|vit| vit.forward(images, rednet.as_ref()));
        (rednet, vit)
    }

    /// Whether the first token of the transformer stands for the class.
    pub(super) fn has_class_token(&self) -> bool {
        self.vit.as_ref().is_some_and(Vit::has_class_token)
    }

    /// Of every block of the transformer, `blocks.0` and so on, for every token the shares of all tokens,
    /// `[batch, heads, tokens, tokens]`, a class token first.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let (_, vit) = self.branches(images);
        let blocks = vit.into_iter().flat_map(|encoded| encoded.attention);
        blocks.enumerate().map(|(index, shares)| (format!("blocks.{index}"), shares)).collect()
    }
}

impl Classifier for InvolutionVit {
    /// The fused map; of one branch alone its own, and a class token where there is one.
    fn features(&self, images: Tensor<4>) -> Features {
        let (rednet, vit) = self.branches(images);
        match (self.branches, rednet, vit, &self.fusion) {
            (Branches::Both, Some(rednet), Some(vit), Some(fusion)) => {
                Features { map: fusion.forward(rednet, vit.map), token: None }
            }
            (Branches::Vit, _, Some(Encoded { map, token, .. }), _) => Features { map, token },
            (_, Some(map), ..) => Features { map, token: None },
            _ => unreachable!("`InvolutionVitConfig::init` builds the branches that it names"),
        }
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        match features.token {
            Some(token) => token,
            None => global_average_pool(features.map),
        }
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        self.fc.forward(self.dropout.forward(embedding))
    }
}
