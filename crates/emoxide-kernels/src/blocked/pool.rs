use std::ops::Range;

use rayon::prelude::*;

use super::{layout::Layout, tile::Target};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
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
        assert_eq!([source_layout.lanes, target_layout.lanes], [shape(level).lanes; 2], "lanes");
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
            unsafe { dispatch(level, block) }
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
        for (row, rows) in rows.iter().enumerate() {
            for (col, cols) in cols.iter().enumerate() {
                let to = self.target_layout.offset(0, row as isize, col as isize);
                // SAFETY: as for this function: windows lie within the source, pixels within the target.
                unsafe {
                    let mut result = S::splat(if max { f32::NEG_INFINITY } else { 0.0 });
                    for row in rows.clone() {
                        let from = self.source_layout.offset(0, row as isize, cols.start as isize);
                        let from = self.source.as_ptr().add(from);
                        for col in 0..cols.len() {
                            let value = S::load(from.add(col * S::LANES));
                            result = if max { S::largest(result, value) } else { S::add(result, value) };
                        }
                    }
                    let size = match reduce {
                        Reduce::Max => 1.0,
                        Reduce::Mean => (rows.len() * cols.len()) as f32,
                        Reduce::Share(size) => *size,
                    };
                    let result = if max { result } else { S::div(result, S::splat(size)) };
                    S::store(self.target.writable(to + S::LANES).add(to), result);
                }
            }
        }
    }
}
