//! Convolutions of plain tensors, as training has them: bands of an image are packed, computed and unpacked while they
//! are in the cache.

use std::{cell::RefCell, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    activation::Activation,
    convolution::{Algorithm, Convolution, Shape, Source},
    layout::{Buffer, Layout},
    transpose::{pack, unpack},
};
use crate::level::Level;

/// Bytes of packed source and target that a thread works on at a time.
const BAND: usize = 384 * 1024;

thread_local! {
    /// Packed source and target of this thread.
    static SCRATCH: RefCell<[Buffer; 2]> = RefCell::new([Buffer::zeroed(0), Buffer::zeroed(0)]);
}

/// Tiles of a job for which weights are worth reading.
const TILES: usize = 28;

/// Whether [`convolve`] is the faster way for so many channels: 3x3 windows with stride 1 and padding 1.
pub(crate) fn pays(channels: [usize; 2]) -> bool {
    channels.iter().all(|&channels| channels >= 16)
}

/// A 3x3 convolution with stride 1 and padding 1 of `[batch, inputs, rows, cols]`; writes every float of the target
/// `[batch, outputs, rows, cols]`.
///
/// # Panics
/// When a length does not fit.
pub(crate) fn convolve(
    level: Level,
    [inputs, outputs]: [usize; 2],
    [rows, cols]: [usize; 2],
    weight: &[f32],
    bias: &[f32],
    source: &[f32],
    target: &mut [MaybeUninit<f32>],
) {
    let shape = Shape { inputs, outputs, kernel: [3, 3], stride: 1, padding: 1 };
    // Transformed weights are four times as many: where maps are small beside them, reading them takes the time.
    let tiles = rows.div_ceil(4) * cols.div_ceil(4);
    let algorithm = if inputs * outputs > 256 * 256 && tiles < 9 { Algorithm::Direct } else { Algorithm::Winograd };
    let convolution = Convolution::new(level, shape, Source::Blocked, algorithm, weight, bias, &Activation::Linear);
    let area = rows * cols;
    let images = source.len() / (inputs * area);
    assert_eq!([source.len(), target.len()], [images * inputs * area, images * outputs * area], "lengths");
    let per_row = (inputs + outputs) * cols * size_of::<f32>();
    let band = (BAND / per_row).max(4).min(rows);
    let band = rows.div_ceil(rows.div_ceil(band)).next_multiple_of(4);
    // Small maps are computed several at a time.
    let shared = images.div_ceil(2 * rayon::current_num_threads());
    let together = if band >= rows { TILES.div_ceil(tiles).min(shared) } else { 1 };
    let jobs = target.par_chunks_mut(together * outputs * area).zip(source.par_chunks(together * inputs * area));
    jobs.for_each(|(target, source)| {
        let images = source.len() / (inputs * area);
        SCRATCH.with_borrow_mut(|[packed, results]| {
            for first in (0..rows).step_by(band) {
                let rows = band.min(rows - first);
                let from = Layout::blocked(level, inputs, [rows, cols], 1);
                let to = Layout::blocked(level, outputs, [rows, cols], 0);
                let packed = sized(packed, images * from.image());
                let results = sized(results, images * to.image());
                for (source, packed) in source.chunks(inputs * area).zip(packed.chunks_mut(from.image())) {
                    pack(level, source, area, first, &from, packed);
                }
                convolution.run_here(images, (&from, packed), (&to, results));
                for (target, results) in target.chunks_mut(outputs * area).zip(results.chunks(to.image())) {
                    unpack(level, results, &to, first, area, target);
                }
            }
        });
    });
}

pub(super) fn sized(buffer: &mut Buffer, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        *buffer = Buffer::zeroed(len);
    }
    &mut buffer[..len]
}
