//! Frames to a video file, each at its own time.

mod matroska;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use self::matroska::{cluster, header};
use super::ffmpeg::{self, Process, Talk};
use super::{Frame, VideoError};
use crate::image::RgbImage;

/// Ticks a second of the times in the file. Frames of 24, 25, 30 and 60 a second and of 30000/1001 lie on them, others not
/// more than 1/120 of a millisecond beside.
const TICKS: &str = "1/60000";

/// Writes an MP4 through `ffmpeg`, with the encoder that it takes by itself (H.264 where it has one). The file appears when
/// it is finished.
#[derive(Debug)]
pub struct VideoWriter {
    path: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    size: (u32, u32),
    pipe: ChildStdin,
    process: Process,
    talk: Arc<Talk>,
    listener: JoinHandle<()>,
}

impl VideoWriter {
    /// To this file, which is replaced if it exists.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), running: None }
    }

    /// Adds a frame, shown from its timestamp until that of the next one.
    pub fn write(&mut self, frame: &Frame) -> Result<(), VideoError> {
        let (width, height) = frame.image.dimensions();
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(Running::start(&self.part(), &frame.image)?),
        };
        if running.size != (width, height) {
            return Err(VideoError::SizeChanged { frame: frame.index, width, height, size: running.size });
        }
        let written = running.pipe.write_all(&cluster(frame.timestamp, frame.image.len()));
        if written.and_then(|()| running.pipe.write_all(&frame.image)).is_err() {
            return Err(self.finish().err().unwrap_or_else(|| self.unwritten("nothing".to_owned())));
        }
        Ok(())
    }

    /// Ends the file. Without a frame there is none.
    pub fn finish(&mut self) -> Result<(), VideoError> {
        let Some(Running { pipe, process, talk, listener, .. }) = self.running.take() else { return Ok(()) };
        drop(pipe);
        let well = process.ended_well()?;
        let _ = listener.join();
        if well {
            return Ok(fs_err::rename(self.part(), &self.path)?);
        }
        let _ = fs_err::remove_file(self.part());
        Err(self.unwritten(talk.complaints().unwrap_or_else(|| "nothing".to_owned())))
    }

    fn unwritten(&self, said: String) -> VideoError {
        VideoError::Unwritten { path: self.path.clone(), said }
    }

    /// Where it is written until it is finished.
    fn part(&self) -> PathBuf {
        self.path.with_extension("mp4.part")
    }
}

impl Drop for VideoWriter {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.process.end();
            // An unfinished MP4 cannot be played.
            let _ = fs_err::remove_file(self.part());
        }
    }
}

impl Running {
    fn start(path: &Path, image: &RgbImage) -> Result<Self, VideoError> {
        let (width, height) = image.dimensions();
        let mut command = ffmpeg::command();
        // The header says everything, so that nothing has to be read ahead. Players want even sides and subsampled colour.
        command.args(["-y", "-protocol_whitelist", "file,pipe", "-probesize", "32", "-analyzeduration", "0"]);
        command.args(["-f", "matroska", "-i", "pipe:0", "-fps_mode", "passthrough", "-enc_time_base", TICKS]);
        command.args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-f", "mp4"]);
        let mut name = std::ffi::OsString::from("file:");
        name.push(path);
        command.arg(name);
        let mut child = ffmpeg::start(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
        let (Some(mut pipe), Some(said)) = (child.stdin.take(), child.stderr.take()) else {
            return Err(std::io::Error::other("ffmpeg has no pipes").into());
        };
        let talk = Arc::new(Talk::default());
        let heard = Arc::clone(&talk);
        let listener = std::thread::spawn(move || ffmpeg::lines(said, |line| heard.hear(line)));
        // If it has ended already, the first frame finds out.
        let _ = pipe.write_all(&header(width, height));
        Ok(Self { size: (width, height), pipe, process: Process::new(child), talk, listener })
    }
}
