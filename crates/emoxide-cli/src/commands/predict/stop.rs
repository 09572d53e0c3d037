//! Ctrl-C ends a clip behind the frames that are being worked on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::output;

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Listens for Ctrl-C.
    pub(super) fn listen(&self) -> Result<()> {
        let flag = Arc::clone(&self.0);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                // Whoever asks twice wants out at once.
                std::process::exit(130);
            }
            output::say("stopping behind these frames; press Ctrl-C again to stop at once");
        })
        .context("cannot listen for Ctrl-C")
    }
}
