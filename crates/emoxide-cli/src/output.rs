//! Results to standard output or a file, talk to standard error.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use emoxide::image::RgbImage;

/// Where results go: a file that was named, or standard output.
pub(crate) fn open(path: Option<&Path>) -> Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) => Box::new(BufWriter::new(fs_err::File::create(path)?)),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    })
}

/// Behind what a file holds.
pub(crate) fn append(path: &Path) -> Result<Box<dyn Write>> {
    Ok(Box::new(BufWriter::new(fs_err::OpenOptions::new().append(true).open(path)?)))
}

/// A picture to a file, in the format that the file's name asks for.
pub(crate) fn picture(image: &RgbImage, path: &Path) -> Result<()> {
    image.save(path).with_context(|| path.display().to_string())
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A line to the user, on standard error.
#[expect(clippy::print_stderr, reason = "this is the one place that talks")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Whether an error means that nobody reads the output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A horizontal bar of `width` cells for a share of 0..1, in eighths of a cell.
pub(crate) fn bar(share: f32, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f32 * 8.0).round() as usize;
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    let full = eighths / 8;
    let used = full + usize::from(!partial.is_empty());
    format!("{}{partial}{}", "█".repeat(full), " ".repeat(width - used))
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_fill_their_width() {
        assert_eq!(bar(0.0, 4), "    ");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.6, 4).chars().count(), 4);
    }
}
