//! Options of `predict` that concern clips.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use emoxide::preprocess::DetectorConfig;
use emoxide::video::{DEFAULT_FPS, FollowOptions, Selection, TrackerConfig};

use crate::inputs::{Input, expand, sequences};

#[derive(Debug, Args)]
#[command(next_help_heading = "Videos, image sequences and cameras")]
pub(super) struct ClipOptions {
    /// Leave out N frames behind each one that is used: of the clip's frames, those that N + 1 divides are used
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_frames: usize,
    /// Begin at this time of the clip: seconds, or hh:mm:ss.ms
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "0")]
    start: f64,
    /// End before this time of the clip
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    end: Option<f64>,
    /// Smooth each face's probabilities over time; a change is 63 % over after so many seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_track")]
    smooth: Option<f64>,
    /// Do not follow faces: `face_id` counts the faces of each frame
    #[arg(long)]
    no_track: bool,
    /// A face that comes back after so many seconds or less keeps its number
    #[arg(long, value_name = "SECONDS", default_value_t = TrackerConfig::default().max_lost)]
    max_lost: f64,
    /// Take each input, a folder, glob or pattern such as frames/%04d.png, for the frames of one clip
    #[arg(long)]
    sequence: bool,
    /// Frames a second of a sequence
    #[arg(long, default_value_t = DEFAULT_FPS, requires = "sequence")]
    fps: f64,
    /// Say in this folder what each face of a clip shows: JSON, CSV and a picture of its time
    #[arg(long, value_name = "DIR")]
    pub(super) summary: Option<PathBuf>,
    /// Go on where a run over the same clips, with the same options and the same --output, ended too early
    #[arg(long)]
    pub(super) resume: bool,
}

impl ClipOptions {
    /// What was typed, as pictures and clips.
    pub(super) fn inputs(&self, arguments: &[String]) -> Vec<Input> {
        if self.sequence { sequences(arguments, self.fps) } else { expand(arguments) }
    }

    /// The frames that are wanted, from this number on.
    pub(super) fn selection(&self, first: usize) -> Selection {
        Selection { start: self.start, end: self.end, skip: self.skip_frames, first }
    }

    /// Seconds of a clip of this length that are looked at.
    pub(super) fn span(&self, duration: f64) -> f64 {
        (self.end.unwrap_or(duration).min(duration) - self.start).max(0.0)
    }

    /// How faces are followed that such a detector finds.
    pub(super) fn following(&self, detector: &DetectorConfig, min_confidence: f32) -> FollowOptions {
        let tracker = TrackerConfig { max_lost: self.max_lost, ..TrackerConfig::following(detector) };
        FollowOptions { tracker: (!self.no_track).then_some(tracker), smooth: self.smooth, min_confidence }
    }

    /// The options that results depend on, in words.
    pub(super) fn results_depend_on(&self) -> String {
        let Self { skip_frames, start, end, smooth, no_track, max_lost, .. } = self;
        format!(
            "skip-frames {skip_frames}, start {start}, end {end:?}, smooth {smooth:?}, no-track {no_track}, max-lost {max_lost}"
        )
    }

    /// Refuses what can never be, before anything is opened.
    pub(super) fn check(&self) -> Result<()> {
        let end = self.end.unwrap_or(f64::INFINITY);
        ensure!(end > self.start, "--start {} --end {end}: the end lies behind the start", self.start);
        let number = |value: f64| value.is_finite() && value >= 0.0;
        ensure!(number(self.smooth.unwrap_or(0.0)), "--smooth: a number of seconds from 0 is needed");
        ensure!(number(self.max_lost), "--max-lost {}: a number of seconds from 0 is needed", self.max_lost);
        ensure!(number(self.fps) && self.fps > 0.0, "--fps {}: a number above 0 is needed", self.fps);
        Ok(())
    }
}

/// Seconds from `12.5`, `01:30` or `1:02:03.25`.
fn seconds(text: &str) -> Result<f64, String> {
    let odd = || format!("`{text}` is no time; say seconds, or hh:mm:ss.ms");
    let parts: Vec<&str> = text.split(':').collect();
    let [above @ .., last] = &parts[..] else { return Err(odd()) };
    if above.len() > 2 || text.starts_with(['-', '+']) {
        return Err(odd());
    }
    let mut total = 0.0;
    for part in above {
        total = total * 60.0 + f64::from(part.parse::<u32>().map_err(|_| odd())?);
    }
    let last: f64 = last.parse().map_err(|_| odd())?;
    let fits = last.is_finite() && last >= 0.0 && (above.is_empty() || last < 60.0);
    if fits { Ok(total * 60.0 + last) } else { Err(odd()) }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_seconds_or_clocks() {
        for (text, expected) in [("12.5", 12.5), ("01:30", 90.0), ("1:02:03.25", 3723.25)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in ["", "-1", "1:-2", "1:60", "1:2:3:4", "soon", "NaN", "1:2.5:3"] {
            assert!(seconds(text).unwrap_err().contains("hh:mm:ss"), "{text}");
        }
    }
}
