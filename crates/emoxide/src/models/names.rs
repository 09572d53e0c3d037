//! What names of parameters say, family by family: which are of the head, which stay frozen, and what becomes of the
//! authors' names.

use super::NetworkConfig;

impl NetworkConfig {
    /// Parts that keep the weights that they start with: they ask for no gradient.
    pub fn frozen(&self) -> &'static [&'static str] {
        if let Self::Cafe(config) = self { config.frozen() } else { &[] }
    }

    /// Whether the parameter of this name is of such a part.
    pub fn is_frozen(&self, name: &str) -> bool {
        self.frozen().iter().any(|part| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
    }

    /// How the names of everything behind the embedding start, and of what a file may have beyond it.
    pub(crate) fn head(&self) -> &'static [&'static str] {
        match self {
            Self::Resnet(_) | Self::DaclAttention(_) | Self::Dacl(_) | Self::Cafe(_) | Self::InvolutionVit(_) => {
                &["fc."]
            }
            Self::Alexnet(_) => &["classifier.6."],
            Self::Vgg(_) => &["classifier.2."],
            Self::LocalTransformer(_) => &["classifier."],
            Self::Transfer(_) => &["head."],
            Self::Pcm(_) => &["head_glo.", "head_loc."],
            Self::Ir(config) if config.face_head.is_some() => &["fc."],
            Self::Ir(_) => &["fc.", "output_layer."],
        }
    }

    /// Units per stage, of networks that number them through (`body.0` to `body.23`).
    pub(crate) fn units(&self) -> Option<&[usize]> {
        match self {
            Self::Ir(config) => Some(&config.units),
            Self::Transfer(config) => Some(config.trunk_units()),
            Self::Pcm(config) => config.base.units(),
            _ => None,
        }
    }

    /// What the authors' names become here where they cannot stay: pairs of a regular expression and its replacement.
    /// They apply in order and last, to names that a key map has brought into the authors' form, and to nothing that we
    /// write ourselves.
    pub(crate) fn spelling(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            // TransFER and APViT keep their trunk below this.
            Self::Ir(_) => &[(r"^extractor\.", "")],
            Self::Transfer(_) => &[(r"\.LA_conv", ".la_conv")],
            Self::Pcm(config) => config.spelling(),
            // Trunks keep torchvision's names below one of their own.
            Self::LocalTransformer(_) => &[
                (r"^stem_cnn\.features\.0\.", "stem_cnn.conv1."),
                (r"^stem_cnn\.features\.1\.", "stem_cnn.bn1."),
                (r"^stem_cnn\.features\.4\.", "stem_cnn.layer1."),
                (r"^stem_cnn\.features\.5\.", "stem_cnn.layer2."),
                (r"^stem_cnn\.features\.6\.", "stem_cnn.layer3."),
                (r"^stem_cnn\.features\.7\.", "stem_cnn.layer4."),
            ],
            Self::Cafe(config) => config.spelling(),
            Self::Dacl(_) => &[(r"^(conv1|bn1|layer[1-4])\.", "base_model.$1.")],
            // The names of d-li14 and of timm stand below those of the branches.
            Self::InvolutionVit(_) => &[
                (r"^(stem\.|layer[1-4]\.)", "rednet.$1"),
                (r"^(patch_embed\.|cls_token$|pos_embed$|blocks\.|norm\.)", "vit.$1"),
                (r"^head\.(fc\.)?", "fc."),
            ],
            Self::Resnet(_) | Self::Alexnet(_) | Self::Vgg(_) | Self::DaclAttention(_) => &[],
        }
    }

    /// Whether tables of positions of another length keep their corners when they are resampled, as by `SciPy`'s `zoom`, or the
    /// edges of the outer places, as timm's and APViT's.
    pub(crate) fn keeps_corners(&self) -> bool {
        matches!(self, Self::InvolutionVit(_))
    }
}
