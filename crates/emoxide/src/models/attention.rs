//! What the maps of attention are maps of.

use super::Network;

/// What the last two axes of the maps stand for that [`Network::attention`] gives under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionAxes {
    /// Rows and columns of the picture: `[batch, maps, rows, cols]`.
    Picture,
    /// The same, a map for every place of the picture, row by row: where that place looks.
    Places,
    /// For every token the shares of all tokens, `[batch, heads, tokens, tokens]`: first the token of the class, then a square
    /// of patches, row by row.
    ClassToken,
    /// The same of tokens of which none gathers what the others see, or that are no places of the picture.
    Tokens,
    /// One row of numbers, `[batch, 1, 1, numbers]`.
    Numbers,
}

impl Network {
    /// What the maps of attention under this name are maps of.
    pub fn attention_axes(&self, name: &str) -> AttentionAxes {
        match self {
            Self::Transfer(_) if name == "local" => AttentionAxes::Picture,
            Self::Pcm(_) if name.starts_with("branches.") => AttentionAxes::Picture,
            Self::DaclAttention(_) => AttentionAxes::Places,
            Self::Transfer(_) => AttentionAxes::ClassToken,
            Self::Cafe(_) if name.starts_with("clip.") => AttentionAxes::ClassToken,
            Self::InvolutionVit(network) if network.has_class_token() => AttentionAxes::ClassToken,
            Self::InvolutionVit(_) | Self::Pcm(_) | Self::LocalTransformer(_) => AttentionAxes::Tokens,
            Self::Cafe(_) | Self::Dacl(_) | Self::Resnet(_) | Self::Ir(_) | Self::Alexnet(_) | Self::Vgg(_) => {
                AttentionAxes::Numbers
            }
        }
    }
}
