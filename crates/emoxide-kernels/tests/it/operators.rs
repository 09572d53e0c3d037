//! The blocked kernels beside convolutions against their definitions in double precision, at every level of this
//! machine.

use emoxide_kernels::Level;
use emoxide_kernels::blocked::{
    Activation, Binary, Buffer, Combine, Depthwise, Layout, Pool, Reduce, Shape, elementwise, from_blocked,
};
use proptest::prelude::*;

use crate::support::{blocked, difference, values};

/// Batch, channels, rows and columns.
type Dims = [usize; 4];

fn dims() -> impl Strategy<Value = Dims> {
    (1usize..4, prop_oneof![1usize..6, 14usize..19, 30usize..36], 1usize..14, 1usize..14)
        .prop_map(|(batch, channels, rows, cols)| [batch, channels, rows, cols])
}

/// A layout with a halo and the values in it, the halo filled with what must not be read.
fn place(level: Level, [batch, channels, rows, cols]: Dims, halo: usize, values: &[f32]) -> (Layout, Buffer) {
    let layout = Layout::blocked(level, channels, [rows, cols], halo);
    let buffer = blocked(&layout, batch, Some(&vec![f32::NAN; channels]), values);
    (layout, buffer)
}

/// What `write` leaves inside of a target; checks that it leaves the halo alone.
fn written(level: Level, [batch, channels, rows, cols]: Dims, write: impl FnOnce((&Layout, &mut [f32]))) -> Vec<f32> {
    let layout = Layout::blocked(level, channels, [rows, cols], 1);
    let mut target = Buffer::images(&layout, batch, Some(&vec![7.0; channels]));
    let before = target.clone();
    write((&layout, &mut target));
    let inside = |at: usize| {
        let (row, col) = (at % layout.block() / layout.row(), at % layout.row() / layout.lanes);
        (1..=rows).contains(&row) && (1..=cols).contains(&col)
    };
    for at in (0..target.len()).filter(|&at| !inside(at)) {
        assert!(target[at].to_bits() == before[at].to_bits(), "the halo was written to at {at}");
    }
    from_blocked(&layout, &target)
}

/// `exp(-x²/2)` integrated by Simpson's rule: the normal distribution function.
fn normal(x: f64) -> f64 {
    let steps = 400;
    let width = x / f64::from(steps);
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let sum: f64 = (0..=steps)
        .map(|step| {
            let factor = if step == 0 || step == steps { 1.0 } else { f64::from(2 + 2 * (step % 2)) };
            factor * density(f64::from(step) * width)
        })
        .sum();
    0.5 + sum * width / 3.0
}

fn activated(activation: &Activation, x: f32, channel: usize) -> f32 {
    let wide = f64::from(x);
    match activation {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::PRelu(slopes) => {
            if x < 0.0 {
                x * slopes[channel]
            } else {
                x
            }
        }
        Activation::Clamp(lowest, highest) => x.clamp(*lowest, *highest),
        Activation::Sigmoid => (1.0 / (1.0 + (-wide).exp())) as f32,
        Activation::Tanh => wide.tanh() as f32,
        Activation::Gelu => (wide * normal(wide)) as f32,
        Activation::Swish(factor) => (wide / (1.0 + (-f64::from(*factor) * wide).exp())) as f32,
    }
}

#[test]
fn functions_are_accurate_wherever_they_are_used() {
    let cases = [
        (Activation::Sigmoid, 3e-7, 0.0),
        (Activation::Tanh, 0.0, 3e-7),
        (Activation::Gelu, 2e-7, 4e-7),
        (Activation::Swish(1.0), 3e-7, 0.0),
        (Activation::Swish(1.702), 3e-6, 0.0),
    ];
    let inputs: Vec<f32> = (-4000..=4000).map(|step| step as f32 / 200.0).collect();
    let dims = [1, 1, 1, inputs.len()];
    for (activation, rel, abs) in cases {
        for level in Level::available() {
            let (layout, source) = place(level, dims, 0, &inputs);
            let combine = Combine::new(level, 1, None, None, activation.clone());
            let outputs = written(level, dims, |target| combine.run((&layout, &source), None, target));
            for (input, output) in inputs.iter().zip(outputs) {
                let expected = activated(&activation, *input, 0);
                assert!(
                    (output - expected).abs() <= abs + rel * expected.abs(),
                    "{activation:?}({input}) at {}: {output}, not {expected}",
                    level.name()
                );
            }
        }
    }
}

#[test]
fn functions_keep_what_is_not_a_number_and_stay_finite() {
    let inputs = [f32::NAN, -1e30, 1e30, -100.0, 100.0];
    let functions = [Activation::Sigmoid, Activation::Tanh, Activation::Gelu, Activation::Swish(1.0)];
    for level in Level::available() {
        for activation in &functions {
            let (layout, source) = place(level, [1, 1, 1, 5], 0, &inputs);
            let combine = Combine::new(level, 1, None, None, activation.clone());
            let outputs = written(level, [1, 1, 1, 5], |target| combine.run((&layout, &source), None, target));
            assert!(outputs[0].is_nan() && outputs[1..].iter().all(|value| value.is_finite()), "{outputs:?}");
        }
    }
}

/// A depthwise convolution in the plainest order.
fn depthwise(shape: &Shape, [batch, channels, rows, cols]: Dims, input: &[f32], weight: &[f32]) -> Vec<f64> {
    let [out_rows, out_cols] = shape.output([rows, cols]).expect("a window fits");
    let [kernel_rows, kernel_cols] = shape.kernel;
    let mut sums = Vec::new();
    for plane in 0..batch * channels {
        for (row, col) in (0..out_rows).flat_map(|row| (0..out_cols).map(move |col| (row, col))) {
            let mut sum = 0.0;
            for (i, j) in (0..kernel_rows).flat_map(|i| (0..kernel_cols).map(move |j| (i, j))) {
                let at = [row * shape.stride + i, col * shape.stride + j].map(|at| at.wrapping_sub(shape.padding));
                if at[0] < rows && at[1] < cols {
                    let weight = weight[(plane % channels * kernel_rows + i) * kernel_cols + j];
                    sum += f64::from(input[(plane * rows + at[0]) * cols + at[1]]) * f64::from(weight);
                }
            }
            sums.push(sum);
        }
    }
    sums
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Linear),
        Just(Activation::Relu),
        Just(Activation::Clamp(0.0, 0.75)),
        Just(Activation::PRelu(values(64, 9))),
        Just(Activation::Sigmoid),
        Just(Activation::Tanh),
        Just(Activation::Gelu),
        Just(Activation::Swish(1.702)),
    ]
}

/// With as many slopes as there are channels.
fn fitted(activation: Activation, channels: usize) -> Activation {
    if let Activation::PRelu(slopes) = activation { Activation::PRelu(slopes[..channels].to_vec()) } else { activation }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn depthwise_convolutions_are_the_plain_sums(
        dims in dims(),
        (kernel_rows, kernel_cols, stride, padding) in (1usize..6, 1usize..6, 1usize..3, 0usize..3),
        activation in activations(),
        carrying in any::<bool>(),
    ) {
        let [batch, channels, rows, cols] = dims;
        let shape =
            Shape { inputs: channels, outputs: channels, kernel: [kernel_rows, kernel_cols], stride, padding };
        let output = shape.output([rows, cols]);
        prop_assume!(output.is_some() && !activation.needs_pass());
        let activation = fitted(activation, channels);
        let [out_rows, out_cols] = output.expect("assumed");
        let out = [batch, channels, out_rows, out_cols];
        let input = values(dims.iter().product(), 1);
        let weight = values(shape.kernel[0] * shape.kernel[1] * channels, 2);
        let (bias, carried) = (values(channels, 3), values(out.iter().product(), 4));
        let expected: Vec<f32> = depthwise(&shape, dims, &input, &weight)
            .iter()
            .enumerate()
            .map(|(at, sum)| {
                let channel = at / (out_rows * out_cols) % channels;
                let carried = if carrying { carried[at] } else { 0.0 };
                activated(&activation, *sum as f32 + bias[channel] + carried, channel)
            })
            .collect();
        for level in Level::available() {
            let layout = Layout::blocked(level, channels, [rows, cols], padding);
            let source = blocked(&layout, batch, None, &input);
            let (carried_layout, carried) = place(level, out, 0, &carried);
            let carried = carrying.then_some((&carried_layout, &*carried));
            let kernel = Depthwise::new(level, shape, &weight, &bias, &activation);
            let actual = written(level, out, |target| kernel.run(batch, (&layout, &source), carried, target));
            let difference = difference(&actual, &expected);
            prop_assert!(difference < 1e-5, "{}: {difference:e}", level.name());
        }
    }

    #[test]
    fn combinations_are_what_they_say(
        dims in dims(),
        activation in activations(),
        (scaling, shifting, carrying) in any::<(bool, bool, bool)>(),
    ) {
        let [batch, channels, rows, cols] = dims;
        let activation = fitted(activation, channels);
        let input = values(batch * channels * rows * cols, 1);
        let (scale, shift, carried) = (values(channels, 2), values(channels, 3), values(input.len(), 4));
        let expected: Vec<f32> = (0..input.len())
            .map(|at| {
                let channel = at / (rows * cols) % channels;
                let scaled = input[at] * if scaling { scale[channel] } else { 1.0 };
                let shifted = scaled + if shifting { shift[channel] } else { 0.0 };
                activated(&activation, shifted + if carrying { carried[at] } else { 0.0 }, channel)
            })
            .collect();
        for level in Level::available() {
            let (layout, source) = place(level, dims, 2, &input);
            let (carried_layout, carried) = place(level, dims, 0, &carried);
            let (scale, shift) = (scaling.then_some(&*scale), shifting.then_some(&*shift));
            let combine = Combine::new(level, channels, scale, shift, activation.clone());
            let carried = carrying.then_some((&carried_layout, &*carried));
            let actual = written(level, dims, |target| combine.run((&layout, &source), carried, target));
            let difference = difference(&actual, &expected);
            prop_assert!(difference < 2e-6, "{}: {difference:e}", level.name());
        }
    }

    #[test]
    fn maps_pixels_and_channels_meet_value_by_value(
        dims in dims(),
        (one_pixel, one_channel) in any::<(bool, bool)>(),
        binary in prop_oneof![Just(Binary::Add), Just(Binary::Sub), Just(Binary::Mul), Just(Binary::Max)],
    ) {
        let [batch, channels, rows, cols] = dims;
        let right_channels = if one_channel { 1 } else { channels };
        let right_size = if one_pixel { [1, 1] } else { [rows, cols] };
        let right_dims = [batch, right_channels, right_size[0], right_size[1]];
        let (left, right) = (values(dims.iter().product(), 1), values(right_dims.iter().product(), 2));
        let expected: Vec<f32> = (0..left.len())
            .map(|at| {
                let (plane, pixel) = (at / (rows * cols), at % (rows * cols));
                let channel = if one_channel { 0 } else { plane % channels };
                let pixel = if one_pixel { 0 } else { pixel };
                let area = right_size[0] * right_size[1];
                let (a, b) = (left[at], right[(plane / channels * right_channels + channel) * area + pixel]);
                match binary {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Max => a.max(b),
                }
            })
            .collect();
        for level in Level::available() {
            let (left_layout, left) = place(level, dims, 1, &left);
            let (right_layout, right) = place(level, right_dims, 0, &right);
            let actual = written(level, dims, |target| {
                elementwise(level, binary, (&left_layout, &left), (&right_layout, &right), target);
            });
            prop_assert_eq!(actual, expected.clone());
        }
    }

    #[test]
    fn pools_reduce_their_windows(
        dims in dims(),
        (kernel, stride, padding) in (1usize..5, 1usize..4, 0usize..3),
        (targets, kind) in (1usize..9, 0usize..5),
    ) {
        let [batch, channels, rows, cols] = dims;
        prop_assume!(2 * padding <= kernel);
        let size = |size: usize| (size + 2 * padding).checked_sub(kernel).map(|room| room / stride + 1);
        let (Some(pool_rows), Some(pool_cols)) = (size(rows), size(cols)) else { return Ok(()) };
        let windows = |sources, count| Pool::windows(sources, count, kernel, stride, padding);
        let pool = match kind {
            0 => Pool { reduce: Reduce::Max, rows: windows(rows, pool_rows), cols: windows(cols, pool_cols) },
            1 => Pool { reduce: Reduce::Mean, rows: windows(rows, pool_rows), cols: windows(cols, pool_cols) },
            2 => {
                let reduce = Reduce::Share((kernel * kernel) as f32);
                Pool { reduce, rows: windows(rows, pool_rows), cols: windows(cols, pool_cols) }
            }
            3 => Pool { reduce: Reduce::Max, rows: Pool::shares(rows, 1), cols: Pool::shares(cols, 1) },
            _ => Pool { reduce: Reduce::Mean, rows: Pool::shares(rows, targets), cols: Pool::shares(cols, targets) },
        };
        let input = values(batch * channels * rows * cols, 1);
        let out = [batch, channels, pool.rows.len(), pool.cols.len()];
        let mut expected = Vec::new();
        for plane in input.chunks(rows * cols) {
            for (row_window, col_window) in pool.rows.iter().flat_map(|r| pool.cols.iter().map(move |c| (r, c))) {
                let window: Vec<f64> = row_window
                    .clone()
                    .flat_map(|row| col_window.clone().map(move |col| f64::from(plane[row * cols + col])))
                    .collect();
                let sum: f64 = window.iter().sum();
                expected.push(match pool.reduce {
                    Reduce::Max => window.iter().fold(f64::MIN, |a, b| a.max(*b)),
                    Reduce::Mean => sum / window.len() as f64,
                    Reduce::Share(size) => sum / f64::from(size),
                } as f32);
            }
        }
        for level in Level::available() {
            let (layout, source) = place(level, dims, 1, &input);
            let actual = written(level, out, |target| pool.run(level, (&layout, &source), target));
            let difference = difference(&actual, &expected);
            prop_assert!(difference < 1e-6, "{}: {difference:e}", level.name());
        }
    }
}

#[test]
fn a_maximum_keeps_what_is_not_a_number() {
    for level in Level::available() {
        for at in 0..4 {
            let mut input = vec![1.0, 3.0, 2.0, 0.5];
            input[at] = f32::NAN;
            let (layout, source) = place(level, [1, 1, 2, 2], 0, &input);
            let pool = Pool { reduce: Reduce::Max, rows: Pool::shares(2, 1), cols: Pool::shares(2, 1) };
            let largest = written(level, [1, 1, 1, 1], |target| pool.run(level, (&layout, &source), target));
            assert!(largest[0].is_nan(), "{} at {at}", level.name());
        }
    }
}
