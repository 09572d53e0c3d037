//! Orders and batches.

use emoxide_train::sampler::{LastBatch, Sampler, batches};
use proptest::prelude::*;

/// RAF-DB's training split: surprise, fear, disgust, happiness, sadness, anger, neutral.
const RAFDB: [usize; 7] = [1290, 281, 717, 4772, 1982, 705, 2524];

fn classes(counts: &[usize]) -> Vec<usize> {
    counts.iter().enumerate().flat_map(|(class, count)| vec![class; *count]).collect()
}

fn per_class(order: &[usize], classes: &[usize], count: usize) -> Vec<usize> {
    let mut found = vec![0; count];
    for index in order {
        found[classes[*index]] += 1;
    }
    found
}

fn is_permutation(order: &[usize], len: usize) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..len)
}

#[test]
fn repeats_of_the_dossier() {
    let classes = classes(&RAFDB);
    let cases = [
        (Sampler::Shuffle {}, [1; 7], 12_271),
        (Sampler::RepeatSqrt { threshold: 0.15 }, [2, 3, 2, 1, 1, 2, 1], 15_545),
        (Sampler::RepeatReciprocal {}, [4, 17, 7, 1, 3, 7, 2], 35_657),
    ];
    for (sampler, repeats, total) in cases {
        let order = sampler.order(&classes, 1, 2);
        assert_eq!(order.len(), total, "{sampler:?}");
        let expected: Vec<_> = RAFDB.iter().zip(repeats).map(|(count, times)| count * times).collect();
        assert_eq!(per_class(&order, &classes, 7), expected, "{sampler:?}");
    }
}

#[test]
fn upsampling_fills_every_class_evenly() {
    let classes = classes(&[10, 3, 0, 7]);
    let order = (Sampler::Upsample {}).order(&classes, 5, 0);
    assert_eq!(per_class(&order, &classes, 4), [10, 10, 0, 10]);
    let mut visits = vec![0; classes.len()];
    for index in order {
        visits[index] += 1;
    }
    assert!(visits[..10].iter().all(|count| *count == 1));
    assert!(visits[10..13].iter().all(|count| (3..=4).contains(count)));
    assert!(visits[13..].iter().all(|count| (1..=2).contains(count)));
}

#[test]
fn class_balanced_draws_are_balanced() {
    let classes = classes(&RAFDB);
    let order = (Sampler::ClassBalanced {}).order(&classes, 5, 0);
    assert_eq!(order.len(), classes.len());
    // 12,271 draws: 1,753 expected per class, standard deviation 39.
    for count in per_class(&order, &classes, 7) {
        assert!(count.abs_diff(1753) < 200, "{count}");
    }
}

#[test]
fn orders_depend_on_seed_and_epoch_alone() {
    let classes = classes(&[40, 20]);
    for sampler in [Sampler::Shuffle {}, Sampler::Upsample {}, Sampler::ClassBalanced {}] {
        let order = sampler.order(&classes, 3, 4);
        assert_eq!(sampler.order(&classes, 3, 4), order);
        assert_ne!(sampler.order(&classes, 3, 5), order);
        assert_ne!(sampler.order(&classes, 4, 4), order);
        assert_eq!(sampler.epoch_len(&classes), order.len());
    }
    assert!((Sampler::Sequential {}).order(&classes, 3, 4).into_iter().eq(0..60));
    assert!((Sampler::ClassBalanced {}).order(&[], 1, 1).is_empty());
}

#[test]
fn last_batches() {
    let order: Vec<usize> = (0..10).collect();
    let sizes = |size, last| batches(&order, size, last).iter().map(|batch| batch.len()).collect::<Vec<_>>();
    assert_eq!(sizes(4, LastBatch::Keep), [4, 4, 2]);
    assert_eq!(sizes(4, LastBatch::Drop), [4, 4]);
    assert_eq!(sizes(4, LastBatch::AtLeast(2)), [4, 4, 2]);
    assert_eq!(sizes(4, LastBatch::AtLeast(3)), [4, 6]);
    assert_eq!(sizes(5, LastBatch::AtLeast(3)), [5, 5]);
    assert_eq!(sizes(16, LastBatch::Drop), [10]);
    assert_eq!(sizes(16, LastBatch::AtLeast(16)), [10]);
    assert!(batches(&[], 4, LastBatch::AtLeast(2)).is_empty());
    // What training does: the last pictures are a batch of their own unless there is but one. FER2013 at 32, RAF-DB at 64.
    let sizes = |count: usize, size| {
        let order: Vec<usize> = (0..count).collect();
        let parts = batches(&order, size, LastBatch::AtLeast(2));
        (parts.len(), parts.last().map_or(0, |part| part.len()))
    };
    assert_eq!(sizes(28_709, 32), (898, 5));
    assert_eq!(sizes(12_271, 64), (192, 47));
}

#[test]
fn samplers_are_read_from_recipes() {
    let read = |text: &str| toml::from_str::<Sampler>(text);
    assert_eq!(read("kind = 'class-balanced'").unwrap(), Sampler::ClassBalanced {});
    assert_eq!(read("kind = 'repeat-sqrt'").unwrap(), Sampler::RepeatSqrt { threshold: 0.15 });
    for (kind, key) in [("repeat-sqrt", "threshhold"), ("class-balanced", "threshold"), ("shuffle", "seed")] {
        assert!(read(&format!("kind = '{kind}'\n{key} = 0.1")).is_err(), "{kind} takes {key}");
    }
}

proptest! {
    #[test]
    fn shuffling_visits_everything_once(len in 0_usize..300, seed: u64, epoch: u64) {
        let order = Sampler::default().order(&vec![0; len], seed, epoch);
        prop_assert!(is_permutation(&order, len));
    }

    #[test]
    fn batches_lose_nothing_unless_told(len in 0_usize..100, size in 1_usize..20, least in 0_usize..20) {
        let order: Vec<usize> = (0..len).collect();
        for last in [LastBatch::Keep, LastBatch::AtLeast(least)] {
            let parts = batches(&order, size, last);
            prop_assert_eq!(parts.concat(), order.clone());
            if last == LastBatch::AtLeast(least) && len >= size && least <= size {
                prop_assert!(parts.iter().all(|part| part.len() >= least));
            }
        }
    }
}
