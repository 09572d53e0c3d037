use rayon::prelude::*;

use super::{
    layer_norm::{lanes, sum},
    layout::Layout,
    math,
    tile::Target,
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// The channels of every pixel as shares of 1, `exp(x)` over the sum of it, for all images; the target's halo stays as
/// it is.
///
/// # Panics
/// When the level is not available, or layouts (but for their halos) and lengths differ.
pub fn softmax(
    level: Level,
    (source_layout, source): (&Layout, &[f32]),
    (target_layout, target): (&Layout, &mut [f32]),
) {
    let images = target.len() / target_layout.image();
    assert_eq!(Layout { halo: target_layout.halo, ..*source_layout }, *target_layout, "layouts");
    assert_eq!(target_layout.lanes, shape(level).lanes, "lanes");
    let lengths = [source_layout, target_layout].map(|layout| images * layout.image());
    assert_eq!([source.len(), target.len()], lengths, "lengths");
    let Layout { channels, rows, cols, lanes, .. } = *target_layout;
    let images = target.par_chunks_mut(target_layout.image()).zip(source.par_chunks(source_layout.image()));
    images.for_each(|(target, source)| {
        for row in 0..rows {
            let start = |layout: &Layout, block: usize| layout.offset(block, row as isize, 0);
            for block in 0..target_layout.blocks() {
                let (from, to) = (start(source_layout, block), start(target_layout, block));
                target[to..to + cols * lanes].copy_from_slice(&source[from..from + cols * lanes]);
            }
            let values = &mut target[start(target_layout, 0)..];
            Pixels { values, block: target_layout.block(), count: cols }.shares(level, channels, 1.0);
        }
    });
}

/// Pixels that follow each other, whose channels lie in blocks.
pub(super) struct Pixels<'a> {
    /// From the first pixel of the first block on.
    pub(super) values: &'a mut [f32],
    /// Floats between two blocks.
    pub(super) block: usize,
    /// How many.
    pub(super) count: usize,
}

impl Pixels<'_> {
    /// [`softmax`] of the values times a factor, in place; lanes beyond the last channel become zero.
    pub(super) fn shares(self, level: Level, channels: usize, scale: f32) {
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert!(channels * self.count > 0, "nothing to share");
        let lanes = shape(level).lanes;
        let blocks = channels.div_ceil(lanes);
        assert!((blocks - 1) * self.block + self.count * lanes <= self.values.len(), "length");
        let mut rest = [0.0; 16];
        rest[channels - (blocks - 1) * lanes..].fill(f32::NEG_INFINITY);
        let Self { values, block, count } = self;
        let work = Shares { values: Target::new(values), block, blocks, count, rest, scale };
        // SAFETY: the level is available, and the lengths were checked.
        unsafe { dispatch(level, work) }
    }
}

struct Shares<'a> {
    values: Target<'a>,
    block: usize,
    blocks: usize,
    count: usize,
    /// What is added to the last block: minus infinity where there is no channel.
    rest: [f32; 16],
    scale: f32,
}

/// Pixels that are computed together.
const PIXELS: usize = 4;

impl Shares<'_> {
    /// `N` pixels from `first` on.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; there are so many pixels.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize>(&self, first: usize) {
        let reach = (self.blocks - 1) * self.block + (first + N) * S::LANES;
        // SAFETY: `Pixels::shares` checked the lengths.
        unsafe {
            let at = self.values.writable(reach).add(first * S::LANES);
            let rest = S::load(self.rest.as_ptr());
            let scale = S::splat(self.scale);
            let mut largest = [S::splat(f32::NEG_INFINITY); N];
            for block in 0..self.blocks {
                let added = if block + 1 == self.blocks { rest } else { S::splat(0.0) };
                for n in 0..N {
                    let at = at.add(block * self.block + n * S::LANES);
                    let x = S::mul_add(S::load(at), scale, added);
                    S::store(at, x);
                    largest[n] = S::largest(largest[n], x);
                }
            }
            for largest in &mut largest {
                let lanes = lanes::<S>(*largest, f32::NEG_INFINITY);
                *largest = S::splat(lanes.into_iter().fold(f32::NEG_INFINITY, f32::max));
            }
            let mut sums = [S::splat(0.0); N];
            for block in 0..self.blocks {
                let added = if block + 1 == self.blocks { rest } else { S::splat(0.0) };
                for n in 0..N {
                    let at = at.add(block * self.block + n * S::LANES);
                    let x = math::exp::<S>(S::sub(S::load(at), largest[n]));
                    // What is not there is cut off at a very small number, and here at zero.
                    let x = S::max(S::splat(0.0), S::add(x, added));
                    S::store(at, x);
                    sums[n] = S::add(sums[n], x);
                }
            }
            for sum_of in &mut sums {
                *sum_of = S::splat(1.0 / sum::<S>(*sum_of));
            }
            for block in 0..self.blocks {
                for n in 0..N {
                    let at = at.add(block * self.block + n * S::LANES);
                    S::store(at, S::mul(S::load(at), sums[n]));
                }
            }
        }
    }
}

impl Kernel for Shares<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let whole = self.count - self.count % PIXELS;
        // SAFETY: as for this function.
        unsafe {
            for first in (0..whole).step_by(PIXELS) {
                self.pixels::<S, PIXELS>(first);
            }
            for first in whole..self.count {
                self.pixels::<S, 1>(first);
            }
        }
    }
}
