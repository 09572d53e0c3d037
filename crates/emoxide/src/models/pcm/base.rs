//! What turns the image into the maps that the branches look at.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::models::iresnet::Iresnet;
use crate::models::{ConfigError, ConvInit, Ir, IrConfig, ResNet, TrunkConfig};

/// Shape of a trunk that was made to recognise faces. The default has the sizes of IR-50.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceTrunkConfig {
    /// Channels behind the stem.
    pub stem_width: usize,
    /// Width of each stage, one to four of them; every stage halves the map.
    pub widths: Vec<usize>,
    /// Units in each stage.
    pub units: Vec<usize>,
}

impl Default for FaceTrunkConfig {
    fn default() -> Self {
        let IrConfig { stem_width, widths, units, .. } = IrConfig::ir50();
        Self { stem_width, widths, units }
    }
}

impl FaceTrunkConfig {
    /// IR-18: two units a stage.
    pub fn ir18() -> Self {
        Self { units: vec![2, 2, 2, 2], ..Self::default() }
    }

    fn ir(&self, input_channels: usize) -> IrConfig {
        let Self { stem_width, widths, units } = self.clone();
        IrConfig { input_channels, stem_width, widths, units, face_head: None, classifier: false, dropout: 0.0 }
    }
}

/// What turns the image into maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PcmBase {
    /// The trunk of face.evoLVe.
    Ir(FaceTrunkConfig),
    /// The trunk of `InsightFace`.
    Iresnet(FaceTrunkConfig),
    /// The trunk of a residual network.
    Resnet(TrunkConfig),
}

impl PcmBase {
    /// Whether a trunk can be built from this, which stands below the key `base`.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Ir(config) | Self::Iresnet(config) => config.ir(3).validate().map_err(|error| error.below("base")),
            Self::Resnet(config) => config.validate(),
        }
    }

    /// Channels of the map behind every stage.
    pub(super) fn channels(&self) -> Vec<usize> {
        match self {
            Self::Ir(config) | Self::Iresnet(config) => config.widths.clone(),
            Self::Resnet(config) => config.widths.iter().map(|width| width * config.block.expansion()).collect(),
        }
    }

    /// Units per stage, of a trunk that numbers them through.
    pub(in crate::models) fn units(&self) -> Option<&[usize]> {
        match self {
            Self::Ir(config) => Some(&config.units),
            Self::Iresnet(_) | Self::Resnet(_) => None,
        }
    }

    pub(super) fn init(&self, input_channels: usize, device: &Device) -> Backbone {
        match self {
            Self::Ir(config) => Backbone::Ir(config.ir(input_channels).init(0, device)),
            Self::Iresnet(config) => Backbone::Iresnet(Iresnet::new(config, input_channels, device)),
            Self::Resnet(config) => Backbone::Resnet(config.init(input_channels, ConvInit::Kaiming, device)),
        }
    }
}

/// A trunk; made by [`PcmBase::init`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one exists per network")]
pub(super) enum Backbone {
    Ir(Ir),
    Iresnet(Iresnet),
    Resnet(ResNet),
}

impl Backbone {
    /// Images `[batch, channels, rows, cols]` → the map behind every stage. `units`: those of each stage, of trunks that
    /// number them through.
    pub(super) fn stages(&self, images: Tensor<4>, units: &[usize]) -> Vec<Tensor<4>> {
        match self {
            Self::Ir(trunk) => trunk.stages(images, units),
            Self::Iresnet(trunk) => trunk.stages(images),
            Self::Resnet(trunk) => trunk.stages(images),
        }
    }
}
