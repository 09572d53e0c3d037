//! How exactly the convolutions of a training step multiply.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// What the convolutions of a training step multiply; sums and everything else are 32-bit floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Maps, weights and gradients rounded to bfloat16 (8 bits of precision), forward and backward. Convolutions of
    /// fewer than 16 channels, such as those that read pictures, or of fewer than 4 images stay in 32-bit floats.
    ///
    /// Faster where the processor has matrix tiles ([`Level::Amx`](crate::Level)) and, for windows other than those of
    /// Winograd's method, vectors of bfloat16; elsewhere it is the same arithmetic at the speed of 32-bit floats.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<TrainingPrecision> = const { Cell::new(TrainingPrecision::F32) };
}

/// Runs `job`; the convolutions that it makes on this thread multiply in this precision, and so do their gradients, whenever
/// they are computed.
pub fn with_precision<R>(precision: TrainingPrecision, job: impl FnOnce() -> R) -> R {
    /// Puts the former precision back, also when the job panics.
    struct Restore(TrainingPrecision);

    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }

    let _restore = Restore(CURRENT.replace(precision));
    job()
}

/// That of this thread.
pub(crate) fn current() -> TrainingPrecision {
    CURRENT.get()
}
