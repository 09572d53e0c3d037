//! CPU operators for the networks of emoxide, as Burn extensions.
//!
//! [`conv2d`] is a drop-in for `burn::tensor::module::conv2d`: on the Flex backend, with or without autodiff, it runs
//! kernels written for training on a CPU; everywhere else it is Burn's function. The instruction set is found at run
//! time ([`Level`]); one level gives the same bits whatever the number of threads.
//!
//! [`conv`] has the same computations on slices. This is the only crate of the workspace with `unsafe` code: the
//! intrinsics in `simd` and the inner loops in `micro`, behind checked constructors.

pub mod conv;
mod correlate;
mod extension;
mod geometry;
mod level;
mod micro;
mod plan;
mod pool;
mod simd;
mod strided;
mod weight_gradient;

use burn::{
    backend::{Dispatch, DispatchTensor, DispatchTensorKind},
    tensor::{DType, Tensor, module, ops::ConvOptions},
};

pub use level::{LEVEL_VARIABLE, Level, LevelError};

use crate::{
    conv::Geometry,
    extension::{Bias, Convolution},
};

/// Two-dimensional convolution (cross-correlation, as in every framework).
///
/// # Shapes
/// - `input`: `[batch, input channels, rows, cols]`
/// - `weight`: `[output channels, input channels / groups, kernel rows, kernel cols]`
/// - `bias`: `[output channels]`
/// - result: `[batch, output channels, output rows, output cols]`
///
/// Dilation, groups, other element types than `f32` and other backends than Flex go to
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
    let bias = bias.map_or(Bias::Absent, |bias| Bias::Present(bias.into_dispatch()));
    Tensor::from_dispatch(Dispatch::convolve(input, weight, bias, geometry, level))
}

/// The sizes, if the kernels cover them.
fn geometry(
    [batch, input_channels, rows, cols]: [usize; 4],
    [output_channels, weight_channels, kernel_rows, kernel_cols]: [usize; 4],
    bias: Option<[usize; 1]>,
    options: &ConvOptions<2>,
) -> Option<Geometry> {
    let geometry = Geometry {
        batch,
        input_channels,
        output_channels,
        input: [rows, cols],
        kernel: [kernel_rows, kernel_cols],
        stride: options.stride,
        padding: options.padding,
    };
    let agree = weight_channels == input_channels && bias.is_none_or(|[len]| len == output_channels);
    (agree && options.groups == 1 && options.dilation == [1, 1] && geometry.is_valid()).then_some(geometry)
}

/// Whether the tensor holds 32-bit floats on Flex, tracked or not.
fn covered<const D: usize>(tensor: &Tensor<D>) -> bool {
    let DispatchTensor { kind, .. } = tensor.clone().into_dispatch();
    let kind = if let DispatchTensorKind::Autodiff(inner) = kind { *inner } else { kind };
    tensor.dtype() == DType::F32 && matches!(kind, DispatchTensorKind::Flex(_))
}
