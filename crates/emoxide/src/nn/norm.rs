use burn::module::{Flag, Module, Param, RunningState};
use burn::nn::Initializer;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// Batch normalisation with PyTorch's semantics: the batch is normalised with its biased variance, the running
/// variance learns the unbiased one. (Burn's own layer keeps the biased one in both places.)
///
/// It behaves as in training only where both hold: the input lives on an autodiff device, and the layer is not frozen.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[channels]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`
    pub bias: Param<Tensor<1>>,
    /// Mean of what was seen in training, `[channels]`
    pub running_mean: RunningState<Tensor<1>>,
    /// Variance of what was seen in training, `[channels]`
    pub running_var: RunningState<Tensor<1>>,
    training: Param<Flag>,
}

impl BatchNorm {
    /// Scale 1, shift 0, running mean 0, running variance 1.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            training: Param::from_bool(true),
        }
    }

    /// `[batch, channels, ..]` → the same shape.
    ///
    /// # Panics
    /// If the second axis of the input is not the layer's number of channels.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.normalise(input, None, false)
    }

    /// `relu(forward(input))`, in one pass over memory where there are kernels for it.
    ///
    /// # Panics
    /// As [`BatchNorm::forward`].
    pub fn forward_relu<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.normalise(input, None, true)
    }

    /// `forward(input) + carried`
    ///
    /// # Panics
    /// As [`BatchNorm::forward`], and if `carried` has another shape.
    pub fn forward_add<const D: usize>(&self, input: Tensor<D>, carried: Tensor<D>) -> Tensor<D> {
        self.normalise(input, Some(carried), false)
    }

    /// `relu(forward(input) + carried)`, the end of a residual block.
    ///
    /// # Panics
    /// As [`BatchNorm::forward_add`].
    pub fn forward_add_relu<const D: usize>(&self, input: Tensor<D>, carried: Tensor<D>) -> Tensor<D> {
        self.normalise(input, Some(carried), true)
    }

    fn normalise<const D: usize>(&self, input: Tensor<D>, carried: Option<Tensor<D>>, rectified: bool) -> Tensor<D> {
        let [channels] = self.weight.shape().dims();
        assert_shape!(input, [_, channels, ..]);
        let device = input.device();
        if device.is_autodiff() && self.training.is_enabled() {
            return self.normalise_batch(input, carried, rectified);
        }
        let output = burn::tensor::module::batch_norm(
            input,
            self.weight.val(),
            self.bias.val(),
            self.running_mean.value().to_device(&device),
            self.running_var.value().to_device(&device),
            EPSILON,
        );
        let output = match carried {
            Some(carried) => output + carried,
            None => output,
        };
        if rectified { relu(output) } else { output }
    }

    /// As in training: by the statistics of the batch, which the running ones learn.
    fn normalise_batch<const D: usize>(
        &self,
        input: Tensor<D>,
        carried: Option<Tensor<D>>,
        rectified: bool,
    ) -> Tensor<D> {
        let device = input.device();
        let [channels] = self.weight.shape().dims();
        let count = input.shape().num_elements() / channels;
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let batch = emoxide_kernels::batch_norm_train(input, weight, bias, EPSILON, carried, rectified);

        // A single value per channel has no unbiased variance; its biased one, 0, is the best there is.
        let unbiased = count as f64 / count.saturating_sub(1).max(1) as f64;
        update(&self.running_mean, batch.mean, &device);
        update(&self.running_var, batch.variance.mul_scalar(unbiased), &device);
        batch.output
    }
}

fn update(state: &RunningState<Tensor<1>>, batch: Tensor<1>, device: &Device) {
    let old = state.value_sync().to_device(device);
    state.update(old.mul_scalar(1.0 - MOMENTUM).add(batch.detach().mul_scalar(MOMENTUM)).detach());
    // Without this the state that a record or a visitor sees would lag one step behind.
    state.value_sync();
}
