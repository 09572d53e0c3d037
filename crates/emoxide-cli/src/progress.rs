//! Progress bars on standard error; none where it is no terminal or the user wants quiet.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `length` steps.
pub(crate) fn bar(length: usize, what: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {elapsed} < {eta} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(length as u64), target).with_style(style).with_prefix(what.to_owned())
}
