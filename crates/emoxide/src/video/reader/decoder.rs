//! An `ffmpeg` that writes raw frames to a pipe.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::super::ffmpeg::{self, Process, Talk};
use super::super::{Frame, VideoError};
use super::Selection;
use super::report::{Announced, Report};
use crate::image::{Limits, RgbImage};

/// What a file may be. Formats that name other files (playlists, lists of parts, patterns) are none of these, whatever they
/// call themselves, and so nothing but the file is opened.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,asf,ogg,gif,apng,h263,\
    h264,hevc,obu,av1,ivf,mjpeg,yuv4mpegpipe,nut,mxf,dv,rm,wtv,vob,svcd,dvd,swf,nsv,wav,mp3,flac,aac";

/// What Unix answers who waits for a program that somebody else has waited for.
const NO_CHILD: i32 = 10;
/// Seconds by which ffmpeg is asked for more than is wanted, because it rounds times otherwise than the report does.
const SLACK: f64 = 1e-5;
/// Seconds behind which no clip ends, and no end is asked for.
const LONGEST: f64 = 1e9;

/// What ffmpeg opens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    File(&'a Path),
    Camera(&'a str),
}

/// Frames as ffmpeg hands them out.
pub(super) struct Decoder {
    process: Process,
    pixels: ChildStdout,
    announced: Receiver<Result<Announced, VideoError>>,
    talk: Arc<Talk>,
    selection: Selection,
    limits: Limits,
    read: usize,
}

impl Decoder {
    pub(super) fn start(input: Input<'_>, selection: Selection, limits: Limits) -> Result<Self, VideoError> {
        if let Input::File(path) = input {
            // ffmpeg's words for a missing file are about protocols.
            fs_err::OpenOptions::new().read(true).open(path)?;
        }
        let mut command = ffmpeg::command();
        command.args(options(input, selection.end)?);
        // Rotation is applied before the filters. The time base is the stream's, so that times are exact, no frame is
        // added or dropped to make a rate even, and none is scaled to the size of the first.
        command.args(["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", &filters(selection), "-fps_mode", "passthrough"]);
        command.args(["-autoscale", "0", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]);
        let mut child = ffmpeg::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (Some(pixels), Some(said)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("ffmpeg has no pipes").into());
        };
        let talk = Arc::new(Talk::default());
        let (outbox, announced) = channel();
        let heard = Arc::clone(&talk);
        std::thread::spawn(move || {
            let mut report = Report::default();
            // Reads to the end even if nobody listens: a full pipe would stop ffmpeg.
            ffmpeg::lines(said, |line| match report.read(line) {
                Some(item) => drop(outbox.send(item)),
                None => heard.hear(line),
            });
        });
        Ok(Self { process: Process::new(child), pixels, announced, talk, selection, limits, read: 0 })
    }

    pub(super) fn process(&self) -> Process {
        self.process.clone()
    }

    pub(super) fn talk(&self) -> Arc<Talk> {
        Arc::clone(&self.talk)
    }

    /// The next frame that is wanted; after an error there is none.
    pub(super) fn next_frame(&mut self) -> Option<Result<Frame, VideoError>> {
        loop {
            match self.decoded()? {
                Ok(frame) if !self.selection.holds(frame.index, frame.timestamp) => (),
                item => return Some(item),
            }
        }
    }

    /// The next frame that ffmpeg hands out.
    fn decoded(&mut self) -> Option<Result<Frame, VideoError>> {
        let announced = match self.announced.recv() {
            Ok(Ok(announced)) => announced,
            Ok(Err(error)) => return Some(Err(error)),
            Err(_) => return self.end().map(Err),
        };
        let Announced { index, timestamp, width, height } = announced;
        if let Err(source) = self.limits.check(width, height) {
            return Some(Err(VideoError::TooLarge { frame: index, source }));
        }
        let mut bytes = vec![0; width as usize * height as usize * 3];
        if self.pixels.read_exact(&mut bytes).is_err() {
            let cut = || VideoError::Damaged { frames: self.read, said: "nothing before it ended".to_owned() };
            return Some(Err(self.end().unwrap_or_else(cut)));
        }
        self.read += 1;
        let image = RgbImage::from_raw(width, height, bytes).expect("as many bytes as the size asks for");
        Some(Ok(Frame { index, timestamp, image }))
    }

    /// What went wrong, once ffmpeg has ended.
    fn end(&self) -> Option<VideoError> {
        let ended = match self.process.ended_well() {
            // Somebody else in this process waits for all programs that it starts, and knows how this one ended.
            Err(error) if cfg!(unix) && error.raw_os_error() == Some(NO_CHILD) => Ok(true),
            ended => ended,
        };
        let said = match (ended, self.talk.complaints()) {
            (Err(error), _) => return Some(error.into()),
            (Ok(true), None) => return None,
            (Ok(_), said) => said.unwrap_or_else(|| "nothing".to_owned()),
        };
        Some(match self.read {
            0 if said.contains("matches no streams") => VideoError::NoVideoStream,
            0 => VideoError::Unreadable { said },
            frames => VideoError::Damaged { frames, said },
        })
    }
}

/// The chain of filters; `report` knows the places of both `showinfo`.
fn filters(selection: Selection) -> String {
    let Selection { start, skip, first, .. } = selection;
    let mut wanted = vec![format!("gte(n,{first})")];
    if start > 0.0 {
        wanted.push(format!("gte(t,{})", start - SLACK));
    }
    if skip > 0 {
        wanted.push(format!("not(mod(n,{}))", skip.saturating_add(1)));
    }
    format!("showinfo=checksum=0,select='{}',format=rgb24,showinfo=checksum=0", wanted.join("*"))
}

/// The options that name the input.
fn options(input: Input<'_>, end: Option<f64>) -> Result<Vec<OsString>, VideoError> {
    let mut options: Vec<OsString> = Vec::new();
    if let Some(end) = end.filter(|end| *end < LONGEST) {
        // Ends the decoding, not only the output.
        options.extend(["-to".into(), format!("{:.6}", end + SLACK).into()]);
    }
    match input {
        Input::File(path) => {
            options
                .extend(["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-i"].map(OsString::from));
            options.push(local(path));
        }
        Input::Camera(name) => options.extend(camera(name)?.into_iter().map(OsString::from)),
    }
    Ok(options)
}

/// The name of a file that ffmpeg takes for nothing else: neither for an option nor for a protocol.
fn local(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// How the system's cameras are opened.
fn camera(name: &str) -> Result<Vec<String>, VideoError> {
    let number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let options = if cfg!(target_os = "linux") {
        let device = if number { format!("/dev/video{name}") } else { name.to_owned() };
        ["-f", "v4l2", "-i", &device].map(str::to_owned).to_vec()
    } else if cfg!(target_os = "macos") {
        // Its own default, 29.97 a second, is a rate that few cameras have.
        ["-f", "avfoundation", "-framerate", "30", "-i", &format!("{name}:none")].map(str::to_owned).to_vec()
    } else if cfg!(windows) {
        ["-f", "dshow", "-i", &format!("video={name}")].map(str::to_owned).to_vec()
    } else {
        return Err(VideoError::NoCamera);
    };
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_what_is_wanted() {
        let selection = Selection { start: 1.5, end: None, skip: 2, first: 7 };
        let wanted =
            "showinfo=checksum=0,select='gte(n,7)*gte(t,1.49999)*not(mod(n,3))',format=rgb24,showinfo=checksum=0";
        assert_eq!(filters(selection), wanted);
    }

    #[test]
    fn names_of_files_are_nothing_else() {
        let options = options(Input::File(Path::new("concat:a|b")), Some(2.0)).unwrap();
        assert_eq!(options.last().unwrap(), "file:concat:a|b");
        assert_eq!(options[..2], ["-to", "2.000010"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn cameras_go_through_the_kernel() {
        assert_eq!(camera("0").unwrap()[1..], ["v4l2", "-i", "/dev/video0"]);
        assert_eq!(camera("/dev/video2").unwrap()[3], "/dev/video2");
    }
}
