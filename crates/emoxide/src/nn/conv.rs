use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

/// Zeros around the input of a [`Conv2d`].
#[derive(Clone, Copy, Debug)]
enum Padding {
    /// As many pixels on every side.
    Even(usize),
    /// As many as it takes for an output at every `stride`-th pixel; an odd one stands behind. TensorFlow's `SAME`.
    Same,
}

impl Padding {
    /// Zeros before and behind an axis of `size` pixels.
    fn around(self, size: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Even(padding) => (padding, padding),
            Self::Same => {
                let missing = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
                (missing / 2, missing - missing / 2)
            }
        }
    }
}

/// Shape of a [`Conv2d`]; kernel, stride and padding are the same for rows and columns.
#[derive(Clone, Debug)]
pub struct Conv2dConfig {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: Padding,
    groups: usize,
    bias: bool,
    uniform: bool,
    standardised: Option<f64>,
}

impl Conv2dConfig {
    /// A convolution from `inputs` to `outputs` channels with a `kernel` x `kernel` window, stride 1, a padding of
    /// half the window (the size is kept for odd windows) and no bias.
    pub fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        let padding = Padding::Even(kernel / 2);
        let (bias, uniform, standardised) = (false, false, None);
        Self { inputs, outputs, kernel, stride: 1, padding, groups: 1, bias, uniform, standardised }
    }

    /// Sets the step between windows, in pixels.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the zeros added on every side, in pixels.
    #[must_use]
    pub fn with_padding(self, padding: usize) -> Self {
        Self { padding: Padding::Even(padding), ..self }
    }

    /// Adds as many zeros as it takes for an output at every `stride`-th pixel; where their number is odd, one more
    /// stands behind than before: TensorFlow's `SAME`.
    #[must_use]
    pub fn with_same_padding(self) -> Self {
        Self { padding: Padding::Same, ..self }
    }

    /// Brings every filter to mean 0 and variance 1 before it is used; `epsilon` is added to the variance. Paper: Qiao et
    /// al., Weight Standardization, arXiv 1903.10520.
    #[must_use]
    pub fn with_standardised_weights(self, epsilon: f64) -> Self {
        Self { standardised: Some(epsilon), ..self }
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
        let Self { inputs, outputs, kernel, stride, padding, groups, bias, uniform, standardised } = *self;
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
            standardised,
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
    groups: usize,
    #[module(skip)]
    padding: Padding,
    /// What is added to the variance of a filter, where filters are standardised.
    #[module(skip)]
    standardised: Option<f64>,
}

impl Conv2d {
    /// `[batch, inputs, rows, cols]` → `[batch, outputs, rows', cols']` with
    /// `rows' = (rows + 2 padding - kernel) / stride + 1`, or `rows' = ⌈rows / stride⌉` with TensorFlow's padding.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_with(input, std::convert::identity)
    }

    /// As [`forward`](Self::forward), by what `change` makes of the weight.
    pub fn forward_with(&self, input: Tensor<4>, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let [_, _, rows, cols] = input.dims();
        let weight = change(self.weight.val());
        let [_, _, kernel, _] = weight.dims();
        let around = |size: usize| self.padding.around(size, kernel, self.stride);
        let padding = [around(rows), around(cols)];
        let options = ConvOptions { padding, ..ConvOptions::new([self.stride; 2], [0; 2], [1, 1], self.groups) };
        let weight = match self.standardised {
            Some(epsilon) => standardised(weight, epsilon),
            None => weight,
        };
        // The one place where every network of the crate reaches its convolution.
        emoxide_kernels::conv2d(input, weight, self.bias.as_ref().map(Param::val), options)
    }
}

/// Filters `[outputs, inputs, kernel, kernel]`, each with mean 0 and variance 1.
fn standardised(weight: Tensor<4>, epsilon: f64) -> Tensor<4> {
    let shape = weight.dims();
    let filters: Tensor<2> = weight.flatten(1, 3);
    let centred = filters.clone() - filters.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    (centred / (variance + epsilon).sqrt()).reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Tensor};
    use emoxide_testing::{Values, assert_close};

    use super::{Conv2d, Conv2dConfig, Padding};

    #[test]
    fn same_padding_of_even_sizes_stands_behind() {
        let around = |size, kernel, stride| Padding::Same.around(size, kernel, stride);
        assert_eq!(
            [around(8, 3, 2), around(8, 7, 2), around(7, 3, 2), around(8, 3, 1)],
            [(0, 1), (2, 3), (1, 1), (1, 1)]
        );
        // A window of one pixel skips the last one of an even size.
        assert_eq!([around(8, 1, 2), around(1, 3, 2)], [(0, 0), (1, 1)]);
    }

    #[test]
    fn same_padding_by_hand() {
        let device = Device::flex();
        let ones = Conv2d {
            weight: Param::from_tensor(Tensor::ones([1, 1, 3, 3], &device)),
            ..Conv2dConfig::new(1, 1, 3).with_stride(2).with_same_padding().init(&device)
        };
        let rows: [f32; 16] = std::array::from_fn(|at| at as f32);
        let images = Tensor::<1>::from_floats(rows, &device).reshape([1, 1, 4, 4]);
        // Windows begin at the first pixel; a row and a column of zeros stand behind.
        assert_close("sums", ones.forward(images), vec![45.0, 39.0, 66.0, 50.0], 0.0, 1e-5);
    }

    #[test]
    fn standardised_filters_have_mean_0_and_variance_1() {
        let device = Device::flex();
        let conv = Conv2dConfig::new(3, 5, 3).with_standardised_weights(1e-10).init(&device);
        let filters = super::standardised(conv.weight.val(), 1e-10).values();
        for filter in filters.chunks(27) {
            let mean = filter.iter().sum::<f32>() / 27.0;
            let variance = filter.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 27.0;
            approx::assert_abs_diff_eq!(mean, 0.0, epsilon = 1e-5);
            approx::assert_abs_diff_eq!(variance, 1.0, epsilon = 1e-4);
        }
    }
}
