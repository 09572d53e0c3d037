//! Parallel convolutions ("PCM") on every stage of a face-recognition trunk, and self-attention ("MSH") between what they
//! see, for recognition across data sets.
//!
//! Paper: Yang, Xie, Zhong, Hu and Shen, Augmented Feature Representation with Parallel Convolution for Cross-domain Facial
//! Expression Recognition, CCBR 2022. It left no code: what it leaves open follows HCPLab-SYSU/CD-FER-Benchmark (AGRA),
//! whose protocol it uses, or is ours, as the settings say. The parameter names are ours. Checkpoints: face.evoLVe `backbone_ir50_ms1m_epoch120.pth` as `backbone`;
//! those of AGRA as `backbone` and, for the convolution behind it, as `global`.
//! Deviations from the paper: all sizes are free; class token and positions start normal without a cut at ±2.

mod base;
mod config;
mod msh;

pub use base::{FaceTrunkConfig, PcmBase};
pub use config::{GlobalInput, GlobalVector, MshConfig, PcmConfig, Predict, TokenLayout, Xavier};

use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::{Classifier, Features, Outputs, Parallel};
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig, Linear, global_average_pool};
use base::Backbone;
use msh::Msh;

impl PcmConfig {
    /// A network with fresh weights; they are drawn at first use.
    pub fn init(&self, classes: usize, device: &Device) -> Pcm {
        let (channels, draw) = (self.base.channels(), self.init.initializer());
        let branch = |inputs| Branch {
            conv: conv(&draw, &Conv2dConfig::new(inputs, self.width, self.kernel), device),
            bn: self.norm.then(|| BatchNorm::new(self.width, device)),
        };
        let stage = |&inputs: &usize| (0..self.branches).map(|_| branch(inputs)).collect();
        let last = channels.last().copied().unwrap_or_default();
        let read = match self.head {
            GlobalInput::Flatten => self.embedding(),
            GlobalInput::Class | GlobalInput::Mean => self.global_width(),
        };
        let local = self.local_tokens() * self.token_width();
        Pcm {
            backbone: self.base.init(self.input_channels, device),
            pcm: if self.branches > 0 { channels.iter().map(stage).collect() } else { Vec::new() },
            global: (self.global == GlobalVector::Conv).then(|| Global {
                conv: conv(&draw, &Conv2dConfig::new(last, self.token_width(), 3).with_bias(true), device),
            }),
            msh: (self.msh.depth > 0).then(|| Msh::new(self, device)),
            head_loc: (self.branches > 0).then(|| xavier(&draw, local, classes, device)),
            head_glo: xavier(&draw, read, classes, device),
            tokens: self.all_tokens(),
            units: self.base.units().unwrap_or_default().to_vec(),
            layout: self.tokens,
            head: self.head,
            predict: self.predict,
        }
    }
}

/// A linear layer with weights of its own initialisation and bias 0.
fn xavier(draw: &Initializer, inputs: usize, outputs: usize, device: &Device) -> Linear {
    Linear {
        weight: draw.init_with([inputs, outputs], Some(inputs), Some(outputs), device),
        bias: Some(Initializer::Zeros.init([outputs], device)),
    }
}

/// A convolution with weights of its own initialisation and bias 0.
fn conv(draw: &Initializer, config: &Conv2dConfig, device: &Device) -> Conv2d {
    let mut conv = config.init(device);
    let [outputs, inputs, rows, cols] = conv.weight.lazy_shape().dims();
    let area = rows * cols;
    conv.weight = draw.init_with([outputs, inputs, rows, cols], Some(inputs * area), Some(outputs * area), device);
    conv
}

/// A branch: convolution, norm and rectifier. Paper: equation 1.
#[derive(Module, Debug)]
struct Branch {
    conv: Conv2d,
    bn: Option<BatchNorm>,
}

impl Branch {
    /// `[batch, channels, rows, cols]` → `[batch, width, rows, cols]`
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let x = self.conv.forward(map);
        match &self.bn {
            Some(norm) => norm.forward_relu(x),
            None => relu(x),
        }
    }
}

/// What sees the whole face.
#[derive(Module, Debug)]
struct Global {
    conv: Conv2d,
}

/// A trunk, branches on each of its stages, and attention between what they see; made by [`PcmConfig::init`].
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "the fields are the parameters' names")]
pub struct Pcm {
    backbone: Backbone,
    /// By stage and branch; empty in the baseline.
    pcm: Vec<Vec<Branch>>,
    global: Option<Global>,
    msh: Option<Msh>,
    head_loc: Option<Linear>,
    head_glo: Linear,
    /// Those of the branches, of the whole face and of the class.
    tokens: usize,
    #[module(skip)]
    units: Vec<usize>,
    #[module(skip)]
    layout: TokenLayout,
    #[module(skip)]
    head: GlobalInput,
    #[module(skip)]
    predict: Predict,
}

impl Pcm {
    /// What the branches of a stage see in its map: `[batch, branches * width]`.
    fn look(branches: &[Branch], map: &Tensor<4>) -> Tensor<2> {
        Tensor::cat(branches.iter().map(|branch| global_average_pool(branch.forward(map.clone()))).collect(), 1)
    }

    /// The maps of all stages → the last one, and what the branches see in the others.
    fn seen(&self, mut maps: Vec<Tensor<4>>) -> Features {
        let map = maps.pop().expect("a trunk has at least one stage");
        let earlier: Vec<_> = self.pcm.iter().zip(&maps).map(|(branches, map)| Self::look(branches, map)).collect();
        Features { map, token: (!earlier.is_empty()).then(|| Tensor::cat(earlier, 1)) }
    }

    /// What all branches see, `[batch, stages, branches, width]`; none in the baseline.
    fn branches(&self, features: &Features) -> Option<Tensor<4>> {
        let [stages, branches] = [self.pcm.len(), self.pcm.last()?.len()];
        let last = Self::look(self.pcm.last()?, &features.map);
        let [batch, all] = last.dims();
        let seen = Tensor::cat(features.token.clone().into_iter().chain([last]).collect(), 1);
        Some(seen.reshape([batch, stages, branches, all / branches]))
    }

    /// The branches' tokens, then the whole face's: `[batch, tokens, width]`. Paper: equation 3.
    fn tokens(&self, map: Tensor<4>, branches: Option<&Tensor<4>>) -> Tensor<3> {
        let whole = match &self.global {
            Some(global) => relu(global.conv.forward(map)),
            None => map,
        };
        let whole: Tensor<3> = global_average_pool(whole).unsqueeze_dim(1);
        let Some(branches) = branches else { return whole };
        let [batch, stages, count, width] = branches.dims();
        let local = match self.layout {
            TokenLayout::Branch => branches.clone().swap_dims(1, 2).reshape([batch, count, stages * width]),
            TokenLayout::Stage => branches.clone().reshape([batch, stages, count * width]),
        };
        Tensor::cat(vec![local, whole], 1)
    }

    /// All tokens behind the attention, `[batch, tokens, width]`, and of every layer its shares.
    fn mix(&self, map: Tensor<4>, branches: Option<&Tensor<4>>) -> (Tensor<3>, Vec<Tensor<4>>) {
        let tokens = self.tokens(map, branches);
        match &self.msh {
            Some(msh) => msh.forward(tokens),
            None => (tokens, Vec::new()),
        }
    }

    /// What the global head says of all tokens, `[batch, tokens * width]` → `[batch, classes]`. Paper: equation 8.
    fn global(&self, embedding: Tensor<2>) -> Tensor<2> {
        let [batch, all] = embedding.dims();
        let width = all / self.tokens;
        let read = match self.head {
            GlobalInput::Flatten => embedding,
            GlobalInput::Class => embedding.narrow(1, all - width, width),
            GlobalInput::Mean => embedding.reshape([batch, self.tokens, width]).mean_dim(1).squeeze_dim(1),
        };
        self.head_glo.forward(read)
    }

    /// What the local head says of the branches' tokens, as [`global`](Self::global); none in the baseline. Paper:
    /// equation 7.
    fn local(&self, embedding: Tensor<2>) -> Option<Tensor<2>> {
        let head = self.head_loc.as_ref()?;
        let [read, _] = head.weight.shape().dims();
        Some(head.forward(embedding.narrow(1, 0, read)))
    }

    fn predict(&self, global: Tensor<2>, local: Option<Tensor<2>>) -> Tensor<2> {
        match (self.predict, local) {
            (Predict::Global, _) | (_, None) => global,
            (Predict::Local, Some(local)) => local,
            (Predict::Sum, Some(local)) => global + local,
        }
    }

    /// `branches.0` and so on: where each branch of a stage looks, `[batch, branches, rows, cols]`, the mean over the
    /// channels of its map as a share of its largest. `layers.0` and so on: for every token the shares of all tokens,
    /// `[batch, heads, tokens, tokens]`: of the branches, of the whole face, of the class.
    pub(super) fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        let maps = self.backbone.stages(images, &self.units);
        let stage = |(stage, (branches, map)): (usize, (&Vec<Branch>, &Tensor<4>))| {
            let maps = branches.iter().map(|branch| share(branch.forward(map.clone()).mean_dim(1))).collect();
            (format!("branches.{stage}"), Tensor::cat(maps, 1))
        };
        let stages: Vec<_> = self.pcm.iter().zip(&maps).enumerate().map(stage).collect();
        let features = self.seen(maps);
        let branches = self.branches(&features);
        let (_, layers) = self.mix(features.map, branches.as_ref());
        let layers = layers.into_iter().enumerate().map(|(layer, shares)| (format!("layers.{layer}"), shares));
        stages.into_iter().chain(layers).collect()
    }
}

/// A map `[batch, 1, rows, cols]` that is not below zero, as a share of its largest value.
fn share(map: Tensor<4>) -> Tensor<4> {
    let largest = map.clone().max_dim(2).max_dim(3).clamp_min(f32::MIN_POSITIVE);
    map / largest
}

impl Classifier for Pcm {
    /// The trunk's last map and, as the token, what the branches see in the maps before it, `[batch, stages * branches *
    /// width]` of these stages.
    fn features(&self, images: Tensor<4>) -> Features {
        self.seen(self.backbone.stages(images, &self.units))
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        let branches = self.branches(&features);
        self.mix(features.map, branches.as_ref()).0.flatten(1, 2)
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        match self.predict {
            Predict::Global => self.global(embedding),
            Predict::Local | Predict::Sum => self.predict(self.global(embedding.clone()), self.local(embedding)),
        }
    }

    fn outputs(&self, images: Tensor<4>) -> Outputs {
        let features = self.features(images);
        let branches = self.branches(&features);
        let embedding: Tensor<2> = self.mix(features.map, branches.as_ref()).0.flatten(1, 2);
        let (global, local) = (self.global(embedding.clone()), self.local(embedding.clone()));
        let logits = self.predict(global.clone(), local.clone());
        let parallel = local.zip(branches).map(|(local, branches)| Parallel { global, local, branches });
        Outputs { logits, embedding, attention: None, parallel }
    }
}
