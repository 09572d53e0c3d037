//! Planes to pixels and back, a square of as many channels as pixels at a time.

use std::{mem::MaybeUninit, ops::Range};

use super::layout::Layout;
use crate::{
    level::Level,
    simd::{self, Kernel, Simd, bf16, dispatch, dispatch_halves},
};

/// Floats of the largest square.
const SQUARE: usize = 16 * 16;

/// Rows of an image `[channels, area]` from `first` on, with those of the halo around them, zero outside of the image;
/// rounded where the layout is bfloat16.
pub(crate) fn pack(level: Level, source: &[f32], area: usize, first: usize, layout: &Layout, packed: &mut [f32]) {
    let Layout { lanes, width, cols, halo, .. } = *layout;
    // Rows of the image that the band and its halo cover.
    let rows = first.saturating_sub(halo)..(area / cols).min(first + layout.rows + halo);
    for (planes, block) in source.chunks(lanes * area).zip(packed.chunks_mut(layout.block())) {
        let lead = halo + rows.start - first;
        for (index, row) in block.chunks_mut(layout.row()).enumerate() {
            if (lead..lead + rows.len()).contains(&index) {
                row[..halo * width].fill(0.0);
                row[(halo + cols) * width..].fill(0.0);
            } else {
                row.fill(0.0);
            }
        }
        let start = lead * layout.row() + halo * width;
        let pixels = rows.start * cols..rows.end * cols;
        if planes.len().is_multiple_of(width * area) && pixels.len() >= width {
            let target = &mut block[start..];
            Pack { planes, area, pixels, cols, target, row: layout.row(), bf16: layout.is_bf16() }.run(level);
        } else {
            for pixel in pixels.clone() {
                let (row, col) = ((pixel - pixels.start) / cols, (pixel - pixels.start) % cols);
                let value = |lane: usize| planes.get(lane * area + pixel).copied().unwrap_or(0.0);
                let to = &mut block[start + row * layout.row() + col * width..][..width];
                for (lane, to) in to.iter_mut().enumerate() {
                    *to = if layout.is_bf16() {
                        f32::from_bits(bf16(value(2 * lane)) | bf16(value(2 * lane + 1)) << 16)
                    } else {
                        value(lane)
                    };
                }
            }
        }
    }
}

/// A band without a halo to its rows of `[channels, area]`, of which it writes every float.
pub(super) fn unpack(
    level: Level,
    results: &[f32],
    layout: &Layout,
    first: usize,
    area: usize,
    target: &mut [MaybeUninit<f32>],
) {
    assert_eq!(layout.halo, 0, "a band without a halo");
    let Layout { lanes, cols, .. } = *layout;
    let pixels = first * cols..(first + layout.rows) * cols;
    for (planes, block) in target.chunks_mut(lanes * area).zip(results.chunks(layout.block())) {
        if planes.len() == lanes * area && pixels.len() >= lanes {
            Unpack { block, planes, area, pixels: pixels.clone() }.run(level);
        } else {
            for (lane, plane) in planes.chunks_mut(area).enumerate() {
                let values = block[lane..].iter().step_by(lanes);
                plane[pixels.clone()].iter_mut().zip(values).for_each(|(to, &from)| {
                    to.write(from);
                });
            }
        }
    }
}

/// Starts of the squares that cover some pixels; the last one may overlap the one before.
fn squares(pixels: &Range<usize>, lanes: usize) -> impl Iterator<Item = usize> + use<> {
    let last = pixels.end - lanes;
    pixels.clone().step_by(lanes).map(move |start| start.min(last))
}

/// A full block of planes to pixels.
struct Pack<'a> {
    /// `[lanes][area]`; of bfloat16 one or two blocks of floats.
    planes: &'a [f32],
    area: usize,
    pixels: Range<usize>,
    cols: usize,
    /// From the first pixel on.
    target: &'a mut [f32],
    /// Floats between two rows of the target.
    row: usize,
    bf16: bool,
}

impl Pack<'_> {
    fn run(self, level: Level) {
        let lanes = simd::shape(level).lanes;
        assert!(level.is_available() && lanes * lanes <= SQUARE);
        assert!(lanes * self.area <= self.planes.len());
        assert!(self.pixels.end <= self.area && self.pixels.len() >= lanes);
        // SAFETY: the level is available; squares lie within the planes.
        unsafe { if self.bf16 { dispatch_halves(level, self) } else { dispatch(level, self) } }
    }
}

impl Kernel for Pack<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let mut square = [0.0f32; SQUARE];
        let mut second = [0.0f32; SQUARE];
        let two = self.planes.len() == 2 * S::LANES * self.area;
        for start in squares(&self.pixels, S::LANES) {
            // SAFETY: `run` checked the lengths.
            unsafe {
                S::transpose(self.planes.as_ptr().add(start), self.area, square.as_mut_ptr(), S::LANES);
                if two {
                    let planes = self.planes.as_ptr().add(S::LANES * self.area + start);
                    S::transpose(planes, self.area, second.as_mut_ptr(), S::LANES);
                }
            }
            let first = start - self.pixels.start;
            let (mut row, mut col) = (first / self.cols, first % self.cols);
            for (pixel, second) in
                square[..S::LANES * S::LANES].chunks_exact(S::LANES).zip(second.chunks_exact(S::LANES))
            {
                let to = row * self.row + col * S::LANES;
                let to = &mut self.target[to..to + S::LANES];
                if self.bf16 {
                    // SAFETY: all three are vectors long.
                    unsafe { S::narrow(to.as_mut_ptr(), S::load(pixel.as_ptr()), S::load(second.as_ptr())) };
                } else {
                    to.copy_from_slice(pixel);
                }
                col += 1;
                if col == self.cols {
                    (row, col) = (row + 1, 0);
                }
            }
        }
    }
}

/// Pixels to a full block of planes.
struct Unpack<'a> {
    /// `[pixels][lanes]`
    block: &'a [f32],
    /// `[lanes][area]`
    planes: &'a mut [MaybeUninit<f32>],
    area: usize,
    pixels: Range<usize>,
}

impl Unpack<'_> {
    fn run(self, level: Level) {
        let lanes = simd::shape(level).lanes;
        assert!(level.is_available());
        assert!(lanes * self.area <= self.planes.len() && self.pixels.len() * lanes <= self.block.len());
        assert!(self.pixels.end <= self.area && self.pixels.len() >= lanes);
        // SAFETY: the level is available; squares lie within block and planes.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Unpack<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        for start in squares(&self.pixels, S::LANES) {
            let from = (start - self.pixels.start) * S::LANES;
            // SAFETY: `run` checked the lengths.
            unsafe {
                let to = self.planes.as_mut_ptr().cast::<f32>().add(start);
                S::transpose(self.block.as_ptr().add(from), S::LANES, to, self.area);
            }
        }
    }
}
