//! Batch normalisation of a training step on slices: statistics, forward pass and gradients, with what networks put
//! behind it (the carried input of a residual block, a rectifier) in the same pass over memory.
//!
//! Ioffe, Szegedy: Batch Normalization, arXiv 1502.03167. With `x̂ = (x - mean) / √(variance + ε)` the result is
//! `y = weight · x̂ + bias + carried`, rectified if wanted.

use std::{borrow::Cow, mem::MaybeUninit};

use rayon::prelude::*;

use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch},
};

/// Sizes of `[batch, channels, ..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Values of one image and channel.
    pub area: usize,
}

impl Planes {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.area
    }

    /// Whether there is nothing to normalise.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of one image.
    fn image(&self) -> usize {
        self.channels * self.area
    }

    /// Values of one channel.
    fn count(&self) -> f64 {
        (self.batch * self.area) as f64
    }

    /// The planes of one channel.
    fn channel<'a>(&self, values: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        values.chunks_exact(self.area).skip(channel).step_by(self.channels)
    }
}

/// What normalises one batch; every slice has one value per channel.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Mean of the batch.
    pub mean: &'a [f32],
    /// Biased variance of the batch.
    pub variance: &'a [f32],
    /// Scale.
    pub weight: &'a [f32],
    /// Shift.
    pub bias: &'a [f32],
    /// What is added to the variance.
    pub epsilon: f64,
}

impl Affine<'_> {
    fn inverse_deviation(&self, channel: usize) -> f64 {
        (f64::from(self.variance[channel]) + self.epsilon).sqrt().recip()
    }

    fn check(&self, planes: Planes) {
        for (name, slice) in
            [("mean", self.mean), ("variance", self.variance), ("weight", self.weight), ("bias", self.bias)]
        {
            assert_eq!(slice.len(), planes.channels, "{name} length");
        }
    }
}

/// Derivatives of the loss.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// By the input, in its layout.
    pub input: Vec<f32>,
    /// By the scale, one per channel.
    pub weight: Vec<f32>,
    /// By the shift, one per channel.
    pub bias: Vec<f32>,
    /// By the carried input, in its layout; only where there is one.
    pub carried: Option<Vec<f32>>,
}

/// Mean and biased variance of every channel.
///
/// # Panics
/// When the input has another length than the sizes say, or the level is not available.
pub fn statistics(level: Level, planes: Planes, input: &[f32]) -> (Vec<f32>, Vec<f32>) {
    check(level, planes, input);
    (0..planes.channels)
        .into_par_iter()
        .map(|channel| {
            let mean =
                planes.channel(input, channel).map(|plane| sum(level, plane, |x| x)).sum::<f64>() / planes.count();
            let shift = mean as f32;
            let squares = planes.channel(input, channel).map(|plane| sum(level, plane, |x| (x - shift) * (x - shift)));
            // The mean was rounded: what that adds to the squares is known.
            let rounding = mean - f64::from(shift);
            let variance = squares.sum::<f64>() / planes.count() - rounding * rounding;
            // Not `f64::max`: a variance that is not a number must stay one.
            (shift, if variance < 0.0 { 0.0 } else { variance as f32 })
        })
        .unzip()
}

/// The normalised input plus `carried`, rectified if wanted; in the input's layout.
///
/// # Panics
/// When a slice has another length than the sizes say, or the level is not available.
pub fn forward(
    level: Level,
    planes: Planes,
    input: &[f32],
    affine: Affine,
    carried: Option<&[f32]>,
    rectified: bool,
) -> Vec<f32> {
    check(level, planes, input);
    affine.check(planes);
    assert!(carried.is_none_or(|carried| carried.len() == planes.len()), "length of the carried input");
    let lines: Vec<[f32; 2]> = (0..planes.channels)
        .map(|channel| {
            let scale = f64::from(affine.weight[channel]) * affine.inverse_deviation(channel);
            let shift = f64::from(affine.bias[channel]) - f64::from(affine.mean[channel]) * scale;
            [scale as f32, shift as f32]
        })
        .collect();
    let line = |x: f32, [scale, shift]: [f32; 2]| x * scale + shift;
    match (carried, rectified) {
        (None, false) => map(level, planes, [input], &lines, |[x], by| line(x, by)),
        (None, true) => map(level, planes, [input], &lines, |[x], by| rectify(line(x, by))),
        (Some(carried), false) => map(level, planes, [input, carried], &lines, |[x, c], by| line(x, by) + c),
        (Some(carried), true) => map(level, planes, [input, carried], &lines, |[x, c], by| rectify(line(x, by) + c)),
    }
}

/// Gradients from the gradient of the output. `rectified` is the output itself where it was rectified: the gradient
/// passes where it is positive.
///
/// # Panics
/// When a slice has another length than the sizes say, or the level is not available.
pub fn gradients(
    level: Level,
    planes: Planes,
    input: &[f32],
    affine: Affine,
    rectified: Option<&[f32]>,
    gradient: &[f32],
    carried: bool,
) -> Gradients {
    check(level, planes, input);
    affine.check(planes);
    assert_eq!(gradient.len(), planes.len(), "length of the gradient");
    assert!(rectified.is_none_or(|output| output.len() == planes.len()), "length of the output");
    // The gradient behind the rectifier is the carried input's, and everything below starts from it.
    let gradient = match rectified {
        Some(output) => {
            let passes = |[g, y]: [f32; 2], _: [f32; 0]| if y > 0.0 { g } else { 0.0 };
            Cow::Owned(map(level, planes, [gradient, output], &vec![[]; planes.channels], passes))
        }
        None => Cow::Borrowed(gradient),
    };
    let sums: Vec<[f64; 2]> = (0..planes.channels)
        .into_par_iter()
        .map(|channel| {
            let mean = affine.mean[channel];
            let plain = planes.channel(&gradient, channel).map(|plane| sum(level, plane, |g| g)).sum();
            let inputs = planes.channel(input, channel);
            let pairs = planes.channel(&gradient, channel).zip(inputs);
            let products = pairs.map(|(g, x)| sum_of_two(level, g, x, |g, x| g * (x - mean))).sum();
            [plain, products]
        })
        .collect();
    // With s = 1 / √(variance + ε): dx = weight s (g - Σg / n - (x - mean) s² Σ g (x - mean) / n).
    let lines: Vec<[f32; 3]> = sums
        .iter()
        .enumerate()
        .map(|(channel, [plain, products])| {
            let inverse = affine.inverse_deviation(channel);
            let scale = f64::from(affine.weight[channel]) * inverse;
            let slope = -scale * inverse * inverse * products / planes.count();
            let shift = -scale * plain / planes.count() - slope * f64::from(affine.mean[channel]);
            [scale as f32, slope as f32, shift as f32]
        })
        .collect();
    let input =
        map(level, planes, [&gradient, input], &lines, |[g, x], [scale, slope, shift]| g * scale + (x * slope + shift));
    let weight =
        sums.iter().enumerate().map(|(channel, [_, products])| (products * affine.inverse_deviation(channel)) as f32);
    let weight = weight.collect();
    let bias = sums.iter().map(|[plain, _]| *plain as f32).collect();
    let carried = carried.then(|| gradient.into_owned());
    Gradients { input, weight, bias, carried }
}

fn rectify(value: f32) -> f32 {
    // Not `f32::max`: a value that is not a number must stay one, so that training notices.
    if value < 0.0 { 0.0 } else { value }
}

fn check(level: Level, planes: Planes, input: &[f32]) {
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert_eq!(input.len(), planes.len(), "input length");
}

/// `operation` of the values at each place of `inputs`, with the coefficients of the place's channel.
fn map<const N: usize, const C: usize>(
    level: Level,
    planes: Planes,
    inputs: [&[f32]; N],
    coefficients: &[[f32; C]],
    operation: impl Fn([f32; N], [f32; C]) -> f32 + Copy + Sync,
) -> Vec<f32> {
    let mut output = Vec::with_capacity(planes.len());
    if planes.is_empty() {
        return output;
    }
    let slots = &mut output.spare_capacity_mut()[..planes.len()];
    slots.par_chunks_mut(planes.image()).enumerate().for_each(|(image, slots)| {
        for (channel, slots) in slots.chunks_mut(planes.area).enumerate() {
            let start = image * planes.image() + channel * planes.area;
            let inputs = inputs.map(|input| &input[start..start + planes.area]);
            // SAFETY: callers checked the level.
            unsafe { dispatch(level, Map { inputs, coefficients: coefficients[channel], operation, slots }) };
        }
    });
    // SAFETY: the chunks cover all slots, and `Map` writes every slot of its chunk.
    unsafe { output.set_len(planes.len()) };
    output
}

/// One plane of [`map`].
struct Map<'a, F, const N: usize, const C: usize> {
    inputs: [&'a [f32]; N],
    coefficients: [f32; C],
    operation: F,
    slots: &'a mut [MaybeUninit<f32>],
}

impl<F: Fn([f32; N], [f32; C]) -> f32, const N: usize, const C: usize> Kernel for Map<'_, F, N, C> {
    #[inline(always)]
    unsafe fn run<S: Simd, const TM: usize, const TN: usize, const TP: usize>(self) {
        let len = self.slots.len();
        let inputs = self.inputs.map(|input| &input[..len]);
        for (place, slot) in self.slots.iter_mut().enumerate() {
            slot.write((self.operation)(inputs.map(|input| input[place]), self.coefficients));
        }
    }
}

fn sum(level: Level, values: &[f32], operation: impl Fn(f32) -> f32 + Copy) -> f64 {
    sum_of_two(level, values, values, |value, _| operation(value))
}

/// Sum over two planes, in an order that depends on nothing but their length.
fn sum_of_two(level: Level, left: &[f32], right: &[f32], operation: impl Fn(f32, f32) -> f32 + Copy) -> f64 {
    let mut total = 0.0;
    // SAFETY: callers checked the level.
    unsafe { dispatch(level, Sum { left, right, operation, total: &mut total }) };
    total
}

struct Sum<'a, F> {
    left: &'a [f32],
    right: &'a [f32],
    operation: F,
    total: &'a mut f64,
}

impl<F: Fn(f32, f32) -> f32> Kernel for Sum<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd, const TM: usize, const TN: usize, const TP: usize>(self) {
        const LANES: usize = 32;
        let (left, left_rest) = self.left.as_chunks::<LANES>();
        let (right, right_rest) = self.right.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                lanes[lane] += (self.operation)(left[lane], right[lane]);
            }
        }
        let rest = left_rest.iter().zip(right_rest).map(|(&left, &right)| (self.operation)(left, right));
        *self.total = lanes.into_iter().chain(rest).map(f64::from).sum();
    }
}
