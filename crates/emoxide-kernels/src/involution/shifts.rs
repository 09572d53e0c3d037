//! Involution in Burn's operators, for the backends and element types without kernels.

use burn::tensor::{Slice, Tensor, ops::PadMode};

use super::Geometry;

/// The sum over the taps of the shifted input times the tap's numbers.
///
/// - `input`: `[batch, channels, rows, cols]`
/// - `kernels`: `[batch, groups, kernel · kernel, output rows, output cols]`
/// - result: `[batch, channels, output rows, output cols]`
pub(crate) fn by_shifts(geometry: &Geometry, input: Tensor<4>, kernels: &Tensor<5>) -> Tensor<4> {
    let Geometry { batch, channels, groups, kernel, stride, .. } = *geometry;
    let [rows, cols] = geometry.output();
    let padding = geometry.padding();
    let padded = input.pad((padding, padding, padding, padding), PadMode::Constant(0.0));
    let whole = |size: usize| Slice::from(0..size);
    let every = |first: usize, count: usize| {
        Slice::new(first as isize, Some((first + (count - 1) * stride + 1) as isize), stride as isize)
    };
    let product = |tap: usize| {
        let [tap_row, tap_col] = [tap / kernel, tap % kernel];
        let seen = [whole(batch), whole(channels), every(tap_row, rows), every(tap_col, cols)];
        let shifted = padded.clone().slice(seen).reshape([batch, groups, channels / groups, rows, cols]);
        // The tap's axis of one becomes the axis of the group's channels.
        shifted * kernels.clone().narrow(2, tap, 1)
    };
    let sum = (1..geometry.taps()).fold(product(0), |sum, tap| sum + product(tap));
    sum.reshape([batch, channels, rows, cols])
}
