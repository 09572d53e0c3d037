//! What an exported file says, for small networks of all families.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failed unwrap fails the test; a skipped one must be seen, and the largest difference is part of the result"
)]

/// The networks of the library's own tests.
#[expect(dead_code, reason = "their images are not needed here")]
#[path = "../../../emoxide/tests/it/networks.rs"]
mod networks;
mod onnx;
mod runtimes;
mod support;
