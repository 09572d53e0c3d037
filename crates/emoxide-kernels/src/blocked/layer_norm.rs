use rayon::prelude::*;

use super::{
    layout::{Buffer, Layout},
    tile::Target,
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// Normalises every pixel by mean and variance of its channels: `scale * (x - mean) / sqrt(variance + epsilon) + shift`.
#[derive(Debug)]
pub struct LayerNorm {
    level: Level,
    channels: usize,
    /// Scale and shift, and 1 for every channel that there is; `[blocks][lanes]` each.
    vectors: [Buffer; 3],
    epsilon: f32,
}

/// Pixels that are computed together.
const PIXELS: usize = 4;
/// Pixels of a job.
const JOB: usize = 64;

impl LayerNorm {
    /// Packs factors and summands.
    ///
    /// # Panics
    /// When they differ in length, or the level is not available.
    pub fn new(level: Level, scale: &[f32], shift: &[f32], epsilon: f32) -> Self {
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        let channels = scale.len();
        assert_eq!(shift.len(), channels, "shift length");
        let padded = |values: &[f32]| {
            let mut buffer = Buffer::zeroed(channels.next_multiple_of(shape(level).lanes));
            buffer[..channels].copy_from_slice(values);
            buffer
        };
        let vectors = [padded(scale), padded(shift), padded(&vec![1.0; channels])];
        Self { level, channels, vectors, epsilon }
    }

    /// Computes it for all images; the target's halo stays as it is.
    ///
    /// # Panics
    /// When layouts (but for their halos), lengths or numbers of channels differ.
    pub fn run(&self, (source_layout, source): (&Layout, &[f32]), (target_layout, target): (&Layout, &mut [f32])) {
        let Layout { rows, cols, .. } = *target_layout;
        let images = target.len() / target_layout.image();
        let lanes = shape(self.level).lanes;
        assert_eq!([target_layout.channels, target_layout.lanes], [self.channels, lanes], "target layout");
        assert_eq!(Layout { halo: target_layout.halo, ..*source_layout }, *target_layout, "layouts");
        let lengths = [source_layout, target_layout].map(|layout| images * layout.image());
        assert_eq!([source.len(), target.len()], lengths, "lengths");
        let target = Target::new(target);
        let jobs = cols.div_ceil(JOB);
        (0..images * rows * jobs).into_par_iter().for_each(|index| {
            let (image, row, first) = (index / jobs / rows, index / jobs % rows, index % jobs * JOB);
            let start = |layout: &Layout| layout.offset(0, row as isize, first as isize);
            let part = Part {
                norm: self,
                blocks: source_layout.blocks(),
                source: &source[image * source_layout.image() + start(source_layout)..],
                source_block: source_layout.block(),
                target: target.part(image * target_layout.image() + start(target_layout)),
                target_block: target_layout.block(),
                pixels: JOB.min(cols - first),
            };
            // SAFETY: the level is available; layouts and lengths were compared above, and every part has pixels of
            // its own.
            unsafe { dispatch(self.level, part) }
        });
    }
}

/// Some pixels of a row.
struct Part<'a> {
    norm: &'a LayerNorm,
    blocks: usize,
    /// From the first pixel of the first block on.
    source: &'a [f32],
    source_block: usize,
    target: Target<'a>,
    target_block: usize,
    pixels: usize,
}

impl Part<'_> {
    /// `N` pixels from `first` on.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; there are so many pixels.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize>(&self, first: usize) {
        let [scale, shift, present] = &self.norm.vectors;
        let channels = self.norm.channels as f32;
        let last = (self.blocks - 1) * S::LANES;
        let reach = (self.blocks - 1) * self.target_block + (first + N) * S::LANES;
        // SAFETY: `LayerNorm::run` checked layouts and lengths; there is a vector for every block.
        unsafe {
            let from = self.source.as_ptr().add(first * S::LANES);
            let present = S::load(present.as_ptr().add(last));
            let all = S::splat(1.0);
            let mut means = [S::splat(0.0); N];
            for block in 0..self.blocks {
                let counted = if block * S::LANES == last { present } else { all };
                for n in 0..N {
                    let x = S::load(from.add(block * self.source_block + n * S::LANES));
                    means[n] = S::mul_add(x, counted, means[n]);
                }
            }
            for mean in &mut means {
                *mean = S::splat(sum::<S>(*mean) / channels);
            }
            let mut squares = [S::splat(0.0); N];
            for block in 0..self.blocks {
                let counted = if block * S::LANES == last { present } else { all };
                for n in 0..N {
                    let x = S::load(from.add(block * self.source_block + n * S::LANES));
                    let x = S::mul(S::sub(x, means[n]), counted);
                    squares[n] = S::mul_add(x, x, squares[n]);
                }
            }
            for square in &mut squares {
                *square = S::splat(1.0 / (sum::<S>(*square) / channels + self.norm.epsilon).sqrt());
            }
            let to = self.target.writable(reach).add(first * S::LANES);
            for block in 0..self.blocks {
                let scale = S::load(scale.as_ptr().add(block * S::LANES));
                let shift = S::load(shift.as_ptr().add(block * S::LANES));
                for n in 0..N {
                    let x = S::load(from.add(block * self.source_block + n * S::LANES));
                    let x = S::mul(S::sub(x, means[n]), squares[n]);
                    S::store(to.add(block * self.target_block + n * S::LANES), S::mul_add(x, scale, shift));
                }
            }
        }
    }
}

impl Kernel for Part<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let whole = self.pixels - self.pixels % PIXELS;
        // SAFETY: as for this function.
        unsafe {
            for first in (0..whole).step_by(PIXELS) {
                self.pixels::<S, PIXELS>(first);
            }
            for first in whole..self.pixels {
                self.pixels::<S, 1>(first);
            }
        }
    }
}

/// The lanes of a vector.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn lanes<S: Simd>(vector: S::Vector, rest: f32) -> [f32; 16] {
    let mut lanes = [rest; 16];
    // SAFETY: no vector is longer than 16 lanes.
    unsafe { S::store(lanes.as_mut_ptr(), vector) };
    lanes
}

/// The sum of all lanes, by halves.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn sum<S: Simd>(vector: S::Vector) -> f32 {
    // SAFETY: by the caller.
    let mut lanes = unsafe { lanes::<S>(vector, 0.0) };
    let mut half = S::LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}
