use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// Normalisation of groups of channels by the mean and the biased variance of all their pixels, image by image. (Burn's
/// own layer names its parameters otherwise.) Paper: Wu and He, Group Normalization, arXiv 1803.08494.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// Scale, `[channels]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`
    pub bias: Param<Tensor<1>>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// Scale 1, shift 0; `epsilon` is added to the variance.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    pub fn new(channels: usize, groups: usize, epsilon: f64, device: &Device) -> Self {
        assert!(channels.is_multiple_of(groups), "{groups} groups do not divide {channels} channels");
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            groups,
            epsilon,
        }
    }

    /// `[batch, channels, rows, cols]` → the same shape.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let shape = input.dims();
        let [batch, channels, rows, cols] = shape;
        let grouped = input.reshape([batch, self.groups, channels / self.groups * rows * cols]);
        let normalised = if self.groups == channels {
            // A channel a group: the pixels are normalised as the numbers of a token, which compiled networks know.
            let device = grouped.device();
            let (one, zero) = (Tensor::ones([rows * cols], &device), Tensor::zeros([rows * cols], &device));
            burn::tensor::module::layer_norm(grouped, one, Some(zero), self.epsilon)
        } else {
            let centred = grouped.clone() - grouped.mean_dim(2);
            let variance = (centred.clone() * centred.clone()).mean_dim(2);
            centred / (variance + self.epsilon).sqrt()
        };
        let per_channel = |values: Tensor<1>| values.reshape([1, channels, 1, 1]);
        normalised.reshape(shape) * per_channel(self.weight.val()) + per_channel(self.bias.val())
    }
}
