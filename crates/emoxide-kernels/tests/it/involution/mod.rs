//! Involution against its definition in double precision and against PyTorch.

mod gpu;
mod kernels;
mod operator;
mod reference;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emoxide_kernels::{
    Level,
    involution::{self, Geometry},
    involution2d,
};
use proptest::prelude::*;

use crate::support::{difference, values};

#[derive(Debug)]
struct Operands {
    input: Vec<f32>,
    kernels: Vec<f32>,
    gradient: Vec<f32>,
}

impl Operands {
    fn new(geometry: &Geometry) -> Self {
        Self {
            input: values(geometry.input_len(), 1),
            kernels: values(geometry.kernels_len(), 2),
            gradient: values(geometry.output_len(), 3),
        }
    }
}

/// Output and the gradients of input and kernels.
type Results = [Vec<f32>; 3];

const NAMES: [&str; 3] = ["output", "input gradient", "kernel gradient"];

fn with_kernels(level: Level, geometry: &Geometry, operands: &Operands) -> Results {
    let Operands { input, kernels, gradient } = operands;
    [
        involution::forward(level, geometry, input, kernels),
        involution::input_gradient(level, geometry, kernels, gradient),
        involution::kernel_gradient(level, geometry, input, gradient),
    ]
}

/// The definition, and the two sums that its derivatives are.
fn by_definition(geometry: &Geometry, operands: &Operands) -> Results {
    let Geometry { batch, channels, groups, input: [rows, cols], kernel, stride } = *geometry;
    let [output_rows, output_cols] = geometry.output();
    let mut output = vec![0.0f64; geometry.output_len()];
    let mut input_gradient = vec![0.0f64; geometry.input_len()];
    let mut kernel_gradient = vec![0.0f64; geometry.kernels_len()];
    for image in 0..batch {
        for channel in 0..channels {
            let group = channel / (channels / groups);
            for (y, x) in (0..output_rows).flat_map(|y| (0..output_cols).map(move |x| (y, x))) {
                let to = ((image * channels + channel) * output_rows + y) * output_cols + x;
                for (u, v) in (0..kernel).flat_map(|u| (0..kernel).map(move |v| (u, v))) {
                    let row = (y * stride + u).checked_sub(kernel / 2).filter(|&row| row < rows);
                    let col = (x * stride + v).checked_sub(kernel / 2).filter(|&col| col < cols);
                    let (Some(row), Some(col)) = (row, col) else { continue };
                    let from = ((image * channels + channel) * rows + row) * cols + col;
                    let tap = (image * groups + group) * kernel * kernel + u * kernel + v;
                    let by = (tap * output_rows + y) * output_cols + x;
                    let [input, kernel, gradient] =
                        [operands.input[from], operands.kernels[by], operands.gradient[to]].map(f64::from);
                    output[to] += input * kernel;
                    input_gradient[from] += gradient * kernel;
                    kernel_gradient[by] += gradient * input;
                }
            }
        }
    }
    [output, input_gradient, kernel_gradient].map(|sums| sums.into_iter().map(|sum| sum as f32).collect())
}

fn assert_close(actual: &Results, expected: &Results, tolerance: f32, context: &str) {
    for (name, (actual, expected)) in NAMES.iter().zip(actual.iter().zip(expected)) {
        let difference = difference(actual, expected);
        assert!(difference < tolerance, "{context}: {name} differs by {difference}");
    }
}

/// Shapes of a network, and what lies at the edges of tiles, vectors and bands.
const CASES: &[Geometry] = &[
    Geometry { batch: 1, channels: 1, groups: 1, input: [1, 1], kernel: 1, stride: 1 },
    Geometry { batch: 2, channels: 3, groups: 3, input: [1, 1], kernel: 7, stride: 2 },
    Geometry { batch: 2, channels: 32, groups: 2, input: [9, 11], kernel: 3, stride: 1 },
    Geometry { batch: 1, channels: 64, groups: 4, input: [13, 10], kernel: 7, stride: 1 },
    Geometry { batch: 2, channels: 32, groups: 2, input: [14, 17], kernel: 7, stride: 2 },
    Geometry { batch: 1, channels: 16, groups: 1, input: [61, 70], kernel: 7, stride: 1 },
    Geometry { batch: 1, channels: 16, groups: 1, input: [90, 101], kernel: 7, stride: 2 },
    Geometry { batch: 1, channels: 34, groups: 2, input: [50, 83], kernel: 3, stride: 1 },
    Geometry { batch: 1, channels: 5, groups: 1, input: [20, 19], kernel: 9, stride: 1 },
    Geometry { batch: 1, channels: 40, groups: 1, input: [11, 23], kernel: 5, stride: 3 },
    Geometry { batch: 1, channels: 4, groups: 2, input: [2, 2300], kernel: 5, stride: 1 },
];

/// Any sizes, mostly with groups that fill no vector.
fn geometries() -> impl Strategy<Value = Geometry> {
    let members = prop_oneof![1usize..20, Just(16), Just(32)];
    let kernel = prop_oneof![Just(1usize), Just(3), Just(5), Just(7), Just(9)];
    (1usize..3, 1usize..4, members, [1usize..24, 1usize..24], kernel, 1usize..4).prop_map(
        |(batch, groups, members, input, kernel, stride)| Geometry {
            batch,
            channels: groups * members,
            groups,
            input,
            kernel,
            stride,
        },
    )
}

/// Which of input and kernels require a gradient.
type Tracked = [bool; 2];

/// The results of the operator on tensors; an untracked parent has an empty gradient. 64-bit floats go through Burn's
/// operators.
fn through_tensors(
    dtype: DType,
    geometry: &Geometry,
    operands: &Operands,
    tracked: Tracked,
    device: &Device,
) -> Results {
    let Geometry { batch, channels, groups, input: [rows, cols], kernel, stride } = *geometry;
    let [output_rows, output_cols] = geometry.output();
    let four = |values: &[f32], shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), (device, dtype))
    };
    let input = four(&operands.input, [batch, channels, rows, cols]);
    let input = if tracked[0] { input.require_grad() } else { input };
    let shape = [batch, groups, kernel * kernel, output_rows, output_cols];
    let kernels = Tensor::<5>::from_data(TensorData::new(operands.kernels.clone(), shape), (device, dtype));
    let kernels = if tracked[1] { kernels.require_grad() } else { kernels };

    let output = involution2d(input.clone(), kernels.clone(), stride);
    assert_eq!(output.dims(), [batch, channels, output_rows, output_cols]);
    assert_eq!(output.dtype(), dtype);
    let gradient = four(&operands.gradient, output.dims());
    let gradients = (output.clone() * gradient).sum().backward();
    let vector = |data: Option<TensorData>| {
        data.map_or_else(Vec::new, |data| data.convert::<f32>().try_to_vec::<f32>().expect("floats"))
    };
    [
        vector(Some(output.into_data())),
        vector(input.grad(&gradients).map(Tensor::into_data)),
        vector(kernels.grad(&gradients).map(Tensor::into_data)),
    ]
}
