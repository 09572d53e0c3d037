//! The networks. Each is written once, as a Burn module, in one file; all share the three seams of [`Classifier`].

mod alexnet;
mod dacl;
mod dacl_attention;
mod ir;
mod local_transformer;
mod resnet;
mod vgg;

pub use alexnet::{AlexNet, AlexNetConfig};
pub use dacl::{Dacl, DaclConfig};
pub use dacl_attention::{DaclAttention, DaclAttentionConfig, Grid, MapHead};
pub use ir::{FaceHead, Ir, IrConfig};
pub use local_transformer::{
    LocalBase, LocalDrop, LocalDropConfig, LocalDropKind, LocalTransformer, LocalTransformerConfig, PlainConfig,
};
pub use resnet::{BlockKind, ResNet, ResNetConfig, Stem, TrunkConfig};
pub use vgg::{Vgg, VggConfig};

use std::borrow::Cow;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

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
        Outputs { logits: self.classify(embedding.clone()), embedding, attention: None }
    }
}

/// A network of any family. Its parameters are named as in the authors' PyTorch code, below one more segment for the
/// family (`Resnet.conv1.weight`), which stores leave out (`skip_enum_variants`).
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one exists per process; boxing would only add a level")]
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
}

impl Network {
    /// The same network once every weight that waits for its first use has been drawn, in the order of the modules.
    pub(crate) fn drawn(self) -> Self {
        self.visit(&mut Draw);
        self
    }

    /// What the network attends to in images `[batch, channels, rows, cols]`: maps by name, each
    /// `[batch, maps, rows, cols]`. Empty for networks without attention.
    pub fn attention(&self, images: Tensor<4>) -> Vec<(String, Tensor<4>)> {
        match self {
            Self::Resnet(_) | Self::Ir(_) | Self::Alexnet(_) | Self::Vgg(_) => Vec::new(),
            Self::LocalTransformer(network) => network.attention(images),
            Self::DaclAttention(network) => network.attention(images),
            Self::Dacl(network) => network.attention(images),
        }
    }
}

impl Classifier for Network {
    fn features(&self, images: Tensor<4>) -> Features {
        match self {
            Self::Resnet(network) => network.features(images),
            Self::Ir(network) => network.features(images),
            Self::Alexnet(network) => network.features(images),
            Self::Vgg(network) => network.features(images),
            Self::LocalTransformer(network) => network.features(images),
            Self::DaclAttention(network) => network.features(images),
            Self::Dacl(network) => network.features(images),
        }
    }

    fn embed(&self, features: Features) -> Tensor<2> {
        match self {
            Self::Resnet(network) => network.embed(features),
            Self::Ir(network) => network.embed(features),
            Self::Alexnet(network) => network.embed(features),
            Self::Vgg(network) => network.embed(features),
            Self::LocalTransformer(network) => network.embed(features),
            Self::DaclAttention(network) => network.embed(features),
            Self::Dacl(network) => network.embed(features),
        }
    }

    fn classify(&self, embedding: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Resnet(network) => network.classify(embedding),
            Self::Ir(network) => network.classify(embedding),
            Self::Alexnet(network) => network.classify(embedding),
            Self::Vgg(network) => network.classify(embedding),
            Self::LocalTransformer(network) => network.classify(embedding),
            Self::DaclAttention(network) => network.classify(embedding),
            Self::Dacl(network) => network.classify(embedding),
        }
    }

    fn outputs(&self, images: Tensor<4>) -> Outputs {
        match self {
            Self::Resnet(network) => network.outputs(images),
            Self::Ir(network) => network.outputs(images),
            Self::Alexnet(network) => network.outputs(images),
            Self::Vgg(network) => network.outputs(images),
            Self::LocalTransformer(network) => network.outputs(images),
            Self::DaclAttention(network) => network.outputs(images),
            Self::Dacl(network) => network.outputs(images),
        }
    }
}

/// Which network, in a recipe or a checkpoint: `kind = "resnet"` or another family and the keys of that family.
/// Absent keys take the family's defaults; unknown ones are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NetworkConfig {
    /// See [`ResNetConfig`].
    Resnet(ResNetConfig),
    /// See [`IrConfig`].
    Ir(IrConfig),
    /// See [`AlexNetConfig`].
    Alexnet(AlexNetConfig),
    /// See [`VggConfig`].
    Vgg(VggConfig),
    /// See [`LocalTransformerConfig`].
    LocalTransformer(LocalTransformerConfig),
    /// See [`DaclAttentionConfig`].
    DaclAttention(DaclAttentionConfig),
    /// See [`DaclConfig`].
    Dacl(DaclConfig),
}

impl NetworkConfig {
    /// A network with fresh weights for `classes` outputs. All weights are drawn here and now, so that
    /// `device.seed(n)` just before makes them reproducible.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) fails.
    pub fn init(&self, classes: usize, device: &Device) -> Network {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        self.build(classes, device).drawn()
    }

    /// Like [`init`](Self::init), but weights are drawn at first use, which weights that are loaded never come to.
    pub(crate) fn build(&self, classes: usize, device: &Device) -> Network {
        match self {
            Self::Resnet(config) => Network::Resnet(config.init(classes, device)),
            Self::Ir(config) => Network::Ir(config.init(classes, device)),
            Self::Alexnet(config) => Network::Alexnet(config.init(classes, device)),
            Self::Vgg(config) => Network::Vgg(config.init(classes, device)),
            Self::LocalTransformer(config) => Network::LocalTransformer(config.init(classes, device)),
            Self::DaclAttention(config) => Network::DaclAttention(config.init(classes, device)),
            Self::Dacl(config) => Network::Dacl(config.init(classes, device)),
        }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Resnet(config) => config.validate(),
            Self::Ir(config) => config.validate(),
            Self::Alexnet(config) => config.validate(),
            Self::Vgg(config) => config.validate(),
            Self::LocalTransformer(config) => config.validate(),
            Self::DaclAttention(config) => config.validate(),
            Self::Dacl(config) => config.validate(),
        }
    }

    /// Number of trained values of a network with so many classes.
    pub fn parameters(&self, classes: usize, device: &Device) -> usize {
        parameters(&self.build(classes, device))
    }

    /// Channels of the input images.
    pub fn channels(&self) -> usize {
        match self {
            Self::Resnet(config) => config.input_channels,
            Self::Ir(config) => config.input_channels,
            Self::Alexnet(config) => config.input_channels,
            Self::Vgg(config) => config.input_channels,
            Self::LocalTransformer(config) => config.input_channels,
            Self::DaclAttention(config) => config.input_channels,
            Self::Dacl(config) => config.input_channels,
        }
    }

    /// How the names of everything behind the embedding start, and of what a file may have beyond it.
    pub(crate) fn head(&self) -> &'static [&'static str] {
        match self {
            Self::Resnet(_) | Self::DaclAttention(_) | Self::Dacl(_) => &["fc."],
            Self::Alexnet(_) => &["classifier.6."],
            Self::Vgg(_) => &["classifier.2."],
            Self::LocalTransformer(_) => &["classifier."],
            Self::Ir(config) if config.face_head.is_some() => &["fc."],
            Self::Ir(_) => &["fc.", "output_layer."],
        }
    }

    /// Units per stage, of networks that number them through (`body.0` to `body.23`).
    pub(crate) fn units(&self) -> Option<&[usize]> {
        match self {
            Self::Ir(config) => Some(&config.units),
            _ => None,
        }
    }

    /// Side of the square input in pixels, of networks that take no other.
    pub(crate) fn image_size(&self) -> Option<usize> {
        match self {
            Self::Resnet(_) | Self::Alexnet(_) | Self::LocalTransformer(_) => None,
            Self::Ir(config) => config.face_head.as_ref().map(|head| head.image_size),
            Self::Vgg(config) => config.fixed_size(),
            Self::DaclAttention(config) => config.fixed_size(),
            Self::Dacl(config) => Some(config.image_size),
        }
    }

    /// Shorter side in pixels of the images at least: smaller ones shrink to nothing on their way.
    pub(crate) fn smallest_image(&self) -> usize {
        match self {
            Self::Alexnet(_) => AlexNetConfig::SMALLEST_IMAGE,
            Self::Vgg(_) => VggConfig::SMALLEST_IMAGE,
            Self::LocalTransformer(config) => config.base.smallest_image(),
            Self::Resnet(_) | Self::Ir(_) | Self::DaclAttention(_) | Self::Dacl(_) => 1,
        }
    }

    /// Length of the logits of a network that was built for so many classes.
    pub(crate) fn outputs(&self, classes: usize) -> usize {
        match self {
            Self::Ir(config) if !config.classifier => config.embedding(),
            _ => classes,
        }
    }

    /// Length of the embedding.
    pub fn embedding(&self) -> usize {
        match self {
            Self::Resnet(config) => config.embedding(),
            Self::Ir(config) => config.embedding(),
            Self::Alexnet(config) => config.hidden,
            Self::Vgg(config) => config.hidden,
            Self::LocalTransformer(config) => config.local_width,
            Self::DaclAttention(config) => config.embedding(),
            Self::Dacl(config) => config.base.channels(),
        }
    }
}

/// Trainable numbers of a network: all but the running statistics of its norms.
pub fn parameters(network: &impl Module) -> usize {
    let mut count = Count { path: Vec::new(), total: 0 };
    network.visit(&mut count);
    count.total
}

struct Count {
    path: Vec<String>,
    total: usize,
}

/// Makes every parameter that waits for its first use draw its values.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

impl ModuleVisitor for Count {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.last().is_some_and(|name| name.starts_with("running_")) {
            self.total += param.lazy_shape().num_elements();
        }
    }
}

/// A network that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network.{key}: {problem}")]
pub struct ConfigError {
    /// The key of the configuration.
    pub key: Cow<'static, str>,
    /// What is wrong with its value and what it may be.
    pub problem: String,
}

impl ConfigError {
    /// The same of a table that stands below this key.
    fn below(self, table: &str) -> Self {
        Self { key: format!("{table}.{}", self.key).into(), ..self }
    }
}

/// Channels of a stage, and numbers of an embedding, at most.
const WIDEST: usize = 8192;
/// Blocks or units of a stage at most.
const DEEPEST: usize = 100;
/// Side in pixels of the images at most, of networks that fix it.
const LARGEST_IMAGE: usize = 1024;

fn check(holds: bool, key: &'static str, problem: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { key: key.into(), problem: problem() }) }
}

fn check_channels(count: usize) -> Result<(), ConfigError> {
    check(matches!(count, 1 | 3), "input_channels", || format!("is {count}, may be 1 or 3"))
}

fn check_width(width: usize, key: &'static str) -> Result<(), ConfigError> {
    check((1..=WIDEST).contains(&width), key, || format!("is {width}, may be 1 to {WIDEST}"))
}

fn check_widths(widths: &[usize], key: &'static str) -> Result<(), ConfigError> {
    let fit = widths.iter().all(|width| (1..=WIDEST).contains(width));
    check(fit, key, || format!("is {widths:?}, each may be 1 to {WIDEST}"))
}

fn check_rate(rate: f64, key: &'static str) -> Result<(), ConfigError> {
    check((0.0..1.0).contains(&rate), key, || format!("is {rate}, may be 0 up to but not 1"))
}

fn check_image_size(side: usize, smallest: usize) -> Result<(), ConfigError> {
    check((smallest..=LARGEST_IMAGE).contains(&side), "image_size", || {
        format!("is {side}, may be {smallest} to {LARGEST_IMAGE}")
    })
}

#[cfg(test)]
mod tests {
    use super::{IrConfig, NetworkConfig, ResNetConfig, Stem};

    fn parse(text: &str) -> Result<NetworkConfig, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_configuration_names_its_family_and_what_differs_from_the_default() {
        let resnet = ResNetConfig { stem: Stem::Compact, dropout: 0.2, ..ResNetConfig::resnet18() };
        assert_eq!(
            parse(r#"{"kind": "resnet", "stem": "compact", "dropout": 0.2}"#),
            Ok(NetworkConfig::Resnet(resnet.clone()))
        );
        assert_eq!(parse(r#"{"kind": "ir"}"#), Ok(NetworkConfig::Ir(IrConfig::ir50())));
        let text = serde_json::to_string(&NetworkConfig::Resnet(resnet.clone())).unwrap();
        assert_eq!(parse(&text), Ok(NetworkConfig::Resnet(resnet)));
    }

    #[test]
    fn unknown_keys_and_families_are_errors() {
        let cases = [
            (r#"{"kind": "resnet", "depth": 18}"#, "unknown field `depth`"),
            (r#"{"kind": "ir", "face_head": {"image-size": 112}}"#, "unknown field `image-size`"),
            (r#"{"kind": "resnet", "stem": "big"}"#, "unknown variant `big`"),
            (r#"{"kind": "inception"}"#, "unknown variant `inception`"),
            (r#"{"kind": "local-transformer", "base": {"kind": "plain", "stem": "compact"}}"#, "unknown field `stem`"),
            (r#"{"kind": "dacl-attention", "base": {"kind": "resnet"}}"#, "unknown field `kind`"),
            (r#"{"kind": "local-transformer", "local_drop": {"kind": "half"}}"#, "unknown variant `half`"),
            (r#"{"stem": "compact"}"#, "missing field `kind`"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused_by_key() {
        let cases = [
            (r#"{"kind": "resnet", "input_channels": 2}"#, "network.input_channels: is 2, may be 1 or 3"),
            (r#"{"kind": "resnet", "widths": [8, 16]}"#, "network.blocks: 4 stages, but `widths` has 2"),
            (r#"{"kind": "resnet", "widths": [], "blocks": []}"#, "network.widths: 0 stages, may be 1 to 4"),
            (r#"{"kind": "resnet", "first_stride": 3}"#, "network.first_stride: is 3, may be 1 or 2"),
            (r#"{"kind": "resnet", "dropout": 1.0}"#, "network.dropout: is 1, may be 0 up to but not 1"),
            (r#"{"kind": "ir", "units": [3, 4, 0, 3]}"#, "network.units: is [3, 4, 0, 3], a stage may have 1 to 100"),
            (
                r#"{"kind": "resnet", "blocks": [2, 2, 2, 101]}"#,
                "network.blocks: is [2, 2, 2, 101], a stage may have 1 to 100",
            ),
            (r#"{"kind": "ir", "stem_width": 0}"#, "network.stem_width: is 0, may be 1 to 8192"),
            (
                r#"{"kind": "resnet", "widths": [64, 128, 256, 9000]}"#,
                "network.widths: is [64, 128, 256, 9000], a stage may have 1 to 8192",
            ),
            (
                r#"{"kind": "ir", "face_head": {"image_size": 2048}}"#,
                "network.face_head.image_size: is 2048, may be 1 to 1024",
            ),
            (
                r#"{"kind": "ir", "face_head": {"image_size": 100}}"#,
                "network.face_head.image_size: is 100, must be a multiple of 16, by which the stages shrink the image",
            ),
        ];
        let cases = cases.into_iter().chain([
            (r#"{"kind": "alexnet", "hidden": 0}"#, "network.hidden: is 0, may be 1 to 8192"),
            (r#"{"kind": "vgg", "image_size": 8}"#, "network.image_size: is 8, may be 16 to 1024"),
            (r#"{"kind": "vgg", "widths": [64]}"#, "network.widths: 1 stages, must be 4"),
            (r#"{"kind": "vgg", "pool": 0}"#, "network.pool: is 0, may be 1 to 32"),
            (
                r#"{"kind": "local-transformer", "heads": 6}"#,
                "network.heads: is 6, must divide `local_width`, which is 2048",
            ),
            (
                r#"{"kind": "local-transformer", "local_drop": {"rate": 1.0}}"#,
                "network.local_drop.rate: is 1, may be 0 up to but not 1",
            ),
            (
                r#"{"kind": "local-transformer", "base": {"kind": "resnet", "blocks": [1]}}"#,
                "network.base.blocks: 1 stages, but `widths` has 4",
            ),
            (
                r#"{"kind": "local-transformer", "base": {"kind": "plain", "widths": []}}"#,
                "network.base.widths: 0 stages, may be 1 to 8",
            ),
            (r#"{"kind": "dacl-attention", "attention_width": 0}"#, "network.attention_width: is 0, may be 1 to 8192"),
            (
                r#"{"kind": "dacl", "attention_widths": [512, 64, 0]}"#,
                "network.attention_widths: is [512, 64, 0], each may be 1 to 8192",
            ),
        ]);
        for (text, expected) in cases {
            let error = parse(text).unwrap().validate().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
