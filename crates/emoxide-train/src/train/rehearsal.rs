//! Steps of training without data, to time them.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use emoxide::device::{TrainingPrecision, with_precision};
use emoxide::models::{Classifier, Network};
use emoxide::weights::checkpoint::Card;

use crate::loss::{Objective, ObjectiveConfig};
use crate::optimiser::{Optimiser, OptimiserConfig, Sgd};

/// The same step again and again on one batch: cross-entropy and gradient descent with momentum, as an epoch has them.
pub struct Rehearsal {
    network: Network,
    objective: Objective,
    optimiser: Optimiser,
    precision: TrainingPrecision,
    images: Tensor<4>,
    targets: Tensor<2>,
}

impl Rehearsal {
    /// A fresh network as the card describes it, what its convolutions multiply, and preprocessed images `[batch, channels, rows, cols]`, whose classes
    /// take turns.
    ///
    /// # Panics
    /// If the values are no whole number of images.
    pub fn new(card: &Card, precision: TrainingPrecision, images: Vec<f32>, device: &Device) -> Self {
        let device = device.clone().autodiff();
        let classes = card.classes.len();
        let images = card.preprocess.tensor(images, &device);
        let [batch, ..] = images.dims();
        let targets = (0..batch * classes).map(|at| f32::from(u8::from(at % classes == at / classes % classes)));
        let targets = TensorData::new(targets.collect::<Vec<f32>>(), [batch, classes]);
        let embedding = card.network.embedding();
        let objective = ObjectiveConfig::default().init(&card.classes, &vec![1; classes], embedding, &device);
        let sgd = Sgd { rate: 1e-4, momentum: 0.9, ..Sgd::default() };
        Self {
            network: card.network.init(classes, &device),
            objective: objective.expect("without weights, nothing can be missing"),
            optimiser: OptimiserConfig::Sgd(sgd).init(),
            precision,
            images,
            targets: Tensor::from_data(targets, &device),
        }
    }

    /// Forward pass, loss, gradients, new weights; the loss before them.
    pub fn step(&mut self) -> f32 {
        let outputs = with_precision(self.precision, || self.network.outputs(self.images.clone()));
        let loss = self.objective.forward(outputs, self.targets.clone());
        let gradients = GradientsParams::from_grads(loss.clone().backward(), &self.network);
        self.network = self.optimiser.step(1e-4, self.network.clone(), gradients);
        loss.inner().into_scalar::<f32>()
    }
}
