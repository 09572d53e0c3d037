//! Convolutions of plain tensors, as training has them: bands of an image are packed, computed and unpacked while they
//! are in the cache.

use std::{cell::RefCell, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    activation::Activation,
    convolution::{Algorithm, Convolution, Shape, Source},
    layout::{Buffer, Layout},
    rounded::{round_to_bf16, rounded},
    transpose::{pack, unpack},
    transposed::Transposed,
};
use crate::{conv::Computing, level::Level, precision::TrainingPrecision};

/// Bytes of packed source and target that a thread works on at a time.
const BAND: usize = 384 * 1024;

/// Tiles of 4x4 pixels of a job for which weights are worth reading.
const TILES: usize = 28;

/// Pixels of a tile along each axis.
const TILE: usize = 4;

thread_local! {
    /// Packed source and target of this thread.
    static SCRATCH: RefCell<[Buffer; 2]> = RefCell::new([Buffer::zeroed(0), Buffer::zeroed(0)]);
}

/// Whether [`forward`] and [`input_gradient`] apply and pay: odd windows with half of them as padding, stride 1 or 2, and
/// enough channels to fill vectors.
pub(crate) fn suits(shape: &Shape) -> bool {
    matches!(shape.stride, 1 | 2) && shape.kernel == [2 * shape.padding + 1; 2] && shape.inputs.min(shape.outputs) >= 16
}

/// Convolution of `[batch, inputs, rows, cols]`; writes every float of the target `[batch, outputs, ..]`.
///
/// # Panics
/// When a length does not fit.
pub(crate) fn forward(
    computing: Computing,
    shape: Shape,
    size: [usize; 2],
    [weight, bias]: [&[f32]; 2],
    source: &[f32],
    target: &mut [MaybeUninit<f32>],
) {
    let Shape { inputs, outputs, kernel, stride, padding } = shape;
    let results = shape.output(size).expect("a window fits");
    // Transformed weights are four times as many: where maps are small beside them, reading them takes the time.
    let small = tiles(results) < 9 && inputs * outputs > 256 * 256;
    let winograd = Convolution::suits_winograd(&shape, Source::Blocked) && !small;
    let Computing { level, precision } = computing;
    let operands = Operands::of(level, precision, winograd);
    let (source_kind, algorithm) = match operands {
        Operands::Bf16 => (Source::Bf16, Algorithm::Bf16),
        _ if winograd => (Source::Blocked, Algorithm::Winograd),
        _ => (Source::Blocked, Algorithm::Direct),
    };
    let weight = if operands == Operands::Rounded { &*rounded(level, weight) } else { weight };
    let convolution = Convolution::new(level, shape, source_kind, algorithm, weight, bias, &Activation::Linear);
    let bands = Bands { level, operands, channels: [inputs, outputs], sizes: [size, results], halo: padding };
    // Of `rows` results, what is read without the halo; it begins `stride` times as far down.
    let reads = |rows: usize| (rows - 1) * stride + kernel[0] - 2 * padding;
    bands.run([stride, 1], reads, source, target, |images, from, to| convolution.run_here(images, from, to));
}

/// Gradient of the input `[batch, inputs, rows, cols]` from that of the output; writes every float of it.
///
/// # Panics
/// As [`forward`].
pub(crate) fn input_gradient(
    computing: Computing,
    shape: Shape,
    size: [usize; 2],
    weight: &[f32],
    gradient: &[f32],
    target: &mut [MaybeUninit<f32>],
) {
    let Shape { inputs, outputs, kernel, stride, padding } = shape;
    if stride == 1 {
        // The same with the window turned by 180 degrees and the channels exchanged.
        let turned = turned(&shape, weight);
        let back = Shape { inputs: outputs, outputs: inputs, kernel, stride, padding };
        return forward(computing, back, size, [&turned, &vec![0.0; inputs]], gradient, target);
    }
    let Computing { level, precision } = computing;
    let operands = Operands::of(level, precision, false);
    let weight = if operands == Operands::Rounded { &*rounded(level, weight) } else { weight };
    let transposed = Transposed::new(level, &shape, operands == Operands::Bf16, weight);
    let results = shape.output(size).expect("a window fits");
    let bands = Bands { level, operands, channels: [outputs, inputs], sizes: [results, size], halo: transposed.halo() };
    let reads = |rows: usize| rows.div_ceil(stride);
    bands.run([1, stride], reads, gradient, target, |images, from, to| transposed.run_here(images, from, to));
}

/// `[inputs, outputs, kernel]` with the windows turned by 180 degrees.
fn turned(shape: &Shape, weight: &[f32]) -> Vec<f32> {
    let Shape { inputs, outputs, kernel, .. } = *shape;
    let area = kernel[0] * kernel[1];
    let mut turned = vec![0.0; weight.len()];
    turned.par_chunks_mut(outputs * area).enumerate().for_each(|(input, turned)| {
        for (output, turned) in turned.chunks_mut(area).enumerate() {
            let window = &weight[(output * inputs + input) * area..][..area];
            turned.iter_mut().zip(window.iter().rev()).for_each(|(to, &from)| *to = from);
        }
    });
    turned
}

fn tiles([rows, cols]: [usize; 2]) -> usize {
    rows.div_ceil(TILE) * cols.div_ceil(TILE)
}

/// What is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operands {
    Floats,
    /// Floats that were rounded to bfloat16.
    Rounded,
    Bf16,
}

impl Operands {
    /// The quickest ones of a precision. Vectors of bfloat16 multiply twice as fast as floats, Winograd's method, where it
    /// applies, gets through floats up to three times as fast; only matrix tiles are faster than both.
    fn of(level: Level, precision: TrainingPrecision, winograd: bool) -> Self {
        match precision {
            TrainingPrecision::F32 => Self::Floats,
            TrainingPrecision::Bf16 if level == Level::Amx => Self::Bf16,
            TrainingPrecision::Bf16 if Convolution::multiplies_bf16(level) && !winograd => Self::Bf16,
            TrainingPrecision::Bf16 => Self::Rounded,
        }
    }
}

/// How images are cut into bands of rows.
struct Bands {
    level: Level,
    operands: Operands,
    /// Of source and target, as below.
    channels: [usize; 2],
    /// Rows and columns of an image.
    sizes: [[usize; 2]; 2],
    /// Of a band of the source.
    halo: usize,
}

impl Bands {
    /// Packs band after band, lets `compute` make the results, and unpacks them.
    ///
    /// `steps` rows of the source stand against as many of the target, and `reads` says how many rows of the source a
    /// band of so many rows of the target needs, without the halo.
    fn run(
        &self,
        steps: [usize; 2],
        reads: impl Fn(usize) -> usize + Sync,
        source: &[f32],
        target: &mut [MaybeUninit<f32>],
        compute: impl Fn(usize, (&Layout, &[f32]), (&Layout, &mut [f32])) + Sync,
    ) {
        let Self { level, operands, channels, sizes, halo } = *self;
        let areas = sizes.map(|[rows, cols]| rows * cols);
        let lens = [channels[0] * areas[0], channels[1] * areas[1]];
        let images = source.len() / lens[0];
        assert_eq!([source.len(), target.len()], [images * lens[0], images * lens[1]], "lengths");
        let rows = sizes[1][0];
        let per_row = lens.iter().sum::<usize>() / rows * size_of::<f32>();
        let band = (BAND / per_row).max(TILE).min(rows);
        let band = rows.div_ceil(rows.div_ceil(band)).next_multiple_of(TILE);
        // Small maps are computed several at a time.
        let shared = images.div_ceil(2 * rayon::current_num_threads());
        let together = if band >= rows { TILES.div_ceil(tiles(sizes[1])).min(shared) } else { 1 };
        let jobs = target.par_chunks_mut(together * lens[1]).zip(source.par_chunks(together * lens[0]));
        jobs.for_each(|(target, source)| {
            let images = source.len() / lens[0];
            SCRATCH.with_borrow_mut(|[packed, results]| {
                for first in (0..rows).step_by(band) {
                    let rows = band.min(rows - first);
                    let blocked = if operands == Operands::Bf16 { Layout::bf16 } else { Layout::blocked };
                    let from = blocked(level, channels[0], [reads(rows), sizes[0][1]], halo);
                    let to = Layout::blocked(level, channels[1], [rows, sizes[1][1]], 0);
                    let packed = sized(packed, images * from.image());
                    let results = sized(results, images * to.image());
                    let first_read = first / steps[1] * steps[0];
                    for (source, packed) in source.chunks(lens[0]).zip(packed.chunks_mut(from.image())) {
                        pack(level, source, areas[0], first_read, &from, packed);
                    }
                    if operands == Operands::Rounded {
                        round_to_bf16(level, packed);
                    }
                    compute(images, (&from, packed), (&to, results));
                    for (target, results) in target.chunks_mut(lens[1]).zip(results.chunks(to.image())) {
                        unpack(level, results, &to, first, areas[1], target);
                    }
                }
            });
        });
    }
}

pub(super) fn sized(buffer: &mut Buffer, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        *buffer = Buffer::zeroed(len);
    }
    &mut buffer[..len]
}
