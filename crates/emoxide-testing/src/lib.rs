//! Support for the tests of the other crates: parity fixtures, tolerances, values that Python computes too, and the way
//! to the shared data sets where a machine has them. Everything here panics with a plain text: it is for tests only.

mod close;
mod fixture;
pub mod portable;

pub use close::{Values, assert_close, largest_difference};
pub use fixture::Fixture;

use std::path::{Path, PathBuf};

/// The folder of the crate whose test runs.
fn crate_dir() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// A file of the calling crate's `tests/fixtures`.
pub fn fixture_path(name: impl AsRef<Path>) -> PathBuf {
    crate_dir().join("tests/fixtures").join(name)
}

/// The folder with the shared data sets: `$EMOXIDE_SHARED`, or `shared/data` beside the checkout. Where there is none,
/// this says so on standard error, and the caller is expected to return: such a test passes without having run.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn shared_data() -> Option<PathBuf> {
    let beside = || crate_dir().ancestors().nth(2).map(|root| root.join("../shared/data"));
    let folder = std::env::var_os("EMOXIDE_SHARED").map(PathBuf::from).or_else(beside)?;
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no shared data at {}; set EMOXIDE_SHARED to its folder to run this test", folder.display());
    None
}

/// Whether the program ffmpeg is there, which decodes videos. Where it is not, this says so on standard error, and the
/// caller is expected to return: such a test passes without having run.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn has_ffmpeg() -> bool {
    let program = std::env::var_os("EMOXIDE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
    let found =
        std::process::Command::new(program).arg("-version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: no ffmpeg; install it, or name it in EMOXIDE_FFMPEG, to run this test");
    }
    found
}

/// Lets ffmpeg work in `folder` with these arguments, divided by spaces.
///
/// # Panics
/// If it fails.
pub fn ffmpeg(folder: &Path, arguments: &str) {
    let program = std::env::var_os("EMOXIDE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
    let mut command = std::process::Command::new(program);
    command.args(["-hide_banner", "-nostdin", "-y", "-loglevel", "error"]).args(arguments.split(' '));
    let output = command.current_dir(folder).output().unwrap_or_else(|error| panic!("ffmpeg: {error}"));
    assert!(output.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
