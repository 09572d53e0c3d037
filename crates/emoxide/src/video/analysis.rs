//! Frames to predictions.

use std::collections::VecDeque;
use std::iter::Fuse;

use super::{Follower, Frame, VideoError};
use crate::image::RgbImage;
use crate::recognizer::{Face, Prediction};

/// A frame and what was found in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// What it shows.
    pub image: RgbImage,
    /// Its faces.
    pub prediction: Prediction,
}

/// Predictions of a clip's frames, in order: frames are recognised in batches and followed one by one.
///
/// Every frame gives one prediction, without faces where none was found. An error of the source comes in its place, and does
/// not count in a batch.
#[derive(Debug)]
pub struct Analysis<I: Iterator, R> {
    input: String,
    frames: Fuse<I>,
    recognise: R,
    follower: Follower,
    batch: usize,
    ready: VecDeque<Result<Shown, VideoError>>,
}

impl<I, R, E> Analysis<I, R>
where
    I: Iterator<Item = Result<Frame, VideoError>>,
    R: FnMut(&[RgbImage]) -> Result<Vec<Vec<Face>>, E>,
{
    /// Over the frames of the clip `input`, so many at a time. `recognise` is [`Recognizer::see`] or that of a [`Worker`]: a
    /// list of faces a picture, those that [`Follower::search`] names; the iterator panics where it gives fewer lists.
    ///
    /// [`Recognizer::see`]: crate::recognizer::Recognizer::see
    /// [`Worker`]: crate::recognizer::Worker
    pub fn new(input: String, frames: I, recognise: R, follower: Follower, batch: usize) -> Self {
        Self { input, frames: frames.fuse(), recognise, follower, batch: batch.max(1), ready: VecDeque::new() }
    }

    /// Reads and answers the next batch.
    fn refill(&mut self) -> Result<(), E> {
        let (mut places, mut images) = (Vec::new(), Vec::new());
        while images.len() < self.batch {
            match self.frames.next() {
                Some(Ok(frame)) => {
                    places.push(Ok((frame.index, frame.timestamp)));
                    images.push(frame.image);
                }
                Some(Err(error)) => places.push(Err(error)),
                None => break,
            }
        }
        let faces = if images.is_empty() { Vec::new() } else { (self.recognise)(&images)? };
        let mut answered = images.into_iter().zip(faces);
        for place in places {
            let shown = place.map(|(frame, timestamp)| {
                let (image, faces) = answered.next().expect("faces for every frame");
                let faces = self.follower.follow(timestamp, faces);
                let (width, height) = image.dimensions();
                let input = self.input.clone();
                Shown {
                    image,
                    prediction: Prediction { input, frame, timestamp: Some(timestamp), width, height, faces },
                }
            });
            self.ready.push_back(shown);
        }
        Ok(())
    }
}

impl<I, R, E> Iterator for Analysis<I, R>
where
    I: Iterator<Item = Result<Frame, VideoError>>,
    R: FnMut(&[RgbImage]) -> Result<Vec<Vec<Face>>, E>,
{
    type Item = Result<Result<Shown, VideoError>, E>;

    /// The outer error is `recognise`'s.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && let Err(error) = self.refill()
        {
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}
