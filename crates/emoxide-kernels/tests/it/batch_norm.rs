//! Batch normalisation of a training step against Burn's, at every level of this machine.

use burn::tensor::{Device, Tensor, TensorData, activation::relu, module};
use emoxide_kernels::{
    Level,
    batch_norm::{self, Affine, Planes},
    batch_norm_train,
};

use crate::support::{difference, values};

const EPSILON: f64 = 1e-5;

/// Batch, channels, rows, cols.
const CASES: &[[usize; 4]] = &[[2, 1, 1, 1], [2, 3, 1, 1], [1, 5, 4, 3], [3, 17, 5, 7], [9, 4, 1, 33], [5, 8, 12, 20]];

/// With a carried input, rectified.
const ENDINGS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

struct Operands {
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    carried: Vec<f32>,
    gradient: Vec<f32>,
}

impl Operands {
    fn new(shape: [usize; 4]) -> Self {
        let (len, channels) = (shape.iter().product(), shape[1]);
        Self {
            // Away from zero, where a variance by the difference of squares would lose its digits.
            input: values(len, 1).iter().map(|value| value * 0.5 + 30.0).collect(),
            weight: values(channels, 2),
            bias: values(channels, 3),
            carried: values(len, 4),
            gradient: values(len, 5),
        }
    }
}

/// Output, mean, variance, and the gradients of input, weight, bias and the carried input.
type Results = [Vec<f32>; 7];

const NAMES: [&str; 7] =
    ["output", "mean", "variance", "input gradient", "weight gradient", "bias gradient", "carried gradient"];

fn with_kernels(level: Level, shape: [usize; 4], operands: &Operands, (carries, rectified): (bool, bool)) -> Results {
    let Operands { input, weight, bias, carried, gradient } = operands;
    let planes = Planes { batch: shape[0], channels: shape[1], area: shape[2] * shape[3] };
    let (mean, variance) = batch_norm::statistics(level, planes, input);
    let affine = Affine { mean: &mean, variance: &variance, weight, bias, epsilon: EPSILON };
    let output = batch_norm::forward(level, planes, input, affine, carries.then_some(carried), rectified);
    let behind = rectified.then_some(output.as_slice());
    let gradients = batch_norm::gradients(level, planes, input, affine, behind, gradient);
    let carried = if carries { gradients.carried.into_owned() } else { Vec::new() };
    [output, mean, variance, gradients.input, gradients.weight, gradients.bias, carried]
}

/// The results through Burn's autodiff; an untracked parent has an empty gradient.
fn through_burn(
    ours: bool,
    shape: [usize; 4],
    operands: &Operands,
    (carries, rectified): (bool, bool),
    tracked: [bool; 4],
    device: &Device,
) -> Results {
    let track = |tensor: Tensor<4>, track: bool| if track { tensor.require_grad() } else { tensor };
    let four = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device);
    let one = |values: &[f32], track: bool| {
        let tensor = Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), device);
        if track { tensor.require_grad() } else { tensor }
    };
    let input = track(four(&operands.input), tracked[0]);
    let (weight, bias) = (one(&operands.weight, tracked[1]), one(&operands.bias, tracked[2]));
    let carried = carries.then(|| track(four(&operands.carried), tracked[3]));
    let result = if ours {
        batch_norm_train(input.clone(), weight.clone(), bias.clone(), EPSILON, carried.clone(), rectified)
    } else {
        let mut result = module::batch_norm_train(input.clone(), weight.clone(), bias.clone(), EPSILON);
        result.output = carried.iter().fold(result.output, |output, carried| output + carried.clone());
        result.output = if rectified { relu(result.output) } else { result.output };
        result
    };
    let gradients = (result.output.clone() * four(&operands.gradient)).sum().backward();
    let vector =
        |data: Option<TensorData>| data.map_or_else(Vec::new, |data| data.try_to_vec::<f32>().expect("floats"));
    [
        vector(Some(result.output.into_data())),
        vector(Some(result.mean.into_data())),
        vector(Some(result.variance.into_data())),
        vector(input.grad(&gradients).map(Tensor::into_data)),
        vector(weight.grad(&gradients).map(Tensor::into_data)),
        vector(bias.grad(&gradients).map(Tensor::into_data)),
        vector(carried.and_then(|carried| carried.grad(&gradients)).map(Tensor::into_data)),
    ]
}

fn assert_close(actual: &Results, expected: &Results, context: &str) {
    for (name, (actual, expected)) in NAMES.iter().zip(actual.iter().zip(expected)) {
        let difference = difference(actual, expected);
        // The inputs lie around 30: their own rounding is 2e-6, and small deviations enlarge it.
        assert!(difference < 2e-3, "{context}: {name} differs by {difference}");
    }
}

#[test]
fn every_level_agrees_with_burn() {
    let device = Device::flex().autodiff();
    for &shape in &CASES[2..] {
        let operands = Operands::new(shape);
        for ending in ENDINGS {
            let tracked = [true, true, true, ending.0];
            let expected = through_burn(false, shape, &operands, ending, tracked, &device);
            for level in Level::available() {
                let actual = with_kernels(level, shape, &operands, ending);
                assert_close(&actual, &expected, &format!("{} {shape:?} {ending:?}", level.name()));
            }
        }
    }
}

#[test]
fn extension_gives_the_kernels_results_whatever_is_tracked() {
    let level = Level::active().expect("EMOXIDE_CPU names a level of this processor");
    let plain = Device::flex().autodiff();
    for device in [plain.clone(), plain.gradient_checkpointing()] {
        for &shape in CASES {
            let operands = Operands::new(shape);
            for ending in ENDINGS {
                let kernels = with_kernels(level, shape, &operands, ending);
                for bits in 1..16 {
                    let tracked = [0, 1, 2, 3].map(|bit| bits >> bit & 1 == 1);
                    if tracked == [false, false, false, true] && !ending.0 {
                        continue;
                    }
                    let actual = through_burn(true, shape, &operands, ending, tracked, &device);
                    for (index, (actual, kernels)) in actual.iter().zip(&kernels).enumerate() {
                        let wanted = index < 3 || tracked[index - 3] && (index < 6 || ending.0);
                        let expected: &[f32] = if wanted { kernels } else { &[] };
                        assert_eq!(actual, expected, "{shape:?} {ending:?} {tracked:?}: {}", NAMES[index]);
                    }
                }
            }
        }
    }
}

/// What is not covered goes to Burn: the results are Burn's bits.
#[test]
fn other_element_types_go_to_burn() {
    let device = Device::flex();
    let input =
        Tensor::<4>::from_data(TensorData::new(values(24, 1), [2, 3, 2, 2]), (&device, burn::tensor::DType::F64));
    let one = |value: f64| Tensor::<1>::full([3], value, (&device, burn::tensor::DType::F64));
    let ours = batch_norm_train(input.clone(), one(2.0), one(0.5), EPSILON, Some(input.clone()), true);
    let burns = relu(module::batch_norm_train(input.clone(), one(2.0), one(0.5), EPSILON).output + input);
    assert_eq!(ours.output.into_data(), burns.into_data());
}

#[test]
fn what_is_not_a_number_stays_so() {
    let planes = Planes { batch: 1, channels: 1, area: 3 };
    let affine = Affine { mean: &[0.0], variance: &[1.0], weight: &[1.0], bias: &[0.0], epsilon: EPSILON };
    for level in Level::available() {
        let output = batch_norm::forward(level, planes, &[f32::NAN, -1.0, 1.0], affine, None, true);
        assert!(output[0].is_nan(), "{}: {output:?}", level.name());
        assert!(output[1].abs() < 1e-6 && (output[2] - 1.0).abs() < 1e-4, "{}: {output:?}", level.name());
        let (mean, variance) = batch_norm::statistics(level, planes, &[f32::NAN, -1.0, 1.0]);
        assert!(mean[0].is_nan() && variance[0].is_nan(), "{}: {mean:?} {variance:?}", level.name());
    }
}
