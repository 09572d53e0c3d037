//! The networks. Each is written once, as a Burn module, in one file; all share the three seams of [`Classifier`].

/// The same for a network, or for a configuration, of every family.
macro_rules! each_family {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            Self::Resnet($inner) => $body,
            Self::Ir($inner) => $body,
            Self::Alexnet($inner) => $body,
            Self::Vgg($inner) => $body,
            Self::LocalTransformer($inner) => $body,
            Self::DaclAttention($inner) => $body,
            Self::Dacl($inner) => $body,
            Self::Transfer($inner) => $body,
            Self::Pcm($inner) => $body,
            Self::Cafe($inner) => $body,
            Self::InvolutionVit($inner) => $body,
        }
    };
}

mod alexnet;
mod attention;
mod cafe;
mod check;
mod config;
mod dacl;
mod dacl_attention;
mod involution;
mod ir;
mod iresnet;
mod local_transformer;
mod mobilenet;
mod names;
mod parameter_name;
mod pcm;
mod resnet;
mod transfer;
mod vgg;

pub use alexnet::{AlexNet, AlexNetConfig};
pub use attention::AttentionAxes;
pub use cafe::{Cafe, CafeConfig, ClipConfig, ClipNorm, ClipPrecision, FeatureMask, MaskBackbone};
pub use check::ConfigError;
pub use config::NetworkConfig;
pub use dacl::{Dacl, DaclConfig};
pub use dacl_attention::{DaclAttention, DaclAttentionConfig, Grid, MapHead};
pub use involution::{
    Branches, FusionConfig, FusionGrid, FusionKind, HybridConfig, InvolutionVit, InvolutionVitConfig, Numerics,
    PatchEmbedding, RedNetConfig, VitConfig,
};
pub use ir::{FaceHead, Ir, IrConfig};
pub use local_transformer::{
    LocalBase, LocalDrop, LocalDropConfig, LocalDropKind, LocalTransformer, LocalTransformerConfig, PlainConfig,
};
pub use mobilenet::{InvertedStage, MobileNet, MobileNetConfig};
pub use parameter_name::ParameterName;
pub use pcm::{
    FaceTrunkConfig, GlobalInput, GlobalVector, MshConfig, Pcm, PcmBase, PcmConfig, Predict, TokenLayout, Xavier,
};
pub use resnet::{BlockKind, ConvInit, ResNet, ResNetConfig, Stem, TrunkConfig};
pub use transfer::{HeadDrop, MapDrop, Mask, Scale, Transfer, TransferConfig};
pub use vgg::{Vgg, VggConfig};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use check::{
    DEEPEST, LARGEST_IMAGE, WIDEST, check, check_channels, check_image_size, check_rate, check_width, check_widths,
};

/// What a backbone sees, before anything is pooled.
#[derive(Clone, Debug)]
pub struct Features {
    /// `[batch, channels, rows, cols]`
    pub map: Tensor<4>,
    /// Summary token `[batch, channels]`, of networks that carry one.
    pub token: Option<Tensor<2>>,
}

/// What a network answers in training.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// `[batch, classes]`
    pub logits: Tensor<2>,
    /// `[batch, embedding]`
    pub embedding: Tensor<2>,
    /// How much each number of the embedding counts, `[batch, embedding]` in `(0, 1)`, of networks that say so (DACL).
    pub attention: Option<Tensor<2>>,
    /// What parallel branches see, of networks that have them (PCM).
    pub parallel: Option<Parallel>,
}

/// What a network of parallel branches answers beside its logits.
#[derive(Clone, Debug)]
pub struct Parallel {
    /// Of the head that reads all tokens, `[batch, classes]`
    pub global: Tensor<2>,
    /// Of the head that reads the branches' tokens alone, `[batch, classes]`
    pub local: Tensor<2>,
    /// `[batch, stages, branches, width]`, none below zero.
    pub branches: Tensor<4>,
}

/// The contract of all networks: three seams. Training composes them, retrieval stops at two, saliency cuts at one.
pub trait Classifier {
    /// Images `[batch, channels, rows, cols]`, preprocessed as the weights expect → the last spatial map.
    fn features(&self, images: Tensor<4>) -> Features;

    /// → `[batch, embedding]`
    fn embed(&self, features: Features) -> Tensor<2>;

    /// → logits `[batch, classes]`
    fn classify(&self, embedding: Tensor<2>) -> Tensor<2>;

    /// Images `[batch, channels, rows, cols]` → logits `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.classify(self.embed(self.features(images)))
    }

    /// Images `[batch, channels, rows, cols]` → logits and what an objective may need beside them.
    fn outputs(&self, images: Tensor<4>) -> Outputs {
        let embedding = self.embed(self.features(images));
        Outputs { logits: self.classify(embedding.clone()), embedding, attention: None, parallel: None }
    }
}

/// A network of any family. Its parameters are named as in the authors' PyTorch code, below one more segment for the
/// family (`Resnet.conv1.weight`), which stores leave out (`skip_enum_variants`).
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one exists per run")]
pub enum Network {
    /// See [`ResNet`].
    Resnet(ResNet),
    /// See [`Ir`].
    Ir(Ir),
    /// See [`AlexNet`].
    Alexnet(AlexNet),
    /// See [`Vgg`].
    Vgg(Vgg),
    /// See [`LocalTransformer`].
    LocalTransformer(LocalTransformer),
    /// See [`DaclAttention`].
    DaclAttention(DaclAttention),
    /// See [`Dacl`].
    Dacl(Dacl),
    /// See [`Transfer`].
    Transfer(Transfer),
    /// See [`Pcm`].
    Pcm(Pcm),
    /// See [`Cafe`].
    Cafe(Cafe),
    /// See [`InvolutionVit`].
    InvolutionVit(InvolutionVit),
}

impl Network {
    /// The same network once every weight that waits for its first use has been drawn, in the order of the modules.
    pub(crate) fn drawn(self) -> Self {
        self.visit(&mut Draw);
        self
    }

    /// What a frozen part of the network sees in images `[batch, channels, rows, cols]`: `[batch, width]`. It follows from
    /// the images alone, whatever training does to the rest, so that it may be kept. Nothing for networks without one.
    pub fn frozen_features(&self, images: Tensor<4>) -> Option<Tensor<2>> {
        match self {
            Self::Cafe(network) => network.frozen_features(images),
            _ => None,
        }
    }

    /// As [`outputs`](Classifier::outputs), with what [`frozen_features`](Self::frozen_features) has said of the images.
    pub fn outputs_with(&self, images: Tensor<4>, frozen: Option<Tensor<2>>) -> Outputs {
        match (self, frozen) {
            (Self::Cafe(network), Some(frozen)) => network.outputs_with(images, frozen),
            _ => self.outputs(images),
        }
    }

    /// What the network attends to in images `[batch, channels, rows, cols]`: maps by name, each
    /// `[batch, maps, rows, cols]`. Empty for networks without attention. In training, what is dropped is drawn anew.
    pub fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        match self {
            Self::Resnet(_) | Self::Ir(_) | Self::Alexnet(_) | Self::Vgg(_) => Vec::new(),
            Self::LocalTransformer(network) => network.attention(images),
            Self::DaclAttention(network) => network.attention(images),
            Self::Dacl(network) => network.attention(images),
            Self::Transfer(network) => network.attention(images),
            Self::Pcm(network) => network.attention(images),
            Self::Cafe(network) => network.attention(images),
            Self::InvolutionVit(network) => network.attention(images),
        }
    }
}

impl Classifier for Network {
    fn features(&self, images: Tensor<4>) -> Features {
        each_family!(self, network => network.features(images))
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        each_family!(self, network => network.embed(features))
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        each_family!(self, network => network.classify(embedding))
    }

    fn outputs(&self, images: Tensor<4>) -> Outputs {
        each_family!(self, network => network.outputs(images))
    }
}

/// Numbers of a network that training could change: all but the running statistics of its norms.
pub fn parameters(network: &impl Module) -> usize {
    count(network, |_| true)
}

/// As [`parameters`], of the parameters whose names are `wanted`.
fn count(network: &impl Module, wanted: impl Fn(&str) -> bool) -> usize {
    let mut count = Count { name: ParameterName::default(), wanted, total: 0 };
    network.visit(&mut count);
    count.total
}

struct Count<W> {
    name: ParameterName,
    wanted: W,
    total: usize,
}

/// Makes every parameter that waits for its first use draw its values.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

impl<W: Fn(&str) -> bool> ModuleVisitor for Count<W> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.name.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.name.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let running = self.name.leaf().starts_with("running_");
        if !running && (self.wanted)(&self.name.joined()) {
            self.total += param.lazy_shape().num_elements();
        }
    }
}
