//! Augmentation.

mod behaviour;
mod parity;
mod protocols;

use emoxide_train::augment::SampleKey;

const KEY: SampleKey = SampleKey { seed: 1, epoch: 2, index: 3 };
