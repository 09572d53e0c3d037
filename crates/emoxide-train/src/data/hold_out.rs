//! A slice of the training split for model selection.

use std::collections::HashSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{DataError, DataSet, Split};

impl DataSet {
    /// Splits off a share of every class: `(kept, held out)`, the latter named `valid`.
    ///
    /// Each class gives `fraction` of its pictures, rounded, and at least one if it has two. Samples of the same picture
    /// (FER+ has such) stay together. The order of the samples is kept; the same seed gives the same slices.
    pub fn hold_out(&self, fraction: f64, seed: u64) -> Result<(Self, Self), DataError> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(DataError::Fraction(fraction));
        }
        let mut seen = HashSet::new();
        let mut pictures: Vec<Vec<&str>> = vec![Vec::new(); self.classes.len()];
        for sample in &self.samples {
            if seen.insert(sample.name.as_str()) {
                pictures[sample.label.class()].push(&sample.name);
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut held: HashSet<&str> = HashSet::new();
        for names in &mut pictures {
            // Sorted first, so that the slice does not depend on the order of the samples.
            names.sort_unstable();
            names.shuffle(&mut random);
            let share = (names.len() as f64 * fraction).round() as usize;
            let share = if names.len() < 2 { 0 } else { share.clamp(1, names.len() - 1) };
            held.extend(&names[..share]);
        }
        let part = |split, wanted: bool| Self {
            name: self.name.clone(),
            split,
            classes: self.classes.clone(),
            samples: self.samples.iter().filter(|s| held.contains(s.name.as_str()) == wanted).cloned().collect(),
        };
        Ok((part(self.split, false), part(Split::Valid, true)))
    }
}
