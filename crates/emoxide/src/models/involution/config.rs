//! Settings of the network, and which of them can be built.

use serde::{Deserialize, Serialize};

use super::hybrid::{HybridConfig, Numerics};
use super::rednet::RedNetConfig;
use crate::models::ConfigError;
use crate::models::check::{DEEPEST, check, check_channels, check_image_size, check_rate, check_widths};

/// Rows of the image, and columns, for one of the transformer's grid.
pub(super) const PATCH: usize = 16;

/// Which of the two branches there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branches {
    /// Both, and their fusion.
    Both,
    /// The `RedNet` alone.
    Involution,
    /// The transformer alone.
    Vit,
}

/// What the transformer's tokens are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchEmbedding {
    /// The map of a residual network of its own: the usual hybrid, `R50+ViT-B_16`.
    R50,
    /// Patches of 16x16 pixels: the author's code of May 2021.
    Patch16,
    /// The `RedNet`'s map at twice its size: the author's code of April 2021.
    RednetHybrid,
}

/// How the maps of the branches become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FusionKind {
    /// Each is projected, and a convolution sees the channels of both.
    ProjectConcat,
    /// A convolution sees the channels of both as they are.
    DirectConcat,
    /// Each is projected, and a convolution sees their sum.
    Sum,
}

/// Whose places the fused map has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FusionGrid {
    /// The `RedNet`'s, 11x11 of an image of 352 pixels.
    Rednet,
    /// The transformer's, 22x22.
    Vit,
}

/// Shape of the transformer. The default is ViT-B/16 on a residual network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VitConfig {
    /// What its tokens are made of.
    pub embed: PatchEmbedding,
    /// The residual network below it; no effect with another `embed` than `r50`.
    pub hybrid: HybridConfig,
    /// Whose arithmetic that network follows.
    pub numerics: Numerics,
    /// Numbers of a token.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of each block; they divide `width`.
    pub heads: usize,
    /// Width between the two linear layers of each block.
    pub hidden: usize,
    /// Share that training drops of the tokens and behind every linear layer behind the attention, in `[0, 1)`.
    pub dropout: f64,
    /// Whether there is a class token, which the classifier then reads; only without the other branch.
    pub cls_token: bool,
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            embed: PatchEmbedding::R50,
            hybrid: HybridConfig::default(),
            numerics: Numerics::JaxSame,
            width: 768,
            depth: 12,
            heads: 12,
            hidden: 3072,
            dropout: 0.1,
            cls_token: false,
        }
    }
}

/// Shape of the fusion. Widths and norms are the author's for segmentation, but for `width`, which is ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusionConfig {
    /// How the maps become one.
    pub kind: FusionKind,
    /// Whose places the fused map has.
    pub grid: FusionGrid,
    /// Channels that each map is projected to; no effect with `direct-concat`.
    pub projected: usize,
    /// Channels of the fused map.
    pub width: usize,
    /// Whether its convolutions are normalised.
    pub norm: bool,
    /// Whether they are rectified.
    pub rectified: bool,
}

impl Default for FusionConfig {
    fn default() -> Self {
        Self {
            kind: FusionKind::ProjectConcat,
            grid: FusionGrid::Rednet,
            projected: 1024,
            width: 512,
            norm: true,
            rectified: true,
        }
    }
}

/// Shape of an [`InvolutionVit`](super::InvolutionVit). The default is the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InvolutionVitConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Side of the square input in pixels, a multiple of 32; it fixes the number of tokens.
    pub image_size: usize,
    /// Which of the two branches there are.
    pub branches: Branches,
    /// The branch of involutions.
    pub rednet: RedNetConfig,
    /// The branch of attention.
    pub vit: VitConfig,
    /// How they meet.
    pub fusion: FusionConfig,
    /// Share of the embedding that training drops before the classifier, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for InvolutionVitConfig {
    fn default() -> Self {
        Self {
            input_channels: 3,
            image_size: 352,
            branches: Branches::Both,
            rednet: RedNetConfig::default(),
            vit: VitConfig::default(),
            fusion: FusionConfig::default(),
            dropout: 0.0,
        }
    }
}

impl InvolutionVitConfig {
    /// A `RedNet` alone, for images of 224x224 pixels.
    pub fn rednet(rednet: RedNetConfig) -> Self {
        Self { image_size: 224, branches: Branches::Involution, rednet, ..Self::default() }
    }

    /// The paper's network with other tokens.
    pub fn with_embedding(embed: PatchEmbedding) -> Self {
        Self { vit: VitConfig { embed, ..VitConfig::default() }, ..Self::default() }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_channels(self.input_channels)?;
        check_rate(self.dropout, "dropout")?;
        let side = self.image_size;
        let step = if self.has_rednet() { self.rednet.reduction().max(2 * PATCH) } else { 2 * PATCH };
        check_image_size(side, step)?;
        check(side.is_multiple_of(step), "image_size", || format!("is {side}, must be a multiple of {step}"))?;
        if self.has_rednet() {
            self.rednet.validate()?;
        }
        if self.has_vit() {
            self.validate_vit()?;
        }
        if self.branches == Branches::Both {
            check_widths(&[self.fusion.projected, self.fusion.width], "fusion.width")?;
        }
        Ok(())
    }

    fn validate_vit(&self) -> Result<(), ConfigError> {
        let VitConfig { embed, hybrid, width, depth, heads, hidden, dropout, cls_token, .. } = &self.vit;
        if *embed == PatchEmbedding::R50 {
            hybrid.validate()?;
        }
        let stages = self.rednet.widths.len();
        check(*embed != PatchEmbedding::RednetHybrid || stages == 4, "vit.embed", || {
            format!("is rednet-hybrid, for which `rednet.widths` must have 4 stages, and has {stages}")
        })?;
        check_widths(&[*width, *hidden], "vit.width")?;
        check((1..=DEEPEST).contains(depth), "vit.depth", || format!("is {depth}, may be 1 to {DEEPEST}"))?;
        check(*heads > 0 && width.is_multiple_of(*heads), "vit.heads", || {
            format!("is {heads}, must divide `vit.width`, which is {width}")
        })?;
        check_rate(*dropout, "vit.dropout")?;
        check(!cls_token || self.branches == Branches::Vit, "vit.cls_token", || {
            "is true, which only `branches = \"vit\"` reads".to_owned()
        })
    }

    pub(super) fn has_rednet(&self) -> bool {
        self.branches != Branches::Vit || self.vit.embed == PatchEmbedding::RednetHybrid
    }

    pub(super) fn has_vit(&self) -> bool {
        self.branches != Branches::Involution
    }

    /// Length of the embedding.
    pub fn embedding(&self) -> usize {
        match self.branches {
            Branches::Both => self.fusion.width,
            Branches::Involution => self.rednet.channels(),
            Branches::Vit => self.vit.width,
        }
    }
}
