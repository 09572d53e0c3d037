use burn::tensor::CaptureError;

/// Why a network cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The recording failed.
    #[error("the network could not be recorded: {0}")]
    Capture(CaptureError),
    /// An operation that the engine does not know, or knows in another form only.
    #[error("the engine has no `{operation}` {reason}")]
    Unsupported {
        /// The operation's name.
        operation: String,
        /// In which form.
        reason: String,
    },
}

impl CompileError {
    pub(crate) fn unsupported(operation: &str, reason: impl Into<String>) -> Self {
        Self::Unsupported { operation: operation.to_owned(), reason: reason.into() }
    }
}
