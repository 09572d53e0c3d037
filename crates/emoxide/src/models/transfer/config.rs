//! Settings of the network, and which of them can be built.

use serde::{Deserialize, Serialize};

use crate::models::check::{DEEPEST, check, check_channels, check_image_size, check_rate, check_width};
use crate::models::{ConfigError, IrConfig};
use crate::nn::DropKind;

/// Local branches at most.
const MOST_BRANCHES: usize = 8;

/// Where the map is multiplied by the attention of the branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// On the trunk's channels: the paper, the Paddle release.
    BeforeProjection,
    /// On the tokens, with their bias: the PyTorch release.
    AfterProjection,
}

/// Factor of the products of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// One over the root of a head's width: the paper, equation 3.
    Head,
    /// One over the root of the whole width, with which timm trained the encoder's weights.
    Embedding,
}

/// What training zeroes among the attention maps of the branches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MapDrop {
    /// Nothing.
    None {},
    /// One map, in a share of the images (MAD).
    Mad {
        /// Share of the images, the paper's p1, in `[0, 1]`.
        rate: f64,
    },
    /// Single places, the others grow.
    Dropout {
        /// Share of the places, in `[0, 1)`.
        rate: f64,
    },
    /// Whole maps, each by itself, the others grow.
    SpatialDropout {
        /// Share of the maps, in `[0, 1)`.
        rate: f64,
    },
    /// Squares, the other places grow.
    DropBlock {
        /// Share of the places, in `[0, 1)`.
        rate: f64,
        /// Side of a square in places.
        #[serde(default = "seven")]
        block: usize,
    },
}

fn seven() -> usize {
    7
}

/// What training zeroes in the attention of every block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeadDrop {
    /// Nothing.
    None {},
    /// The output of one head, in a share of the images (MSAD).
    Mad {
        /// Share of the images, the paper's p2, in `[0, 1]`.
        rate: f64,
    },
    /// Query, key and value of one of the first tokens, as many as there are heads, in a share of the images: what the
    /// released code does.
    Token {
        /// Share of the images, in `[0, 1]`.
        rate: f64,
    },
    /// Single numbers of the heads' outputs, the others grow.
    Dropout {
        /// Share of the numbers, in `[0, 1)`.
        rate: f64,
    },
    /// Outputs of whole heads, each by itself, the others grow.
    SpatialDropout {
        /// Share of the heads, in `[0, 1)`.
        rate: f64,
    },
}

/// Shape of a [`Transfer`](super::Transfer). The default is the paper's for RAF-DB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Side of the square input in pixels; it fixes the number of tokens.
    pub image_size: usize,
    /// How many of the trunk's stages are used.
    pub stages: usize,
    /// Channels behind the trunk's stem.
    pub stem_width: usize,
    /// Width of each stage of the trunk; every stage halves the map.
    pub widths: Vec<usize>,
    /// Units in each stage of the trunk.
    pub units: Vec<usize>,
    /// Local branches, 0 to 8; without any, the map goes to the encoder as it is.
    pub branches: usize,
    /// Whether a branch normalises behind its convolutions, as the released code does.
    pub lanet_norm: bool,
    /// How many times fewer channels a branch has between its convolutions, rounded down.
    pub lanet_ratio: usize,
    /// Where the map is multiplied by the attention of the branches.
    pub mask: Mask,
    /// What training zeroes among the attention maps of the branches.
    pub local_drop: MapDrop,
    /// What training zeroes in the attention of every block.
    pub head_drop: HeadDrop,
    /// Numbers of a token.
    pub width: usize,
    /// Blocks of the encoder.
    pub depth: usize,
    /// Heads of each block; they divide `width`.
    pub heads: usize,
    /// Width between the two linear layers of each block.
    pub hidden: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Factor of the products of queries and keys.
    pub scale: Scale,
    /// Added to the variance by the encoder's norms.
    pub norm_epsilon: f64,
    /// Whether the classifier starts at zero, as in the released code: every class is equally likely then.
    pub zero_head: bool,
}

impl Default for TransferConfig {
    fn default() -> Self {
        let IrConfig { input_channels, stem_width, widths, units, .. } = IrConfig::ir50();
        Self {
            input_channels,
            image_size: 112,
            stages: 3,
            stem_width,
            widths,
            units,
            branches: 2,
            lanet_norm: true,
            lanet_ratio: 16,
            mask: Mask::BeforeProjection,
            local_drop: MapDrop::Mad { rate: 0.6 },
            head_drop: HeadDrop::Mad { rate: 0.3 },
            width: 768,
            depth: 8,
            heads: 8,
            hidden: 2304,
            qkv_bias: false,
            scale: Scale::Head,
            norm_epsilon: 1e-6,
            zero_head: true,
        }
    }
}

impl TransferConfig {
    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_channels(self.input_channels)?;
        let stages = self.stages;
        check((1..=4).contains(&stages), "stages", || format!("is {stages}, may be 1 to 4"))?;
        for (key, count) in [("widths", self.widths.len()), ("units", self.units.len())] {
            check(count >= stages, key, || format!("{count} stages, but `stages` is {stages}"))?;
        }
        self.trunk().validate()?;
        check_image_size(self.image_size, 1 << stages)?;
        let branches = self.branches;
        check(branches <= MOST_BRANCHES, "branches", || format!("is {branches}, may be 0 to {MOST_BRANCHES}"))?;
        let (ratio, channels) = (self.lanet_ratio, self.channels());
        check((1..=channels).contains(&ratio), "lanet_ratio", || format!("is {ratio}, may be 1 to {channels}"))?;
        self.local_drop.check(self.side())?;
        self.head_drop.check()?;
        check_width(self.width, "width")?;
        check_width(self.hidden, "hidden")?;
        let (depth, heads, width) = (self.depth, self.heads, self.width);
        check((1..=DEEPEST).contains(&depth), "depth", || format!("is {depth}, may be 1 to {DEEPEST}"))?;
        check(heads > 0 && width.is_multiple_of(heads), "heads", || {
            format!("is {heads}, must divide `width`, which is {width}")
        })?;
        let epsilon = self.norm_epsilon;
        check(epsilon > 0.0 && epsilon < 1.0, "norm_epsilon", || format!("is {epsilon}, may be above 0 and below 1"))
    }

    /// The trunk: an IR network without what stands behind its map.
    pub(super) fn trunk(&self) -> IrConfig {
        let stages = self.stages;
        IrConfig {
            input_channels: self.input_channels,
            stem_width: self.stem_width,
            widths: self.widths.iter().copied().take(stages).collect(),
            units: self.trunk_units().to_vec(),
            face_head: None,
            classifier: false,
            dropout: 0.0,
        }
    }

    /// Units in each stage of the trunk that is used.
    pub(in crate::models) fn trunk_units(&self) -> &[usize] {
        &self.units[..self.stages.min(self.units.len())]
    }

    /// Channels of the trunk's map.
    pub(super) fn channels(&self) -> usize {
        self.widths[self.stages - 1]
    }

    /// Rows of the trunk's map, and columns.
    pub(super) fn side(&self) -> usize {
        (0..self.stages).fold(self.image_size, |side, _| side.div_ceil(2))
    }
}

impl MapDrop {
    pub(super) fn kind(self) -> DropKind {
        match self {
            Self::None {} => DropKind::None,
            Self::Mad { rate } => DropKind::Mad { rate },
            Self::Dropout { rate } => DropKind::Elements { rate },
            Self::SpatialDropout { rate } => DropKind::Maps { rate },
            Self::DropBlock { rate, block } => DropKind::Blocks { rate, side: block },
        }
    }

    fn check(self, side: usize) -> Result<(), ConfigError> {
        match self {
            Self::None {} => Ok(()),
            Self::Mad { rate } => check_share(rate, "local_drop.rate"),
            Self::Dropout { rate } | Self::SpatialDropout { rate } => check_rate(rate, "local_drop.rate"),
            Self::DropBlock { rate, block } => {
                check_rate(rate, "local_drop.rate")?;
                check((1..=side).contains(&block), "local_drop.block", || format!("is {block}, may be 1 to {side}"))
            }
        }
    }
}

impl HeadDrop {
    /// Of the heads' outputs, and the share of the images that lose a token.
    pub(super) fn kind(self) -> (DropKind, f64) {
        match self {
            Self::None {} => (DropKind::None, 0.0),
            Self::Mad { rate } => (DropKind::Mad { rate }, 0.0),
            Self::Token { rate } => (DropKind::None, rate),
            Self::Dropout { rate } => (DropKind::Elements { rate }, 0.0),
            Self::SpatialDropout { rate } => (DropKind::Maps { rate }, 0.0),
        }
    }

    fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::None {} => Ok(()),
            Self::Mad { rate } | Self::Token { rate } => check_share(rate, "head_drop.rate"),
            Self::Dropout { rate } | Self::SpatialDropout { rate } => check_rate(rate, "head_drop.rate"),
        }
    }
}

fn check_share(rate: f64, key: &'static str) -> Result<(), ConfigError> {
    check((0.0..=1.0).contains(&rate), key, || format!("is {rate}, may be 0 to 1"))
}
