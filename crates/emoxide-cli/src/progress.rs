//! Progress bars on standard error; none where it is no terminal or the user wants quiet.

use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `length` steps.
pub(crate) fn bar(length: usize, what: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {elapsed} < {eta} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(length as u64), target).with_style(style).with_prefix(what.to_owned())
}

/// Moves a bar on by what a measurement has done.
pub(crate) fn advance(bar: &ProgressBar, done: usize) -> ControlFlow<()> {
    bar.inc(done as u64);
    ControlFlow::Continue(())
}

/// A bar over the seconds of a clip; where its length is not known, a count of its frames.
pub(crate) fn clip(seconds: Option<f64>, what: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let (template, length) = match seconds {
        Some(seconds) => ("{prefix} [{bar:30}] {percent} % {elapsed} < {eta} {msg}", Some(milliseconds(seconds))),
        None => ("{prefix} {spinner} {elapsed} {msg}", None),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(length, target).with_style(style.progress_chars("=> ")).with_prefix(what.to_owned())
}

/// The unit of a clip's bar.
pub(crate) fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).max(0.0) as u64
}
