//! Involution and its gradients on slices, at an explicit [`Level`].
//!
//! Li et al.: Involution: Inverting the Inherence of Convolution for Visual Recognition, CVPR 2021, arXiv 2103.06255.
//! Every pixel has a kernel of its own, which the channels of a group share. With kernels of `K` x `K` numbers, stride `s`,
//! `p = (K - 1) / 2` and zeros around the input:
//!
//! `output[b, c, y, x] = Σ kernels[b, g, u K + v, y, x] · input[b, c, s y + u - p, s x + v - p]` over `u` and `v`, where `g`
//! is the group of channel `c`.
//!
//! The channels of a group lie in the lanes of a vector: one number of a kernel meets aligned vectors at every stride and
//! on maps of any width, and nothing is unfolded. A task is some rows of one image and group, and each of its sums has an
//! order of its own that depends on the geometry alone.

mod geometry;
#[cfg(feature = "_gpu")]
pub(crate) mod gpu;
mod maps;
mod micro;
mod shifts;

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use crate::{conv::filled, level::Level};
use maps::Maps;

pub use geometry::{Geometry, ShapeError};
pub(crate) use shifts::by_shifts;

/// What the operation is called where networks are recorded; its inputs are images and kernels, its scalar the stride.
pub const NAME: &str = "emoxide_involution";

/// About as many pixels has the band of rows that is one task: its maps stay in the second-level cache.
const BAND: usize = 2048;

/// Forward pass: `[batch, channels, output rows, output cols]`.
///
/// # Panics
/// When the geometry is invalid, a slice has another length than the geometry says, or the level is not available.
pub fn forward(level: Level, geometry: &Geometry, input: &[f32], kernels: &[f32]) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(kernels.len(), geometry.kernels_len(), "kernels length");
    let [members, taps] = [geometry.members(), geometry.taps()];
    let [input_area, area] = [geometry.input, geometry.output()].map(|[rows, cols]| rows * cols);
    filled(geometry.output_len(), |output| {
        let groups = output.par_chunks_mut(members * area);
        let groups = groups.zip(input.par_chunks(members * input_area)).zip(kernels.par_chunks(taps * area));
        groups.for_each(|((output, input), kernels)| {
            bands(output, geometry.output()).into_par_iter().for_each(|band| {
                let mut windows = windows(level, geometry, input, &band.rows);
                let mut sums = Maps::zeroed(geometry.layout(level, [band.rows.len(), geometry.output()[1]], 0));
                micro::forward(level, geometry, &mut windows, kernels, band.rows, &mut sums);
                sums.unpack(level, band.planes);
            });
        });
    })
}

/// Gradient of the input, in its layout, from the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient(level: Level, geometry: &Geometry, kernels: &[f32], gradient: &[f32]) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(kernels.len(), geometry.kernels_len(), "kernels length");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    let [members, taps] = [geometry.members(), geometry.taps()];
    let [input_area, area] = [geometry.input, geometry.output()].map(|[rows, cols]| rows * cols);
    filled(geometry.input_len(), |target| {
        let groups = target.par_chunks_mut(members * input_area);
        let groups = groups.zip(gradient.par_chunks(members * area)).zip(kernels.par_chunks(taps * area));
        groups.for_each(|((target, gradient), kernels)| {
            bands(target, geometry.input).into_par_iter().for_each(|band| {
                let outputs = geometry.outputs_near(&band.rows);
                let mut pixels = pixels(level, geometry, gradient, &outputs);
                let layout = geometry.layout(level, [band.rows.len(), geometry.input[1]], geometry.padding());
                let mut sums = Maps::zeroed(layout);
                micro::input_gradient(level, geometry, &mut pixels, kernels, outputs, band.rows.start, &mut sums);
                sums.unpack(level, band.planes);
            });
        });
    })
}

/// Gradient of the kernels, in their layout, from the input and the gradient of the output.
///
/// # Panics
/// As [`forward`].
pub fn kernel_gradient(level: Level, geometry: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    check(level, geometry);
    assert_eq!(input.len(), geometry.input_len(), "input length");
    assert_eq!(gradient.len(), geometry.output_len(), "output gradient length");
    let [members, taps] = [geometry.members(), geometry.taps()];
    let [input_area, area] = [geometry.input, geometry.output()].map(|[rows, cols]| rows * cols);
    filled(geometry.kernels_len(), |target| {
        let groups = target.par_chunks_mut(taps * area);
        let groups = groups.zip(input.par_chunks(members * input_area)).zip(gradient.par_chunks(members * area));
        groups.for_each(|((target, input), gradient)| {
            bands(target, geometry.output()).into_par_iter().for_each(|band| {
                let windows = windows(level, geometry, input, &band.rows);
                let pixels = pixels(level, geometry, gradient, &band.rows);
                micro::kernel_gradient(level, geometry, &windows, &pixels, band.planes);
            });
        });
    })
}

/// The rows of the input that some rows of outputs see, with the padding.
fn windows(level: Level, geometry: &Geometry, input: &[f32], outputs: &Range<usize>) -> Maps {
    let stride = geometry.stride;
    let rows = outputs.start * stride..(outputs.end - 1) * stride + 1;
    let layout = geometry.layout(level, [rows.len(), geometry.input[1]], geometry.padding());
    Maps::pack(level, input, geometry.input, rows.start, layout)
}

/// Some rows of the output or its gradient.
fn pixels(level: Level, geometry: &Geometry, output: &[f32], rows: &Range<usize>) -> Maps {
    let layout = geometry.layout(level, [rows.len(), geometry.output()[1]], 0);
    Maps::pack(level, output, geometry.output(), rows.start, layout)
}

/// The same rows of all planes of a group.
struct Band<'a> {
    rows: Range<usize>,
    planes: Vec<&'a mut [MaybeUninit<f32>]>,
}

/// Planes of `rows` x `cols`, cut into bands of about [`BAND`] pixels.
fn bands(planes: &mut [MaybeUninit<f32>], [rows, cols]: [usize; 2]) -> Vec<Band<'_>> {
    let height = rows.div_ceil((rows * cols).div_ceil(BAND));
    let starts = (0..rows).step_by(height);
    let mut bands: Vec<Band> =
        starts.map(|start| Band { rows: start..rows.min(start + height), planes: Vec::new() }).collect();
    for plane in planes.chunks_mut(rows * cols) {
        for (band, pixels) in bands.iter_mut().zip(plane.chunks_mut(height * cols)) {
            band.planes.push(pixels);
        }
    }
    bands
}

fn check(level: Level, geometry: &Geometry) {
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert!(geometry.is_valid(), "invalid involution: {geometry:?}");
}
