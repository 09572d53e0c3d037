use crate::preprocess::PreprocessError;

/// Why the detector could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MtcnnError {
    /// A setting out of its range.
    #[error(transparent)]
    Setting(#[from] PreprocessError),
    /// The weights are no safetensors file.
    #[error("the detector's weights cannot be read: {0}; use assets/mtcnn.safetensors")]
    Unreadable(String),
    /// A tensor has another shape or type than its layer, or values that are not finite.
    #[error("the detector's weights do not fit: {0}; use assets/mtcnn.safetensors")]
    Unfit(String),
    /// Layers without a tensor.
    #[error("the detector's weights lack {count} tensors, first `{first}`; use assets/mtcnn.safetensors")]
    Missing {
        /// How many.
        count: usize,
        /// Name of the first.
        first: String,
    },
    /// Tensors without a layer.
    #[error("the detector's weights hold {count} tensors too many, first `{first}`; use assets/mtcnn.safetensors")]
    Unused {
        /// How many.
        count: usize,
        /// Name of the first.
        first: String,
    },
}
