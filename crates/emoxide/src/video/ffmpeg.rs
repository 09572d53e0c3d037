//! The program `ffmpeg`, and what it says while it works.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, Read};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::VideoError;

/// Bytes of a line that are looked at; what is beyond is dropped.
const LINE: u64 = 16 << 10;
/// Lines of complaint that are kept.
const COMPLAINTS: usize = 3;

/// What is called to decode and to encode: `$EMOXIDE_FFMPEG`, or `ffmpeg` wherever the system finds it.
pub fn program() -> OsString {
    std::env::var_os("EMOXIDE_FFMPEG").filter(|name| !name.is_empty()).unwrap_or_else(|| "ffmpeg".into())
}

/// The program, told to ask nothing, to say with every line how bad it is, and to leave out the line of its progress, which
/// has no end that others could begin behind.
pub(super) fn command() -> Command {
    let mut command = Command::new(program());
    command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+level+info"]);
    command
}

/// Starts it, where a terminal's Ctrl-C does not reach it: that is ours to answer.
pub(super) fn start(command: &mut Command) -> Result<Child, VideoError> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().map_err(|error| VideoError::NoFfmpeg {
        program: program().to_string_lossy().into_owned(),
        reason: error.to_string(),
    })
}

/// A running program, ended when nobody needs it any more.
#[derive(Clone, Debug)]
pub(super) struct Process(Arc<Mutex<Child>>);

impl Process {
    pub(super) fn new(child: Child) -> Self {
        Self(Arc::new(Mutex::new(child)))
    }

    /// Whether it ended well; waits for its end.
    pub(super) fn ended_well(&self) -> io::Result<bool> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).wait()?.success())
    }

    /// Ends it at once and forgets it.
    pub(super) fn end(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What it says beside its frames.
#[derive(Debug, Default)]
pub(super) struct Talk {
    complaints: Mutex<VecDeque<String>>,
    /// Length of the input in seconds, where it is known.
    duration: OnceLock<f64>,
}

impl Talk {
    /// Takes note of a line.
    pub(super) fn hear(&self, line: &str) {
        if let Some(duration) = line.split_once("Duration: ").and_then(|(_, rest)| clock(rest.split(',').next()?)) {
            // Of several inputs, the first counts.
            let _ = self.duration.set(duration);
        }
        if let Some(complaint) = complaint(line) {
            let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            if complaints.back() != Some(&complaint) {
                complaints.push_back(complaint);
            }
            if complaints.len() > COMPLAINTS {
                complaints.pop_front();
            }
        }
    }

    pub(super) fn duration(&self) -> Option<f64> {
        self.duration.get().copied()
    }

    /// The last complaints, if there were any.
    pub(super) fn complaints(&self) -> Option<String> {
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = complaints.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// Calls `hear` with every line of a stream, until it ends.
pub(super) fn lines(stream: impl Read, mut hear: impl FnMut(&str)) {
    let mut reader = io::BufReader::new(stream);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match reader.by_ref().take(LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = bytes.ends_with(b"\n");
        hear(String::from_utf8_lossy(&bytes).trim_end());
        if !whole && reader.skip_until(b'\n').is_err() {
            return;
        }
    }
}

/// An error line without its level and without addresses: `[mov @ 0x55…] [error] moov atom not found`.
fn complaint(line: &str) -> Option<String> {
    let (before, said) = ["[error] ", "[fatal] ", "[panic] "].iter().find_map(|level| line.split_once(level))?;
    let context = before.split(" @ ").next().unwrap_or_default().trim_start_matches('[').trim();
    Some(if context.is_empty() { said.to_owned() } else { format!("{context}: {said}") })
}

/// Seconds of `01:02:03.45`; none of `N/A`.
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.trim().splitn(3, ':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_and_the_duration_are_heard() {
        let talk = Talk::default();
        let said = "[info]   Duration: 01:02:03.50, start: 0.000000, bitrate: 53 kb/s\n\
            [mov,mp4 @ 0x55c0a1] [error] moov atom not found\n[error] file:clip.mp4: Invalid data\n\
            [info] User Data=[1]\n";
        lines(said.as_bytes(), |line| talk.hear(line));
        assert_eq!(talk.duration(), Some(3723.5));
        assert_eq!(talk.complaints().unwrap(), "mov,mp4: moov atom not found; file:clip.mp4: Invalid data");
        assert_eq!(clock("N/A"), None);
    }

    #[test]
    fn long_lines_are_cut() {
        let long = format!("{}\nnext\n", "x".repeat(50_000));
        let mut heard = Vec::new();
        lines(long.as_bytes(), |line| heard.push(line.len()));
        assert_eq!(heard, [16 << 10, 4]);
    }
}
