//! The order in which an epoch visits the samples, and how it is cut into batches.
//!
//! Orders are pure functions of the classes, the seed and the epoch: a resumed run needs no state to continue.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::settings::{BadSetting, check};

/// Which samples an epoch visits, and in which order.
///
/// The empty braces are for serde, which lets a variant without them have any keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sampler {
    /// Every sample once, in the order of the data set.
    Sequential {},
    /// Every sample once, shuffled.
    Shuffle {},
    /// As many samples of every class as the largest class has: each sample as often as fits, and a random part of the
    /// class once more; shuffled.
    Upsample {},
    /// Each sample of a class with `n` of the largest class's `m` samples `ceil(m / n)` times; shuffled.
    RepeatReciprocal {},
    /// Each sample of a class with share `f` of the data `ceil(max(1, sqrt(threshold / f)))` times; shuffled. Source: `APViT`'s
    /// configuration of the class-balanced set of LVIS.
    RepeatSqrt {
        /// Share below which a class is repeated.
        #[serde(default = "default_threshold")]
        threshold: f64,
    },
    /// As many draws with replacement as there are samples, every class equally likely.
    ClassBalanced {},
}

impl Default for Sampler {
    fn default() -> Self {
        Self::Shuffle {}
    }
}

fn default_threshold() -> f64 {
    0.15
}

impl Sampler {
    /// Whether every setting is in its range.
    pub fn check(&self) -> Result<(), BadSetting> {
        let Self::RepeatSqrt { threshold } = *self else { return Ok(()) };
        check(threshold > 0.0 && threshold <= 1.0, "data.sampler.threshold", threshold, "a share lies in 0..=1")
    }

    /// Indices into `classes`, which holds the class of every sample.
    pub fn order(&self, classes: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
        let mut random = generator(seed, epoch);
        if *self == (Self::Sequential {}) {
            return (0..classes.len()).collect();
        }
        let members = members(classes);
        let largest = members.iter().map(Vec::len).max().unwrap_or(0);
        let total = classes.len() as f64;
        let mut order = match self {
            Self::ClassBalanced {} => return balanced(&members, classes.len(), &mut random),
            Self::Upsample {} => upsampled(members, largest, &mut random),
            Self::RepeatReciprocal {} => repeated(&members, |count| largest.div_ceil(count)),
            Self::RepeatSqrt { threshold } => {
                repeated(&members, |count| (threshold * total / count as f64).sqrt().max(1.0).ceil() as usize)
            }
            Self::Sequential {} | Self::Shuffle {} => (0..classes.len()).collect(),
        };
        order.shuffle(&mut random);
        order
    }

    /// Number of samples that an epoch visits.
    pub fn epoch_len(&self, classes: &[usize]) -> usize {
        self.order(classes, 0, 0).len()
    }
}

/// Every class's samples; classes without any are left out.
fn members(classes: &[usize]) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); classes.iter().max().map_or(0, |largest| largest + 1)];
    for (index, class) in classes.iter().enumerate() {
        members[*class].push(index);
    }
    members.retain(|class| !class.is_empty());
    members
}

fn upsampled(members: Vec<Vec<usize>>, largest: usize, random: &mut impl Rng) -> Vec<usize> {
    let mut order = Vec::with_capacity(members.len() * largest);
    for mut class in members {
        class.shuffle(random);
        order.extend(class.iter().cycle().take(largest));
    }
    order
}

fn repeated(members: &[Vec<usize>], times: impl Fn(usize) -> usize) -> Vec<usize> {
    members.iter().flat_map(|class| class.repeat(times(class.len()))).collect()
}

fn balanced(members: &[Vec<usize>], draws: usize, random: &mut impl Rng) -> Vec<usize> {
    (0..draws)
        .map(|_| {
            let class = &members[random.random_range(0..members.len())];
            class[random.random_range(0..class.len())]
        })
        .collect()
}

fn generator(seed: u64, epoch: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&epoch.to_le_bytes());
    // A stream of its own, apart from those of the augmentation.
    bytes[24] = 3;
    ChaCha8Rng::from_seed(bytes)
}

/// What becomes of the samples that do not fill a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastBatch {
    /// They are a smaller batch.
    #[default]
    Keep,
    /// They are left out; where they are all there is, they are kept.
    Drop,
    /// Fewer than this many join the batch before: batch normalisation cannot train on one sample.
    AtLeast(usize),
}

/// Cuts an order into batches of `size`.
///
/// # Panics
/// If `size` is 0.
pub fn batches(order: &[usize], size: usize, last: LastBatch) -> Vec<&[usize]> {
    assert!(size > 0, "a batch holds at least one sample");
    let full = order.len() / size;
    let rest = order.len() % size;
    let joins = matches!(last, LastBatch::AtLeast(least) if rest < least);
    if full == 0 || rest == 0 || !(joins || last == LastBatch::Drop) {
        return order.chunks(size).collect();
    }
    if !joins {
        return order.chunks_exact(size).collect();
    }
    let (head, tail) = order.split_at((full - 1) * size);
    head.chunks(size).chain([tail]).collect()
}
