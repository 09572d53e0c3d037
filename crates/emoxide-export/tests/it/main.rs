//! What an exported file says, for small networks of all families.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

/// The networks of the library's own tests.
#[expect(dead_code, reason = "their images are not needed here")]
#[path = "../../../emoxide/tests/it/networks.rs"]
mod networks;
mod onnx;
mod runtimes;
mod support;
