//! Augmentation.

mod behaviour;
mod parity;

use emoxide_train::augment::SampleKey;

const KEY: SampleKey = SampleKey { seed: 1, epoch: 2, index: 3 };
