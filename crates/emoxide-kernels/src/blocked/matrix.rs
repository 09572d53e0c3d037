//! A part of a convolution of words by matrix tiles: pixels of a row by output channels.

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
        // Segments of a row of nearly equal length; the last one overlaps the one before.
        let per_row = part.cols.div_ceil(ROWS);
        let pixels = part.cols.div_ceil(per_row);
        let count = part.rows.len() * per_row;
        let mut tiles = Tiles::of_pixels(pixels);
        let mut sums = Sums([[[[0.0; 16]; 16]; 2]; 2]);
        for first in (0..count).step_by(2) {
            // An odd last one is computed twice.
            let places = [first, (first + 1).min(count - 1)]
                .map(|index| [part.rows.start + index / per_row, (index % per_row * pixels).min(part.cols - pixels)]);
            // SAFETY: segments lie within rows and columns, for which `Part::run` checked the lengths.
            unsafe {
                let products = Products {
                    pixels: places
                        .map(|[row, col]| part.source.as_ptr().add(row * part.source_row + col * part.source_col)),
                    step: part.source_col,
                    taps: part.taps,
                    weights: part.weights.as_ptr(),
                    start: part.bias.as_ptr(),
                    blocks: K,
                };
                tiles.sums(words, &products, &mut sums);
                for (sums, [row, col]) in sums.0.iter().zip(places) {
                    for pixel in 0..pixels {
                        let mut vectors = [S::splat(0.0); K];
                        for k in 0..K {
                            vectors[k] = S::load(sums[k][pixel].as_ptr());
                        }
                        part.finish_tile::<S, 1, 1, K>(row, col + pixel, [[vectors]]);
                    }
                }
            }
        }
    }
}
