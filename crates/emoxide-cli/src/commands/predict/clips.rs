//! `predict` on clips: frames in order, faces that keep their numbers.

use std::convert::Infallible;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use emoxide::image::{Limits, RgbImage};
use emoxide::recognizer::{Recognizer, Wanted};
use emoxide::video::{
    Analysis, FollowOptions, Follower, Frame, Frames, Shown, Source, Summary, VideoError, VideoWriter,
};

use super::{Job, summaries};
use crate::{annotate, progress};

/// What a clip goes on from.
pub(super) struct State {
    pub(super) follower: Follower,
    pub(super) summary: Summary,
    /// Number of the first frame that is wanted.
    pub(super) first: usize,
}

impl State {
    /// The beginning of a clip.
    pub(super) fn new(following: &FollowOptions) -> Result<Self> {
        Ok(Self { follower: Follower::new(following)?, summary: Summary::default(), first: 0 })
    }
}

/// Answers the frames of one clip. `false`: the user wants to stop.
pub(super) fn run(
    job: &mut Job<'_>,
    recognizer: &Recognizer,
    name: &str,
    source: &Source,
    state: State,
) -> Result<bool> {
    let stem = job.stems.of(name);
    match Clip::open(job, name, &stem, source, &state) {
        Ok(clip) => clip.answer(job, recognizer, state),
        Err(error) => {
            job.skip(name, &[error.to_string()])?;
            Ok(true)
        }
    }
}

struct Clip<'a> {
    name: &'a str,
    stem: &'a str,
    frames: Frames,
    marked: Option<VideoWriter>,
}

impl<'a> Clip<'a> {
    fn open(job: &Job<'_>, name: &'a str, stem: &'a str, source: &Source, state: &State) -> Result<Self, VideoError> {
        let frames = Frames::open(source, job.arguments.clips.selection(state.first), Limits::default())?;
        let marked = |folder: &Path| VideoWriter::new(&folder.join(format!("{stem}.mp4")));
        Ok(Self { name, stem, frames, marked: job.arguments.annotate.as_deref().map(marked) })
    }

    fn answer(mut self, job: &mut Job<'_>, recognizer: &Recognizer, state: State) -> Result<bool> {
        let State { follower, mut summary, first } = state;
        let batch = usize::from(job.arguments.batch_size);
        let wanted = Wanted { search: follower.search(), ..Wanted::default() };
        let recognise = |images: &[RgbImage]| {
            let seen = recognizer.see(images, &vec![wanted; images.len()]);
            Ok::<_, Infallible>(seen.into_iter().map(|seen| seen.faces).collect())
        };
        let mut bar = None;
        let (began, mut count, mut errors) = (Instant::now(), 0_usize, Vec::new());
        let mut offset = None;
        let stop = job.stop.clone();
        let frames = &mut self.frames;
        // The length is known with the first frame.
        let mut next = frames.next();
        let duration = frames.duration();
        let mut taken = 0_usize;
        let frames = std::iter::from_fn(|| {
            // Batches stay full, so that a run that goes on has the same ones.
            if stop.is_set() && taken.is_multiple_of(batch) {
                return None;
            }
            let item = next.take().or_else(|| frames.next())?;
            taken += usize::from(item.is_ok());
            Some(item)
        });
        for item in Analysis::new(self.name.to_owned(), frames, recognise, follower, batch) {
            let Ok(item) = item;
            let bar = bar.get_or_insert_with(|| {
                let span = duration.map(|duration| job.arguments.clips.span(duration));
                progress::clip(span, self.name, job.quiet)
            });
            let Shown { image, prediction } = match item {
                Ok(shown) => shown,
                Err(error) => {
                    errors.push(error.to_string());
                    continue;
                }
            };
            job.writer.write(&prediction)?;
            summary.add(&prediction);
            count += 1;
            let timestamp = prediction.timestamp.unwrap_or_default();
            if let Some(marked) = &mut self.marked {
                let image = annotate::draw(&image, &prediction.faces, annotate::Plate::Numbered);
                marked.write(&Frame { index: prediction.frame, timestamp, image })?;
            }
            if count.is_multiple_of(batch) {
                job.writer.flush()?;
            }
            let from = *offset.get_or_insert(timestamp);
            bar.set_position(progress::milliseconds(timestamp - from));
            bar.set_message(format!("{count} frames, {:.1} frames/s", count as f64 / began.elapsed().as_secs_f64()));
        }
        job.writer.flush()?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if let Some(mut marked) = self.marked {
            marked.finish()?;
        }
        if stop.is_set() {
            return Ok(false);
        }
        if let Some(folder) = &job.arguments.clips.summary {
            summaries::write(folder, self.stem, self.name, recognizer.classes(), summary)
                .with_context(|| folder.display().to_string())?;
        }
        if errors.is_empty() && count == 0 && first == 0 {
            errors.push("no frame of it was asked for".to_owned());
        }
        job.skip(self.name, &errors)?;
        Ok(true)
    }
}
