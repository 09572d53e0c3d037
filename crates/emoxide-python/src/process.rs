//! Which process computes.

use std::sync::OnceLock;

use pyo3::PyResult;

use crate::error::exceptions::EmoxideError;

/// The first process in which something was computed.
static FIRST: OnceLock<u32> = OnceLock::new();

/// Refuses to compute in a copy of a process that has computed: its threads were not copied with it, and it would wait for
/// them for ever.
pub(crate) fn check() -> PyResult<()> {
    let this = std::process::id();
    if *FIRST.get_or_init(|| this) == this {
        return Ok(());
    }
    Err(EmoxideError::new_err(
        "this process is a fork of one that used emoxide, whose threads it lacks; start processes with \
         multiprocessing.get_context(\"spawn\"), or use emoxide in the children only",
    ))
}
