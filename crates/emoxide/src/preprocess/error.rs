use super::Resize;

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// Sizes must be positive and of a sane magnitude.
    #[error("preprocess: the input is {width}x{height}; both sides must be 1 to 4096 pixels")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// `mean` and `std` need one value a channel.
    #[error("preprocess: `{name}` has {found} values for {wanted} channel(s)")]
    Statistics {
        /// `mean` or `std`.
        name: &'static str,
        /// Values given.
        found: usize,
        /// Values needed.
        wanted: usize,
    },
    /// Division by nothing.
    #[error("preprocess: every value of `mean` must be finite and every value of `std` finite and above zero")]
    Value,
    /// A size out of which the input cannot be cut.
    #[error(
        "preprocess.resize is {resize}; the input of {width}x{height} must fit in, and no side may be above 4096 pixels"
    )]
    Resize {
        /// The setting.
        resize: Resize,
        /// Width of the input in pixels.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// A square that all but vanishes, or that dwarfs the face.
    #[error("alignment.margin is {0}; it must be from -0.4 to 2")]
    Margin(String),
    /// A place far outside the crop, as those of a template in pixels are.
    #[error("alignment.template holds {0}; its values are in units of the crop's sides and must be from -1 to 2")]
    TemplatePlace(String),
    /// Points that determine no similarity.
    #[error("alignment.template has all points in one place; they must lie where a face has them")]
    TemplatePoints,
    /// A setting of the detector out of its range.
    #[error("detector.{key} is {value}; it must be {wanted}")]
    Detector {
        /// Name of the setting.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
}
