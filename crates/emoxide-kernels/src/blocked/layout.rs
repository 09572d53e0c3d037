use std::ops::{Deref, DerefMut};

use crate::{
    level::Level,
    simd::{bf16, shape},
};

/// How the maps of an image lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Channels that are computed together: the lanes of a vector, of two where they are bfloat16, or 1 where every
    /// channel has a plane of its own.
    pub lanes: usize,
    /// Floats that they take: as many, or half as many where they are bfloat16.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Rows of a map.
    pub rows: usize,
    /// Columns of a map.
    pub cols: usize,
    /// Rows and columns around a map on every side.
    pub halo: usize,
}

impl Layout {
    /// Channels in blocks of a vector of this level.
    pub fn blocked(level: Level, channels: usize, [rows, cols]: [usize; 2], halo: usize) -> Self {
        let lanes = shape(level).lanes;
        Self { lanes, width: lanes, channels, rows, cols, halo }
    }

    /// Channels in blocks of two vectors of this level, as bfloat16: a float of memory holds two neighbours.
    pub fn bf16(level: Level, channels: usize, [rows, cols]: [usize; 2], halo: usize) -> Self {
        let width = shape(level).lanes;
        Self { lanes: 2 * width, width, channels, rows, cols, halo }
    }

    /// A plane for every channel.
    pub fn planar(channels: usize, [rows, cols]: [usize; 2], halo: usize) -> Self {
        Self { lanes: 1, width: 1, channels, rows, cols, halo }
    }

    /// Whether values are bfloat16.
    pub fn is_bf16(&self) -> bool {
        self.width < self.lanes
    }

    /// Blocks of channels; the last may be partly empty.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }

    /// Floats between two rows.
    pub fn row(&self) -> usize {
        (self.cols + 2 * self.halo) * self.width
    }

    /// Floats between two blocks.
    pub fn block(&self) -> usize {
        (self.rows + 2 * self.halo) * self.row()
    }

    /// Floats of an image.
    pub fn image(&self) -> usize {
        self.blocks() * self.block()
    }

    /// Where the pixel `row`, `col` of a block lies; negative ones are in the halo.
    pub(super) fn offset(&self, block: usize, row: isize, col: isize) -> usize {
        let row = self.halo.wrapping_add_signed(row);
        let col = self.halo.wrapping_add_signed(col);
        block * self.block() + row * self.row() + col * self.width
    }
}

/// Floats that begin at a cache line.
#[derive(Clone, Debug)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Buffer {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); len.div_ceil(16)], len }
    }

    /// Memory for `batch` images, the halo filled with `fill` (a value per channel; none: zero), everything else zero.
    ///
    /// # Panics
    /// When `fill` has another length than the layout has channels.
    pub fn images(layout: &Layout, batch: usize, fill: Option<&[f32]>) -> Self {
        let mut buffer = Self::zeroed(layout.image() * batch);
        let Some(fill) = fill else { return buffer };
        assert_eq!(fill.len(), layout.channels, "a value for every channel");
        let inner = layout.halo..layout.halo + layout.rows;
        // Pixels as they lie in memory, one for every block.
        let pixels: Vec<Vec<f32>> = fill
            .chunks(layout.lanes)
            .map(|values| if layout.is_bf16() { values.chunks(2).map(pair).collect() } else { values.to_vec() })
            .collect();
        for image in buffer.chunks_mut(layout.image()) {
            for (block, values) in image.chunks_mut(layout.block()).zip(&pixels) {
                for (row, pixels) in block.chunks_mut(layout.row()).enumerate() {
                    for (col, pixel) in pixels.chunks_mut(layout.width).enumerate() {
                        if !(inner.contains(&row) && (layout.halo..layout.halo + layout.cols).contains(&col)) {
                            pixel[..values.len()].copy_from_slice(values);
                        }
                    }
                }
            }
        }
        buffer
    }
}

/// One or two values as bfloat16, the first in the lower half.
fn pair(values: &[f32]) -> f32 {
    f32::from_bits(values.iter().rev().fold(0, |word, &value| word << 16 | bf16(value)))
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is 16 floats without padding, and there are at least `len` floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as for `deref`; every bit pattern is a float.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
