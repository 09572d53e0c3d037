//! Tiles and weights there and back: matrices of whole numbers and fractions, applied to vectors of channels.

use std::ops::Range;

use super::{Grid, IN, MOST_LANES, OUT, PLACES};
use crate::{
    blocked::{
        convolution::Run,
        layout::Layout,
        tile::{Carried, Finisher, Target},
    },
    level::Level,
    simd::{self, Kernel, Simd, dispatch},
};

/// Weights of one block of outputs to `[places][inputs][blocks · lanes]`: `G g Gᵀ`.
pub(super) struct TransformWeight<'a> {
    /// `[outputs of the block][inputs][9]`
    pub(super) weight: &'a [f32],
    pub(super) inputs: usize,
    /// Inputs rounded up to blocks.
    pub(super) stride: usize,
    /// Blocks of outputs that lie together.
    pub(super) blocks: usize,
    /// Which of them this is.
    pub(super) k: usize,
    pub(super) packed: &'a mut [f32],
}

impl TransformWeight<'_> {
    pub(super) fn run(self, level: Level) {
        let lanes = simd::shape(level).lanes;
        let outputs = self.weight.len() / (self.inputs * 9);
        assert!(level.is_available() && self.k < self.blocks && outputs <= lanes);
        assert!(PLACES * self.stride * self.blocks * lanes <= self.packed.len() && self.inputs <= self.stride);
        // SAFETY: the level is available, and the results lie within `packed`.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for TransformWeight<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let width = self.blocks * S::LANES;
        let mut lanes = [[0.0f32; MOST_LANES]; 9];
        for input in 0..self.inputs {
            for (lane, weight) in self.weight.chunks_exact(self.inputs * 9).enumerate() {
                for (lanes, &value) in lanes.iter_mut().zip(&weight[input * 9..input * 9 + 9]) {
                    lanes[lane] = value;
                }
            }
            // SAFETY: `run` checked the lengths; an array of `MOST_LANES` floats holds a vector.
            unsafe {
                let mut columns = [[S::splat(0.0); IN]; 3];
                for col in 0..3 {
                    let mut line = [S::splat(0.0); 3];
                    for row in 0..3 {
                        line[row] = S::load(lanes[row * 3 + col].as_ptr());
                    }
                    columns[col] = weight_line::<S>(line);
                }
                let to = self.packed.as_mut_ptr().add(input * width + self.k * S::LANES);
                for row in 0..IN {
                    let line = weight_line::<S>([columns[0][row], columns[1][row], columns[2][row]]);
                    for col in 0..IN {
                        S::store(to.add((row * IN + col) * self.stride * width), line[col]);
                    }
                }
            }
        }
    }
}

/// `G g` for one line.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn weight_line<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; IN] {
    // SAFETY: by the caller.
    unsafe {
        let zero = S::splat(0.0);
        let sixth = S::splat(-1.0 / 6.0);
        let near = S::mul_add(sixth, S::add(g[0], g[2]), zero);
        let far = S::mul_add(S::splat(1.0 / 24.0), g[0], S::mul_add(S::splat(1.0 / 6.0), g[2], zero));
        [
            S::mul_add(S::splat(0.25), g[0], zero),
            S::mul_add(sixth, g[1], near),
            S::mul_add(S::splat(1.0 / 6.0), g[1], near),
            S::mul_add(S::splat(1.0 / 12.0), g[1], far),
            S::mul_add(S::splat(-1.0 / 12.0), g[1], far),
            g[2],
        ]
    }
}

/// Tiles to `[places][blocks][tiles][lanes]`: `Bᵀ d B`.
pub(in crate::blocked) struct TransformInput<'a> {
    pub(in crate::blocked) grid: &'a Grid,
    pub(in crate::blocked) layout: &'a Layout,
    pub(in crate::blocked) padding: usize,
    pub(in crate::blocked) source: &'a [f32],
    pub(in crate::blocked) transformed: &'a mut [f32],
}

impl TransformInput<'_> {
    pub(in crate::blocked) fn run(self, level: Level) {
        let last = self.grid.tiles.end.div_ceil(self.grid.tile_rows * self.grid.tile_cols);
        assert!(level.is_available() && self.layout.halo >= self.padding);
        assert!(last * self.layout.image() <= self.source.len());
        assert!(PLACES * self.layout.blocks() * self.grid.tiles.len() * self.layout.lanes <= self.transformed.len());
        // SAFETY: the level is available; the tiles lie in the source and their results in `transformed`.
        unsafe { dispatch(level, self) }
    }
}

impl TransformInput<'_> {
    /// One tile of one block; `inside` is what of it may be read.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the pixels inside exist, and so do all places of the result.
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        (from, row): (*const f32, usize),
        [rows, cols]: [usize; 2],
        (to, place): (*mut f32, usize),
    ) {
        // SAFETY: by the caller.
        unsafe {
            let mut columns = [[S::splat(0.0); IN]; IN];
            for c in 0..cols {
                let mut pixels = [S::splat(0.0); IN];
                for r in 0..rows {
                    pixels[r] = S::load(from.add(r * row + c * S::LANES));
                }
                columns[c] = input_line::<S>(pixels);
            }
            for r in 0..IN {
                let mut line = [S::splat(0.0); IN];
                for c in 0..IN {
                    line[c] = columns[c][r];
                }
                let line = input_line::<S>(line);
                for c in 0..IN {
                    S::store(to.add((r * IN + c) * place), line[c]);
                }
            }
        }
    }
}

impl Kernel for TransformInput<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let layout = self.layout;
        let tiles = self.grid.tiles.len();
        let place = layout.blocks() * tiles * S::LANES;
        // Tiles begin in the padding; past the other padding they may read nothing.
        let padding = self.padding as isize;
        let [rows, cols] = [layout.rows, layout.cols].map(|size| size + 2 * self.padding);
        for (index, [image, tile_row, tile_col]) in self.grid.places().enumerate() {
            let inside = [IN.min(rows - tile_row), IN.min(cols - tile_col)];
            for block in 0..layout.blocks() {
                let corner = layout.offset(block, tile_row as isize - padding, tile_col as isize - padding);
                // SAFETY: `run` checked the lengths; reads stay inside the halo.
                unsafe {
                    let from = (self.source.as_ptr().add(image * layout.image() + corner), layout.row());
                    let to = (self.transformed.as_mut_ptr().add((block * tiles + index) * S::LANES), place);
                    if inside == [IN, IN] {
                        Self::tile::<S>(from, [IN, IN], to);
                    } else {
                        Self::tile::<S>(from, inside, to);
                    }
                }
            }
        }
    }
}

/// `Bᵀ d` for one line.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn input_line<S: Simd>(d: [S::Vector; IN]) -> [S::Vector; IN] {
    // SAFETY: by the caller.
    unsafe {
        let minus_four = S::splat(-4.0);
        let minus_five = S::splat(-5.0);
        let four = S::splat(4.0);
        let two = S::splat(2.0);
        let minus_two = S::splat(-2.0);
        let even = S::mul_add(minus_four, d[2], d[4]);
        let odd = S::mul_add(minus_four, d[1], d[3]);
        let difference = S::sub(d[4], d[2]);
        let slope = S::sub(d[3], d[1]);
        [
            S::mul_add(four, d[0], S::mul_add(minus_five, d[2], d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::mul_add(two, slope, difference),
            S::mul_add(minus_two, slope, difference),
            S::mul_add(four, d[1], S::mul_add(minus_five, d[3], d[5])),
        ]
    }
}

/// `[places][blocks][tiles][lanes]` to pixels: `Aᵀ m A`, bias, carried input, activation.
pub(super) struct TransformOutput<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) grid: &'a Grid,
    pub(super) group: Range<usize>,
    pub(super) products: &'a [f32],
}

impl TransformOutput<'_> {
    pub(super) fn run(self, level: Level) {
        assert!(level.is_available());
        assert!(
            PLACES * self.group.len() * self.grid.tiles.len() * self.run.target_layout.lanes <= self.products.len()
        );
        // SAFETY: the level is available; the products are complete, and every tile checks its target.
        unsafe { dispatch(level, self) }
    }

    /// One tile of one block.
    ///
    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &self,
        (products, place): (*const f32, usize),
        (bias, finish): (S::Vector, &Finisher<S>),
        carried: Option<Carried<'_>>,
        target: Target<'_>,
        [rows, cols]: [usize; 2],
    ) {
        let row = self.run.target_layout.row();
        // SAFETY: the caller gives pixels that exist; `reach` is checked here.
        unsafe {
            let mut columns = [[S::splat(0.0); OUT]; IN];
            for c in 0..IN {
                let mut line = [S::splat(0.0); IN];
                for r in 0..IN {
                    line[r] = S::load(products.add((r * IN + c) * place));
                }
                columns[c] = output_line::<S>(line);
            }
            let to = target.writable((rows - 1) * row + cols * S::LANES);
            for r in 0..rows {
                let mut line = [S::splat(0.0); IN];
                for c in 0..IN {
                    line[c] = columns[c][r];
                }
                let line = output_line::<S>(line);
                for c in 0..cols {
                    let mut sum = S::add(line[c], bias);
                    if let Some(carried) = carried {
                        sum = S::add(sum, S::load(carried.values[r * carried.row + c * S::LANES..].as_ptr()));
                    }
                    S::store(to.add(r * row + c * S::LANES), finish.apply(sum));
                }
            }
        }
    }
}

impl Kernel for TransformOutput<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let tiles = self.grid.tiles.len();
        let layout = self.run.target_layout;
        let (bias, finish) = self.run.convolution.finish(self.group.start);
        for (k, block) in self.group.clone().enumerate() {
            // SAFETY: bias and slopes reach to the last block; `run` checked the products.
            unsafe {
                let finish = Finisher::<S>::new(finish, k);
                let bias = S::load(bias[k * S::LANES..].as_ptr());
                for (index, [image, row, col]) in self.grid.places().enumerate() {
                    let products = self.products.as_ptr().add((k * tiles + index) * S::LANES);
                    let carried = self.run.carried(image, &(block..block + 1)).map(|carried| Carried {
                        values: &carried.values[row * carried.row + col * S::LANES..],
                        ..carried
                    });
                    let target = self.run.target(image, &(block..block + 1)).part(row * layout.row() + col * S::LANES);
                    let size = [OUT.min(layout.rows - row), OUT.min(layout.cols - col)];
                    let place = self.group.len() * tiles * S::LANES;
                    if size == [OUT, OUT] {
                        self.tile::<S>((products, place), (bias, &finish), carried, target, [OUT, OUT]);
                    } else {
                        self.tile::<S>((products, place), (bias, &finish), carried, target, size);
                    }
                }
            }
        }
    }
}

/// `Aᵀ m` for one line.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn output_line<S: Simd>(m: [S::Vector; IN]) -> [S::Vector; OUT] {
    // SAFETY: by the caller.
    unsafe {
        let (two, four, eight) = (S::splat(2.0), S::splat(4.0), S::splat(8.0));
        let near = S::add(m[1], m[2]);
        let near_slope = S::sub(m[1], m[2]);
        let far = S::add(m[3], m[4]);
        let far_slope = S::sub(m[3], m[4]);
        [
            S::add(m[0], S::add(near, far)),
            S::mul_add(two, far_slope, near_slope),
            S::mul_add(four, far, near),
            S::mul_add(eight, far_slope, S::add(near_slope, m[5])),
        ]
    }
}
