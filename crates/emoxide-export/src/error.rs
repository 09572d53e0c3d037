use burn::tensor::CaptureError;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The recording failed.
    #[error("the network could not be recorded: {0}")]
    Capture(CaptureError),
    /// An operation that the export does not know, or knows in another form only.
    #[error("ONNX export has no `{operation}` {reason}")]
    Unsupported {
        /// The operation's name.
        operation: String,
        /// In which form.
        reason: String,
    },
    /// What is recorded of batches of different sizes differs by more than the batch.
    #[error("step {step} of the network, `{operation}`, depends on the size of the batch: {reason}")]
    Batch {
        /// Number of the recorded operation.
        step: usize,
        /// Its name.
        operation: String,
        /// What differs.
        reason: String,
    },
    /// A number that is too large for half precision.
    #[error("`{name}` holds {value}, more than half precision can say (65504); export without --float16")]
    Overflow {
        /// The constant.
        name: String,
        /// The number.
        value: f32,
    },
    /// More than the format can hold.
    #[error("the model has {bytes} bytes, an ONNX file holds {} at most; export with --float16", super::onnx::LARGEST)]
    Size {
        /// Bytes of the model.
        bytes: usize,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

impl ExportError {
    pub(crate) fn unsupported(operation: &str, reason: impl Into<String>) -> Self {
        Self::Unsupported { operation: operation.to_owned(), reason: reason.into() }
    }
}
