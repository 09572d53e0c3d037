//! The figures of an evaluation; each agrees with scikit-learn's on the same predictions.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::predictions::{PredictionError, Predictions};

/// Draws of the bootstrap.
pub const DRAWS: usize = 2_000;

/// Bins of the expected calibration error.
pub const ECE_BINS: usize = 15;

/// The figures of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Share of the images given to this class that belong to it; 0 where none was given.
    pub precision: f64,
    /// Share of the images of this class that were found; 0 where it has none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 where both are.
    pub f1: f64,
    /// Number of images of this class.
    pub support: usize,
    /// Area under the curve of this class's probability against the rest; none where it has no image or all of them.
    pub auc: Option<f64>,
    /// The same of the scores before the softmax, which rank images otherwise; none also where they are not known.
    pub logit_auc: Option<f64>,
}

/// Precision, recall and F1 averaged over classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Average precision.
    pub precision: f64,
    /// Average recall.
    pub recall: f64,
    /// Average F1.
    pub f1: f64,
}

/// All figures of one set of predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Number of images.
    pub n: usize,
    /// Share of images whose most probable class is the true one.
    pub accuracy: f64,
    /// Mean recall over the classes that have images (`balanced_accuracy_score`).
    pub mean_class_accuracy: f64,
    /// Mean over the classes that occur as a true or a predicted one.
    pub macro_average: Averages,
    /// Mean over classes, each weighted by its images.
    pub weighted_average: Averages,
    /// Figures of each class, in the order of the classes.
    pub per_class: Vec<ClassMetrics>,
    /// `confusion[true][predicted]`, number of images.
    pub confusion: Vec<Vec<usize>>,
    /// Mean area under the curve of each class against the rest; over the classes that have images and do not have
    /// them all, none where there is no such class.
    pub auc: Option<f64>,
    /// The same of the scores before the softmax; none also where they are not known.
    pub logit_auc: Option<f64>,
    /// Expected calibration error of the most probable class, 15 bins of equal width, each open below.
    pub ece: f64,
    /// Mean negative logarithm of the probability of the true class.
    pub nll: f64,
    /// 95 % interval of the accuracy: bootstrap over images, 2,000 draws, seed 0.
    pub interval: [f64; 2],
}

impl Metrics {
    /// Computes every figure; refuses predictions that are empty or do not fit together.
    pub fn compute(predictions: &Predictions) -> Result<Self, PredictionError> {
        predictions.check()?;
        let (labels, predicted) = (&predictions.labels, predictions.predicted());
        let (n, classes) = (labels.len(), predictions.classes.len());
        let mut confusion = vec![vec![0_usize; classes]; classes];
        for (label, predicted) in labels.iter().zip(&predicted) {
            confusion[*label][*predicted] += 1;
        }

        let given = |class: usize| confusion.iter().map(|row| row[class]).sum::<usize>();
        let per_class: Vec<ClassMetrics> = (0..classes)
            .map(|class| {
                let (hits, support) = (confusion[class][class], confusion[class].iter().sum::<usize>());
                ClassMetrics {
                    precision: share(hits, given(class)),
                    recall: share(hits, support),
                    f1: share(2 * hits, support + given(class)),
                    support,
                    auc: auc(&predictions.probabilities, labels, class),
                    logit_auc: predictions.logits.as_ref().and_then(|logits| auc(logits, labels, class)),
                }
            })
            .collect();
        let occurs = |class: usize| per_class[class].support + given(class) > 0;
        let macro_average = averages(&per_class, |class| f64::from(u8::from(occurs(class))));
        let weighted_average = averages(&per_class, |class| per_class[class].support as f64);
        let found: Vec<f64> = per_class.iter().filter(|class| class.support > 0).map(|class| class.recall).collect();

        let auc = mean(per_class.iter().filter_map(|class| class.auc));
        let logit_auc = mean(per_class.iter().filter_map(|class| class.logit_auc));

        let correct: Vec<bool> = labels.iter().zip(&predicted).map(|(label, predicted)| label == predicted).collect();
        let hits = correct.iter().filter(|correct| **correct).count();
        Ok(Self {
            n,
            accuracy: share(hits, n),
            mean_class_accuracy: found.iter().sum::<f64>() / found.len() as f64,
            macro_average,
            weighted_average,
            per_class,
            confusion,
            auc,
            logit_auc,
            ece: calibration_error(predictions, &correct),
            nll: mean_nll(predictions),
            interval: bootstrap(&correct),
        })
    }
}

/// `part / whole`, 0 of nothing.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn averages(per_class: &[ClassMetrics], weight: impl Fn(usize) -> f64) -> Averages {
    let total: f64 = (0..per_class.len()).map(&weight).sum();
    let mean = |figure: fn(&ClassMetrics) -> f64| {
        per_class.iter().enumerate().map(|(class, metrics)| weight(class) * figure(metrics)).sum::<f64>() / total
    };
    Averages {
        precision: mean(|class| class.precision),
        recall: mean(|class| class.recall),
        f1: mean(|class| class.f1),
    }
}

/// The mean; none of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Probability that an image of `class` scores higher than another image; equal scores count half (Mann and Whitney).
/// `scores` has a row for every image and a column for every class.
fn auc(scores: &[Vec<f32>], labels: &[usize], class: usize) -> Option<f64> {
    let mut scores: Vec<(f32, bool)> = scores
        .iter()
        .zip(labels)
        .map(|(values, label)| (values[class] + 0.0, *label == class)) // -0 becomes 0, which it equals
        .collect();
    let positives = scores.iter().filter(|(_, positive)| *positive).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    scores.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    // Twice the number of pairs in the right order: whole numbers, so that no rounding creeps in.
    let (mut below, mut doubled) = (0_u64, 0_u64);
    for group in scores.chunk_by(|(left, _), (right, _)| left.total_cmp(right).is_eq()) {
        let positive = group.iter().filter(|(_, positive)| *positive).count() as u64;
        let negative = group.len() as u64 - positive;
        doubled += positive * (2 * below + negative);
        below += negative;
    }
    Some(doubled as f64 / 2.0 / (positives as f64 * negatives as f64))
}

fn calibration_error(predictions: &Predictions, correct: &[bool]) -> f64 {
    let mut bins = [(0.0_f64, 0.0_f64); ECE_BINS];
    for (values, correct) in predictions.probabilities.iter().zip(correct) {
        let confidence = f64::from(values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let bin = ((confidence * ECE_BINS as f64).ceil() as usize).clamp(1, ECE_BINS) - 1;
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(u8::from(*correct));
    }
    bins.iter().map(|(confidence, hits)| (confidence - hits).abs()).sum::<f64>() / correct.len() as f64
}

fn mean_nll(predictions: &Predictions) -> f64 {
    let sum: f64 = predictions
        .probabilities
        .iter()
        .zip(&predictions.labels)
        .map(|(values, label)| -f64::from(values[*label]).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln())
        .sum();
    sum / predictions.labels.len() as f64
}

/// The 2.5th and 97.5th percentile of the accuracy over draws with replacement.
fn bootstrap(correct: &[bool]) -> [f64; 2] {
    let n = u32::try_from(correct.len()).expect("fewer than 2^32 images");
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut hits: Vec<u32> =
        (0..DRAWS).map(|_| (0..n).map(|_| u32::from(correct[random.random_range(0..n) as usize])).sum()).collect();
    hits.sort_unstable();
    [2.5, 97.5].map(|percent| {
        let position = percent / 100.0 * (DRAWS - 1) as f64;
        let (below, part) = (position.floor() as usize, position.fract());
        let value = f64::from(hits[below]) * (1.0 - part) + f64::from(hits[(below + 1).min(DRAWS - 1)]) * part;
        value / f64::from(n)
    })
}
