//! Convolutions of rounded operands: bfloat16 or 8-bit integers, sums in float32.
//!
//! Source and weights are rounded to values that the narrow type holds, and multiplied as 32-bit floats. On a processor
//! with instructions for the type the sums would have the same terms; here precision has its meaning on every processor.

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

use super::{
    convolution::{Run, Shape, Source, groups},
    layout::Buffer,
    planar::sized,
    tile::{Carried, Part, tiling},
    weights::pack,
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch},
};

/// The type that operands are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrow {
    /// 8 bits of exponent, 8 of precision; to the nearest, ties to even.
    Bf16,
    /// -127 to 127 times a scale: of the weight one for each output channel, of the source one for each image, such that
    /// the largest value is 127.
    Int8,
}

/// Rounded weights, packed.
#[derive(Debug)]
pub(super) struct Rounded {
    narrow: Narrow,
    /// `[groups][taps][lanes][blocks of the group · lanes]`
    weights: Buffer,
}

/// Bytes of rounded source that a thread works on at a time: about a third of a usual second-level cache.
const BAND: usize = 320 * 1024;

/// Largest integer.
const LARGEST: f32 = 127.0;

thread_local! {
    /// Rounded source of this thread.
    static SCRATCH: RefCell<Buffer> = RefCell::new(Buffer::zeroed(0));
}

impl Rounded {
    /// Rounds and packs `[outputs, inputs, kernel rows, kernel cols]`.
    pub(super) fn new(level: Level, shape: &Shape, narrow: Narrow, weight: &[f32]) -> Self {
        let mut rounded = vec![0.0; weight.len()];
        let per_output = weight.len() / shape.outputs;
        for (weight, rounded) in weight.chunks(per_output).zip(rounded.chunks_mut(per_output)) {
            let scale = narrow.scale(largest(level, weight));
            Round { narrow, scale, source: weight, target: rounded }.run(level);
        }
        Self { narrow, weights: pack(level, shape, Source::Blocked, &rounded) }
    }

    pub(super) fn run(&self, run: &Run<'_>) {
        let (source, target) = (run.source_layout, run.target_layout);
        let level = run.convolution.level();
        let Shape { kernel, stride, .. } = *run.convolution.shape();
        let images = run.source.par_chunks(source.image());
        let scales: Vec<f32> = images.map(|image| self.narrow.scale_of(level, image)).collect();
        let threads = rayon::current_num_threads();
        // As many rows as fit, but a few jobs for every thread; where the rows are too few, the threads share the groups.
        let fitting = BAND / size_of::<f32>() / (source.row() * source.blocks());
        let fitting = (fitting.saturating_sub(kernel[0]) / stride).max(4);
        let shared = target.rows.div_ceil((4 * threads).div_ceil(run.batch));
        let band = fitting.min(shared.max(8)).min(target.rows);
        let band = target.rows.div_ceil(target.rows.div_ceil(band));
        let bands = target.rows.div_ceil(band);
        let groups = groups(target.blocks());
        let jobs = run.batch * bands;
        let shares = if jobs < threads { threads.div_ceil(jobs).min(groups.len()) } else { 1 };
        let share = groups.len().div_ceil(shares);
        let shares = groups.len().div_ceil(share);
        (0..jobs * shares).into_par_iter().for_each(|job| {
            let (picture, first) = (job / shares, job % shares * share);
            let (image, band_start) = (picture / bands, picture % bands * band);
            let rows = band_start..target.rows.min(band_start + band);
            let groups = &groups[first..groups.len().min(first + share)];
            self.band(run, image, scales[image], rows, groups);
        });
    }

    /// Some rows of some output channels of an image.
    fn band(&self, run: &Run<'_>, image: usize, scale: f32, rows: Range<usize>, groups: &[Range<usize>]) {
        let (source, target) = (run.source_layout, run.target_layout);
        let level = run.convolution.level();
        let Shape { kernel, stride, padding, .. } = *run.convolution.shape();
        let (lanes, row) = (source.lanes, source.row());
        let first = source.offset(0, (rows.start * stride) as isize - padding as isize, -(padding as isize));
        // Whole rows from the first pixel that is read on; the last one ends with the last pixel.
        let count = (rows.len() - 1) * stride + kernel[0];
        let len = (count - 1) * row + ((target.cols - 1) * stride + kernel[1]) * lanes;
        let block = count * row;
        let taps: Vec<usize> = (0..source.blocks())
            .flat_map(|b| {
                (0..kernel[0]).flat_map(move |r| (0..kernel[1]).map(move |c| b * block + r * row + c * lanes))
            })
            .collect();
        SCRATCH.with_borrow_mut(|scratch| {
            let rounded = sized(scratch, source.blocks() * block);
            for (index, rounded) in rounded.chunks_mut(block).enumerate() {
                let from = image * source.image() + index * source.block() + first;
                let source = &run.source[from..from + len];
                Round { narrow: self.narrow, scale, source, target: &mut rounded[..len] }.run(level);
            }
            let per_block = taps.len() * lanes * lanes;
            for group in groups {
                let (bias, finish) = run.convolution.finish(group.start);
                let carried = run.carried(image, group.start);
                Part {
                    source: rounded,
                    source_row: stride * row,
                    taps: &taps,
                    inner: lanes,
                    source_col: stride * lanes,
                    weights: &self.weights[group.start * per_block..group.end * per_block],
                    bias,
                    finish,
                    carried: carried
                        .map(|carried| Carried { values: &carried.values[rows.start * carried.row..], ..carried }),
                    target: run.target(image, group.start).part(rows.start * target.row()),
                    target_block: target.block(),
                    target_row: target.row(),
                    target_col: lanes,
                    tile: tiling(level, rows.len(), target.cols),
                    rows: 0..rows.len(),
                    cols: target.cols,
                    blocks: group.len(),
                }
                .run(level);
            }
        });
    }
}

impl Narrow {
    /// The step of integers of which the largest stands for `largest`.
    fn scale(self, largest: f32) -> f32 {
        match self {
            Self::Int8 if largest > 0.0 => largest / LARGEST,
            Self::Int8 | Self::Bf16 => 1.0,
        }
    }

    /// The step for an image.
    fn scale_of(self, level: Level, image: &[f32]) -> f32 {
        match self {
            Self::Bf16 => 1.0,
            Self::Int8 => self.scale(largest(level, image)),
        }
    }
}

/// The largest absolute value; not a number where one is not.
fn largest(level: Level, values: &[f32]) -> f32 {
    assert!(level.is_available());
    let mut largest = 0.0;
    // SAFETY: the level is available; safe code otherwise.
    unsafe { dispatch(level, Largest { values, largest: &mut largest }) };
    largest
}

struct Largest<'a> {
    values: &'a [f32],
    largest: &'a mut f32,
}

impl Kernel for Largest<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        const LANES: usize = 32;
        // The bits of absolute values have the order of the values, and those that are not numbers come last.
        let bits = |value: f32| value.to_bits() & 0x7FFF_FFFF;
        let (chunks, rest) = self.values.as_chunks::<LANES>();
        let mut lanes = [0; LANES];
        for chunk in chunks {
            for lane in 0..LANES {
                lanes[lane] = lanes[lane].max(bits(chunk[lane]));
            }
        }
        let largest = lanes.into_iter().chain(rest.iter().map(|&value| bits(value))).max();
        *self.largest = f32::from_bits(largest.unwrap_or(0));
    }
}

/// `target = round(source)`; what is not a number stays so.
struct Round<'a> {
    narrow: Narrow,
    scale: f32,
    source: &'a [f32],
    target: &'a mut [f32],
}

impl Round<'_> {
    fn run(self, level: Level) {
        assert!(level.is_available());
        assert_eq!(self.source.len(), self.target.len());
        // SAFETY: the level is available; safe code otherwise.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Round<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let pairs = self.target.iter_mut().zip(self.source);
        match self.narrow {
            Narrow::Bf16 => pairs.for_each(|(to, &from)| *to = round_bf16(from)),
            Narrow::Int8 => {
                let inverse = self.scale.recip();
                pairs.for_each(|(to, &from)| *to = round_integer(from * inverse) * self.scale);
            }
        }
    }
}

#[inline(always)]
fn round_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
    if value.is_nan() { value } else { f32::from_bits(rounded) }
}

#[inline(always)]
fn round_integer(value: f32) -> f32 {
    // Beyond 2^22 floats have no fraction: the sum is rounded to an integer, ties to even.
    const SHIFT: f32 = 3.0 * (1 << 22) as f32;
    let value = if value > LARGEST { LARGEST } else { value };
    let value = if value < -LARGEST { -LARGEST } else { value };
    value + SHIFT - SHIFT
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, round_bf16, round_integer};

    #[test]
    fn values_go_to_the_nearest_ties_to_even() {
        let step = f32::EPSILON * f32::from(1u16 << 15);
        let cases = [
            (1.0, 1.0),
            (1.0 + step, 1.0),
            (1.0 + 3.0 * step, 1.0 + 4.0 * step),
            (-1.0 - 1.01 * step, -1.0 - 2.0 * step),
        ];
        for (value, expected) in cases {
            assert_eq!(round_bf16(value).to_bits(), f32::to_bits(expected), "{value}");
        }
        assert!(round_bf16(f32::NAN).is_nan());
        assert_eq!(round_bf16(f32::NEG_INFINITY).to_bits(), f32::NEG_INFINITY.to_bits());
        for (value, expected) in
            [(0.5, 0.0), (1.5, 2.0), (-2.5, -2.0), (126.6, 127.0), (1e9, LARGEST), (-1e9, -LARGEST)]
        {
            assert_eq!(round_integer(value).to_bits(), f32::to_bits(expected), "{value}");
        }
        assert!(round_integer(f32::NAN).is_nan());
    }
}
