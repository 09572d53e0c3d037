//! What a clip shows, face by face.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::labels::Expression;
use crate::recognizer::{Prediction, Probabilities};

/// A time during which a face shows one expression, or `None`: no expression is likely enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Second at which it begins.
    pub start: f64,
    /// Second at which it ends.
    pub end: f64,
    /// The dominant expression.
    pub expression: Option<Expression>,
}

/// One face over the whole clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceSummary {
    /// Its number.
    pub face_id: usize,
    /// Second of the first frame that shows it.
    pub first: f64,
    /// Second of the last frame that shows it.
    pub last: f64,
    /// Frames that show it.
    pub frames: usize,
    /// Seconds that it is seen: each frame counts until the next one that was looked at.
    pub seconds: f64,
    /// Seconds during which each expression is dominant; `uncertain` where none is.
    pub seconds_of: BTreeMap<&'static str, f64>,
    /// Mean of its frames' probabilities.
    pub mean: Probabilities,
    /// When it shows what; a gap where it is not seen.
    pub timeline: Vec<Run>,
}

/// Sums up the predictions of one clip, given in order. Memory grows with the faces and with the changes of their
/// expressions, not with the frames.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    frames: usize,
    frames_with_faces: usize,
    /// The last frame, which lasts until the next one.
    pending: Option<Pending>,
    /// Seconds from the frame before the last one to the last one.
    step: f64,
    faces: BTreeMap<usize, Seen>,
}

/// A frame whose end is not known yet.
#[derive(Clone, Debug)]
struct Pending {
    timestamp: f64,
    /// Faces and what they show.
    shown: Vec<(usize, Option<Expression>)>,
}

#[derive(Clone, Debug)]
struct Seen {
    first: f64,
    last: f64,
    frames: usize,
    sums: Vec<(Expression, f64)>,
    timeline: Vec<Run>,
}

impl Summary {
    /// Adds a frame. A prediction without a time is none of a clip's and is left out.
    pub fn add(&mut self, prediction: &Prediction) {
        let Some(timestamp) = prediction.timestamp else { return };
        self.settle(timestamp);
        self.frames += 1;
        self.frames_with_faces += usize::from(!prediction.faces.is_empty());
        for face in &prediction.faces {
            let seen = self.faces.entry(face.face_id).or_insert_with(|| Seen {
                first: timestamp,
                last: timestamp,
                frames: 0,
                sums: face.probabilities.0.iter().map(|(name, _)| (*name, 0.0)).collect(),
                timeline: Vec::new(),
            });
            (seen.last, seen.frames) = (timestamp, seen.frames + 1);
            for (name, sum) in &mut seen.sums {
                *sum += f64::from(face.probabilities.get(*name).unwrap_or(0.0));
            }
        }
        let shown = prediction.faces.iter().map(|face| (face.face_id, face.dominant_emotion));
        self.pending = Some(Pending { timestamp, shown: shown.collect() });
    }

    /// Frames that were added, and how many of them show a face.
    pub fn frames(&self) -> (usize, usize) {
        (self.frames, self.frames_with_faces)
    }

    /// All faces by their numbers. The clip's last frame is taken to last as long as the one before it.
    pub fn finish(mut self) -> Vec<FaceSummary> {
        if let Some(last) = &self.pending {
            self.settle(last.timestamp + self.step);
        }
        self.faces.into_iter().map(|(face_id, seen)| seen.summed(face_id)).collect()
    }

    /// Ends what the last frame shows at this second.
    fn settle(&mut self, end: f64) {
        let Some(Pending { timestamp: start, shown }) = self.pending.take() else { return };
        let end = end.max(start);
        self.step = end - start;
        for (face_id, expression) in shown {
            let Some(seen) = self.faces.get_mut(&face_id) else { continue };
            match seen.timeline.last_mut() {
                #[expect(clippy::float_cmp, reason = "a run goes on where it ended, at the very same number")]
                Some(run) if run.end == start && run.expression == expression => run.end = end,
                _ => seen.timeline.push(Run { start, end, expression }),
            }
        }
    }
}

impl Seen {
    fn summed(self, face_id: usize) -> FaceSummary {
        let Self { first, last, frames, sums, timeline } = self;
        let mut seconds_of: BTreeMap<&'static str, f64> = sums.iter().map(|(name, _)| (name.name(), 0.0)).collect();
        for run in &timeline {
            *seconds_of.entry(run.expression.map_or("uncertain", Expression::name)).or_default() += run.end - run.start;
        }
        FaceSummary {
            face_id,
            first,
            last,
            frames,
            seconds: seconds_of.values().sum(),
            seconds_of,
            mean: Probabilities(sums.into_iter().map(|(name, sum)| (name, (sum / frames as f64) as f32)).collect()),
            timeline,
        }
    }
}
