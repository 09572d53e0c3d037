//! Probabilities that change no faster than faces do.

use std::collections::HashMap;

use crate::recognizer::Probabilities;

/// Exponential smoothing of each face's probabilities over time.
///
/// With a time constant of `seconds`, a sudden change is 63 % over after so many seconds and 95 % after three times as
/// many, whatever the frame rate: the new frame weighs `1 - exp(-passed / seconds)`. Probabilities still sum to 1, and what
/// is given out is all that the next frame needs.
#[derive(Clone, Debug)]
pub struct Smoother {
    seconds: f64,
    last: HashMap<usize, (f64, Probabilities)>,
}

impl Smoother {
    /// With a time constant in seconds; 0 smooths nothing.
    pub fn new(seconds: f64) -> Self {
        Self { seconds, last: HashMap::new() }
    }

    /// The smoothed probabilities of a face at this second; its first are its own.
    pub fn smooth(&mut self, face_id: usize, timestamp: f64, probabilities: &Probabilities) -> Probabilities {
        let smoothed = match self.last.get(&face_id) {
            Some((last, before)) if self.seconds > 0.0 => {
                let weight = -(-(timestamp - last).max(0.0) / self.seconds).exp_m1();
                mixed(before, probabilities, weight)
            }
            _ => probabilities.clone(),
        };
        self.replay(face_id, timestamp, &smoothed);
        smoothed
    }

    /// Goes on from probabilities that were smoothed before.
    pub fn replay(&mut self, face_id: usize, timestamp: f64, smoothed: &Probabilities) {
        self.last.insert(face_id, (timestamp, smoothed.clone()));
    }

    /// Forgets all faces but these.
    pub fn keep(&mut self, known: impl Fn(usize) -> bool) {
        self.last.retain(|face_id, _| known(*face_id));
    }
}

/// `weight` of the new and the rest of the old. A face whose probabilities are no numbers does not spoil those to come.
fn mixed(before: &Probabilities, now: &Probabilities, weight: f64) -> Probabilities {
    let numbers = |probabilities: &Probabilities| probabilities.0.iter().all(|(_, value)| value.is_finite());
    if !numbers(before) || !numbers(now) {
        return now.clone();
    }
    let mix = |old: f32, new: f32| (f64::from(old) + (f64::from(new) - f64::from(old)) * weight) as f32;
    let value = |(name, new): &(_, f32)| (*name, before.get(*name).map_or(*new, |old| mix(old, *new)));
    Probabilities(now.0.iter().map(value).collect())
}
