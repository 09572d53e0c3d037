//! A part of a convolution of words by matrix tiles: pixels by output channels.

use super::tile::Part;
use crate::{
    amx::{Products, ROWS, Sums, Tiles},
    simd::{Kernel, Simd, Words, dispatch_words},
};

impl Part<'_> {
    /// Computes it with matrix tiles.
    ///
    /// # Safety
    /// The level is `Amx`, and `run` checked the rest.
    pub(super) unsafe fn by_matrices(&self, words: Words) {
        // SAFETY: the level has the instructions for words, too; the rest is by the caller.
        unsafe {
            match self.blocks {
                1 => dispatch_words(words, Matrices::<1> { part: self, words }),
                _ => dispatch_words(words, Matrices::<2> { part: self, words }),
            }
        }
    }

    /// How its pixels fill tiles best.
    fn segments(&self) -> Segments {
        let (rows, cols) = (self.rows.len(), self.cols);
        let per_row = cols.div_ceil(ROWS);
        let by_row =
            Segments { line: cols, per_row: Some(per_row), count: rows * per_row, pixels: cols.div_ceil(per_row) };
        if self.source_col == 0 || !self.source_row.is_multiple_of(self.source_col) {
            return by_row;
        }
        // Rows follow each other at the distance of pixels, with some between them whose results nobody needs.
        let line = self.source_row / self.source_col;
        let pixels = (rows - 1) * line + cols;
        let count = pixels.div_ceil(ROWS);
        let through = Segments { line, per_row: None, count, pixels: pixels.div_ceil(count) };
        if line >= cols && through.count < by_row.count { through } else { by_row }
    }
}

/// Pixels in their order, cut into segments of equal length that fit a tile. A last one overlaps the one before.
#[derive(Clone, Copy, Debug)]
struct Segments {
    /// Pixels from one row to the next.
    line: usize,
    /// Segments of a row; none where they run on from the end of a row to the next one.
    per_row: Option<usize>,
    count: usize,
    pixels: usize,
}

impl Segments {
    /// Row and place in the line of the first pixel of a segment.
    fn first(self, index: usize, rows: usize, cols: usize) -> [usize; 2] {
        if let Some(per_row) = self.per_row {
            [index / per_row, (index % per_row * self.pixels).min(cols - self.pixels)]
        } else {
            let first = (index * self.pixels).min((rows - 1) * self.line + cols - self.pixels);
            [first / self.line, first % self.line]
        }
    }
}

/// Of `K` blocks.
struct Matrices<'a, const K: usize> {
    part: &'a Part<'a>,
    words: Words,
}

impl<const K: usize> Kernel for Matrices<'_, K> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Self { part, words } = self;
        let segments = part.segments();
        let mut tiles = Tiles::of_pixels(segments.pixels);
        let mut sums = Sums([[[[0.0; 16]; 16]; 2]; 2]);
        for first in (0..segments.count).step_by(2) {
            // An odd last one is computed twice.
            let places = [first, (first + 1).min(segments.count - 1)]
                .map(|index| segments.first(index, part.rows.len(), part.cols));
            // SAFETY: segments begin and end within rows and columns, for which `Part::run` checked the lengths.
            unsafe {
                let at = |[row, col]: [usize; 2]| {
                    part.source.as_ptr().add((part.rows.start + row) * part.source_row + col * part.source_col)
                };
                let products = Products {
                    pixels: places.map(at),
                    step: part.source_col,
                    taps: part.taps,
                    weights: part.weights.as_ptr(),
                    start: part.bias.as_ptr(),
                    blocks: K,
                };
                tiles.sums(words, &products, &mut sums);
                for (sums, [row, col]) in sums.0.iter().zip(places) {
                    if part.has_halves() {
                        self.finish::<S, true>(segments, sums, row, col);
                    } else {
                        self.finish::<S, false>(segments, sums, row, col);
                    }
                }
            }
        }
    }
}

/// Pixels that are finished together.
const TOGETHER: usize = 4;

impl<const K: usize> Matrices<'_, K> {
    /// Finishes the pixels of a segment that lie within columns.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the segment begins and ends within rows and columns.
    #[inline(always)]
    unsafe fn finish<S: Simd, const HALVES: bool>(
        &self,
        segments: Segments,
        sums: &[[[f32; 16]; ROWS]; 2],
        row: usize,
        col: usize,
    ) {
        let Segments { line, pixels, .. } = segments;
        let (mut row, mut col, mut pixel) = (self.part.rows.start + row, col, 0);
        while pixel < pixels {
            let end = pixels.min(pixel + self.part.cols.saturating_sub(col));
            // SAFETY: as for this function.
            unsafe {
                while pixel + TOGETHER <= end {
                    self.pixels::<S, TOGETHER, HALVES>(sums, pixel, row, col);
                    (pixel, col) = (pixel + TOGETHER, col + TOGETHER);
                }
                while pixel < end {
                    self.pixels::<S, 1, HALVES>(sums, pixel, row, col);
                    (pixel, col) = (pixel + 1, col + 1);
                }
            }
            pixel += line - col;
            (row, col) = (row + 1, 0);
        }
    }

    /// Finishes `N` neighbours.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the pixels lie within rows and columns.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize, const HALVES: bool>(
        &self,
        sums: &[[[f32; 16]; ROWS]; 2],
        pixel: usize,
        row: usize,
        col: usize,
    ) {
        // SAFETY: by the caller; a pixel's sums are a vector long.
        unsafe {
            let mut vectors = [[[S::splat(0.0); K]; N]; 1];
            for n in 0..N {
                for k in 0..K {
                    vectors[0][n][k] = S::load(sums[k][pixel + n].as_ptr());
                }
            }
            self.part.finish_tile::<S, 1, N, K, HALVES>(row, col, vectors);
        }
    }
}
