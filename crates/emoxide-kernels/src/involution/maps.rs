//! Maps of a group with its channels in the lanes of vectors.

use std::{
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
};

use crate::{
    blocked::{Layout, pack},
    level::Level,
    pool::Scratch,
    simd::{Kernel, Simd, dispatch, shape},
};

/// Floats of a cache line.
const LINE: usize = 16;

/// Floats of the largest square.
pub(super) const SQUARE: usize = 16 * 16;

/// Some rows of the maps of one image and group: `[blocks][rows][cols][lanes]` with a halo. Begins at a cache line.
pub(super) struct Maps {
    pub(super) layout: Layout,
    scratch: Scratch,
    start: usize,
}

impl Maps {
    fn new(layout: Layout) -> Self {
        let scratch = Scratch::new(layout.image() + LINE - 1);
        let start = scratch.as_ptr().align_offset(LINE * size_of::<f32>());
        assert!(start < LINE, "floats reach a cache line within its length");
        Self { layout, scratch, start }
    }

    /// Zeros.
    pub(super) fn zeroed(layout: Layout) -> Self {
        let mut maps = Self::new(layout);
        maps.fill(0.0);
        maps
    }

    /// The layout's rows, from `first` on, of planes of `rows` x `cols`; zero outside of them.
    pub(super) fn pack(level: Level, planes: &[f32], [rows, cols]: [usize; 2], first: usize, layout: Layout) -> Self {
        let mut maps = Self::new(layout);
        pack(level, planes, rows * cols, first, &layout, &mut maps);
        maps
    }

    /// Writes all of the planes: the layout's rows without the halo.
    pub(super) fn unpack(&self, level: Level, mut planes: Vec<&mut [MaybeUninit<f32>]>) {
        let Layout { lanes, channels, rows, cols, .. } = self.layout;
        assert!(level.is_available() && shape(level).lanes == lanes && lanes * lanes <= SQUARE, "lanes of the level");
        assert!(planes.len() == channels && planes.iter().all(|plane| plane.len() == rows * cols), "planes");
        for (planes, block) in planes.chunks_mut(lanes).zip(self.chunks(self.layout.block())) {
            // SAFETY: the level is available, and a square of its lanes fits.
            unsafe { dispatch(level, Unpack { block, layout: self.layout, planes }) };
        }
    }
}

impl Deref for Maps {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.scratch[self.start..self.start + self.layout.image()]
    }
}

impl DerefMut for Maps {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.scratch[self.start..self.start + self.layout.image()]
    }
}

/// As many vectors as a vector has lanes.
#[repr(align(64))]
pub(super) struct Square(pub(super) [f32; SQUARE]);

/// A block of maps to its planes, a square of as many pixels as lanes at a time.
struct Unpack<'a, 'b> {
    block: &'a [f32],
    layout: Layout,
    planes: &'a mut [&'b mut [MaybeUninit<f32>]],
}

impl Kernel for Unpack<'_, '_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Layout { halo, rows, cols, .. } = self.layout;
        let area = rows * cols;
        let (mut pixels, mut lanes) = (Square([0.0; SQUARE]), Square([0.0; SQUARE]));
        for start in (0..area).step_by(S::LANES) {
            // The last square may overlap the one before.
            let start = start.min(area.saturating_sub(S::LANES));
            let count = S::LANES.min(area);
            let (mut row, mut col) = (start / cols, start % cols);
            for pixel in pixels.0.chunks_exact_mut(S::LANES).take(count) {
                let from = (halo + row) * self.layout.row() + (halo + col) * S::LANES;
                pixel.copy_from_slice(&self.block[from..from + S::LANES]);
                col += 1;
                if col == cols {
                    (row, col) = (row + 1, 0);
                }
            }
            // SAFETY: both hold a square of `S::LANES`, by the check of `unpack`.
            unsafe { S::transpose(pixels.0.as_ptr(), S::LANES, lanes.0.as_mut_ptr(), S::LANES) };
            for (plane, values) in self.planes.iter_mut().zip(lanes.0.chunks_exact(S::LANES)) {
                plane[start..start + count].write_copy_of_slice(&values[..count]);
            }
        }
    }
}
