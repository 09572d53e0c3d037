//! Cross-entropy with label smoothing, class weights and soft labels.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

/// Cross-entropy with the semantics of `torch.nn.CrossEntropyLoss`, mean over the batch.
///
/// With weights `w`, smoothing `ε` and `C` classes the loss of one row is
/// `−Σ_c w_c · ((1 − ε) · target_c + ε / C) · log softmax(logits)_c`. The sum over the batch is divided by the number of
/// rows, or, for single classes with weights, by the sum of the weights of the targets.
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    label_smoothing: f64,
    /// `[1, classes]`
    weights: Option<Tensor<2>>,
    soft_labels: bool,
}

impl CrossEntropy {
    /// `weights` has one entry per class; `device` is that of the logits.
    pub fn new(label_smoothing: f64, weights: Option<&[f32]>, soft_labels: bool, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        let weights = weights.map(|weights| {
            let data = TensorData::new(weights.to_vec(), [1, weights.len()]);
            Tensor::from_data(data, &device)
        });
        Self { label_smoothing, weights, soft_labels }
    }

    /// The loss `[1]` of logits `[batch, classes]` against target distributions `[batch, classes]`.
    ///
    /// # Panics
    /// Where the two do not have the same shape.
    pub fn forward(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        assert_eq!(targets.dims(), [batch, classes], "targets have the shape of the logits");

        let total = match &self.weights {
            Some(weights) if !self.soft_labels => Some((targets.clone() * weights.clone()).sum()),
            _ => None,
        };
        let mut targets = targets;
        if self.label_smoothing > 0.0 {
            targets = targets.mul_scalar(1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        }
        if let Some(weights) = &self.weights {
            targets = targets * weights.clone(); // [batch, classes]
        }
        let sum = (log_softmax(logits, 1) * targets).sum().neg();
        match total {
            Some(total) => sum / total,
            None => sum / batch as f64,
        }
    }
}
