//! Convolution and its gradients on slices, at an explicit [`Level`].

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    blocked::{self, Shape},
    correlate::Prepared,
    depthwise,
    level::Level,
    plan::Plan,
    precision::TrainingPrecision,
};

pub use crate::geometry::Geometry;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Computing {
    /// With which instructions.
    pub level: Level,
    /// What is multiplied.
    pub precision: TrainingPrecision,
}

/// Fewest images for which the blocked kernels pay.
const FEWEST_IMAGES: usize = 4;

/// Forward pass: `[batch, output_channels, rows, cols]`.
///
/// # Panics
/// When the geometry is invalid, a slice has another length than the geometry says, or the level is not available.
pub fn forward(
    computing: Computing,
    geometry: &Geometry,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    check(computing.level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(weight.len(), geometry.weight_len(), "weight length");
    assert!(bias.is_none_or(|bias| bias.len() == geometry.output_channels), "bias length");
    if geometry.depthwise {
        return depthwise::forward(computing.level, geometry, input, weight, bias);
    }
    if let Some(shape) = suited(geometry) {
        let zeros = vec![0.0; geometry.output_channels];
        return filled(geometry.output_len(), |output| {
            blocked::forward(computing, shape, geometry.input, [weight, bias.unwrap_or(&zeros)], input, output);
        });
    }
    let plan = Plan::forward(geometry);
    Prepared::new(computing.level, &plan, weight, bias).run(input, geometry.batch)
}

/// Gradient of the input, in its layout, from the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient(computing: Computing, geometry: &Geometry, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
    check(computing.level, geometry);
    assert_eq!(weight.len(), geometry.weight_len(), "weight length");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    if geometry.depthwise {
        return depthwise::input_gradient(computing.level, geometry, weight, gradient);
    }
    if let Some(shape) = suited(geometry) {
        return filled(geometry.input_len(), |target| {
            blocked::input_gradient(computing, shape, geometry.input, weight, gradient, target);
        });
    }
    let plan = Plan::input_gradient(geometry);
    Prepared::new(computing.level, &plan, weight, None).run(gradient, geometry.batch)
}

/// Gradient of the weight, in its layout, from the input and the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn weight_gradient(computing: Computing, geometry: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    check(computing.level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    if geometry.depthwise {
        return depthwise::weight_gradient(computing.level, geometry, input, gradient);
    }
    if let Some(shape) = suited(geometry) {
        return blocked::weight_gradient(computing, shape, geometry.input, input, gradient);
    }
    crate::weight_gradient::weight_gradient(computing.level, geometry, input, gradient)
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

/// The shape, where the blocked kernels apply and pay.
fn suited(geometry: &Geometry) -> Option<Shape> {
    let Geometry { batch, input_channels: inputs, output_channels: outputs, kernel, stride, padding, .. } = *geometry;
    let even = stride[0] == stride[1] && padding == [(padding[0].0, padding[0].0); 2];
    let shape = Shape { inputs, outputs, kernel, stride: stride[0], padding: padding[0].0 };
    // Threads share the images there, so a few are too few; by their number alone, as threads must not change results.
    (even && batch >= FEWEST_IMAGES && blocked::suits(&shape)).then_some(shape)
}

/// A vector that `fill` writes all of: zeroing it beforehand would cost about as much as a small convolution.
pub(crate) fn filled(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    fill(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: `fill` initialises every float.
    unsafe { values.set_len(len) };
    values
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
