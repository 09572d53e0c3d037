//! Settings of the network, and which of them can be built.

use burn::nn::Initializer;
use serde::{Deserialize, Serialize};

use super::base::{FaceTrunkConfig, PcmBase};
use crate::models::check::{DEEPEST, WIDEST, check, check_channels, check_width};
use crate::models::{ConfigError, Scale};

/// Branches of a stage at most.
const MOST_BRANCHES: usize = 16;

/// What the branches' vectors are joined to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenLayout {
    /// A token a branch: what it sees in all stages. The only reading by which the paper's sizes agree.
    #[default]
    Branch,
    /// A token a stage: what all branches see in it.
    Stage,
}

/// The vector of the whole face, beside the branches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalVector {
    /// The mean over what a convolution of the last map and a rectifier leave, as wide as a token.
    #[default]
    Conv,
    /// The mean over the last map itself, of networks without branches.
    Mean,
}

/// What the global head reads of the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GlobalInput {
    /// All of them.
    #[default]
    Flatten,
    /// The class token.
    Class,
    /// Their mean.
    Mean,
}

/// Whose logits the network answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Predict {
    /// The global head's.
    #[default]
    Global,
    /// The local head's.
    Local,
    /// The sum of both.
    Sum,
}

/// How fresh weights behind the trunk are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Xavier {
    /// Uniform in ±√(6 / (inputs + outputs)).
    #[default]
    Uniform,
    /// Normal with deviation √(2 / (inputs + outputs)).
    Normal,
}

impl Xavier {
    pub(super) fn initializer(self) -> Initializer {
        match self {
            Self::Uniform => Initializer::XavierUniform { gain: 1.0 },
            Self::Normal => Initializer::XavierNormal { gain: 1.0 },
        }
    }
}

/// Shape of the self-attention between the tokens, "MSH". The default is the paper's equations 4 to 6 and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MshConfig {
    /// Layers; 0 for neither attention nor positions nor class token.
    pub depth: usize,
    /// Whether a learned token stands behind the others.
    pub cls_token: bool,
    /// Heads of each layer; they divide the width of a token. The paper does not say how many.
    pub heads: usize,
    /// Factor of the products of queries and keys.
    pub scale: Scale,
    /// Whether a linear layer stands behind the heads.
    pub out_proj: bool,
    /// Whether what enters attention and linear layers is normalised.
    pub pre_norm: bool,
    /// Two linear layers behind the attention, so many times as wide as a token between them; 0 for none.
    pub mlp_ratio: usize,
}

impl Default for MshConfig {
    fn default() -> Self {
        Self { depth: 1, cls_token: true, heads: 4, scale: Scale::Head, out_proj: false, pre_norm: false, mlp_ratio: 0 }
    }
}

/// Shape of a [`Pcm`](super::Pcm). The default is the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PcmConfig {
    /// Channels of the input: 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// The trunk.
    pub base: PcmBase,
    /// Branches of every stage, the paper's M; 0 is the paper's baseline.
    pub branches: usize,
    /// Numbers of a branch's vector, the paper's D.
    pub width: usize,
    /// Side of the branches' windows in pixels, odd; the paper does not say.
    pub kernel: usize,
    /// Whether the branches normalise behind their convolution.
    pub norm: bool,
    /// What the branches' vectors are joined to.
    pub tokens: TokenLayout,
    /// The vector of the whole face.
    pub global: GlobalVector,
    /// Attention of the tokens to each other.
    pub msh: MshConfig,
    /// What the global head reads.
    pub head: GlobalInput,
    /// Whose logits the network answers.
    pub predict: Predict,
    /// How fresh weights behind the trunk are drawn.
    pub init: Xavier,
}

impl Default for PcmConfig {
    fn default() -> Self {
        Self {
            input_channels: 3,
            base: PcmBase::Ir(FaceTrunkConfig::default()),
            branches: 5,
            width: 16,
            kernel: 3,
            norm: true,
            tokens: TokenLayout::default(),
            global: GlobalVector::default(),
            msh: MshConfig::default(),
            head: GlobalInput::default(),
            predict: Predict::default(),
            init: Xavier::default(),
        }
    }
}

impl PcmConfig {
    /// Neither branches nor attention: trunk, global vector and one head, the first row of the paper's Table 2.
    pub fn baseline() -> Self {
        Self { branches: 0, msh: MshConfig { depth: 0, ..MshConfig::default() }, ..Self::default() }
    }

    /// Whether a network can be built from this.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_channels(self.input_channels)?;
        self.base.validate()?;
        let (branches, kernel) = (self.branches, self.kernel);
        check(branches <= MOST_BRANCHES, "branches", || format!("is {branches}, may be 0 to {MOST_BRANCHES}"))?;
        check_width(self.width, "width")?;
        let token = self.token_width();
        check(token <= WIDEST, "width", || format!("makes tokens of {token} numbers, they may have up to {WIDEST}"))?;
        check(matches!(kernel, 1 | 3 | 5 | 7), "kernel", || format!("is {kernel}, may be 1, 3, 5 or 7"))?;
        if branches == 0 {
            let depth = self.msh.depth;
            check(depth == 0, "msh.depth", || {
                format!("is {depth}, but without `branches` there are no tokens to attend to")
            })?;
            check(self.predict == Predict::Global, "predict", || {
                "without `branches` it may only be global".to_owned()
            })?;
        } else {
            let mean = || "is mean, but only without `branches` need it not be as wide as their tokens".to_owned();
            check(self.global == GlobalVector::Conv, "global", mean)?;
        }
        let class = self.head != GlobalInput::Class || self.class_token();
        check(class, "head", || "is class, but `msh` has no class token".to_owned())?;
        self.check_msh()
    }

    fn check_msh(&self) -> Result<(), ConfigError> {
        let (MshConfig { depth, heads, mlp_ratio, .. }, width) = (self.msh, self.token_width());
        check(depth <= DEEPEST, "msh.depth", || format!("is {depth}, may be 0 to {DEEPEST}"))?;
        check(depth == 0 || heads > 0 && width.is_multiple_of(heads), "msh.heads", || {
            format!("is {heads}, must divide the width of a token, which is {width}")
        })?;
        check(mlp_ratio <= 16, "msh.mlp_ratio", || format!("is {mlp_ratio}, may be 0 to 16"))
    }

    fn stages(&self) -> usize {
        self.base.channels().len()
    }

    /// Numbers of a token.
    pub(super) fn token_width(&self) -> usize {
        match self.tokens {
            TokenLayout::Stage if self.branches > 0 => self.branches.saturating_mul(self.width),
            TokenLayout::Branch | TokenLayout::Stage => self.stages().saturating_mul(self.width),
        }
    }

    /// Tokens of the branches.
    pub(super) fn local_tokens(&self) -> usize {
        match self.tokens {
            TokenLayout::Stage if self.branches > 0 => self.stages(),
            TokenLayout::Branch | TokenLayout::Stage => self.branches,
        }
    }

    /// Tokens of the branches, of the whole face and of the class.
    pub(super) fn all_tokens(&self) -> usize {
        self.local_tokens() + 1 + usize::from(self.class_token())
    }

    fn class_token(&self) -> bool {
        self.msh.depth > 0 && self.msh.cls_token
    }

    /// Numbers of the vector of the whole face.
    pub(super) fn global_width(&self) -> usize {
        match self.global {
            GlobalVector::Conv => self.token_width(),
            GlobalVector::Mean => self.base.channels().last().copied().unwrap_or_default(),
        }
    }

    /// Length of the embedding: all tokens one behind the other.
    pub fn embedding(&self) -> usize {
        self.all_tokens() * self.global_width()
    }

    /// What the names of others become here: trunks stand below `backbone`; the first layer of attention is one of a
    /// list; and the convolution that AGRA has behind its trunk is the one of the global vector.
    pub(in crate::models) fn spelling(&self) -> &'static [(&'static str, &'static str)] {
        match self.base {
            PcmBase::Ir(_) => &[
                (r"^(input_layer|body)\.", "backbone.$1."),
                (r"^output_layer\.0\.", "global.conv."),
                (r"^msh\.(qkv|proj|norm|mlp)\.", "msh.layers.0.$1."),
            ],
            PcmBase::Iresnet(_) | PcmBase::Resnet(_) => &[
                (r"^(conv1|bn1|prelu|layer[1-4])\.", "backbone.$1."),
                (r"^msh\.(qkv|proj|norm|mlp)\.", "msh.layers.0.$1."),
            ],
        }
    }
}
