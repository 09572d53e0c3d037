//! Frames of a clip, decoded beside whoever uses them.

mod decoder;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use self::decoder::{Decoder, Input};
use super::ffmpeg::{Process, Talk};
use super::{Frame, Source, VideoError};
use crate::image::{ImageError, Limits, decode};

/// Frames that are decoded ahead.
const AHEAD: usize = 4;

/// Which frames of a clip are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Selection {
    /// Frames before this second are left out.
    pub start: f64,
    /// This second, and what is behind it, is left out.
    pub end: Option<f64>,
    /// Frames left out behind each one that is used: of the clip's frames, those whose numbers `skip + 1` divides are used.
    pub skip: usize,
    /// Frames with a lower number are left out.
    pub first: usize,
}

impl Selection {
    fn check(&self) -> Result<(), VideoError> {
        let end = self.end.unwrap_or(f64::INFINITY);
        if self.start.is_finite() && self.start >= 0.0 && end > self.start {
            Ok(())
        } else {
            Err(VideoError::Range { start: self.start, end })
        }
    }

    /// Whether it holds a frame.
    fn holds(&self, index: usize, timestamp: f64) -> bool {
        let before_end = self.end.is_none_or(|end| timestamp < end);
        let step = self.skip.saturating_add(1);
        timestamp >= self.start && before_end && index >= self.first && index.is_multiple_of(step)
    }
}

/// The frames of a clip in order. A few are decoded ahead on a thread of their own, so that memory does not grow with the
/// clip; dropping it ends the decoder.
///
/// An error of a video is the last item: it is broken, and everything before the break was read. A picture of a sequence
/// that cannot be read costs only itself.
#[derive(Debug)]
pub struct Frames {
    inbox: Option<Receiver<Result<Frame, VideoError>>>,
    thread: Option<JoinHandle<()>>,
    process: Option<Process>,
    length: Length,
}

/// What is known of a clip's length.
#[derive(Debug)]
enum Length {
    Said(Arc<Talk>),
    Seconds(f64),
}

impl Frames {
    /// Starts to read.
    pub fn open(source: &Source, selection: Selection, limits: Limits) -> Result<Self, VideoError> {
        selection.check()?;
        match source {
            Source::File(path) => Self::decoded(Input::File(path), selection, limits),
            Source::Camera(name) => Self::decoded(Input::Camera(name), selection, limits),
            Source::Sequence { paths, fps } => {
                let (outbox, inbox) = sync_channel(AHEAD);
                let (paths, fps) = (paths.clone(), *fps);
                let length = Length::Seconds(paths.len() as f64 / fps);
                let thread = std::thread::spawn(move || pictures(&paths, fps, selection, &limits, &outbox));
                Ok(Self { inbox: Some(inbox), thread: Some(thread), process: None, length })
            }
        }
    }

    fn decoded(input: Input<'_>, selection: Selection, limits: Limits) -> Result<Self, VideoError> {
        let (outbox, inbox) = sync_channel(AHEAD);
        let mut decoder = Decoder::start(input, selection, limits)?;
        let (process, length) = (Some(decoder.process()), Length::Said(decoder.talk()));
        let thread = std::thread::spawn(move || {
            while let Some(item) = decoder.next_frame() {
                let last = item.is_err();
                if outbox.send(item).is_err() || last {
                    break;
                }
            }
        });
        Ok(Self { inbox: Some(inbox), thread: Some(thread), process, length })
    }

    /// Seconds of the whole clip, as far as it is known: of a video with the first frame, of a camera never.
    pub fn duration(&self) -> Option<f64> {
        match &self.length {
            Length::Said(talk) => talk.duration(),
            Length::Seconds(seconds) => Some(*seconds),
        }
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.inbox.as_ref()?.recv().ok()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // A thread that waits to hand over a frame sees that nobody takes it, one that waits for ffmpeg sees its end.
        drop(self.inbox.take());
        if let Some(process) = &self.process {
            process.end();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Hands over the pictures of a sequence.
fn pictures(
    paths: &[PathBuf],
    fps: f64,
    selection: Selection,
    limits: &Limits,
    outbox: &SyncSender<Result<Frame, VideoError>>,
) {
    for (index, path) in paths.iter().enumerate() {
        let timestamp = index as f64 / fps;
        if selection.holds(index, timestamp) && outbox.send(picture(index, timestamp, path, limits)).is_err() {
            return;
        }
    }
}

fn picture(frame: usize, timestamp: f64, path: &Path, limits: &Limits) -> Result<Frame, VideoError> {
    let refused = |source| VideoError::Picture { frame, path: path.to_owned(), source };
    let unread = |source| VideoError::File { frame, source };
    let bytes = fs_err::metadata(path).map_err(unread)?.len();
    if bytes > limits.max_bytes {
        return Err(refused(ImageError::FileTooLarge { bytes, limit: limits.max_bytes }));
    }
    let image = decode(&fs_err::read(path).map_err(unread)?, limits).map_err(refused)?;
    Ok(Frame { index: frame, timestamp, image })
}
