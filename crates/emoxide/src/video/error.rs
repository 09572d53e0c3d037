//! Why a clip was not read or written.

use std::path::PathBuf;

use crate::image::ImageError;

/// Why a clip was not read or written. The clip's name is the caller's to add.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The program that decodes videos cannot be started.
    #[error(
        "`{program}` cannot be started ({reason}); videos need ffmpeg 5.1 or later: install it (apt install ffmpeg, brew install ffmpeg, winget install ffmpeg) or name it in EMOXIDE_FFMPEG"
    )]
    NoFfmpeg {
        /// What was called.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// Nothing that ffmpeg can read; not a single frame came out.
    #[error("it is no video that ffmpeg can read: {said}")]
    Unreadable {
        /// Its last words.
        said: String,
    },
    /// A file without pictures, such as a song.
    #[error("there is no video in it")]
    NoVideoStream,
    /// Frames came out, and errors with them.
    #[error("it is damaged or cut off: {frames} frames were read, and ffmpeg says {said}")]
    Damaged {
        /// Frames that were read.
        frames: usize,
        /// Its last words.
        said: String,
    },
    /// A frame without a time.
    #[error("frame {frame} has no time; write the video anew, such as with ffmpeg -i IN -c copy OUT.mp4")]
    Untimed {
        /// Its number.
        frame: usize,
    },
    /// What ffmpeg says of its frames is not understood.
    #[error("ffmpeg's report is not understood (`{line}`); version 5.1 or later is needed")]
    Report {
        /// The line.
        line: String,
    },
    /// A frame that is too large.
    #[error("frame {frame}: {source}")]
    TooLarge {
        /// Its number.
        frame: usize,
        /// How large it is, and what is allowed.
        source: ImageError,
    },
    /// A picture of a sequence that is no picture.
    #[error("frame {frame}, {}: {source}", path.display())]
    Picture {
        /// Its number.
        frame: usize,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// The file of a picture of a sequence that cannot be read.
    #[error("frame {frame}: {source}")]
    File {
        /// Its number.
        frame: usize,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A sequence without pictures.
    #[error("no picture belongs to the sequence {0}")]
    EmptySequence(String),
    /// A number of frames a second that is none.
    #[error("{0} frames a second: a number above 0 is needed")]
    FrameRate(f64),
    /// A part of a clip that cannot be.
    #[error("from second {start} to second {end}: times count from 0, and the end lies behind the start")]
    Range {
        /// First second.
        start: f64,
        /// Second before which it ends.
        end: f64,
    },
    /// A camera on a system where none can be opened.
    #[error("cameras are read on Linux, macOS and Windows only")]
    NoCamera,
    /// A frame that does not fit the video that is written.
    #[error("frame {frame} has {width}x{height} pixels, the video is written with {}x{}; frames of one size are needed", size.0, size.1)]
    SizeChanged {
        /// Its number.
        frame: usize,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Width and height of the first frame.
        size: (u32, u32),
    },
    /// ffmpeg did not write the video.
    #[error("ffmpeg cannot write {}: {said}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Its last words.
        said: String,
    },
}

impl VideoError {
    /// Number of the frame that it is about, where it is about one.
    pub fn frame(&self) -> Option<usize> {
        match self {
            Self::Untimed { frame }
            | Self::TooLarge { frame, .. }
            | Self::Picture { frame, .. }
            | Self::File { frame, .. }
            | Self::SizeChanged { frame, .. } => Some(*frame),
            _ => None,
        }
    }
}
