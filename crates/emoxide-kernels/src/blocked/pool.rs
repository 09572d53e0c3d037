use std::ops::Range;

use rayon::prelude::*;

use super::{layout::Layout, tile::Target};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, dispatch_halves, shape},
};

/// What becomes of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reduce {
    /// Its largest value.
    Max,
    /// Its sum divided by its size.
    Mean,
    /// Its sum divided by a number, whatever of the window lies in the map.
    Share(f32),
}

/// Windows of a map, each reduced to a pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// What becomes of a window.
    pub reduce: Reduce,
    /// The rows of the source that a row of the target comes from.
    pub rows: Vec<Range<usize>>,
    /// The columns of the source that a column of the target comes from.
    pub cols: Vec<Range<usize>>,
}

impl Pool {
    /// `targets` windows of an axis of `sources` pixels; of those that begin or end outside, what lies inside.
    pub fn windows(sources: usize, targets: usize, kernel: usize, stride: usize, padding: usize) -> Vec<Range<usize>> {
        let window = |index: usize| {
            let start = index * stride;
            start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(sources)
        };
        (0..targets).map(window).collect()
    }

    /// `targets` windows that share an axis of `sources` pixels, as adaptive pools do.
    pub fn shares(sources: usize, targets: usize) -> Vec<Range<usize>> {
        let window = |index: usize| index * sources / targets..((index + 1) * sources).div_ceil(targets);
        (0..targets).map(window).collect()
    }

    /// Computes it for all images; the target's halo stays as it is.
    ///
    /// # Panics
    /// When the level is not available, a window is empty or not within the source, or layouts and lengths do not fit
    /// each other.
    pub fn run(
        &self,
        level: Level,
        (source_layout, source): (&Layout, &[f32]),
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert_eq!([source_layout.width, target_layout.width], [shape(level).lanes; 2], "lanes");
        assert_eq!(source_layout.lanes, target_layout.lanes, "floats or bfloat16");
        assert_eq!(source_layout.channels, target_layout.channels, "channels");
        assert_eq!([self.rows.len(), self.cols.len()], [target_layout.rows, target_layout.cols], "windows");
        let inside = |window: &Range<usize>, size: usize| !window.is_empty() && window.end <= size;
        assert!(self.rows.iter().all(|window| inside(window, source_layout.rows)), "rows {:?}", self.rows);
        assert!(self.cols.iter().all(|window| inside(window, source_layout.cols)), "columns {:?}", self.cols);
        let images = target.len() / target_layout.image();
        let lengths = [source_layout, target_layout].map(|layout| images * layout.image());
        assert_eq!([source.len(), target.len()], lengths, "lengths");
        let blocks = target.par_chunks_mut(target_layout.block()).zip(source.par_chunks(source_layout.block()));
        blocks.for_each(|(target, source)| {
            let block = Block { pool: self, source_layout, source, target_layout, target: Target::new(target) };
            // SAFETY: the level is available; layouts, windows and lengths were checked above.
            unsafe { if source_layout.is_bf16() { dispatch_halves(level, block) } else { dispatch(level, block) } }
        });
    }
}

/// One block of channels of one image.
struct Block<'a> {
    pool: &'a Pool,
    source_layout: &'a Layout,
    source: &'a [f32],
    target_layout: &'a Layout,
    target: Target<'a>,
}

impl Kernel for Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Pool { reduce, rows, cols } = self.pool;
        let max = *reduce == Reduce::Max;
        let bf16 = self.source_layout.is_bf16();
        for (row, rows) in rows.iter().enumerate() {
            for (col, cols) in cols.iter().enumerate() {
                let to = self.target_layout.offset(0, row as isize, col as isize);
                // SAFETY: as for this function: windows lie within the source, pixels within the target.
                unsafe {
                    let mut results = [S::splat(if max { f32::NEG_INFINITY } else { 0.0 }); 2];
                    for row in rows.clone() {
                        let from = self.source_layout.offset(0, row as isize, cols.start as isize);
                        let from = self.source.as_ptr().add(from);
                        for col in 0..cols.len() {
                            let from = from.add(col * S::LANES);
                            let values = if bf16 { S::widen(from) } else { [S::load(from), S::splat(0.0)] };
                            for k in 0..2 {
                                let [result, value] = [results[k], values[k]];
                                results[k] = if max { S::largest(result, value) } else { S::add(result, value) };
                            }
                        }
                    }
                    let size = match reduce {
                        Reduce::Max => 1.0,
                        Reduce::Mean => (rows.len() * cols.len()) as f32,
                        Reduce::Share(size) => *size,
                    };
                    for k in 0..2 {
                        results[k] = if max { results[k] } else { S::div(results[k], S::splat(size)) };
                    }
                    let to = self.target.writable(to + S::LANES).add(to);
                    if bf16 { S::narrow(to, results[0], results[1]) } else { S::store(to, results[0]) }
                }
            }
        }
    }
}
