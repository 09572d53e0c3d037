//! Batch normalisation of a training step on slices: statistics, forward pass and gradients, with what networks put
//! behind it (the carried input of a residual block, a rectifier) in the same pass over memory.
//!
//! Ioffe, Szegedy: Batch Normalization, arXiv 1502.03167. With `x̂ = (x - mean) / √(variance + ε)` the result is
//! `y = weight · x̂ + bias + carried`, rectified if wanted.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::{
    level::Level,
    planes::{map, rectify, sum, sum_of_two},
};

pub use crate::planes::Planes;

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
pub struct Gradients<'a> {
    /// By the input, in its layout.
    pub input: Vec<f32>,
    /// By the scale, one per channel.
    pub weight: Vec<f32>,
    /// By the shift, one per channel.
    pub bias: Vec<f32>,
    /// By the carried input, in its layout: the output's own gradient where it was not rectified.
    pub carried: Cow<'a, [f32]>,
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
pub fn gradients<'a>(
    level: Level,
    planes: Planes,
    input: &[f32],
    affine: Affine,
    rectified: Option<&[f32]>,
    gradient: &'a [f32],
) -> Gradients<'a> {
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
    Gradients { input, weight, bias, carried: gradient }
}

fn check(level: Level, planes: Planes, input: &[f32]) {
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert_eq!(input.len(), planes.len(), "input length");
}
