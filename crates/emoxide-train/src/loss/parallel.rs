//! Two heads and the orthogonality of parallel branches.
//!
//! Paper: Yang et al., Augmented Feature Representation with Parallel Convolution for Cross-domain Facial Expression
//! Recognition, CCBR 2022, equations 2 and 9 to 11.
//! Deviations from the paper: equation 2 rewards branches that are alike, against the text around it, and without a bound;
//! it stands here as [`Reading::PaperLiteral`] beside readings that do what the text says.

use burn::tensor::Tensor;
use emoxide::models::{Outputs, Parallel};
use serde::{Deserialize, Serialize};

use super::CrossEntropy;

/// Vectors that are shorter count as this long.
const SHORTEST: f64 = 1e-8;

/// What is meant by orthogonal. `f_m` is the vector of branch `m` in one stage of one picture, `u_m` the same with length 1,
/// `M` the number of branches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The mean of `u_m · u_n` over `m ≠ n`: 0 for branches that see different channels, 1 for equal ones.
    #[default]
    CosineOffdiag,
    /// The sum of `f_m · f_n` over `m ≠ n`, which shorter vectors make smaller too.
    DotOffdiag,
    /// The sum of squares of `u_m · u_n - [m = n]` over `m` and `n`, divided by `M (M - 1)`.
    GramIdentity,
    /// Minus the sum of `f_m · f_n` over all `m` and `n`, as equation 2 is printed: minus the square of the length of the
    /// vectors' sum. It has no lower bound, and training on it diverges.
    PaperLiteral,
}

/// What becomes of the stages' figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stages {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// The orthogonality of branches as a term of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orthogonality {
    /// How much it counts, the paper's `γ`.
    pub weight: f64,
    /// What is meant by it.
    pub reading: Reading,
    /// What becomes of the stages' figures.
    pub stages: Stages,
}

impl Default for Orthogonality {
    /// The paper's weight.
    fn default() -> Self {
        Self { weight: 1.0, reading: Reading::default(), stages: Stages::default() }
    }
}

impl Orthogonality {
    /// What speaks against training with this, in words.
    pub fn warning(&self) -> Option<&'static str> {
        (self.reading == Reading::PaperLiteral && self.weight > 0.0).then_some(
            "objective.orthogonality.reading = \"paper-literal\" has no lower bound and rewards branches that are alike: \
             training on it diverges; it is here to show what equation 2 of the paper says as it is printed",
        )
    }

    /// The term `[1]` of branches `[batch, stages, branches, width]` without its weight, the mean over the batch. A single
    /// branch has nothing to be orthogonal to: 0, but for the reading by the letter.
    pub fn penalty(&self, branches: Tensor<4>) -> Tensor<1> {
        let [batch, stages, count, _] = branches.dims();
        let device = branches.device();
        if count == 1 && self.reading != Reading::PaperLiteral {
            return Tensor::zeros([1], &device);
        }
        let pairs = (count * count.saturating_sub(1)) as f64;
        let same = Tensor::<2>::eye(count, &device).reshape([1, 1, count, count]);
        let other = -same.clone() + 1.0;
        let sum = match self.reading {
            Reading::CosineOffdiag => (products(unit(branches)) * other).sum() / pairs,
            Reading::DotOffdiag => (products(branches) * other).sum(),
            Reading::GramIdentity => (products(unit(branches)) - same).square().sum() / pairs,
            Reading::PaperLiteral => -products(branches).sum(),
        };
        let parts = match self.stages {
            Stages::Mean => batch * stages,
            Stages::Sum => batch,
        };
        sum / parts as f64
    }
}

/// Vectors `[batch, stages, branches, width]` with length 1.
fn unit(branches: Tensor<4>) -> Tensor<4> {
    // Below the root, whose slope at zero has no bound.
    let squares = branches.clone().square().sum_dim(3).clamp_min(SHORTEST * SHORTEST);
    branches / squares.sqrt()
}

/// Of vectors `[batch, stages, branches, width]` all with all: `[batch, stages, branches, branches]`.
fn products(branches: Tensor<4>) -> Tensor<4> {
    branches.clone().matmul(branches.swap_dims(2, 3))
}

/// `L = L_global + λ L_local + γ L_orthogonal`: the cross-entropies of two heads and the orthogonality of branches.
#[derive(Clone, Debug)]
pub struct ParallelLoss {
    cross_entropy: CrossEntropy,
    local_weight: f64,
    orthogonality: Orthogonality,
}

impl ParallelLoss {
    /// `local_weight` is `λ`.
    pub fn new(cross_entropy: CrossEntropy, local_weight: f64, orthogonality: Orthogonality) -> Self {
        Self { cross_entropy, local_weight, orthogonality }
    }

    /// The loss `[1]` of a batch against target distributions `[batch, classes]`.
    ///
    /// # Panics
    /// Where the network has no parallel branches.
    pub fn forward(&self, outputs: Outputs, targets: Tensor<2>) -> Tensor<1> {
        let Parallel { global, local, branches } =
            outputs.parallel.expect("`Objective::check` refuses networks without parallel branches");
        let mut loss = self.cross_entropy.forward(global, targets.clone());
        // A term that does not count must not spoil the gradients either.
        if self.local_weight > 0.0 {
            loss = loss + self.cross_entropy.forward(local, targets) * self.local_weight;
        }
        if self.orthogonality.weight > 0.0 {
            loss = loss + self.orthogonality.penalty(branches) * self.orthogonality.weight;
        }
        loss
    }
}
