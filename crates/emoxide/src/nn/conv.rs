use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

/// Shape of a [`Conv2d`]; kernel, stride and padding are the same for rows and columns.
#[derive(Clone, Debug)]
pub struct Conv2dConfig {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    groups: usize,
    bias: bool,
    uniform: bool,
}

impl Conv2dConfig {
    /// A convolution from `inputs` to `outputs` channels with a `kernel` x `kernel` window, stride 1, a padding of
    /// half the window (the size is kept for odd windows) and no bias.
    pub fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, padding: kernel / 2, groups: 1, bias: false, uniform: false }
    }

    /// Sets the step between windows, in pixels.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the zeros added on every side, in pixels.
    #[must_use]
    pub fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Splits the channels into so many groups, which see nothing of each other. They divide both numbers of channels.
    #[must_use]
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Adds a bias per output channel.
    #[must_use]
    pub fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Draws weight and bias uniformly from ±1/√(`kernel²` `inputs` / `groups`), PyTorch's default.
    #[must_use]
    pub fn with_uniform_init(self) -> Self {
        Self { uniform: true, ..self }
    }

    /// Kaiming normal weights, fan-out, gain of the rectifier: standard deviation `√(2 / (kernel² outputs))`; bias 0.
    /// [`with_uniform_init`](Self::with_uniform_init) chooses the other initialisation.
    pub fn init(&self, device: &Device) -> Conv2d {
        let Self { inputs, outputs, kernel, stride, padding, groups, bias, uniform } = *self;
        let inputs = inputs / groups;
        let (fan_in, fan_out) = (inputs * kernel * kernel, outputs * kernel * kernel);
        let (weights, biases) = if uniform {
            let bound = 1.0 / (fan_in as f64).sqrt();
            let uniform = Initializer::Uniform { min: -bound, max: bound };
            (uniform.clone(), uniform)
        } else {
            let normal = Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: true };
            (normal, Initializer::Zeros)
        };
        Conv2d {
            weight: weights.init_with([outputs, inputs, kernel, kernel], Some(fan_in), Some(fan_out), device),
            bias: bias.then(|| biases.init([outputs], device)),
            stride,
            padding,
            groups,
        }
    }
}

/// Two-dimensional convolution.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[outputs, inputs / groups, kernel, kernel]`
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`
    pub bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
    groups: usize,
}

impl Conv2d {
    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows', cols']` with
    /// `rows' = (rows + 2 padding - kernel) / stride + 1`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_with(input, std::convert::identity)
    }

    /// As [`forward`](Self::forward), by what `change` makes of the weight.
    pub fn forward_with(&self, input: Tensor<4>, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], self.groups);
        // The one place where every network of the crate reaches its convolution.
        emoxide_kernels::conv2d(input, change(self.weight.val()), self.bias.as_ref().map(Param::val), options)
    }
}
