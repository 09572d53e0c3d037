//! Convolutions of rounded operands: bfloat16 or 8-bit integers, sums in float32 or integers.
//!
//! Where the processor has instructions for the type, several values share the 32 bits of a lane ([`Words`]). Elsewhere source
//! and weights are rounded to values that the narrow type holds, and multiplied as 32-bit floats: precision has its meaning on
//! every processor.

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

use super::{
    convolution::{Convolution, Run, Shape, Source},
    layout::Buffer,
    planar::sized,
    tile::{Carried, Operands, Part, tiling},
    weights::{pack, pack_bf16, pack_bytes},
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, Words, bf16_words, dispatch, shape},
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
    packed: Packed,
}

#[derive(Debug)]
enum Packed {
    /// `[groups][taps][lanes][blocks of the group · lanes]`
    Floats(Buffer),
    /// The same of words.
    Bf16(Buffer),
    Int8(Integers),
}

/// Weights that are integers times a scale. The source's integers have 128 added to them, as their bytes have no sign.
#[derive(Debug)]
struct Integers {
    weights: Buffer,
    /// Per output channel.
    scales: Vec<f32>,
    /// What takes the 128 back from the sums: the bits of integers, per output channel.
    start: Vec<f32>,
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
        let per_output = weight.len() / shape.outputs;
        let scales: Vec<f32> = weight.chunks(per_output).map(|weight| narrow.scale_of(level, weight)).collect();
        let packed = match (narrow, Convolution::multiplies_bf16(level)) {
            (_, false) => {
                let mut rounded = vec![0.0; weight.len()];
                let outputs = weight.chunks(per_output).zip(rounded.chunks_mut(per_output));
                for ((source, target), &scale) in outputs.zip(&scales) {
                    Round { narrow, scale, source, target }.run(level);
                }
                Packed::Floats(pack(level, shape, Source::Blocked, &rounded))
            }
            (Narrow::Bf16, true) => Packed::Bf16(pack_bf16(level, shape, weight)),
            (Narrow::Int8, true) => {
                let integer = |output: usize, index: usize| {
                    round_integer(weight[output * per_output + index] * scales[output].recip()) as i8
                };
                let start = |output: usize| {
                    let sum: i32 = (0..per_output).map(|index| i32::from(integer(output, index))).sum();
                    f32::from_bits((-128 * sum) as u32)
                };
                let weights = pack_bytes(level, shape, |output, index| integer(output, index) as u8);
                let start = padded(level, (0..shape.outputs).map(start));
                Packed::Int8(Integers { weights, scales: padded(level, scales.iter().copied()), start })
            }
        };
        Self { narrow, packed }
    }

    pub(super) fn run(&self, run: &Run<'_>) {
        let (source, target) = (run.source_layout, run.target_layout);
        let level = run.convolution.level();
        let Shape { kernel, stride, .. } = *run.convolution.shape();
        let images = run.source.par_chunks(source.image());
        let scales: Vec<f32> = images.map(|image| self.narrow.scale_of(level, image)).collect();
        let threads = rayon::current_num_threads();
        let blocks = source.blocks().div_ceil(self.per_word());
        // As many rows as fit, but a few jobs for every thread; where the rows are too few, the threads share the groups.
        let fitting = BAND / size_of::<f32>() / (source.row() * blocks);
        let fitting = (fitting.saturating_sub(kernel[0]) / stride).max(4);
        let shared = target.rows.div_ceil((4 * threads).div_ceil(run.batch));
        let band = fitting.min(shared.max(8)).min(target.rows);
        let band = target.rows.div_ceil(target.rows.div_ceil(band));
        let bands = target.rows.div_ceil(band);
        let groups = run.groups();
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

    /// As [`run`](Self::run), on this thread alone.
    pub(super) fn run_here(&self, run: &Run<'_>) {
        let level = run.convolution.level();
        let groups = run.groups();
        for (image, source) in run.source.chunks(run.source_layout.image()).enumerate() {
            let scale = self.narrow.scale_of(level, source);
            self.band(run, image, scale, 0..run.target_layout.rows, &groups);
        }
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
        let blocks = source.blocks().div_ceil(self.per_word());
        let taps: Vec<usize> = (0..blocks)
            .flat_map(|b| {
                (0..kernel[0]).flat_map(move |r| (0..kernel[1]).map(move |c| b * block + r * row + c * lanes))
            })
            .collect();
        let per_block = taps.len() * lanes * lanes;
        let scales = match &self.packed {
            Packed::Int8(integers) => integers.scales.iter().map(|weight| weight * scale).collect(),
            Packed::Floats(_) | Packed::Bf16(_) => Vec::new(),
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let rounded = sized(scratch, blocks * block);
            let maps: Vec<&[f32]> = (0..source.blocks())
                .map(|index| &run.source[image * source.image() + index * source.block() + first..][..len])
                .collect();
            for (maps, rounded) in maps.chunks(self.per_word()).zip(rounded.chunks_mut(block)) {
                self.round(level, scale, maps, &mut rounded[..len]);
            }
            for group in groups {
                let (bias, finish) = run.convolution.finish(group.start);
                let start = group.start * lanes;
                let (weights, bias, operands) = match &self.packed {
                    Packed::Floats(weights) => (weights, bias, Operands::Floats),
                    Packed::Bf16(weights) => (weights, bias, Operands::Bf16),
                    Packed::Int8(integers) => {
                        (&integers.weights, &integers.start[start..], Operands::Bytes([&scales[start..], bias]))
                    }
                };
                let carried = run.carried(image, group);
                Part {
                    source: rounded,
                    source_row: stride * row,
                    taps: &taps,
                    inner: lanes,
                    source_col: stride * lanes,
                    weights: &weights[group.start * per_block..group.end * per_block],
                    bias,
                    operands,
                    finish,
                    carried: carried
                        .map(|carried| Carried { values: &carried.values[rows.start * carried.row..], ..carried }),
                    target: run.target(image, group).part(rows.start * target.row()),
                    target_block: target.block(),
                    target_row: target.row(),
                    target_col: lanes,
                    target_bf16: target.is_bf16(),
                    tile: tiling(level, rows.len(), target.cols),
                    rows: 0..rows.len(),
                    cols: target.cols,
                    blocks: group.len(),
                }
                .run(level);
            }
        });
    }

    /// Blocks of channels that share a block of words.
    fn per_word(&self) -> usize {
        match self.packed {
            Packed::Floats(_) => 1,
            Packed::Bf16(_) => Words::Bf16.values(),
            Packed::Int8(_) => Words::Bytes.values(),
        }
    }

    /// Maps of as many blocks as share one of words, or fewer.
    fn round(&self, level: Level, scale: f32, maps: &[&[f32]], target: &mut [f32]) {
        match (&self.packed, maps) {
            (Packed::Floats(_), [source]) => Round { narrow: self.narrow, scale, source, target }.run(level),
            // SAFETY: there are words of bfloat16 at such a level only, and it is available.
            (Packed::Bf16(_), _) => unsafe { bf16_words(maps, target) },
            _ => Bytes { scale, maps, target }.run(level),
        }
    }
}

/// A number for every lane of the blocks.
fn padded(level: Level, values: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut values: Vec<f32> = values.collect();
    values.resize(values.len().next_multiple_of(shape(level).lanes), 0.0);
    values
}

impl Narrow {
    /// The step of integers of which the largest stands for `largest`.
    fn scale(self, largest: f32) -> f32 {
        match self {
            Self::Int8 if largest != 0.0 => largest / LARGEST,
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

/// The values rounded to bfloat16.
pub(super) fn rounded(level: Level, values: &[f32]) -> Vec<f32> {
    let mut rounded = values.to_vec();
    rounded.par_chunks_mut(1 << 16).for_each(|values| round_to_bf16(level, values));
    rounded
}

/// Rounds the values to bfloat16.
pub(super) fn round_to_bf16(level: Level, values: &mut [f32]) {
    assert!(level.is_available());
    // SAFETY: the level is available; safe code otherwise.
    unsafe { dispatch(level, RoundHere(values)) }
}

/// `values = round(values)`, to bfloat16.
struct RoundHere<'a>(&'a mut [f32]);

impl Kernel for RoundHere<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        self.0.iter_mut().for_each(|value| *value = round_bf16(*value));
    }
}

/// Rounded integers of several blocks, side by side in words.
struct Bytes<'a> {
    scale: f32,
    maps: &'a [&'a [f32]],
    target: &'a mut [f32],
}

impl Bytes<'_> {
    fn run(self, level: Level) {
        assert!(level.is_available());
        assert!(self.maps.iter().all(|map| map.len() == self.target.len()));
        // SAFETY: the level is available; safe code otherwise.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Bytes<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        /// Floats that stay in the first-level cache.
        const PIECE: usize = 2048;
        let inverse = self.scale.recip();
        for (piece, target) in self.target.chunks_mut(PIECE).enumerate() {
            for (place, map) in self.maps.iter().enumerate() {
                let words = target.iter_mut().zip(&map[piece * PIECE..]);
                if place == 0 {
                    words.for_each(|(word, &value)| *word = f32::from_bits(byte(value * inverse)));
                } else {
                    let shift = 8 * place;
                    words.for_each(|(word, &value)| {
                        *word = f32::from_bits(word.to_bits() | byte(value * inverse) << shift);
                    });
                }
            }
        }
    }
}

/// The rounded integer plus 128; anything where the value is not a number.
#[inline(always)]
fn byte(value: f32) -> u32 {
    // Beyond 2^23 a float's lowest bits are those of its integer.
    (round_integer(value) + SHIFT).to_bits() & 0xFF ^ 0x80
}

/// Beyond 2^22 floats have no fraction: a sum with this is rounded to an integer, ties to even.
const SHIFT: f32 = 3.0 * (1 << 22) as f32;

#[inline(always)]
fn round_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
    if value.is_nan() { value } else { f32::from_bits(rounded) }
}

#[inline(always)]
fn round_integer(value: f32) -> f32 {
    let value = if value > LARGEST { LARGEST } else { value };
    let value = if value < -LARGEST { -LARGEST } else { value };
    value + SHIFT - SHIFT
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, byte, round_bf16, round_integer};
    use crate::simd::bf16;

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
        assert_eq!([0.0, 1.0, -1.0, 1e9, -1e9, -1.5].map(byte), [128, 129, 127, 255, 1, 126]);
        assert_eq!([1.0, -2.0, f32::INFINITY].map(bf16), [0x3F80, 0xC000, 0x7F80]);
    }
}
