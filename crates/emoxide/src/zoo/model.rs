//! A network with its card: faces in, probabilities out.

use std::path::Path;
use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use emoxide_engine::Precision;

use super::executor::{Executor, Why};
use crate::image::RgbImage;
use crate::labels::Classes;
use crate::models::{self, AttentionAxes, Classifier, Network};
use crate::weights::checkpoint::{self, Card, CheckpointError, Measured};

/// What a model attends to in some faces: the maps of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Name within the network, such as `branches.0`.
    pub name: String,
    /// What the last two axes are.
    pub axes: AttentionAxes,
    /// `[faces, maps, rows, cols]`
    pub shape: [usize; 4],
    /// The values, row-major.
    pub values: Vec<f32>,
}

/// A loaded model, ready to classify cropped faces.
#[derive(Debug)]
pub struct Model {
    network: Network,
    card: Card,
    device: Device,
    /// Compiled at the first use: much that is done with a model needs no logits.
    executor: OnceLock<Executor>,
}

impl Model {
    /// Joins a network with its card; the network is put into inference mode.
    pub fn new(network: &Network, card: Card, device: Device) -> Self {
        Self { network: network.valid(), card, device, executor: OnceLock::new() }
    }

    /// The same model, computed by Burn operation by operation: slower on a CPU, the reference for everything else.
    #[must_use]
    pub fn uncompiled(self) -> Self {
        Self { executor: OnceLock::from(Executor::Burn(Why::Asked)), ..self }
    }

    /// The same model, compiled for the CPU at this precision.
    ///
    /// # Errors
    /// Where it cannot be compiled: nothing is computed less exactly than this, or otherwise, in silence.
    pub fn compiled(self, precision: Precision) -> Result<Self, Why> {
        let executor = Executor::compiled(&self.network, self.card.preprocess.input(), &self.device, precision)?;
        Ok(Self { executor: OnceLock::from(executor), ..self })
    }

    /// What computes the logits: the compiled network on a CPU, Burn on a GPU and where the engine lacks something.
    pub fn executor(&self) -> &Executor {
        let input = self.card.preprocess.input();
        let compiled = || Executor::compiled(&self.network, input, &self.device, Precision::F32);
        self.executor.get_or_init(|| compiled().unwrap_or_else(Executor::Burn))
    }

    /// The network alone, in inference mode.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What the checkpoint says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The classes, in the order of every row of numbers below.
    pub fn classes(&self) -> &Classes {
        &self.card.classes
    }

    /// Number of values, those of frozen parts included.
    pub fn parameters(&self) -> usize {
        models::parameters(&self.network)
    }

    /// How many of them training changes.
    pub fn trained_parameters(&self) -> usize {
        self.card.network.trained_parameters(self.card.classes.len(), &self.device)
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

    /// Uncalibrated scores, one row of `classes` values a face, which is cut out in the size of the input already or a whole
    /// picture. With `mirror` in the card, the mean over the face and its mirror image.
    ///
    /// # Panics
    /// As [`scores`](Self::scores).
    pub fn logits(&self, faces: &[RgbImage]) -> Vec<Vec<f32>> {
        self.scores(self.card.preprocess.batch(faces))
    }

    /// As [`logits`](Self::logits), of preprocessed images `[batch, channels, rows, cols]`.
    ///
    /// # Panics
    /// If the values are no whole number of images, if the device computes in other numbers than 32-bit floats, which none
    /// that [`crate::device::open`] gives does, or if the network has another number of outputs than the card has classes,
    /// which [`Card::validate`] refuses.
    pub fn scores(&self, images: Vec<f32>) -> Vec<Vec<f32>> {
        if images.is_empty() {
            return Vec::new();
        }
        let count = images.len() / self.card.preprocess.len();
        let logits = if self.card.mirror {
            let mirrored = self.run(mirrored(&images, self.card.preprocess.width as usize));
            let logits = self.run(images).into_iter().zip(mirrored);
            logits.map(|(upright, mirrored)| upright.midpoint(mirrored)).collect()
        } else {
            self.run(images)
        };
        let classes = self.card.classes.len();
        assert_eq!(logits.len(), count * classes, "outputs of the network, one a class");
        logits.chunks_exact(classes).map(<[f32]>::to_vec).collect()
    }

    /// Logits of preprocessed images, as [`Preprocess::batch`](crate::preprocess::Preprocess::batch) makes them:
    /// `[batch, channels, rows, cols]` → `[batch, classes]`, without the mirror image.
    ///
    /// # Panics
    /// If the values are no whole number of images.
    pub fn run(&self, images: Vec<f32>) -> Vec<f32> {
        let shape = self.shape(&images);
        self.executor().run(&self.network, shape, images, &self.device)
    }

    /// What the last layer reads of preprocessed images `[batch, channels, rows, cols]`: one row of the network's embedding
    /// an image. Burn computes it, whatever computes the logits, and the mirror image is left out.
    ///
    /// # Panics
    /// As [`scores`](Self::scores).
    pub fn embeddings(&self, images: Vec<f32>) -> Vec<Vec<f32>> {
        if images.is_empty() {
            return Vec::new();
        }
        let shape = self.shape(&images);
        let images = TensorData::new(images, shape);
        let embedding = self.network.embed(self.network.features(Tensor::<4>::from_data(images, &self.device)));
        let width = embedding.dims()[1];
        let values: Vec<f32> =
            embedding.into_data().try_into_vec().expect("embeddings are 32-bit floats on every device that is opened");
        values.chunks_exact(width).map(<[f32]>::to_vec).collect()
    }

    /// `[batch, channels, rows, cols]` of preprocessed images.
    fn shape(&self, images: &[f32]) -> [usize; 4] {
        let [channels, rows, cols] = self.card.preprocess.input();
        let len = channels * rows * cols;
        assert_eq!(images.len() % len, 0, "values of whole images");
        [images.len() / len, channels, rows, cols]
    }

    /// What the network attends to in faces, by name; nothing for networks without attention. Burn computes it, operation by
    /// operation, and of the faces as they are: not of their mirror images, even with `mirror` in the card.
    ///
    /// # Panics
    /// As [`scores`](Self::scores), on devices with other numbers.
    pub fn attention(&self, faces: &[RgbImage]) -> Vec<Attention> {
        if faces.is_empty() {
            return Vec::new();
        }
        let preprocess = &self.card.preprocess;
        let images = preprocess.tensor(preprocess.batch(faces), &self.device);
        let plain = |(name, maps): (String, Tensor<4>)| Attention {
            axes: self.network.attention_axes(&name),
            shape: maps.dims(),
            values: maps.into_data().try_into_vec().expect("maps are 32-bit floats on every device that is opened"),
            name,
        };
        self.network.attention(images).into_iter().map(plain).collect()
    }

    /// Calibrated probabilities, one row a face; each row sums to 1.
    ///
    /// # Panics
    /// As [`logits`](Self::logits).
    pub fn probabilities(&self, faces: &[RgbImage]) -> Vec<Vec<f32>> {
        self.logits(faces).iter().map(|row| softmax(row, self.card.temperature)).collect()
    }
}

/// Every row of pixels backwards.
fn mirrored(images: &[f32], cols: usize) -> Vec<f32> {
    images.chunks_exact(cols).flat_map(|row| row.iter().rev().copied()).collect()
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
