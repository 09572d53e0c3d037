use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

/// Normalisation of every token by the mean and the biased variance of its numbers. (Burn's own layer names its
/// parameters otherwise.)
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[width]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[width]`
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0; `epsilon` is added to the variance.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([width], device),
            bias: Initializer::Zeros.init([width], device),
            epsilon,
        }
    }

    /// `[.., width]` → the same shape.
    ///
    /// # Panics
    /// If the last axis of the input is not the layer's width.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [width] = self.weight.shape().dims();
        assert_shape!(input, [.., width]);
        burn::tensor::module::layer_norm(input, self.weight.val(), Some(self.bias.val()), self.epsilon)
    }
}
