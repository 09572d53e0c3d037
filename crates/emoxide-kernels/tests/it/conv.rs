//! The kernels against Burn's convolution on Flex, at every level of this machine.

use burn::tensor::{Device, Tensor, TensorData, module, ops::ConvOptions};
use emoxide_kernels::{
    Level, LevelError, TrainingPrecision,
    conv::{self, Computing, Geometry},
    conv2d, with_precision,
};

use proptest::prelude::*;

use crate::support::{difference, values};

/// Batch, channels in and out, input, kernel, stride, padding.
type Case = (usize, usize, usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2]);

const CASES: &[Case] = &[
    (1, 1, 1, [1, 1], [1, 1], [1, 1], [0, 0]),
    (1, 1, 32, [48, 48], [3, 3], [1, 1], [1, 1]),
    (3, 3, 17, [9, 13], [3, 3], [1, 1], [1, 1]),
    (3, 3, 17, [13, 9], [3, 3], [2, 2], [1, 1]),
    (1, 17, 33, [6, 6], [3, 3], [1, 1], [1, 1]),
    (3, 33, 16, [5, 7], [3, 3], [1, 1], [0, 0]),
    (3, 33, 3, [8, 5], [1, 1], [1, 1], [0, 0]),
    (3, 16, 33, [9, 10], [1, 1], [2, 2], [0, 0]),
    (1, 3, 20, [23, 31], [7, 7], [2, 2], [3, 3]),
    (3, 1, 4, [11, 12], [5, 5], [1, 1], [0, 0]),
    (1, 4, 5, [11, 12], [5, 5], [2, 2], [1, 1]),
    (2, 8, 8, [16, 32], [3, 3], [1, 1], [1, 1]),
    (2, 5, 6, [9, 11], [3, 3], [1, 1], [3, 3]),
    (2, 5, 6, [9, 11], [1, 1], [2, 2], [3, 3]),
    (2, 5, 6, [9, 11], [3, 1], [1, 2], [0, 1]),
    (2, 6, 40, [10, 17], [1, 7], [2, 1], [1, 3]),
    (2, 3, 9, [10, 17], [2, 4], [3, 3], [0, 2]),
    (2, 48, 4, [67, 83], [3, 3], [1, 1], [1, 1]),
    (2, 48, 4, [67, 83], [3, 3], [2, 2], [1, 1]),
    (17, 5, 6, [4, 3], [3, 3], [1, 1], [1, 1]),
    (9, 64, 64, [3, 3], [3, 3], [1, 1], [1, 1]),
    (5, 16, 33, [14, 11], [3, 3], [1, 1], [1, 1]),
    (4, 40, 24, [1, 70], [3, 3], [1, 1], [1, 1]),
    (6, 272, 256, [6, 5], [3, 3], [1, 1], [1, 1]),
    (5, 33, 18, [9, 12], [3, 3], [2, 2], [1, 1]),
    (4, 16, 48, [70, 51], [3, 3], [2, 2], [1, 1]),
    (9, 20, 40, [7, 6], [1, 1], [2, 2], [0, 0]),
    (4, 64, 17, [13, 30], [1, 1], [1, 1], [0, 0]),
    (4, 17, 20, [11, 14], [5, 5], [2, 2], [2, 2]),
    (4, 18, 16, [10, 9], [7, 7], [1, 1], [3, 3]),
    (4, 16, 16, [1, 1], [3, 3], [2, 2], [1, 1]),
];

/// Channels, batch, input, kernel, stride, padding.
type DepthwiseCase = (usize, usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2]);

const DEPTHWISE: &[DepthwiseCase] = &[
    (1, 2, [1, 1], [1, 1], [1, 1], [0, 0]),
    (3, 2, [9, 13], [3, 3], [1, 1], [1, 1]),
    (17, 3, [13, 16], [3, 3], [2, 2], [1, 1]),
    (4, 1, [1, 1], [3, 3], [2, 2], [1, 1]),
    (5, 2, [35, 33], [5, 5], [1, 1], [2, 2]),
    (2, 2, [8, 37], [7, 2], [3, 2], [0, 1]),
    (2, 3, [6, 5], [3, 3], [1, 1], [3, 4]),
    (16, 2, [14, 14], [3, 3], [2, 1], [1, 0]),
    (2, 2, [10, 9], [1, 1], [2, 3], [0, 0]),
];

fn options(geometry: &Geometry) -> ConvOptions<2> {
    let groups = if geometry.depthwise { geometry.input_channels } else { 1 };
    ConvOptions::new(geometry.stride, geometry.padding.map(|(before, _)| before), [1, 1], groups)
}

fn geometry(case: &Case) -> Geometry {
    let &(batch, input_channels, output_channels, input, kernel, stride, padding) = case;
    let padding = padding.map(|padding| (padding, padding));
    Geometry { batch, input_channels, output_channels, depthwise: false, input, kernel, stride, padding }
}

fn depthwise(&(channels, batch, input, kernel, stride, padding): &DepthwiseCase) -> Geometry {
    Geometry { depthwise: channels > 1, ..geometry(&(batch, channels, channels, input, kernel, stride, padding)) }
}

struct Operands {
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    gradient: Vec<f32>,
}

impl Operands {
    fn new(geometry: &Geometry) -> Self {
        Self {
            input: values(geometry.input_len(), 1),
            weight: values(geometry.weight_len(), 2),
            bias: values(geometry.output_channels, 3),
            gradient: values(geometry.output_len(), 4),
        }
    }
}

/// Output and the gradients of input, weight and bias.
type Results = [Vec<f32>; 4];

fn with_kernels(computing: Computing, geometry: &Geometry, operands: &Operands) -> Results {
    let Operands { input, weight, bias, gradient } = operands;
    [
        conv::forward(computing, geometry, input, weight, Some(bias)),
        conv::input_gradient(computing, geometry, weight, gradient),
        conv::weight_gradient(computing, geometry, input, gradient),
        conv::bias_gradient(geometry, gradient),
    ]
}

fn exactly(level: Level) -> Computing {
    Computing { level, precision: TrainingPrecision::F32 }
}

/// Which of input, weight and bias require a gradient.
type Tracked = [bool; 3];

type Function = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvOptions<2>) -> Tensor<4>;

fn burn_conv2d(input: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    module::conv2d(input, weight, bias, options)
}

/// The results through Burn; an untracked parent has an empty gradient.
fn through_burn(
    function: Function,
    geometry: &Geometry,
    operands: &Operands,
    tracked: Tracked,
    device: &Device,
) -> Results {
    let [rows, cols] = geometry.input;
    let [kernel_rows, kernel_cols] = geometry.kernel;
    let four = |values: &[f32], shape: [usize; 4], track: bool| {
        let tensor = Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device);
        if track { tensor.require_grad() } else { tensor }
    };
    let input = four(&operands.input, [geometry.batch, geometry.input_channels, rows, cols], tracked[0]);
    let window_channels = if geometry.depthwise { 1 } else { geometry.input_channels };
    let weight_shape = [geometry.output_channels, window_channels, kernel_rows, kernel_cols];
    let weight = four(&operands.weight, weight_shape, tracked[1]);
    let bias = Tensor::<1>::from_data(TensorData::new(operands.bias.clone(), [operands.bias.len()]), device);
    let bias = if tracked[2] { bias.require_grad() } else { bias };

    let output = function(input.clone(), weight.clone(), Some(bias.clone()), options(geometry));
    let gradient = four(&operands.gradient, output.dims(), false);
    let gradients = (output.clone() * gradient).sum().backward();
    let vector =
        |data: Option<TensorData>| data.map_or_else(Vec::new, |data| data.try_to_vec::<f32>().expect("floats"));
    [
        vector(Some(output.into_data())),
        vector(input.grad(&gradients).map(Tensor::into_data)),
        vector(weight.grad(&gradients).map(Tensor::into_data)),
        vector(bias.grad(&gradients).map(Tensor::into_data)),
    ]
}

fn assert_close(actual: &Results, expected: &Results, context: &str) -> f32 {
    let names = ["output", "input gradient", "weight gradient", "bias gradient"];
    let differences = names.iter().zip(actual.iter().zip(expected)).map(|(name, (actual, expected))| {
        let difference = difference(actual, expected);
        assert!(difference < 1e-4, "{context}: {name} differs by {difference}");
        difference
    });
    differences.fold(0.0, f32::max)
}

#[test]
fn every_level_agrees_with_burn() {
    let device = Device::flex().autodiff();
    let mut worst = 0.0f32;
    for case in CASES {
        let geometry = geometry(case);
        let operands = Operands::new(&geometry);
        let expected = through_burn(burn_conv2d, &geometry, &operands, [true; 3], &device);
        for level in Level::available() {
            let actual = with_kernels(exactly(level), &geometry, &operands);
            worst = worst.max(assert_close(&actual, &expected, &format!("{} {case:?}", level.name())));
        }
    }
    eprintln!("largest relative difference {worst:e}, levels {:?}", Level::available());
}

#[test]
fn depthwise_agrees_with_burn() {
    let device = Device::flex().autodiff();
    for case in DEPTHWISE {
        let geometry = depthwise(case);
        let operands = Operands::new(&geometry);
        let expected = through_burn(burn_conv2d, &geometry, &operands, [true; 3], &device);
        for level in Level::available() {
            let actual = with_kernels(exactly(level), &geometry, &operands);
            assert_close(&actual, &expected, &format!("{} {case:?}", level.name()));
        }
        let extension = through_burn(conv2d, &geometry, &operands, [true; 3], &device);
        let kernels = with_kernels(exactly(Level::active().unwrap()), &geometry, &operands);
        assert_eq!(extension, kernels, "{case:?}");
    }
}

/// To the nearest value with 8 bits, ties to even.
fn bf16(values: &[f32]) -> Vec<f32> {
    let round = |value: &f32| {
        let unit = f64::from(value.abs()).max(1e-30).log2().floor() - 7.0;
        ((f64::from(*value) / unit.exp2()).round_ties_even() * unit.exp2()) as f32
    };
    values.iter().map(round).collect()
}

#[test]
fn bfloat16_rounds_operands_and_nothing_else() {
    let mut covered = 0;
    for case in CASES {
        let &(batch, inputs, outputs, _, kernel, stride, padding) = case;
        let geometry = geometry(case);
        let operands = Operands::new(&geometry);
        let rounds = batch >= 4
            && inputs.min(outputs) >= 16
            && (stride == [1, 1] || stride == [2, 2])
            && kernel == [2 * padding[0] + 1; 2];
        let rounded = if rounds {
            let Operands { input, weight, bias, gradient } = &operands;
            Operands { input: bf16(input), weight: bf16(weight), bias: bias.clone(), gradient: bf16(gradient) }
        } else {
            Operands::new(&geometry)
        };
        covered += usize::from(rounds);
        for level in Level::available() {
            let [output, input, weight, _] =
                with_kernels(Computing { level, precision: TrainingPrecision::Bf16 }, &geometry, &operands);
            let [.., bias] = with_kernels(exactly(level), &geometry, &operands);
            let expected = with_kernels(exactly(level), &geometry, &rounded);
            let expected = [expected[0].clone(), expected[1].clone(), expected[2].clone(), bias.clone()];
            assert_close(&[output, input, weight, bias], &expected, &format!("{} {case:?}", level.name()));
        }
    }
    assert!(covered >= 10, "only {covered} cases are rounded");
}

#[test]
fn precision_belongs_to_what_is_made_within() {
    let device = Device::flex().autodiff();
    let geometry = geometry(&(4, 16, 16, [9, 7], [3, 3], [1, 1], [1, 1]));
    let operands = Operands::new(&geometry);
    let bfloat16: Function =
        |input, weight, bias, options| with_precision(TrainingPrecision::Bf16, || conv2d(input, weight, bias, options));
    let exact = through_burn(conv2d, &geometry, &operands, [true; 3], &device);
    // The gradients are computed after the scope has ended.
    let rounded = through_burn(bfloat16, &geometry, &operands, [true; 3], &device);
    for index in 0..3 {
        let difference = difference(&rounded[index], &exact[index]);
        assert!((1e-4..1e-2).contains(&difference), "{index}: {difference}");
    }
    assert_eq!(rounded[3], exact[3]);
    let after = through_burn(conv2d, &geometry, &operands, [true; 3], &device);
    assert_eq!(after, exact);
}

#[test]
fn extension_agrees_with_burn_whatever_is_tracked() {
    let plain = Device::flex().autodiff();
    let checkpointing = Device::flex().autodiff().gradient_checkpointing();
    for case in &CASES[..8] {
        let geometry = geometry(case);
        let operands = Operands::new(&geometry);
        for device in [&plain, &checkpointing] {
            for tracked in 1..8 {
                let tracked = [tracked & 1 != 0, tracked & 2 != 0, tracked & 4 != 0];
                let actual = through_burn(conv2d, &geometry, &operands, tracked, device);
                let expected = through_burn(burn_conv2d, &geometry, &operands, tracked, device);
                assert_close(&actual, &expected, &format!("{case:?}, tracked {tracked:?}"));
                assert_eq!([1, 2, 3].map(|i| !actual[i].is_empty()), tracked);
            }
        }
    }
}

#[test]
fn chains_through_recomputed_activations() {
    for device in [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()] {
        let run = |function: Function| {
            let tensor = |shape: [usize; 4], seed| {
                let data = TensorData::new(values(shape.iter().product(), seed), shape);
                Tensor::<4>::from_data(data, &device)
            };
            let input = tensor([2, 3, 8, 10], 1);
            let first = tensor([5, 3, 3, 3], 2).require_grad();
            let second = tensor([4, 5, 3, 3], 3).require_grad();
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let hidden = burn::tensor::activation::relu(function(input, first.clone(), None, options.clone()) * 2.0);
            let output = function(hidden, second.clone(), None, options);
            let gradients = output.powi_scalar(2).sum().backward();
            [first, second].map(|weight| weight.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap())
        };
        let (actual, expected) = (run(conv2d), run(burn_conv2d));
        for (actual, expected) in actual.iter().zip(&expected) {
            assert!(difference(actual, expected) < 1e-4);
        }
    }
}

#[test]
fn inner_tensors_and_views() {
    let device = Device::flex();
    let input = Tensor::<4>::from_data(TensorData::new(values(2 * 6 * 5 * 7, 1), [2, 7, 5, 6]), &device);
    // Not contiguous: channels come last in memory.
    let input = input.permute([0, 3, 1, 2]);
    let weight = Tensor::<4>::from_data(TensorData::new(values(4 * 6 * 9, 2), [4, 6, 3, 3]), &device);
    let options = ConvOptions::new([2, 1], [1, 1], [1, 1], 1);
    let actual = conv2d(input.clone(), weight.clone(), None, options.clone());
    let expected = burn_conv2d(input, weight, None, options);
    assert_eq!(actual.dims(), expected.dims());
    let [actual, expected] = [actual, expected].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap());
    assert!(difference(&actual, &expected) < 1e-5);
}

#[test]
fn uncovered_cases_are_burns() {
    let device = Device::flex();
    let tensor =
        |shape: [usize; 4]| Tensor::<4>::from_data(TensorData::new(values(shape.iter().product(), 1), shape), &device);
    let cases = [
        ([4, 2, 3, 3], ConvOptions::new([1, 1], [1, 1], [1, 1], 2)),
        ([4, 4, 3, 3], ConvOptions::new([1, 1], [2, 2], [2, 2], 1)),
    ];
    for (weight, options) in cases {
        let (input, weight) = (tensor([2, 4, 9, 8]), tensor(weight));
        let actual = conv2d(input.clone(), weight.clone(), None, options.clone());
        actual.into_data().assert_eq(&burn_conv2d(input, weight, None, options).into_data(), true);
    }
}

#[test]
fn asymmetric_padding() {
    let device = Device::flex().autodiff();
    let options = ConvOptions::new_with_padding([2, 1], [(0, 1), (2, 1)], [1, 1], 1);
    let run = |function: Function| {
        let tensor = |shape: [usize; 4], seed| {
            let data = TensorData::new(values(shape.iter().product(), seed), shape);
            Tensor::<4>::from_data(data, &device).require_grad()
        };
        let (input, weight) = (tensor([2, 3, 8, 9], 1), tensor([5, 3, 3, 3], 2));
        let output = function(input.clone(), weight.clone(), None, options.clone());
        let gradients = output.clone().powi_scalar(2).sum().backward();
        let tensors = [output, input.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap()];
        tensors.map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap())
    };
    for (actual, expected) in run(conv2d).iter().zip(&run(burn_conv2d)) {
        assert!(difference(actual, expected) < 1e-4);
    }
}

fn geometries() -> impl Strategy<Value = Geometry> {
    let channels = prop_oneof![1usize..6, 14usize..19, 30usize..36];
    let pairs = |range: std::ops::Range<usize>| [range.clone(), range];
    (1usize..7, channels.clone(), channels, pairs(1..20), pairs(1..6), pairs(1..4), pairs(0..4), any::<[bool; 2]>())
        .prop_map(|(batch, input_channels, outputs, input, kernel, stride, padding, [depthwise, usual])| {
            // Half of them are of the kind that networks have.
            let (kernel, stride, padding) = if usual {
                ([kernel[0] | 1; 2], [stride[0].min(2); 2], [kernel[0] / 2; 2])
            } else {
                (kernel, stride, padding)
            };
            let output_channels = if depthwise { input_channels } else { outputs };
            let padding = padding.map(|padding| (padding, padding));
            Geometry { batch, input_channels, output_channels, depthwise, input, kernel, stride, padding }
        })
        .prop_filter("a window fits", Geometry::is_valid)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_level_agrees_with_the_portable_one(geometry in geometries(), bf16: bool) {
        let operands = Operands::new(&geometry);
        let precision = if bf16 { TrainingPrecision::Bf16 } else { TrainingPrecision::F32 };
        let expected = with_kernels(Computing { level: Level::Portable, precision }, &geometry, &operands);
        for level in Level::available() {
            let actual = with_kernels(Computing { level, precision }, &geometry, &operands);
            assert_close(&actual, &expected, level.name());
        }
    }
}

#[test]
#[should_panic(expected = "invalid convolution")]
fn a_batch_of_nothing_is_refused() {
    let geometry = geometry(&(0, 3, 4, [5, 5], [3, 3], [1, 1], [1, 1]));
    conv::forward(exactly(Level::Portable), &geometry, &[], &values(108, 1), None);
}

#[test]
fn same_bits_whatever_the_threads() {
    for geometry in CASES.iter().map(geometry).chain(DEPTHWISE.iter().map(depthwise)) {
        let operands = Operands::new(&geometry);
        for level in Level::available() {
            let [one, two, five] = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let results = pool.install(|| with_kernels(exactly(level), &geometry, &operands));
                results.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            });
            assert_eq!(one, two, "{} {geometry:?}", level.name());
            assert_eq!(one, five, "{} {geometry:?}", level.name());
        }
    }
}

#[test]
fn levels_are_chosen_by_name() {
    assert_eq!(Level::choose(None), Ok(*Level::available().last().unwrap()));
    assert_eq!(Level::choose(Some("portable")), Ok(Level::Portable));
    let error = Level::choose(Some("sse9")).unwrap_err();
    assert_eq!(error, LevelError::Unknown { value: "sse9".into() });
    assert!(error.to_string().contains("EMOXIDE_CPU=sse9"));
    for level in Level::ALL {
        assert_eq!(Level::choose(Some(level.name())).is_ok(), Level::available().contains(&level));
    }
}
