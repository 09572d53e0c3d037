//! The log: one line a request, without pictures, tokens or queries.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Directives that cannot be read.
    #[error("`{0}` chooses no log lines; write a level such as info or warn, or target=level pairs")]
    Filter(String),
    /// The process logs already.
    #[error("the log was set up twice")]
    Twice,
}

/// Sends the log of the whole process to standard error: this server's from the level on, other libraries' warnings. A filter
/// with `=` is taken as it is.
pub fn start(format: Format, filter: &str) -> Result<(), LogError> {
    let directives = if filter.contains('=') { filter.to_owned() } else { format!("warn,emoxide_server={filter}") };
    let filter = EnvFilter::try_new(directives).map_err(|_| LogError::Filter(filter.to_owned()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        Format::Text => builder.with_target(false).try_init(),
        Format::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    }
    .map_err(|_| LogError::Twice)
}
