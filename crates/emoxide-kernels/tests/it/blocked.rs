//! The blocked kernels against the plain sums in double precision, at every level of this machine.

use emoxide_kernels::Level;
use emoxide_kernels::blocked::{
    Activation, Algorithm, Buffer, Convolution, Layout, Shape, Source, from_blocked, from_planar,
};
use proptest::prelude::*;

use crate::support::{blocked, difference, values};

/// `[batch, channels, rows, cols]`
type Dims = [usize; 4];

/// A convolution over a map whose surroundings have a value per channel.
#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    batch: usize,
    size: [usize; 2],
    carried: bool,
    activation: Activation,
    outside: bool,
}

impl Case {
    fn output(&self) -> Dims {
        let [rows, cols] = self.shape.output(self.size).expect("a window fits");
        [self.batch, self.shape.outputs, rows, cols]
    }
}

/// Sums of products in the plainest order.
fn plain(case: &Case, input: &[f32], outside: &[f32], weight: &[f32], bias: &[f32], carried: &[f32]) -> Vec<f32> {
    let Shape { inputs, kernel: [kernel_rows, kernel_cols], stride, padding, .. } = case.shape;
    let [batch, outputs, rows, cols] = case.output();
    let [input_rows, input_cols] = case.size;
    let mut results = Vec::new();
    for (image, output) in (0..batch).flat_map(|image| (0..outputs).map(move |output| (image, output))) {
        for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
            let mut sum = f64::from(bias[output]);
            for channel in 0..inputs {
                for (i, j) in (0..kernel_rows).flat_map(|i| (0..kernel_cols).map(move |j| (i, j))) {
                    let at = [row * stride + i, col * stride + j].map(|at| at.wrapping_sub(padding));
                    let value = if at[0] < input_rows && at[1] < input_cols {
                        input[((image * inputs + channel) * input_rows + at[0]) * input_cols + at[1]]
                    } else {
                        outside[channel]
                    };
                    let weight = weight[((output * inputs + channel) * kernel_rows + i) * kernel_cols + j];
                    sum += f64::from(value) * f64::from(weight);
                }
            }
            let sum = sum as f32 + if case.carried { carried[results.len()] } else { 0.0 };
            results.push(match &case.activation {
                Activation::Linear => sum,
                Activation::Clamp(lowest, highest) => sum.clamp(*lowest, *highest),
                Activation::Relu => sum.max(0.0),
                Activation::PRelu(slopes) => {
                    if sum < 0.0 {
                        sum * slopes[output]
                    } else {
                        sum
                    }
                }
                other => panic!("{other:?} is no convolution's"),
            });
        }
    }
    results
}

/// To the nearest value with 8 bits, ties to even, in double precision.
fn bf16(value: f32) -> f32 {
    let unit = f64::from(value.abs()).max(1e-30).log2().floor() - 7.0;
    ((f64::from(value) / unit.exp2()).round_ties_even() * unit.exp2()) as f32
}

/// To integers up to 127 of a scale such that the largest of `all` is 127.
fn int8(values: &mut [f32], all: &[f32]) {
    let scale = all.iter().fold(0.0f32, |largest, value| largest.max(value.abs())) / 127.0;
    for value in values.iter_mut().filter(|value| **value != 0.0) {
        *value = (*value * (1.0 / scale)).round_ties_even() * scale;
    }
}

/// What the algorithm makes of its operands: input, surroundings of every image, weight.
fn rounded(
    case: &Case,
    algorithm: Algorithm,
    [mut input, outside, mut weight]: [Vec<f32>; 3],
) -> (Vec<f32>, Vec<Vec<f32>>, Vec<f32>) {
    let images = vec![outside; case.batch];
    match algorithm {
        Algorithm::Direct | Algorithm::Winograd => (input, images, weight),
        Algorithm::Bf16 => {
            let round = |values: Vec<f32>| values.into_iter().map(bf16).collect::<Vec<f32>>();
            (round(input), images.into_iter().map(round).collect(), round(weight))
        }
        Algorithm::Int8 => {
            let per_output = weight.len() / case.shape.outputs;
            for weight in weight.chunks_mut(per_output) {
                let all = weight.to_vec();
                int8(weight, &all);
            }
            let len = input.len() / case.batch;
            let pairs = input.chunks_mut(len).zip(images);
            let images = pairs.map(|(image, mut outside)| {
                let surrounded = case.outside && case.shape.padding > 0;
                let all: Vec<f32> = image.iter().chain(outside.iter().filter(|_| surrounded)).copied().collect();
                int8(image, &all);
                int8(&mut outside, &all);
                outside
            });
            let images = images.collect();
            (input, images, weight)
        }
    }
}

/// The largest difference relative to the largest value.
fn compare(level: Level, case: &Case, source: Source, algorithm: Algorithm) -> f32 {
    compare_in(level, case, source, algorithm, [false; 2])
}

/// As [`compare`]; what is carried, and the target, can be bfloat16.
fn compare_in(level: Level, case: &Case, source: Source, algorithm: Algorithm, halves: [bool; 2]) -> f32 {
    let Case { shape, batch, size, .. } = case.clone();
    let [_, outputs, rows, cols] = case.output();
    let input = values(batch * shape.inputs * size[0] * size[1], 1);
    let (weight, bias) = (values(shape.weights(), 2), values(outputs, 3));
    let mut carried = values(batch * outputs * rows * cols, 4);
    if halves[0] {
        carried = carried.into_iter().map(bf16).collect();
    }
    let outside = if case.outside { values(shape.inputs, 5) } else { vec![0.0; shape.inputs] };
    let operands = rounded(case, algorithm, [input.clone(), outside.clone(), weight.clone()]);
    let image = |index: usize| {
        let one = |values: &[f32]| values[index * values.len() / batch..(index + 1) * values.len() / batch].to_vec();
        let case = Case { batch: 1, ..case.clone() };
        plain(&case, &one(&operands.0), &operands.1[index], &operands.2, &bias, &one(&carried))
    };
    let expected: Vec<f32> = (0..batch).flat_map(image).collect();

    let (from, from_values) = if source == Source::Planar {
        let layout = Layout::planar(shape.inputs, size, shape.padding);
        let mut buffer = Buffer::images(&layout, batch, Some(&outside));
        from_planar(&input, &layout, &mut buffer);
        (layout, buffer)
    } else {
        let bf16 = source == Source::Bf16;
        let layout = layout(bf16)(level, shape.inputs, size, shape.padding + 1);
        // Only the padding is ever read.
        let layout = if case.outside { Layout { halo: shape.padding, ..layout } } else { layout };
        (layout, blocked(&layout, batch, Some(&outside), if bf16 { &operands.0 } else { &input }))
    };
    let carried_layout = layout(halves[0])(level, outputs, [rows, cols], 0);
    let carried = blocked(&carried_layout, batch, None, &carried);
    let to = layout(halves[1])(level, outputs, [rows, cols], 1);
    let mut target = Buffer::images(&to, batch, Some(&vec![7.0; outputs]));
    let untouched = target.clone();
    let convolution = Convolution::new(level, shape, source, algorithm, &weight, &bias, &case.activation);
    let carried = case.carried.then_some((&carried_layout, &*carried));
    convolution.run(batch, (&from, &from_values), carried, (&to, &mut target));

    let inside = |at: usize| {
        let (row, col) = (at % to.block() / to.row(), at % to.row() / to.width);
        (1..=rows).contains(&row) && (1..=cols).contains(&col)
    };
    for at in (0..target.len()).filter(|&at| !inside(at)) {
        assert!(target[at].to_bits() == untouched[at].to_bits(), "the halo was written to at {at}");
    }
    difference(&from_blocked(&to, &target), &expected)
}

fn layout(bf16: bool) -> fn(Level, usize, [usize; 2], usize) -> Layout {
    if bf16 { Layout::bf16 } else { Layout::blocked }
}

/// How far results may be off, relative to the largest. The sums of so many products are off by some of their own last bits,
/// which count for more where a clamp cuts the sums off.
fn bound(case: &Case) -> f32 {
    let sum = ((case.shape.weights() / case.shape.outputs) as f32).sqrt() / 3.0;
    let Activation::Clamp(_, largest) = case.activation else { return 1e-5 };
    1e-5 * (sum / largest).max(1.0)
}

fn cases() -> impl Strategy<Value = Case> {
    let channels = prop_oneof![1usize..6, 14usize..19, 30usize..36, Just(48usize), Just(65usize)];
    let sizes = (1usize..20, 1usize..20, 1usize..8, 1usize..8, 1usize..5, 0usize..4);
    let rest = (1usize..4, any::<bool>(), 0usize..4, any::<bool>());
    (channels.clone(), channels, sizes, rest).prop_filter_map("no window fits", |(inputs, outputs, sizes, rest)| {
        let (rows, cols, kernel_rows, kernel_cols, stride, padding) = sizes;
        let (batch, carried, activation, outside) = rest;
        let shape = Shape { inputs, outputs, kernel: [kernel_rows, kernel_cols], stride, padding };
        shape.output([rows, cols])?;
        let activation = match activation {
            0 => Activation::Linear,
            1 => Activation::Relu,
            2 => Activation::Clamp(-0.5, 6.0),
            _ => Activation::PRelu(values(outputs, 6)),
        };
        Some(Case { shape, batch, size: [rows, cols], carried, activation, outside })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn convolutions_of_any_shape_are_the_plain_sums(case in cases()) {
        for level in Level::available() {
            for source in [Source::Blocked, Source::Planar] {
                let difference = compare(level, &case, source, Algorithm::Direct);
                prop_assert!(difference < bound(&case), "{} {source:?}: {difference:e}", level.name());
            }
        }
    }

    #[test]
    fn winograd_gives_the_plain_sums(case in cases()) {
        let shape = Shape { kernel: [3, 3], stride: 1, padding: case.shape.padding.min(1), ..case.shape };
        let case = Case { shape, ..case };
        prop_assume!(case.shape.output(case.size).is_some());
        for level in Level::available() {
            let difference = compare(level, &case, Source::Blocked, Algorithm::Winograd);
            prop_assert!(difference < 5.0 * bound(&case), "{}: {difference:e}", level.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rounded_convolutions_are_the_plain_sums_of_rounded_values(case in cases()) {
        for level in Level::available() {
            for algorithm in [Algorithm::Bf16, Algorithm::Int8] {
                let difference = compare(level, &case, Source::Blocked, algorithm);
                prop_assert!(difference < bound(&case), "{} {algorithm:?}: {difference:e}", level.name());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn bfloat16_in_memory_is_read_and_written(case in cases(), carried in any::<bool>(), target in any::<bool>()) {
        // A last bit of bfloat16 more or less.
        let bound = bound(&case) + if target { 1.0 / 128.0 } else { 0.0 };
        for level in Level::available() {
            for source in [Source::Planar, Source::Blocked, Source::Bf16] {
                let algorithms = match source {
                    Source::Bf16 if Convolution::multiplies_bf16(level) => vec![Algorithm::Bf16],
                    Source::Bf16 => vec![],
                    Source::Planar => vec![Algorithm::Direct],
                    Source::Blocked => vec![Algorithm::Direct, Algorithm::Bf16],
                };
                for algorithm in algorithms {
                    let difference = compare_in(level, &case, source, algorithm, [carried, target]);
                    prop_assert!(difference < bound, "{} {source:?} {algorithm:?}: {difference:e}", level.name());
                }
            }
        }
    }
}

#[test]
fn a_vector_for_every_image_is_a_matrix_product() {
    for batch in [1, 2, 13, 31] {
        let shape = Shape { inputs: 37, outputs: 45, kernel: [3, 2], stride: 1, padding: 0 };
        let case = Case { shape, batch, size: [3, 2], carried: true, activation: Activation::Relu, outside: false };
        for level in Level::available() {
            let difference = compare(level, &case, Source::Blocked, Algorithm::Direct);
            assert!(difference < 1e-5, "{} batch {batch}: {difference:e}", level.name());
            if Convolution::multiplies_bf16(level) {
                let difference = compare(level, &case, Source::Bf16, Algorithm::Bf16);
                assert!(difference < 1e-5, "{} batch {batch}, bfloat16: {difference:e}", level.name());
            }
        }
    }
}
