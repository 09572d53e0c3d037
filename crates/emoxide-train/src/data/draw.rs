//! A few pictures of every class.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::DataSet;

impl DataSet {
    /// At most `limit` samples, drawn at random and as evenly over the classes as their sizes allow: a class that has too
    /// few gives all, and the others more. The order of the samples is kept; the same seed draws the same ones.
    #[must_use]
    pub fn drawn(&self, limit: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut classes: Vec<Vec<usize>> = vec![Vec::new(); self.classes.len()];
        for (index, class) in self.class_indices().into_iter().enumerate() {
            classes[class].push(index);
        }
        for class in &mut classes {
            class.shuffle(&mut random);
        }
        // One of every class in turn.
        let deepest = classes.iter().map(Vec::len).max().unwrap_or(0);
        let turns = (0..deepest).flat_map(|turn| classes.iter().filter_map(move |class| class.get(turn)));
        let mut kept: Vec<usize> = turns.copied().take(limit).collect();
        kept.sort_unstable();
        let samples = kept.into_iter().map(|index| self.samples[index].clone()).collect();
        Self { name: self.name.clone(), split: self.split, classes: self.classes.clone(), samples }
    }
}

#[cfg(test)]
mod tests {
    use emoxide::labels::Classes;

    use super::super::{DataSet, Label, Sample, Source, Split};

    #[test]
    fn classes_give_alike_and_small_ones_all() {
        let sample = |(index, class)| Sample {
            name: format!("{index}.png"),
            source: Source::File(format!("{index}.png").into()),
            label: Label::Class(class),
        };
        // Two, twenty and thirty pictures of the first three classes.
        let labels = [vec![0; 2], vec![1; 20], vec![2; 30]].concat();
        let samples = labels.into_iter().enumerate().map(sample).collect();
        let data = DataSet { name: "folder".to_owned(), split: Split::Test, classes: Classes::seven(), samples };
        let drawn = data.drawn(12, 3);
        assert_eq!(drawn.class_counts(), [2, 5, 5, 0, 0, 0, 0]);
        assert_eq!(drawn, data.drawn(12, 3));
        assert_ne!(drawn, data.drawn(12, 4));
        assert_eq!(data.drawn(1000, 3), data);
        assert!(data.drawn(0, 3).is_empty());
    }
}
