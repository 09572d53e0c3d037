//! Involution and its gradients on the GPUs of `CubeCL`'s runtimes.
//!
//! Nothing is unfolded here either, and every number of a result is one unit's sum in an order that the geometry fixes:
//! no unit adds to what another one writes. Neighbouring units are neighbours in a row of pixels.

use burn::tensor::{DType, Shape};
use burn_cubecl::{
    cubecl::{self, calculate_cube_count_elemwise, client::Client, ir::AddressType, prelude::*},
    kernel::into_contiguous,
    ops::numeric::empty_device_contiguous_dtype,
    tensor::CubeTensor,
};

use super::Geometry;

/// Forward pass: `[batch, channels, output rows, output cols]` from 32-bit floats whose shapes are the geometry's.
pub(crate) fn forward(geometry: &Geometry, input: CubeTensor, kernels: CubeTensor) -> CubeTensor {
    let launch = Launch::new(input, kernels, geometry.output_shape(), geometry.output_len() / tile(geometry));
    let Launch { client, count, dim, address, inputs: [input, kernels], result } = launch;
    let target = result.clone().into_tensor_arg();
    let Geometry { kernel, stride, .. } = *geometry;
    sum_windows::launch(&client, count, dim, address, input, kernels, target, kernel, stride, tile(geometry));
    result
}

/// Gradient of the input, in its shape, as [`forward`] from the gradient of the output.
pub(crate) fn input_gradient(geometry: &Geometry, kernels: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let launch = Launch::new(kernels, gradient, geometry.input_shape(), geometry.input_len() / tile(geometry));
    let Launch { client, count, dim, address, inputs: [kernels, gradient], result } = launch;
    let target = result.clone().into_tensor_arg();
    let Geometry { kernel, stride, .. } = *geometry;
    sum_viewers::launch(&client, count, dim, address, kernels, gradient, target, kernel, stride, tile(geometry));
    result
}

/// Gradient of the kernels, in their shape, as [`forward`] from the gradient of the output.
pub(crate) fn kernel_gradient(geometry: &Geometry, input: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let launch = Launch::new(input, gradient, geometry.kernels_shape(), geometry.kernels_len() / geometry.kernel);
    let Launch { client, count, dim, address, inputs: [input, gradient], result } = launch;
    let target = result.clone().into_tensor_arg();
    let Geometry { kernel, stride, .. } = *geometry;
    sum_channels::launch(&client, count, dim, address, input, gradient, target, kernel, stride);
    result
}

/// Channels of one unit, which reads a number of a kernel once for all of them.
fn tile(geometry: &Geometry) -> usize {
    [4, 2, 1].into_iter().find(|tile| geometry.members().is_multiple_of(*tile)).unwrap_or(1)
}

/// What every launch needs.
struct Launch {
    client: Client,
    count: CubeCount,
    dim: CubeDim,
    address: AddressType,
    inputs: [TensorArg; 2],
    result: CubeTensor,
}

impl Launch {
    /// Two tensors, a third one for the result, and so many units.
    fn new(first: CubeTensor, second: CubeTensor, result: Shape, units: usize) -> Self {
        let inputs = [first, second].map(into_contiguous);
        let client = inputs[0].client.clone();
        let result = empty_device_contiguous_dtype(client.clone(), inputs[0].device.clone(), result, DType::F32);
        let addresses = inputs.each_ref().map(CubeTensor::required_address_type);
        let address = addresses.into_iter().fold(result.required_address_type(), Ord::max);
        let dim = CubeDim::new(&client, units);
        let count = calculate_cube_count_elemwise(&client, units, dim);
        Self { client, count, dim, address, inputs: inputs.map(CubeTensor::into_tensor_arg), result }
    }
}

/// A unit is `tile` channels of one output: the sums over their windows.
#[cube(launch, address_type = "dynamic")]
fn sum_windows(
    input: &Tensor<f32>,
    kernels: &Tensor<f32>,
    output: &mut Tensor<f32>,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] tile: usize,
) {
    let padding = comptime!(kernel / 2);
    let (rows, cols) = (input.shape(2), input.shape(3));
    let (output_cols, area) = (output.shape(3), output.shape(2) * output.shape(3));
    let planes = output.shape(0) * output.shape(1);
    let members = output.shape(1) / kernels.shape(1);

    // Planes are counted through all images, and so are groups.
    let (plane, pixel) = (ABSOLUTE_POS / area * tile, ABSOLUTE_POS % area);
    if plane >= planes {
        terminate!();
    }
    let (top, left) = (pixel / output_cols * stride, pixel % output_cols * stride);
    let group = plane / members;

    let mut sums = Array::<f32>::new(tile);
    #[unroll]
    for channel in 0..tile {
        sums[channel] = 0.0f32;
    }
    for tap_row in 0..kernel {
        let row = top + tap_row;
        if row >= padding && row < rows + padding {
            for tap_col in 0..kernel {
                let col = left + tap_col;
                if col >= padding && col < cols + padding {
                    let factor = kernels[((group * kernel + tap_row) * kernel + tap_col) * area + pixel];
                    let from = (plane * rows + row - padding) * cols + col - padding;
                    #[unroll]
                    for channel in 0..tile {
                        sums[channel] += input[from + channel * rows * cols] * factor;
                    }
                }
            }
        }
    }
    #[unroll]
    for channel in 0..tile {
        output[(plane + channel) * area + pixel] = sums[channel];
    }
}

/// A unit is `tile` channels of one pixel of the input: the sums over the outputs in whose windows it lies.
#[cube(launch, address_type = "dynamic")]
fn sum_viewers(
    kernels: &Tensor<f32>,
    gradient: &Tensor<f32>,
    target: &mut Tensor<f32>,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] tile: usize,
) {
    let padding = comptime!(kernel / 2);
    let (cols, input_area) = (target.shape(3), target.shape(2) * target.shape(3));
    let (output_rows, output_cols) = (gradient.shape(2), gradient.shape(3));
    let area = output_rows * output_cols;
    let planes = target.shape(0) * target.shape(1);
    let members = target.shape(1) / kernels.shape(1);

    let (plane, pixel) = (ABSOLUTE_POS / input_area * tile, ABSOLUTE_POS % input_area);
    if plane >= planes {
        terminate!();
    }
    let (bottom, right) = (pixel / cols + padding, pixel % cols + padding);
    let group = plane / members;

    let mut sums = Array::<f32>::new(tile);
    #[unroll]
    for channel in 0..tile {
        sums[channel] = 0.0f32;
    }
    for tap_row in 0..kernel {
        // The window with the pixel at this tap begins so many rows below the padding's first one.
        if bottom >= tap_row && (bottom - tap_row) % stride == 0 && (bottom - tap_row) / stride < output_rows {
            let output_row = (bottom - tap_row) / stride;
            for tap_col in 0..kernel {
                if right >= tap_col && (right - tap_col) % stride == 0 && (right - tap_col) / stride < output_cols {
                    let output_pixel = output_row * output_cols + (right - tap_col) / stride;
                    let factor = kernels[((group * kernel + tap_row) * kernel + tap_col) * area + output_pixel];
                    #[unroll]
                    for channel in 0..tile {
                        sums[channel] += gradient[(plane + channel) * area + output_pixel] * factor;
                    }
                }
            }
        }
    }
    #[unroll]
    for channel in 0..tile {
        target[(plane + channel) * input_area + pixel] = sums[channel];
    }
}

/// A unit is one row of the kernel of one output: the sums over the channels of its group.
#[cube(launch, address_type = "dynamic")]
fn sum_channels(
    input: &Tensor<f32>,
    gradient: &Tensor<f32>,
    target: &mut Tensor<f32>,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
) {
    let padding = comptime!(kernel / 2);
    let (rows, cols) = (input.shape(2), input.shape(3));
    let (output_cols, area) = (gradient.shape(3), gradient.shape(2) * gradient.shape(3));
    let groups = target.shape(0) * target.shape(1);
    let members = input.shape(1) / target.shape(1);

    let (kernel_row, pixel) = (ABSOLUTE_POS / area, ABSOLUTE_POS % area);
    let (group, tap_row) = (kernel_row / kernel, kernel_row % kernel);
    if group >= groups {
        terminate!();
    }
    let (row, left) = (pixel / output_cols * stride + tap_row, pixel % output_cols * stride);

    let mut sums = Array::<f32>::new(kernel);
    #[unroll]
    for tap_col in 0..kernel {
        sums[tap_col] = 0.0f32;
    }
    if row >= padding && row < rows + padding {
        for member in 0..members {
            let plane = group * members + member;
            let factor = gradient[plane * area + pixel];
            let from = (plane * rows + row - padding) * cols;
            #[unroll]
            for tap_col in 0..kernel {
                let col = left + tap_col;
                if col >= padding && col < cols + padding {
                    sums[tap_col] += input[from + col - padding] * factor;
                }
            }
        }
    }
    #[unroll]
    for tap_col in 0..kernel {
        target[(kernel_row * kernel + tap_col) * area + pixel] = sums[tap_col];
    }
}
