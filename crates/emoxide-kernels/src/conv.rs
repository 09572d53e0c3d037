//! Convolution and its gradients on slices, at an explicit [`Level`].

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{blocked, correlate::Prepared, level::Level, plan::Plan};

pub use crate::geometry::Geometry;

/// Fewest images for which the blocked kernels pay.
const FEWEST_IMAGES: usize = 4;

/// Forward pass: `[batch, output_channels, rows, cols]`.
///
/// # Panics
/// When the geometry is invalid, a slice has another length than the geometry says, or the level is not available.
pub fn forward(level: Level, geometry: &Geometry, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(weight.len(), geometry.weight_len(), "weight length");
    assert!(bias.is_none_or(|bias| bias.len() == geometry.output_channels), "bias length");
    if let Some(channels) = suited(geometry) {
        let zeros = vec![0.0; geometry.output_channels];
        return filled(geometry.output_len(), |output| {
            blocked::convolve(level, channels, geometry.input, weight, bias.unwrap_or(&zeros), input, output);
        });
    }
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
    if let Some([inputs, outputs]) = suited(geometry) {
        // The same with the window turned by 180 degrees and the channels exchanged.
        let turned = turned(geometry, weight);
        return filled(geometry.input_len(), |target| {
            blocked::convolve(level, [outputs, inputs], geometry.input, &turned, &vec![0.0; inputs], gradient, target);
        });
    }
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
    if let Some(channels) = suited(geometry) {
        return blocked::weight_gradient(level, channels, geometry.input, input, gradient);
    }
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

/// Channels, where the blocked kernels apply and pay.
fn suited(geometry: &Geometry) -> Option<[usize; 2]> {
    let Geometry { batch, input_channels, output_channels, kernel, stride, padding, .. } = *geometry;
    let channels = [input_channels, output_channels];
    let applies = kernel == [3, 3] && stride == [1, 1] && padding == [(1, 1); 2];
    // Threads share the images there, so a few are too few; by their number alone, as threads must not change results.
    (applies && batch >= FEWEST_IMAGES && blocked::pays(channels)).then_some(channels)
}

/// `[inputs, outputs, kernel]` with the windows turned by 180 degrees.
fn turned(geometry: &Geometry, weight: &[f32]) -> Vec<f32> {
    let [inputs, outputs] = [geometry.input_channels, geometry.output_channels];
    let area = geometry.kernel[0] * geometry.kernel[1];
    let mut turned = Vec::with_capacity(weight.len());
    for input in 0..inputs {
        for output in 0..outputs {
            let start = (output * inputs + input) * area;
            turned.extend(weight[start..start + area].iter().rev());
        }
    }
    turned
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
