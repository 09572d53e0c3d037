//! Cross-entropy joined with the sparse centre loss.
//!
//! Paper: Farzaneh and Qi, Facial expression recognition in the wild via deep attentive center loss, WACV 2021. Reference:
//! amirhfarzaneh/dacl, `loss.py` and `main.py`.
//! Deviations from the reference: none. It draws the centres with the fan-in of the transposed matrix, the number of
//! classes, and so does this.

use burn::tensor::{Device, Distribution, Tensor};
use emoxide::models::Outputs;

use super::CrossEntropy;

/// `L = cross-entropy + λ / (2 B) · Σ_i Σ_j A_ij (f_ij − c_{y_i, j})²` over a batch of `B` pictures with embeddings `f`,
/// attention `A`, classes `y` and a centre `c` for every class.
///
/// The gradients `λ A (f − c) / B` for the embedding and `λ (f − c)² / (2 B)` for the attention are those of this formula.
/// The centres follow a rule of their own, which neither `λ` nor `B` enters: behind every batch the centre of class `k`,
/// which has `n_k` pictures there, moves by `rate · Σ_{y_i = k} A_i (f_i − c_k) / (n_k + 1)`.
#[derive(Clone, Debug)]
pub struct SparseCentre {
    cross_entropy: CrossEntropy,
    weight: f64,
    rate: f64,
    attentive: bool,
    /// `[classes, embedding]`, without gradients
    pub(super) centres: Tensor<2>,
}

impl SparseCentre {
    /// Centres drawn from a normal distribution of deviation `sqrt(2 / classes)`; `device.seed(n)` just before makes them
    /// reproducible. `weight` is `λ`, `rate` the share of the rule above by which the centres move.
    pub fn new(
        cross_entropy: CrossEntropy,
        [weight, rate]: [f64; 2],
        [classes, embedding]: [usize; 2],
        device: &Device,
    ) -> Self {
        let deviation = (2.0 / classes as f64).sqrt();
        let device = device.clone().without_autodiff();
        let centres = Tensor::random([classes, embedding], Distribution::Normal(0.0, deviation), &device);
        Self { cross_entropy, weight, rate, attentive: true, centres }
    }

    /// The same loss with an attention of 1, whatever the network gives: centre loss (Wen et al., A discriminative feature
    /// learning approach for deep face recognition, ECCV 2016) with the mean over the batch.
    #[must_use]
    pub fn without_attention(self) -> Self {
        Self { attentive: false, ..self }
    }

    /// Whether it looks at the attention of the network.
    pub(super) fn is_attentive(&self) -> bool {
        self.attentive
    }

    /// The same loss about other centres `[classes, embedding]`.
    #[must_use]
    pub fn with_centres(self, centres: Tensor<2>) -> Self {
        Self { centres: centres.inner(), ..self }
    }

    /// The centre of every class, `[classes, embedding]`.
    pub fn centres(&self) -> &Tensor<2> {
        &self.centres
    }

    /// The loss `[1]` of a batch against single classes `[batch, classes]`, each a row with one 1; then the centres move.
    ///
    /// # Panics
    /// Where the network gives no attention, or one of another shape than its embedding.
    pub fn forward(&mut self, outputs: Outputs, targets: Tensor<2>) -> Tensor<1> {
        let Outputs { logits, embedding, attention, .. } = outputs;
        let attention = if self.attentive {
            attention.expect("`Objective::check` refuses networks without attention")
        } else {
            embedding.clone().inner().ones_like()
        };
        let [batch, width] = embedding.dims();
        assert_eq!(attention.dims(), [batch, width], "attention has the shape of the embedding");

        let entropy = self.cross_entropy.forward(logits, targets.clone());
        let targets = targets.inner();
        let classes = targets.clone().argmax(1).squeeze_dim::<1>(1); // [batch]
        let apart = embedding - self.centres.clone().select(0, classes); // [batch, embedding]
        self.follow(attention.clone().inner() * apart.clone().inner(), targets);
        let squares = (attention * apart.square()).sum();
        entropy + squares * (self.weight / (2.0 * batch as f64))
    }

    /// Moves the centres, given `A (f − c)` of every picture `[batch, embedding]` and its class `[batch, classes]`.
    fn follow(&mut self, pulls: Tensor<2>, targets: Tensor<2>) {
        let pictures = targets.clone().sum_dim(0).transpose(); // [classes, 1]
        let pulls = targets.transpose().matmul(pulls); // [classes, embedding]
        self.centres = self.centres.clone() + pulls / (pictures + 1.0) * self.rate;
    }
}
