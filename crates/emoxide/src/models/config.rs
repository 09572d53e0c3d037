//! Which network, and whether it can be built.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{
    AlexNetConfig, CafeConfig, ConfigError, DaclAttentionConfig, DaclConfig, InvolutionVitConfig, IrConfig,
    LocalTransformerConfig, Network, PcmConfig, ResNetConfig, TransferConfig, VggConfig, count, parameters,
};

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
    /// See [`TransferConfig`].
    Transfer(TransferConfig),
    /// See [`PcmConfig`].
    Pcm(PcmConfig),
    /// See [`CafeConfig`].
    Cafe(CafeConfig),
    /// See [`InvolutionVitConfig`].
    InvolutionVit(InvolutionVitConfig),
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
            Self::Transfer(config) => Network::Transfer(config.init(classes, device)),
            Self::Pcm(config) => Network::Pcm(config.init(classes, device)),
            Self::Cafe(config) => Network::Cafe(config.init(classes, device)),
            Self::InvolutionVit(config) => Network::InvolutionVit(config.init(classes, device)),
        }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        each_family!(self, config => config.validate())
    }

    /// Number of values of a network with so many classes, those of frozen parts included.
    pub fn parameters(&self, classes: usize, device: &Device) -> usize {
        parameters(&self.build(classes, device))
    }

    /// How many of them training changes.
    pub fn trained_parameters(&self, classes: usize, device: &Device) -> usize {
        count(&self.build(classes, device), |name| !self.is_frozen(name))
    }

    /// Channels of the input images.
    pub fn channels(&self) -> usize {
        each_family!(self, config => config.input_channels)
    }

    /// Side of the square input in pixels, of networks that take no other.
    pub(crate) fn image_size(&self) -> Option<usize> {
        match self {
            Self::Resnet(_) | Self::Alexnet(_) | Self::LocalTransformer(_) | Self::Pcm(_) => None,
            Self::Ir(config) => config.face_head.as_ref().map(|head| head.image_size),
            Self::Vgg(config) => config.fixed_size(),
            Self::DaclAttention(config) => config.fixed_size(),
            Self::Dacl(config) => Some(config.image_size),
            Self::Transfer(config) => Some(config.image_size),
            Self::Cafe(config) => config.fixed_size(),
            Self::InvolutionVit(config) => Some(config.image_size),
        }
    }

    /// Shorter side in pixels of the images at least: smaller ones shrink to nothing on their way.
    pub(crate) fn smallest_image(&self) -> usize {
        match self {
            Self::Alexnet(_) => AlexNetConfig::SMALLEST_IMAGE,
            Self::Vgg(_) => VggConfig::SMALLEST_IMAGE,
            Self::LocalTransformer(config) => config.base.smallest_image(),
            Self::Resnet(_)
            | Self::Ir(_)
            | Self::DaclAttention(_)
            | Self::Dacl(_)
            | Self::Transfer(_)
            | Self::Pcm(_)
            | Self::Cafe(_)
            | Self::InvolutionVit(_) => 1,
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
            Self::Transfer(config) => config.width,
            Self::Pcm(config) => config.embedding(),
            Self::Cafe(config) => config.clip.embedding,
            Self::InvolutionVit(config) => config.embedding(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IrConfig, NetworkConfig, ResNetConfig};
    use crate::models::Stem;

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
