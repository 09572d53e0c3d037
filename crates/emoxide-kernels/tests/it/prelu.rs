//! The parametric rectifier against Burn's, at every level of this machine.

use burn::tensor::{Device, Tensor, TensorData, activation};
use emoxide_kernels::{
    Level,
    batch_norm::Planes,
    prelu::{self, forward, input_gradient, slope_gradient},
};

use crate::support::{difference, values};

/// Batch, channels, rows, cols.
const CASES: [[usize; 4]; 5] = [[1, 1, 1, 1], [2, 3, 1, 1], [1, 5, 4, 3], [3, 17, 5, 7], [5, 8, 12, 20]];

/// Output and the gradients of input and slopes.
type Results = [Vec<f32>; 3];

fn with_kernels(level: Level, shape: [usize; 4], input: &[f32], slopes: &[f32], gradient: &[f32]) -> Results {
    let planes = Planes { batch: shape[0], channels: shape[1], area: shape[2] * shape[3] };
    [
        forward(level, planes, input, slopes),
        input_gradient(level, planes, input, slopes, gradient),
        slope_gradient(level, planes, input, gradient),
    ]
}

/// The results through autodiff; an untracked parent has an empty gradient.
fn through_burn(
    function: fn(Tensor<4>, Tensor<1>) -> Tensor<4>,
    shape: [usize; 4],
    [input, slopes, gradient]: [&[f32]; 3],
    tracked: [bool; 2],
    device: &Device,
) -> Results {
    let four = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device);
    let input = if tracked[0] { four(input).require_grad() } else { four(input) };
    let slopes = Tensor::<1>::from_data(TensorData::new(slopes.to_vec(), [shape[1]]), device);
    let slopes = if tracked[1] { slopes.require_grad() } else { slopes };
    let output = function(input.clone(), slopes.clone());
    let gradients = (output.clone() * four(gradient)).sum().backward();
    let vector =
        |data: Option<TensorData>| data.map_or_else(Vec::new, |data| data.try_to_vec::<f32>().expect("floats"));
    [
        vector(Some(output.into_data())),
        vector(input.grad(&gradients).map(Tensor::into_data)),
        vector(slopes.grad(&gradients).map(Tensor::into_data)),
    ]
}

#[test]
fn every_level_and_the_extension_agree_with_burn() {
    let device = Device::flex().autodiff();
    let active = Level::active().expect("EMOXIDE_CPU names a level of this processor");
    for shape in CASES {
        let len = shape.iter().product();
        let (input, slopes, gradient) = (values(len, 1), values(shape[1], 2), values(len, 3));
        let operands = [&input, &slopes, &gradient].map(Vec::as_slice);
        let expected = through_burn(activation::prelu, shape, operands, [true; 2], &device);
        for level in Level::available() {
            let actual = with_kernels(level, shape, &input, &slopes, &gradient);
            for (actual, expected) in actual.iter().zip(&expected) {
                let difference = difference(actual, expected);
                assert!(difference < 1e-5, "{} {shape:?}: {difference}", level.name());
            }
        }
        let kernels = with_kernels(active, shape, &input, &slopes, &gradient);
        for tracked in [[true, true], [true, false], [false, true]] {
            let actual = through_burn(emoxide_kernels::prelu, shape, operands, tracked, &device);
            assert_eq!(actual[0], kernels[0], "{shape:?}");
            for parent in 0..2 {
                let expected: &[f32] = if tracked[parent] { &kernels[parent + 1] } else { &[] };
                assert_eq!(actual[parent + 1], expected, "{shape:?} {tracked:?}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let planes = Planes { batch: 1, channels: 1, area: 3 };
    for level in Level::available() {
        let output = prelu::forward(level, planes, &[f32::NAN, -2.0, 1.0], &[0.25]);
        assert!(output[0].is_nan(), "{}: {output:?}", level.name());
        assert_eq!(output[1..], [-0.5, 1.0], "{}", level.name());
    }
}
