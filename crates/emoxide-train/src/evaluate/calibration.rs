//! Temperature scaling: one number that makes confidences honest and leaves every decision as it is.

/// Temperatures between which [`fit_temperature`] searches.
const RANGE: [f64; 2] = [0.02, 50.0];

/// The temperature `T` that minimises the negative log-likelihood of `softmax(logits / T)`.
///
/// `logits` and `targets` hold one row per image and one column per class; a row of `targets` is a distribution (one 1
/// for a single class). In the inverse temperature the likelihood is concave, so the zero of its derivative is found by
/// bisection and the same input always gives the same number. Without images the answer is 1; where the best
/// temperature lies outside 0.02 to 50 (all right, or no better than chance) it is the end of that range.
///
/// # Panics
/// Where the two do not have the same shape.
pub fn fit_temperature(logits: &[Vec<f32>], targets: &[Vec<f32>]) -> f32 {
    assert_eq!(logits.len(), targets.len(), "one target per row of logits");
    if logits.is_empty() {
        return 1.0;
    }
    let [mut low, mut high] = [RANGE[1].recip(), RANGE[0].recip()];
    for _ in 0..200 {
        // The middle in the logarithm: temperatures are ratios.
        let middle = (low * high).sqrt();
        if slope(logits, targets, middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
        if high / low - 1.0 < 1e-9 {
            break;
        }
    }
    (low * high).sqrt().recip() as f32
}

/// Derivative of the summed negative log-likelihood by the inverse temperature: expected minus observed logit.
fn slope(logits: &[Vec<f32>], targets: &[Vec<f32>], inverse: f64) -> f64 {
    logits
        .iter()
        .zip(targets)
        .map(|(logits, targets)| {
            assert_eq!(logits.len(), targets.len(), "one target per logit");
            let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let (mut mass, mut expected, mut observed, mut weight) = (0.0, 0.0, 0.0, 0.0);
            for (logit, target) in logits.iter().zip(targets) {
                // Relative to the largest logit, which shifts both sides alike.
                let (logit, target) = (f64::from(logit - top), f64::from(*target));
                let share = (inverse * logit).exp();
                mass += share;
                expected += share * logit;
                observed += target * logit;
                weight += target;
            }
            weight * expected / mass - observed
        })
        .sum()
}
