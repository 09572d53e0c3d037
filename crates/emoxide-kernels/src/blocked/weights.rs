//! Weights `[outputs, inputs, kernel]` in the order in which the inner loop reads them.

use rayon::prelude::*;

use super::{
    convolution::{Shape, Source, groups},
    layout::Buffer,
};
use crate::{
    level::Level,
    simd::{self, Kernel, Simd, dispatch},
};

/// Floats of the largest square of as many outputs as values of each.
const SQUARE: usize = 16 * 16;

/// `[outputs, inputs, kernel]` to `[groups][taps][inner][blocks of the group · lanes]`, zero beyond the last channel.
///
/// # Panics
/// When the weight has another length than the shape says, or the level is not available.
pub(super) fn pack(level: Level, shape: &Shape, source: Source, weight: &[f32]) -> Buffer {
    assert!(level.is_available() && weight.len() == shape.weights(), "weight of {shape:?}");
    let lanes = simd::shape(level).lanes;
    let area = shape.kernel[0] * shape.kernel[1];
    let inner = if source == Source::Planar { 1 } else { lanes };
    let rows = shape.inputs.next_multiple_of(inner) * area;
    let blocks = shape.outputs.div_ceil(lanes);
    let mut packed = Buffer::zeroed(blocks * lanes * rows);
    // Only the last group may be a single block.
    packed.par_chunks_mut(2 * lanes * rows).zip(groups(blocks)).for_each(|(packed, group)| {
        let width = group.len() * lanes;
        for (k, block) in group.enumerate() {
            let outputs = block * lanes..shape.outputs.min((block + 1) * lanes);
            let weight = &weight[outputs.start * shape.inputs * area..outputs.end * shape.inputs * area];
            let job = Block { weight, outputs: outputs.len(), inner, area, packed, width, at: k * lanes };
            // SAFETY: the level is available, and `Block` checks every slice.
            unsafe { dispatch(level, job) };
        }
    });
    packed
}

/// One block of outputs.
struct Block<'a> {
    /// `[outputs][inputs · area]`
    weight: &'a [f32],
    outputs: usize,
    /// Inputs that follow each other.
    inner: usize,
    /// Places of the window.
    area: usize,
    /// `[rows][width]`
    packed: &'a mut [f32],
    width: usize,
    /// Of the block in a row.
    at: usize,
}

impl Kernel for Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Self { weight, outputs, inner, area, packed, width, at } = self;
        let values = weight.len() / outputs;
        let mut square = [0.0f32; SQUARE];
        for first in (0..values).step_by(S::LANES) {
            let count = S::LANES.min(values - first);
            if outputs == S::LANES && count == S::LANES {
                let from = &weight[first..];
                assert!((S::LANES - 1) * values + S::LANES <= from.len() && S::LANES * S::LANES <= SQUARE);
                // SAFETY: as asserted.
                unsafe { S::transpose(from.as_ptr(), values, square.as_mut_ptr(), S::LANES) };
            } else {
                for (lane, output) in weight.chunks_exact(values).enumerate() {
                    for (index, &value) in output[first..first + count].iter().enumerate() {
                        square[index * S::LANES + lane] = value;
                    }
                }
            }
            for (index, outputs_of) in square.chunks_exact(S::LANES).take(count).enumerate() {
                let (input, place) = ((first + index) / area, (first + index) % area);
                let row = (input / inner * area + place) * inner + input % inner;
                let to = row * width + at;
                packed[to..to + outputs].copy_from_slice(&outputs_of[..outputs]);
            }
        }
    }
}
