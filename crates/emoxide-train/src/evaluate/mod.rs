//! From probabilities to figures: metrics, intervals, calibration, and the files that carry them.

mod calibration;
mod metrics;
mod predictions;
mod result;

pub use calibration::fit_temperature;
pub use metrics::{Averages, ClassMetrics, DRAWS, ECE_BINS, Metrics};
pub use predictions::{Mistake, PredictionError, Predictions};
pub use result::{Evaluation, Subject};
