//! The parametric rectifier on slices: `x`, or where it is negative, `x` times a slope.
//!
//! He et al., Delving Deep into Rectifiers, arXiv 1502.01852.

use rayon::prelude::*;

use crate::{
    level::Level,
    planes::{Planes, map, sum_of_two},
};

/// The rectified input, in its layout. `slopes` has one value per channel.
///
/// # Panics
/// When a slice has another length than the sizes say, or the level is not available.
pub fn forward(level: Level, planes: Planes, input: &[f32], slopes: &[f32]) -> Vec<f32> {
    let slopes = check(level, planes, input, slopes);
    map(level, planes, [input], &slopes, |[x], [slope]| if x < 0.0 { x * slope } else { x })
}

/// Gradient of the input, in its layout, from the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient(level: Level, planes: Planes, input: &[f32], slopes: &[f32], gradient: &[f32]) -> Vec<f32> {
    let slopes = check(level, planes, input, slopes);
    assert_eq!(gradient.len(), planes.len(), "length of the gradient");
    map(level, planes, [gradient, input], &slopes, |[g, x], [slope]| if x < 0.0 { g * slope } else { g })
}

/// Gradient of the slopes, one per channel.
///
/// # Panics
/// As [`forward`].
pub fn slope_gradient(level: Level, planes: Planes, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert_eq!([input.len(), gradient.len()], [planes.len(); 2], "lengths");
    let channels = (0..planes.channels).into_par_iter().map(|channel| {
        let pairs = planes.channel(gradient, channel).zip(planes.channel(input, channel));
        let sums = pairs.map(|(g, x)| sum_of_two(level, g, x, |g, x| if x < 0.0 { g * x } else { 0.0 }));
        sums.sum::<f64>() as f32
    });
    channels.collect()
}

fn check(level: Level, planes: Planes, input: &[f32], slopes: &[f32]) -> Vec<[f32; 1]> {
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert_eq!(input.len(), planes.len(), "input length");
    assert_eq!(slopes.len(), planes.channels, "slopes length");
    slopes.iter().map(|&slope| [slope]).collect()
}
