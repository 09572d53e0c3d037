//! Settings of the network, and which of them can be built.

use serde::{Deserialize, Serialize};

use super::ClipConfig;
use crate::models::check::{check, check_channels, check_image_size};
use crate::models::{ConfigError, MobileNetConfig, TrunkConfig};

/// What the trainable network does to the features of the fixed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureMask {
    /// Its sigmoid is multiplied in. Paper: equation 2.
    #[default]
    Sigmoid,
    /// It is multiplied in as it is.
    Raw,
    /// It takes their place: a plain classifier, without the fixed network.
    None,
    /// Nothing: a linear probe of the fixed features, without the trainable network.
    Probe,
}

/// The network that makes the mask: its last map, averaged over the places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MaskBackbone {
    /// A residual trunk; the paper's is ResNet-18.
    Resnet(TrunkConfig),
    /// `MobileNetV2`.
    MobilenetV2(MobileNetConfig),
}

/// Shape of a [`Cafe`](super::Cafe). The default is the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CafeConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Side of the square input in pixels; it fixes the positions of the image tower.
    pub image_size: usize,
    /// What is done to the fixed features.
    pub mask: FeatureMask,
    /// What makes the mask. A width other than that of the features is resized to it: means over neighbouring channels.
    pub backbone: MaskBackbone,
    /// The image tower that gives the fixed features.
    pub clip: ClipConfig,
}

impl Default for CafeConfig {
    fn default() -> Self {
        Self {
            input_channels: 3,
            image_size: 224,
            mask: FeatureMask::Sigmoid,
            backbone: MaskBackbone::Resnet(TrunkConfig::default()),
            clip: ClipConfig::default(),
        }
    }
}

/// Checkpoints of the authors number the layers of the trunk; ours keep torchvision's names.
const RESNET_SPELLING: &[(&str, &str)] = &[
    (r"^features\.0\.", "mask.conv1."),
    (r"^features\.1\.", "mask.bn1."),
    (r"^features\.4\.", "mask.layer1."),
    (r"^features\.5\.", "mask.layer2."),
    (r"^features\.6\.", "mask.layer3."),
    (r"^features\.7\.", "mask.layer4."),
];

/// Of torchvision's whole `mobilenet_v2`.
const MOBILENET_SPELLING: &[(&str, &str)] = &[(r"^features\.", "mask.features.")];

impl CafeConfig {
    /// The same with ResNet-50 as mask network.
    #[must_use]
    pub fn resnet50(self) -> Self {
        Self { backbone: MaskBackbone::Resnet(TrunkConfig::resnet50()), ..self }
    }

    /// The same with `MobileNetV2` as mask network.
    #[must_use]
    pub fn mobilenet_v2(self) -> Self {
        Self { backbone: MaskBackbone::MobilenetV2(MobileNetConfig::default()), ..self }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { input_channels, image_size, mask: _, backbone, clip } = self;
        check_channels(*input_channels)?;
        match backbone {
            MaskBackbone::Resnet(trunk) => trunk.validate_below("backbone"),
            MaskBackbone::MobilenetV2(config) => config.validate().map_err(|error| error.below("backbone")),
        }?;
        clip.validate(*input_channels).map_err(|error| error.below("clip"))?;
        // Where the tower is not there, its patches fix nothing.
        let smallest = if self.fixed_size().is_some() { clip.patch } else { 1 };
        check_image_size(*image_size, smallest)?;
        let probes = self.mask == FeatureMask::Probe && clip.trainable;
        check(!probes, "clip.trainable", || {
            "is true, but a linear probe (`mask = \"probe\"`) trains no tower".to_owned()
        })
    }

    /// Side of the input, where the network takes no other.
    pub(in crate::models) fn fixed_size(&self) -> Option<usize> {
        (self.mask != FeatureMask::None).then_some(self.image_size)
    }

    /// See [`NetworkConfig::frozen`](crate::models::NetworkConfig::frozen).
    pub(in crate::models) fn frozen(&self) -> &'static [&'static str] {
        if self.clip.trainable || self.mask == FeatureMask::None { &[] } else { &["clip"] }
    }

    /// See [`NetworkConfig::spelling`](crate::models::NetworkConfig).
    pub(in crate::models) fn spelling(&self) -> &'static [(&'static str, &'static str)] {
        match self.backbone {
            MaskBackbone::Resnet(_) => RESNET_SPELLING,
            MaskBackbone::MobilenetV2(_) => MOBILENET_SPELLING,
        }
    }
}
