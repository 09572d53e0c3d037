//! A network with its card: faces in, probabilities out.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use crate::image::RgbImage;
use crate::labels::Classes;
use crate::models::{self, Classifier, Network};
use crate::weights::checkpoint::{self, Card, CheckpointError, Measured};

/// A loaded model, ready to classify cropped faces.
#[derive(Debug)]
pub struct Model {
    network: Network,
    card: Card,
    device: Device,
}

impl Model {
    /// Joins a network with its card; the network is put into inference mode.
    pub fn new(network: &Network, card: Card, device: Device) -> Self {
        Self { network: network.valid(), card, device }
    }

    /// What the checkpoint says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The classes, in the order of every row of numbers below.
    pub fn classes(&self) -> &Classes {
        &self.card.classes
    }

    /// Number of trained values.
    pub fn parameters(&self) -> usize {
        models::parameters(&self.network)
    }

    /// Replaces the calibration temperature.
    ///
    /// # Panics
    /// If it is not finite and above zero.
    pub fn set_temperature(&mut self, temperature: f32) {
        assert!(temperature.is_finite() && temperature > 0.0, "a temperature of {temperature}");
        self.card.temperature = temperature;
    }

    /// Replaces the measured figures of the card.
    pub fn set_results(&mut self, results: Vec<Measured>) {
        self.card.results = results;
    }

    /// Writes network and card as one checkpoint.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        checkpoint::save(&self.network, &self.card, path)
    }

    /// Uncalibrated scores, one row of `classes` values a face. With `mirror` in the card, the mean over the face and its
    /// mirror image.
    ///
    /// # Panics
    /// If the device computes in other numbers than 32-bit floats, which none that [`crate::device::open`] gives does, or
    /// if the network has another number of outputs than the card has classes, which [`Card::validate`] refuses.
    pub fn logits(&self, faces: &[RgbImage]) -> Vec<Vec<f32>> {
        if faces.is_empty() {
            return Vec::new();
        }
        let images = self.card.preprocess.batch(faces, &self.device);
        let logits = if self.card.mirror {
            (self.network.forward(images.clone()) + self.network.forward(images.flip([3]))) / 2.0
        } else {
            self.network.forward(images)
        };
        let [_, outputs] = logits.dims();
        assert_eq!(outputs, self.card.classes.len(), "outputs of the network, one a class");
        let values: Vec<f32> =
            logits.into_data().try_into_vec().expect("logits are 32-bit floats on every device that is opened");
        values.chunks_exact(outputs).map(<[f32]>::to_vec).collect()
    }

    /// Calibrated probabilities, one row a face; each row sums to 1.
    ///
    /// # Panics
    /// As [`logits`](Self::logits).
    pub fn probabilities(&self, faces: &[RgbImage]) -> Vec<Vec<f32>> {
        self.logits(faces).iter().map(|row| softmax(row, self.card.temperature)).collect()
    }
}

/// Softmax of `logits / temperature`, computed without overflow. Where the largest logit is not finite or one is NaN, every
/// value is NaN: no class then looks likely.
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| ((logit - top) / temperature).exp()).collect();
    let total: f32 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}

#[cfg(test)]
mod tests {
    use super::softmax;

    #[test]
    fn softmax_sums_to_one_and_flattens_with_temperature() {
        let sharp = softmax(&[1000.0, 998.0, -1000.0], 1.0);
        approx::assert_relative_eq!(sharp.iter().sum::<f32>(), 1.0, epsilon = 1e-6);
        let soft = softmax(&[1000.0, 998.0, -1000.0], 4.0);
        assert!(soft[0] < sharp[0] && soft[1] > sharp[1]);
    }

    #[test]
    fn logits_without_a_finite_largest_make_no_class_likely() {
        for odd in [f32::NAN, f32::INFINITY] {
            assert!(softmax(&[1.0, odd, 0.0], 1.0).iter().all(|value| value.is_nan()), "{odd}");
        }
        assert!(softmax(&[f32::NEG_INFINITY; 2], 1.0).iter().all(|value| value.is_nan()));
        assert_eq!(softmax(&[0.0, f32::NEG_INFINITY], 1.0), [1.0, 0.0]);
    }
}
