//! Convolution and its gradients on slices, at an explicit [`Level`].

use rayon::prelude::*;

use crate::{correlate::Prepared, level::Level, plan::Plan};

pub use crate::geometry::Geometry;

/// Forward pass: `[batch, output_channels, rows, cols]`.
///
/// # Panics
/// When the geometry is invalid, a slice has another length than the geometry says, or the level is not available.
pub fn forward(level: Level, geometry: &Geometry, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(weight.len(), geometry.weight_len(), "weight length");
    assert!(bias.is_none_or(|bias| bias.len() == geometry.output_channels), "bias length");
    let plan = Plan::forward(geometry);
    Prepared::new(level, &plan, weight, bias).run(input, geometry.batch)
}

/// Gradient of the input, in its layout, from the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient(level: Level, geometry: &Geometry, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(weight.len(), geometry.weight_len(), "weight length");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    let plan = Plan::input_gradient(geometry);
    Prepared::new(level, &plan, weight, None).run(gradient, geometry.batch)
}

/// Gradient of the weight, in its layout, from the input and the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn weight_gradient(level: Level, geometry: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    crate::weight_gradient::weight_gradient(level, geometry, input, gradient)
}

/// Gradient of the bias, `[output_channels]`.
///
/// # Panics
/// As [`forward`].
pub fn bias_gradient(geometry: &Geometry, gradient: &[f32]) -> Vec<f32> {
    assert!(geometry.is_valid(), "invalid convolution: {geometry:?}");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    let [rows, cols] = geometry.output();
    let planes: Vec<f32> = gradient.par_chunks(rows * cols).map(sum).collect();
    let channels = geometry.output_channels;
    (0..channels).map(|channel| planes.iter().skip(channel).step_by(channels).sum()).collect()
}

/// Sum in a fixed order that vectorises.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().sum::<f32>() + rest
}

fn check(level: Level, geometry: &Geometry) {
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert!(geometry.is_valid(), "invalid convolution: {geometry:?}");
}
