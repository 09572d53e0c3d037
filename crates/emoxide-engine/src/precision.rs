use std::fmt;
use std::str::FromStr;

/// How exactly convolutions multiply; sums, norms and activations are always in 32-bit floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Weights and maps rounded to bfloat16, maps where they are written if all that reads them would round them or only
    /// add them. In 32-bit floats stay what reads the picture, linear layers, and what that is no slower for: single pixels of
    /// a map of floats and, save where the processor has matrix tiles, windows for Winograd's method.
    Bf16,
    /// Weights and maps rounded to 8-bit integers: a scale for every output channel of a weight, and one for every map of
    /// an image, by its largest value. What reads the picture, and linear layers, stay in 32-bit floats.
    Int8,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// As it is written: `f32`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A text that names no precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision `{0}`; there are f32, bf16 and int8")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}
