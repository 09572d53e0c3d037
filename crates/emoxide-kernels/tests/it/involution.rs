//! Involution against its definition in double precision, at every level of this machine.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emoxide_kernels::{
    Level,
    involution::{self, Geometry, ShapeError},
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

/// RedNet's, and what lies at the edges of tiles, vectors and bands.
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

#[test]
fn every_level_computes_the_definition() {
    for geometry in CASES {
        let operands = Operands::new(geometry);
        let expected = by_definition(geometry, &operands);
        for level in Level::available() {
            let actual = with_kernels(level, geometry, &operands);
            assert_close(&actual, &expected, 1e-5, &format!("{} {geometry:?}", level.name()));
        }
    }
}

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes(geometry in geometries()) {
        let operands = Operands::new(&geometry);
        let expected = by_definition(&geometry, &operands);
        for level in Level::available() {
            let actual = with_kernels(level, &geometry, &operands);
            assert_close(&actual, &expected, 1e-5, &format!("{} {geometry:?}", level.name()));
        }
    }
}

#[test]
fn a_centred_one_returns_the_pixels_of_the_stride() {
    for level in Level::available() {
        for stride in [1, 2, 3] {
            let geometry = Geometry { batch: 2, channels: 32, groups: 2, input: [9, 14], kernel: 7, stride };
            let input = values(geometry.input_len(), 1);
            let [rows, cols] = geometry.output();
            let mut kernels = vec![0.0; geometry.kernels_len()];
            kernels.chunks_mut(rows * cols).skip(24).step_by(49).for_each(|centre| centre.fill(1.0));
            let output = involution::forward(level, &geometry, &input, &kernels);
            let pixels = input
                .chunks(9 * 14)
                .flat_map(|plane| plane.chunks(14).step_by(stride).flat_map(|row| row.iter().step_by(stride).copied()));
            assert_eq!(output, pixels.collect::<Vec<_>>(), "{} stride {stride}", level.name());
        }
    }
}

#[test]
fn same_bits_whatever_the_threads() {
    for geometry in CASES {
        let operands = Operands::new(geometry);
        for level in Level::available() {
            let [one, two, five] = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let results = pool.install(|| with_kernels(level, geometry, &operands));
                results.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            });
            assert_eq!(one, two, "{} {geometry:?}", level.name());
            assert_eq!(one, five, "{} {geometry:?}", level.name());
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let new = |input, kernels, stride| Geometry::new(input, kernels, stride);
    let geometry = new([2, 32, 9, 12], [2, 2, 49, 5, 6], 2).unwrap();
    assert_eq!(geometry, Geometry { batch: 2, channels: 32, groups: 2, input: [9, 12], kernel: 7, stride: 2 });
    assert!(matches!(new([0, 32, 9, 12], [0, 2, 49, 9, 12], 1), Err(ShapeError::Empty { .. })));
    assert!(matches!(new([2, 32, 9, 12], [2, 2, 49, 9, 12], 0), Err(ShapeError::Empty { .. })));
    assert_eq!(new([2, 32, 9, 12], [2, 2, 48, 9, 12], 1), Err(ShapeError::Kernel { taps: 48 }));
    assert_eq!(new([2, 32, 9, 12], [2, 2, 16, 9, 12], 1), Err(ShapeError::Kernel { taps: 16 }));
    assert_eq!(new([2, 32, 9, 12], [2, 3, 49, 9, 12], 1), Err(ShapeError::Groups { channels: 32, groups: 3 }));
    assert_eq!(new([2, 32, 9, 12], [1, 2, 49, 9, 12], 1), Err(ShapeError::Batch { input: 2, kernels: 1 }));
    let error = new([2, 32, 9, 12], [2, 2, 49, 9, 12], 2).unwrap_err();
    assert_eq!(error, ShapeError::Output { expected: [5, 6], found: [9, 12] });
    assert_eq!(error.to_string(), "involution to [5, 6] rows and columns with kernels for [9, 12]");
}

#[test]
#[should_panic(expected = "kernels length")]
fn slices_of_another_length_are_refused() {
    let geometry = Geometry { batch: 1, channels: 4, groups: 2, input: [3, 3], kernel: 3, stride: 1 };
    let operands = Operands::new(&geometry);
    involution::forward(Level::Portable, &geometry, &operands.input, &operands.kernels[1..]);
}

#[test]
#[should_panic(expected = "invalid involution")]
fn an_even_kernel_is_refused() {
    let geometry = Geometry { batch: 1, channels: 4, groups: 2, input: [3, 3], kernel: 2, stride: 1 };
    involution::kernel_gradient(Level::Portable, &geometry, &[], &[]);
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

#[test]
fn extension_gives_the_kernels_results_whatever_is_tracked() {
    let level = Level::active().expect("EMOXIDE_CPU names a level of this processor");
    let plain = Device::flex().autodiff();
    for device in [plain.clone(), plain.gradient_checkpointing()] {
        for geometry in CASES {
            let operands = Operands::new(geometry);
            let [output, input, kernels] = with_kernels(level, geometry, &operands);
            for tracked in [[true, false], [false, true], [true, true]] {
                let actual = through_tensors(DType::F32, geometry, &operands, tracked, &device);
                let wanted = |gradient: &Vec<f32>, tracked| if tracked { gradient.clone() } else { Vec::new() };
                let expected = [output.clone(), wanted(&input, tracked[0]), wanted(&kernels, tracked[1])];
                assert_eq!(actual, expected, "{geometry:?}, tracked {tracked:?}");
            }
        }
    }
}

/// What the kernels do not cover is computed, and differentiated, by Burn's operators.
#[test]
fn burns_operators_compute_the_definition() {
    let device = Device::flex().autodiff();
    for geometry in CASES {
        let operands = Operands::new(geometry);
        let actual = through_tensors(DType::F64, geometry, &operands, [true, true], &device);
        assert_close(&actual, &by_definition(geometry, &operands), 1e-6, &format!("{geometry:?}"));
    }
}

#[test]
fn views_and_activations_that_are_computed_again() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        let [single, double] = [DType::F32, DType::F64].map(|dtype| {
            let leaf = |shape: [usize; 4], seed| {
                let data = TensorData::new(values(shape.iter().product(), seed), shape);
                Tensor::<4>::from_data(data, (&device, dtype)).require_grad()
            };
            // Channels come last in memory; the kernels are an activation of the input, as in the paper.
            let (input, weight) = (leaf([2, 9, 8, 32], 1), leaf([98, 32, 1, 1], 2));
            let maps = input.clone().permute([0, 3, 1, 2]);
            let options = burn::tensor::ops::ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
            let kernels = burn::tensor::module::conv2d(maps.clone(), weight.clone(), None, options);
            let kernels = burn::tensor::activation::relu(kernels * 2.0).reshape([2, 2, 49, 5, 4]);
            let gradients = involution2d(maps, kernels, 2).powi_scalar(2).sum().backward();
            [input, weight].map(|leaf| {
                let gradient = leaf.grad(&gradients).expect("a leaf").into_data().convert::<f32>();
                gradient.try_to_vec::<f32>().expect("floats")
            })
        });
        for (single, double) in single.iter().zip(&double) {
            assert!(difference(single, double) < 1e-5);
        }
    }
}

#[test]
#[should_panic(expected = "involution to [5, 6] rows and columns with kernels for [9, 12]")]
fn the_operator_says_what_does_not_fit() {
    let device = Device::flex();
    involution2d(Tensor::zeros([2, 32, 9, 12], &device), Tensor::zeros([2, 2, 49, 9, 12], &device), 2);
}
