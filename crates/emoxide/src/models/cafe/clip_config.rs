//! Settings of the image tower, and which of them can be built.

use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::models::ConfigError;
use crate::models::check::{DEEPEST, check, check_width};

/// How exactly an image tower computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipPrecision {
    /// In single precision.
    #[default]
    F32,
    /// As in half precision, which the paper's features were computed in: the image, every weight and every result are
    /// rounded to it, but norms compute in single precision. For comparisons; it is slower than single precision.
    F16Emulated,
}

impl ClipPrecision {
    /// The values as this precision has them.
    pub(super) fn round<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => values,
            Self::F16Emulated => values.cast(FloatDType::F16).cast(FloatDType::F32),
        }
    }
}

/// What the image that an image tower sees is normalised by. The network's input is normalised by ImageNet's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipNorm {
    /// It is the network's input as it is, as in the paper's code.
    #[default]
    Imagenet,
    /// It is brought to the statistics that CLIP was trained with.
    Clip,
}

/// Shape of an image tower. The default is that of ViT-B/32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipConfig {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Numbers of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Heads of each block; they divide `width`.
    pub heads: usize,
    /// Width between the two linear layers of each block.
    pub hidden: usize,
    /// Numbers of a feature.
    pub embedding: usize,
    /// Whether training changes it. The paper does not; otherwise it keeps the weights that it starts with.
    pub trainable: bool,
    /// How exactly it computes.
    pub precision: ClipPrecision,
    /// What its image is normalised by.
    pub norm: ClipNorm,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            patch: 32,
            width: 768,
            depth: 12,
            heads: 12,
            hidden: 3072,
            embedding: 512,
            trainable: false,
            precision: ClipPrecision::F32,
            norm: ClipNorm::Imagenet,
        }
    }
}

impl ClipConfig {
    /// Whether a tower for images of so many channels can be built from this.
    pub(super) fn validate(&self, input_channels: usize) -> Result<(), ConfigError> {
        let Self { patch, width, depth, heads, hidden, embedding, trainable, precision, norm } = self;
        check(*patch > 0, "patch", || "is 0, must be at least 1".to_owned())?;
        check_width(*width, "width")?;
        check((1..=DEEPEST).contains(depth), "depth", || format!("is {depth}, may be 1 to {DEEPEST}"))?;
        check(*heads > 0 && width.is_multiple_of(*heads), "heads", || {
            format!("is {heads}, must divide `width`, which is {width}")
        })?;
        check_width(*hidden, "hidden")?;
        check_width(*embedding, "embedding")?;
        let half = *precision == ClipPrecision::F16Emulated && *trainable;
        check(!half, "precision", || "is f16-emulated, but a tower that is trained needs f32".to_owned())?;
        check(*norm == ClipNorm::Imagenet || input_channels == 3, "norm", || {
            format!("is clip, which is for colour, but `input_channels` is {input_channels}")
        })
    }
}
