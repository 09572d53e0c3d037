//! Which face is which, from frame to frame.
//!
//! Paper: Zhang et al., *ByteTrack: multi-object tracking by associating every detection box*, ECCV 2022. Boxes the detector
//! is sure of are assigned to all tracks by their overlap with the predicted boxes; what remains of the tracks that are
//! followed goes on with boxes it is less sure of. Each assignment is the best as a whole.
//!
//! Deviations. Overlaps are not multiplied with scores, which are near 1 with MTCNN. A third assignment gives tracks that
//! stay alone to faces of about the same size near the place where they were *last seen*, the nearer the shorter they were
//! away: a face that left at an edge comes back there, whereas the filter expects it further out, and boxes of faces that are
//! about to be hidden mislead it. A new face has its number at once and not with its second
//! frame. Lost tracks that another one covers are kept.
//!
//! What it knows is where faces are and how large they are, not whose they are. A number is never given to two faces of
//! one frame, and never again once its track has been given up; but whoever appears within `max_lost` where somebody
//! vanished is taken for them, as is whoever stands there behind a cut.

mod assign;
mod config;
mod kalman;

pub use config::{TrackerConfig, TrackerError};
pub use kalman::Motion;

use self::assign::assign;
use crate::geometry::BoundingBox;
use crate::recognizer::FaceBox;

/// Steps of the filter a second: its noise is tuned for videos of this rate.
const STEPS: f64 = 30.0;

/// Weight of the newest height among those before.
const NEWEST: f32 = 0.1;

/// What is known of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Seen once; given up if it is not seen in the next frame.
    Tentative,
    /// Seen in the last frame.
    Followed,
    /// Out of sight.
    Lost,
}

#[derive(Clone, Debug)]
struct Track {
    id: usize,
    state: State,
    motion: Motion,
    /// Where and when it was last seen.
    seen: FaceBox,
    timestamp: f64,
    /// How high it has been of late: what is left of a face that is about to be hidden says little.
    height: f32,
}

/// Numbers faces so that a face keeps its number while it moves, is hidden for a moment, or leaves and comes back.
#[derive(Clone, Debug)]
pub struct Tracker {
    config: TrackerConfig,
    tracks: Vec<Track>,
    /// The next number, which nobody has had.
    next: usize,
    /// Seconds of the last frame.
    last: Option<f64>,
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(config: TrackerConfig) -> Result<Self, TrackerError> {
        config.validate()?;
        Ok(Self { config, tracks: Vec::new(), next: 0, last: None })
    }

    /// Numbers the faces of the next frame, shown at this second: boxes and scores, in any order. `None` for a face that
    /// the detector is unsure of and that continues no track.
    ///
    /// It depends on those faces alone that were given a number, so that [`replay`](Self::replay) can repeat it.
    pub fn update(&mut self, timestamp: f64, faces: &[(FaceBox, f32)]) -> Vec<Option<usize>> {
        let first = self.last.is_none();
        self.predict(timestamp);
        let matched = self.associate(faces);
        let mut ids: Vec<Option<usize>> =
            matched.iter().map(|track| track.map(|track| self.tracks[track].id)).collect();
        for ((_, score), id) in faces.iter().zip(&mut ids) {
            if id.is_none() && *score >= self.config.high {
                *id = Some(self.next);
                self.next += 1;
            }
        }
        let numbered = faces.iter().zip(&ids).filter_map(|((bbox, _), id)| Some(((*id)?, *bbox)));
        self.take(timestamp, first, &numbered.collect::<Vec<_>>());
        ids
    }

    /// Repeats a frame whose faces were numbered before; afterwards the tracker is what it was then.
    pub fn replay(&mut self, timestamp: f64, faces: &[(usize, FaceBox)]) {
        let first = self.last.is_none();
        self.predict(timestamp);
        self.take(timestamp, first, faces);
    }

    /// The numbers that may come again.
    pub fn known(&self) -> impl Iterator<Item = usize> {
        self.tracks.iter().map(|track| track.id)
    }

    fn predict(&mut self, timestamp: f64) {
        let passed = self.last.map_or(0.0, |last| timestamp - last).max(0.0);
        self.last = Some(timestamp);
        self.tracks.retain(|track| timestamp - track.timestamp <= self.config.max_lost || track.state != State::Lost);
        for track in &mut self.tracks {
            if track.state == State::Lost {
                track.motion.keep_size();
            }
            track.motion.predict(passed * STEPS);
        }
    }

    /// The track of every face, if it has one.
    fn associate(&self, faces: &[(FaceBox, f32)]) -> Vec<Option<usize>> {
        let TrackerConfig { high, low, overlap, low_overlap, new_overlap, .. } = self.config;
        let sure = |face: usize| faces[face].1 >= high;
        let unsure = |face: usize| !sure(face) && faces[face].1 >= low;
        let expected: Vec<FaceBox> = self.tracks.iter().map(|track| track.motion.bbox()).collect();
        let overlaps = |least: f32| {
            let expected = &expected;
            // The gain of the assignment that ByteTrack's code solves with costs up to 1 - least.
            move |track: usize, face: usize| f64::from(common(&expected[track], &faces[face].0) - least)
        };
        let mut matching = Matching::new(self.tracks.len(), faces.len());
        let state = |track: usize| self.tracks[track].state;
        let settled = |track: usize| state(track) != State::Tentative;
        matching.assign(settled, sure, overlaps(overlap));
        matching.assign(|track| state(track) == State::Followed, unsure, overlaps(low_overlap));
        matching.assign(|track| state(track) == State::Tentative, sure, overlaps(new_overlap));
        matching
            .assign(settled, sure, |track, face| self.nearness(&self.tracks[track], &expected[track], &faces[face].0));
        matching.of_faces
    }

    /// How well a face fits to the place where a track was last seen, or where it is expected: 0 or less out of reach.
    fn nearness(&self, track: &Track, expected: &FaceBox, face: &FaceBox) -> f64 {
        let TrackerConfig { reach, speed, growth, .. } = self.config;
        let height = track.height.max(1.0);
        let ratio = face.height / height;
        if ratio > growth || ratio * growth < 1.0 {
            return 0.0;
        }
        let [x, y] = edges(face).centre();
        let distance = |place: &FaceBox| {
            let [last_x, last_y] = edges(place).centre();
            f64::from((x - last_x).hypot(y - last_y) / height)
        };
        let away = self.last.map_or(0.0, |last| last - track.timestamp);
        f64::from(reach) + f64::from(speed) * away - distance(&track.seen).min(distance(expected))
    }

    /// Takes note of the numbered faces of a frame.
    fn take(&mut self, timestamp: f64, first: bool, faces: &[(usize, FaceBox)]) {
        for track in &mut self.tracks {
            if let Some((_, bbox)) = faces.iter().find(|(id, _)| *id == track.id) {
                track.motion.update(bbox);
                track.height += NEWEST * (bbox.height - track.height);
                (track.state, track.seen, track.timestamp) = (State::Followed, *bbox, timestamp);
            } else if track.state == State::Followed {
                track.state = State::Lost;
            }
        }
        // What was seen once and is not seen now was no face.
        self.tracks.retain(|track| track.state != State::Tentative);
        for (id, bbox) in faces {
            if self.tracks.iter().all(|track| track.id != *id) {
                let state = if first { State::Followed } else { State::Tentative };
                let (motion, height) = (Motion::new(bbox), bbox.height);
                self.tracks.push(Track { id: *id, state, motion, seen: *bbox, timestamp, height });
                self.next = self.next.max(id + 1);
            }
        }
    }
}

/// Tracks and faces that have found each other.
struct Matching {
    free_tracks: Vec<bool>,
    /// The track of every face.
    of_faces: Vec<Option<usize>>,
}

impl Matching {
    fn new(tracks: usize, faces: usize) -> Self {
        Self { free_tracks: vec![true; tracks], of_faces: vec![None; faces] }
    }

    /// Joins what is still free, among the tracks and faces that are asked for.
    fn assign(
        &mut self,
        wanted_track: impl Fn(usize) -> bool,
        wanted_face: impl Fn(usize) -> bool,
        gain: impl Fn(usize, usize) -> f64,
    ) {
        let tracks: Vec<usize> =
            (0..self.free_tracks.len()).filter(|&track| self.free_tracks[track] && wanted_track(track)).collect();
        let faces: Vec<usize> =
            (0..self.of_faces.len()).filter(|&face| self.of_faces[face].is_none() && wanted_face(face)).collect();
        for (track, face) in assign(tracks.len(), faces.len(), |track, face| gain(tracks[track], faces[face])) {
            self.free_tracks[tracks[track]] = false;
            self.of_faces[faces[face]] = Some(tracks[track]);
        }
    }
}

fn edges(bbox: &FaceBox) -> BoundingBox {
    BoundingBox::new(bbox.x, bbox.y, bbox.x + bbox.width, bbox.y + bbox.height)
}

/// Common area over united area.
fn common(one: &FaceBox, other: &FaceBox) -> f32 {
    edges(one).intersection_over_union(&edges(other))
}
