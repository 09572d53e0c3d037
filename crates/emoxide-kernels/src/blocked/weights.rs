//! Weights `[outputs, inputs, kernel]` in the order in which the inner loop reads them.

use rayon::prelude::*;

use super::{
    convolution::{Shape, Source, groups},
    layout::Buffer,
};
use crate::{
    level::Level,
    simd::{self, Kernel, Simd, bf16, dispatch},
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

/// As [`pack`], rounded to bfloat16, two neighbouring inputs in a word; for matrix tiles
/// `[groups][taps][blocks of the group][inner][lanes]`.
pub(super) fn pack_bf16(level: Level, shape: &Shape, weight: &[f32]) -> Buffer {
    let floats = pack(level, shape, Source::Blocked, weight);
    let lanes = simd::shape(level).lanes;
    let area = shape.kernel[0] * shape.kernel[1];
    let rows = [shape.inputs.next_multiple_of(lanes) * area, shape.inputs.div_ceil(2 * lanes) * area * lanes];
    let blocks = shape.outputs.div_ceil(lanes);
    let mut packed = Buffer::zeroed(blocks * lanes * rows[1]);
    let parts = packed.par_chunks_mut(2 * lanes * rows[1]).zip(floats.par_chunks(2 * lanes * rows[0]));
    parts.for_each(|(packed, floats)| {
        let width = floats.len() / rows[0];
        let job = Halves { floats, area, width, tiles: level == Level::Amx, packed };
        assert!(level.is_available());
        // SAFETY: the level is available; safe code otherwise.
        unsafe { dispatch(level, job) }
    });
    packed
}

/// Rows of two neighbouring inputs to words, for a group.
struct Halves<'a> {
    /// `[input blocks][area][lanes][width]`
    floats: &'a [f32],
    area: usize,
    width: usize,
    /// Whether blocks of outputs follow each other, not their rows.
    tiles: bool,
    packed: &'a mut [f32],
}

impl Kernel for Halves<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Self { floats, area, width, tiles, packed } = self;
        let (lanes, blocks) = (S::LANES, width / S::LANES);
        for (row, words) in packed.chunks_exact_mut(lanes * width).enumerate() {
            let (block, place) = (row / area, row % area);
            for lane in 0..lanes {
                let first = 2 * block + 2 * lane / lanes;
                // Nothing was packed for a second block that there is not.
                let Some(pair) = floats.get(((first * area + place) * lanes + 2 * lane % lanes) * width..) else {
                    break;
                };
                if pair.is_empty() {
                    break;
                }
                let (even, odd) = pair[..2 * width].split_at(width);
                for k in 0..blocks {
                    let at = if tiles { (k * lanes + lane) * lanes } else { lane * width + k * lanes };
                    let words = &mut words[at..at + lanes];
                    let values = even[k * lanes..][..lanes].iter().zip(&odd[k * lanes..][..lanes]);
                    for (word, (&even, &odd)) in words.iter_mut().zip(values) {
                        *word = f32::from_bits(bf16(even) | bf16(odd) << 16);
                    }
                }
            }
        }
    }
}

/// As [`pack`], four bytes of as many blocks of inputs in a word; for matrix tiles as [`pack_bf16`].
/// `weight(output, input · area + place)` gives the byte.
pub(super) fn pack_bytes(level: Level, shape: &Shape, weight: impl Fn(usize, usize) -> u8 + Sync) -> Buffer {
    /// Lanes wherever there are instructions for words.
    const LANES: usize = 16;
    const VALUES: usize = 4;
    let area = shape.kernel[0] * shape.kernel[1];
    let rows = shape.inputs.div_ceil(LANES * VALUES) * area * LANES;
    let blocks = shape.outputs.div_ceil(LANES);
    let mut packed = Buffer::zeroed(blocks * LANES * rows);
    packed.par_chunks_mut(2 * LANES * rows).zip(groups(blocks)).for_each(|(packed, group)| {
        for (index, packed) in packed.chunks_mut(LANES).enumerate() {
            // A vector of outputs for one word of inputs.
            let (row, k) = if level == Level::Amx {
                let (tile, lane) = (index / LANES, index % LANES);
                (tile / group.len() * LANES + lane, tile % group.len())
            } else {
                (index / group.len(), index % group.len())
            };
            let (block, place, lane) = (row / (LANES * area), row / LANES % area, row % LANES);
            for (output, word) in ((group.start + k) * LANES..shape.outputs).zip(packed) {
                let byte = |value: usize| {
                    let input = LANES * (block * VALUES + value) + lane;
                    if input < shape.inputs { weight(output, input * area + place) } else { 0 }
                };
                *word = f32::from_bits(u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]));
            }
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
