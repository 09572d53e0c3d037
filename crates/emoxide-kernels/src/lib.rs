//! CPU operators for the networks of emoxide, as Burn extensions.
//!
//! [`conv2d`] is a drop-in for `burn::tensor::module::conv2d`: on the Flex backend, with or without autodiff, it runs
//! kernels written for training on a CPU; everywhere else it is Burn's function. [`batch_norm_train`] does the same for
//! batch normalisation with what networks put behind it. The instruction set is found at run time ([`Level`]); one level
//! gives the same bits whatever the number of threads. [`prelu()`] is the parametric rectifier. [`involution2d`] is an operator
//! that Burn lacks, with kernels for Flex and, in builds with one of the GPU features, for Burn's GPU backends.
//!
//! [`conv`], [`batch_norm`], [`mod@prelu`] and [`involution`](mod@involution) have the same computations on slices; [`blocked`]
//! has those of compiled networks. This is the only crate of the workspace with `unsafe` code: the intrinsics in `simd` and
//! the inner loops, behind checked constructors.

#[cfg(target_arch = "x86_64")]
mod amx;
pub mod batch_norm;
pub mod blocked;
pub mod conv;
mod correlate;
mod depthwise;
mod extension;
mod geometry;
pub mod involution;
mod level;
mod memory;
mod micro;
mod plan;
mod planes;
mod pool;
mod precision;
pub mod prelu;
mod simd;
mod strided;
mod weight_gradient;

use burn::{
    backend::{Dispatch, DispatchTensor, DispatchTensorKind},
    tensor::{DType, Tensor, activation, module, module::BatchNormTrainOutput, ops::ConvOptions},
};

pub use level::{LEVEL_VARIABLE, Level, LevelError};
pub use memory::keep_freed_memory;
pub use precision::{TrainingPrecision, with_precision};

use crate::{
    conv::{Computing, Geometry},
    extension::{Convolution, Involution, Maybe, Normalisation, ParametricRectifier, Setting},
    planes::Planes,
};

/// Two-dimensional convolution (cross-correlation, as in every framework).
///
/// # Shapes
/// - `input`: `[batch, input channels, rows, cols]`
/// - `weight`: `[output channels, input channels / groups, kernel rows, kernel cols]`
/// - `bias`: `[output channels]`
/// - result: `[batch, output channels, output rows, output cols]`
///
/// Under [`with_precision`] it multiplies as exactly as that says. Dilation, groups of several channels, other element types than `f32` and other backends than Flex go to
/// `burn::tensor::module::conv2d` unchanged.
///
/// # Panics
/// When the shapes do not fit (with Burn's message), or the environment variable [`LEVEL_VARIABLE`] names no usable
/// level ([`Level::active`] gives the error).
pub fn conv2d(input: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    let tensors_covered = covered(&input) && covered(&weight) && bias.as_ref().is_none_or(covered);
    let bias_dims = bias.as_ref().map(Tensor::dims);
    let geometry = geometry(input.dims(), weight.dims(), bias_dims, &options).filter(|_| tensors_covered);
    let Some(geometry) = geometry else {
        return module::conv2d(input, weight, bias, options);
    };
    let level = Level::active().unwrap_or_else(|error| panic!("{error}"));
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    let bias = bias.map_or(Maybe::Absent, |bias| Maybe::Present(bias.into_dispatch()));
    let setting = Computing { level, precision: precision::current() };
    Tensor::from_dispatch(Dispatch::convolve(input, weight, bias, geometry, setting))
}

/// Batch normalisation of a training step: by mean and biased variance of the batch itself, then plus `carried`, then
/// rectified if wanted.
///
/// # Shapes
/// - `input`, `carried`, output: `[batch, channels, ..]`
/// - `weight`, `bias`, mean, variance: `[channels]`; the last two are constants to the gradient
///
/// # Panics
/// When the shapes do not fit (with Burn's message), or the environment variable [`LEVEL_VARIABLE`] names no usable
/// level ([`Level::active`] gives the error).
pub fn batch_norm_train<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    carried: Option<Tensor<D>>,
    rectified: bool,
) -> BatchNormTrainOutput<D> {
    let dims = input.dims();
    let [batch, channels, area] = [dims[0], dims[1], dims[2..].iter().product()];
    let planes = Planes { batch, channels, area };
    let shapes_agree = weight.dims() == [channels]
        && bias.dims() == [channels]
        && carried.as_ref().is_none_or(|carried| carried.dims() == dims);
    let all_covered = covered(&input) && covered(&weight) && covered(&bias) && carried.as_ref().is_none_or(covered);
    if !shapes_agree || !all_covered || planes.is_empty() {
        let mut result = module::batch_norm_train(input, weight, bias, epsilon);
        if let Some(carried) = carried {
            result.output = result.output + carried;
        }
        if rectified {
            result.output = activation::relu(result.output);
        }
        return result;
    }
    let level = Level::active().unwrap_or_else(|error| panic!("{error}"));
    let setting = Setting { planes, level, epsilon, rectified };
    let (input, weight, bias) = (input.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    let carried = carried.map_or(Maybe::Absent, |carried| Maybe::Present(carried.into_dispatch()));
    let statistics = Dispatch::statistics(input.clone(), setting);
    let output = Dispatch::normalise(input, statistics.clone(), weight, bias, carried, setting);
    let statistics = Tensor::<2>::from_dispatch(statistics);
    let row = |index: usize| statistics.clone().narrow(0, index, 1).reshape([channels]);
    BatchNormTrainOutput { output: Tensor::from_dispatch(output), mean: row(0), variance: row(1) }
}

/// Parametric rectifier: `x`, or where it is negative, `x` times the slope of its channel.
///
/// # Shapes
/// - `input`, result: `[batch, channels, ..]`
/// - `slopes`: `[channels]`
///
/// # Panics
/// When the shapes do not fit (with Burn's message), or the environment variable [`LEVEL_VARIABLE`] names no usable
/// level ([`Level::active`] gives the error).
pub fn prelu<const D: usize>(input: Tensor<D>, slopes: Tensor<1>) -> Tensor<D> {
    let dims = input.dims();
    let [batch, channels, area] = [dims[0], dims[1], dims[2..].iter().product()];
    let planes = Planes { batch, channels, area };
    if slopes.dims() != [channels] || !covered(&input) || !covered(&slopes) || planes.is_empty() {
        return activation::prelu(input, slopes);
    }
    let level = Level::active().unwrap_or_else(|error| panic!("{error}"));
    Tensor::from_dispatch(Dispatch::rectify(input.into_dispatch(), slopes.into_dispatch(), planes, level))
}

/// Involution: a kernel for every pixel, which the channels of a group share (Li et al., CVPR 2021, arXiv 2103.06255).
///
/// `output[b, c, y, x] = Σ kernels[b, g, u K + v, y, x] · input[b, c, s y + u - p, s x + v - p]` over the rows `u` and columns
/// `v` of a kernel, where `s` is the stride, `p = (K - 1) / 2`, `g` is `c / (channels / groups)`, and the input is zero outside
/// of its maps.
///
/// # Shapes
/// - `input`: `[batch, channels, rows, cols]`
/// - `kernels`: `[batch, groups, K · K, output rows, output cols]` with an odd `K`
/// - result: `[batch, channels, output rows, output cols]`; `⌈rows / stride⌉` rows, and columns likewise
///
/// On the Flex backend, 32-bit floats run the kernels of [`involution`](mod@involution); on the GPU backends, where the
/// features `vulkan`, `wgpu`, `metal` and `cuda` enable them, one kernel for the output and one for each gradient.
/// Everything else is as many products of shifted inputs as a kernel has numbers, in Burn's operators.
///
/// # Panics
/// When the shapes do not fit (with the [`involution::ShapeError`]'s message), or, on Flex, the environment variable
/// [`LEVEL_VARIABLE`] names no usable level ([`Level::active`] gives the error).
pub fn involution2d(input: Tensor<4>, kernels: Tensor<5>, stride: usize) -> Tensor<4> {
    let geometry = involution::Geometry::new(input.dims(), kernels.dims(), stride);
    let geometry = geometry.unwrap_or_else(|error| panic!("{error}"));
    let has_kernels = (covered(&input) && covered(&kernels))
        || (on_gpu(&input) && on_gpu(&kernels))
        || (recorded(&input) && recorded(&kernels));
    if !has_kernels {
        return involution::by_shifts(&geometry, input, &kernels);
    }
    Tensor::from_dispatch(Dispatch::involve(input.into_dispatch(), kernels.into_dispatch(), geometry))
}

/// The sizes, if the kernels cover them.
fn geometry(
    [batch, input_channels, rows, cols]: [usize; 4],
    [output_channels, weight_channels, kernel_rows, kernel_cols]: [usize; 4],
    bias: Option<[usize; 1]>,
    options: &ConvOptions<2>,
) -> Option<Geometry> {
    let depthwise = options.groups > 1 && options.groups == input_channels && input_channels == output_channels;
    let geometry = Geometry {
        batch,
        input_channels,
        output_channels,
        depthwise,
        input: [rows, cols],
        kernel: [kernel_rows, kernel_cols],
        stride: options.stride,
        padding: options.padding,
    };
    let agree = weight_channels == geometry.window_channels() && bias.is_none_or(|[len]| len == output_channels);
    (agree && (depthwise || options.groups == 1) && options.dilation == [1, 1] && geometry.is_valid())
        .then_some(geometry)
}

/// Whether the tensor holds 32-bit floats on Flex, tracked or not.
fn covered<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(kind(tensor), DispatchTensorKind::Flex(_))
}

/// Whether the tensor is of a network that is recorded, of 32-bit floats.
fn recorded<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(kind(tensor), DispatchTensorKind::Capture(_))
}

/// Whether the tensor holds 32-bit floats on a GPU, tracked or not.
#[cfg(feature = "_gpu")]
fn on_gpu<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(kind(tensor), DispatchTensorKind::Cube(_))
}

/// No GPU is compiled in.
#[cfg(not(feature = "_gpu"))]
fn on_gpu<const D: usize>(_tensor: &Tensor<D>) -> bool {
    false
}

/// The tensor of a backend, without its place in the graph.
fn kind<const D: usize>(tensor: &Tensor<D>) -> DispatchTensorKind {
    let DispatchTensor { kind, .. } = tensor.clone().into_dispatch();
    if let DispatchTensorKind::Autodiff(inner) = kind { *inner } else { kind }
}
