//! Gradient of the weight of a 3x3 convolution, in Winograd's transformed places: the output is `Aᵀ (U ⊙ V) A` of the
//! transformed weight `U = G g Gᵀ` and input `V = Bᵀ d B`, so the gradient of `g` is `Gᵀ (Σ V ⊙ A y Aᵀ) G`, summed over the
//! tiles of the output's gradient `y`: again a quarter of the multiplications.

use rayon::prelude::*;

use super::{
    convolution::groups,
    layout::{Buffer, Layout},
    planar::sized,
    transpose::pack,
    winograd::{Grid, IN, OUT, PLACES, TransformInput},
};
use crate::{
    level::Level,
    simd::{self, Kernel, Simd, dispatch},
};

/// The batch is split into this many parts at most, whatever the number of threads: results must not depend on it.
const PARTS: usize = 8;
/// Floats that the sums of all parts may take, unless that leaves fewer than two parts.
const ALL_SUMS: usize = 4 * 1024 * 1024;
/// Tiles between two visits of the sums: as many as there are channels, but at least that many.
const FEWEST_TILES: usize = 64;

/// Gradient of the weight `[outputs, inputs, 3, 3]` of a convolution with stride 1 and padding 1, from its input
/// `[batch, inputs, rows, cols]` and the gradient of its output.
pub(crate) fn weight_gradient(
    level: Level,
    [inputs, outputs]: [usize; 2],
    [rows, cols]: [usize; 2],
    input: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let area = rows * cols;
    let images = input.len() / (inputs * area);
    let from = Layout::blocked(level, inputs, [rows, cols], 1);
    let to = Layout::blocked(level, outputs, [rows, cols], 0);
    let sums = PLACES * from.blocks() * from.lanes * to.blocks() * to.lanes;
    let parts = (ALL_SUMS / sums).clamp(2, PARTS);
    let per_part = images.div_ceil(parts);
    let mut parts: Vec<Buffer> = input
        .par_chunks(per_part * inputs * area)
        .zip(gradient.par_chunks(per_part * outputs * area))
        .map(|(input, gradient)| {
            let mut part = Part { level, from, to, sums: Buffer::zeroed(sums) };
            part.add(input, gradient);
            part.sums
        })
        .collect();
    let (first, rest) = parts.split_first_mut().expect("at least one image");
    first.par_chunks_mut(SLICE).enumerate().for_each(|(index, sums)| {
        for part in rest.iter() {
            let part = &part[index * SLICE..];
            sums.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
        }
    });
    weights(level, inputs, outputs, first)
}

/// Floats that one task adds up over the parts.
const SLICE: usize = 16 * 1024;

/// The sums over some images.
struct Part {
    level: Level,
    /// Of the packed input.
    from: Layout,
    /// Of the packed gradient.
    to: Layout,
    /// `[places][input blocks][groups][lanes][blocks of the group · lanes]`
    sums: Buffer,
}

impl Part {
    fn add(&mut self, input: &[f32], gradient: &[f32]) {
        let Self { level, from, to, .. } = *self;
        let area = from.rows * from.cols;
        let [tile_rows, tile_cols] = [from.rows.div_ceil(OUT), from.cols.div_ceil(OUT)];
        let wanted = from.channels.min(to.channels).max(FEWEST_TILES);
        let images = wanted.div_ceil(tile_rows * tile_cols);
        let mut packed = [Buffer::zeroed(images * from.image()), Buffer::zeroed(images * to.image())];
        let mut transformed = [Buffer::zeroed(0), Buffer::zeroed(0)];
        let groups = input.chunks(images * from.channels * area).zip(gradient.chunks(images * to.channels * area));
        for (input, gradient) in groups {
            let images = input.len() / (from.channels * area);
            for (packed, (values, layout)) in packed.iter_mut().zip([(input, &from), (gradient, &to)]) {
                let images = packed.chunks_mut(layout.image());
                for (values, packed) in values.chunks(layout.channels * area).zip(images) {
                    pack(level, values, area, 0, layout, packed);
                }
            }
            let tiles = images * tile_rows * tile_cols;
            let chunk = tiles.div_ceil(tiles.div_ceil(wanted));
            for first in (0..tiles).step_by(chunk) {
                let grid = Grid { tile_rows, tile_cols, tiles: first..tiles.min(first + chunk) };
                self.add_tiles(&grid, &packed, &mut transformed);
            }
        }
    }

    fn add_tiles(&mut self, grid: &Grid, packed: &[Buffer; 2], [inputs, gradients]: &mut [Buffer; 2]) {
        let Self { level, from, to, .. } = *self;
        let (lanes, tiles) = (from.lanes, grid.tiles.len());
        let [input_place, gradient_place] = [from.blocks(), to.blocks()].map(|blocks| blocks * tiles * lanes);
        let inputs = sized(inputs, PLACES * input_place);
        let gradients = sized(gradients, PLACES * gradient_place);
        TransformInput { grid, layout: &from, padding: 1, source: &packed[0], transformed: inputs }.run(level);
        TransformGradient { grid, layout: &to, gradient: &packed[1], transformed: gradients }.run(level);
        let block_sums = lanes * to.blocks() * lanes;
        let places = inputs.chunks(input_place).zip(gradients.chunks(gradient_place));
        for ((inputs, gradients), sums) in places.zip(self.sums.chunks_mut(from.blocks() * block_sums)) {
            for (input, sums) in inputs.chunks(tiles * lanes).zip(sums.chunks_mut(block_sums)) {
                for group in groups(to.blocks()) {
                    let start = group.start * lanes;
                    Outer {
                        input,
                        gradient: &gradients[start * tiles..],
                        tiles,
                        vectors: group.len(),
                        sums: &mut sums[start * lanes..],
                    }
                    .run(level);
                }
            }
        }
    }
}

/// Tiles of the gradient to `[places][groups][tiles][blocks of the group · lanes]`: `A y Aᵀ`.
struct TransformGradient<'a> {
    grid: &'a Grid,
    layout: &'a Layout,
    gradient: &'a [f32],
    transformed: &'a mut [f32],
}

impl TransformGradient<'_> {
    fn run(self, level: Level) {
        let last = self.grid.tiles.end.div_ceil(self.grid.tile_rows * self.grid.tile_cols);
        assert!(level.is_available());
        assert!(last * self.layout.image() <= self.gradient.len());
        assert!(PLACES * self.layout.blocks() * self.grid.tiles.len() * self.layout.lanes <= self.transformed.len());
        // SAFETY: the level is available; the tiles lie in the gradient and their results in `transformed`.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for TransformGradient<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let layout = self.layout;
        let tiles = self.grid.tiles.len();
        let place = layout.blocks() * tiles * S::LANES;
        for group in groups(layout.blocks()) {
            let width = group.len() * S::LANES;
            for (k, block) in group.clone().enumerate() {
                for (index, [image, row, col]) in self.grid.places().enumerate() {
                    let inside = [OUT.min(layout.rows - row), OUT.min(layout.cols - col)];
                    let from = image * layout.image() + layout.offset(block, row as isize, col as isize);
                    // SAFETY: `run` checked the lengths; reads stay inside the map.
                    unsafe {
                        let from = self.gradient.as_ptr().add(from);
                        let mut columns = [[S::splat(0.0); IN]; OUT];
                        for c in 0..inside[1] {
                            let mut pixels = [S::splat(0.0); OUT];
                            for r in 0..inside[0] {
                                pixels[r] = S::load(from.add(r * layout.row() + c * S::LANES));
                            }
                            columns[c] = gradient_line::<S>(pixels);
                        }
                        let to = group.start * tiles * S::LANES + index * width + k * S::LANES;
                        let to = self.transformed.as_mut_ptr().add(to);
                        for r in 0..IN {
                            let line = gradient_line::<S>(std::array::from_fn(|c| columns[c][r]));
                            for c in 0..IN {
                                S::store(to.add((r * IN + c) * place), line[c]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `A y` for one line.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn gradient_line<S: Simd>(y: [S::Vector; OUT]) -> [S::Vector; IN] {
    // SAFETY: by the caller.
    unsafe {
        let (two, four) = (S::splat(2.0), S::splat(4.0));
        let even = S::add(y[0], y[2]);
        let odd = S::add(y[1], y[3]);
        let far_even = S::mul_add(four, y[2], y[0]);
        let far_odd = S::mul_add(four, y[3], y[1]);
        [
            y[0],
            S::add(even, odd),
            S::sub(even, odd),
            S::mul_add(two, far_odd, far_even),
            S::mul_add(S::splat(-2.0), far_odd, far_even),
            y[3],
        ]
    }
}

/// `sums[m][k] += Σ_tiles input[tile][m] · gradient[tile][k]` for a block of inputs and one or two of outputs.
struct Outer<'a> {
    /// `[tiles][lanes]`
    input: &'a [f32],
    /// `[tiles][vectors · lanes]`
    gradient: &'a [f32],
    tiles: usize,
    vectors: usize,
    /// `[lanes][vectors · lanes]`
    sums: &'a mut [f32],
}

impl Outer<'_> {
    fn run(self, level: Level) {
        let lanes = simd::shape(level).lanes;
        assert!(level.is_available() && matches!(self.vectors, 1 | 2));
        assert!(self.tiles * lanes <= self.input.len());
        assert!(self.tiles * self.vectors * lanes <= self.gradient.len());
        assert!(lanes * self.vectors * lanes <= self.sums.len());
        // SAFETY: the level is available, and the three slices hold everything that `tile` touches.
        unsafe { dispatch(level, self) }
    }

    /// `M` inputs from `first` on.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; `first + M` is at most the number of lanes.
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const V: usize>(&mut self, first: usize) {
        // SAFETY: `run` checked the lengths. Pointers step past the end only after the last read, by wrapping.
        unsafe {
            let to = self.sums.as_mut_ptr().add(first * V * S::LANES);
            let mut sums = [[S::splat(0.0); V]; M];
            for m in 0..M {
                for v in 0..V {
                    sums[m][v] = S::load(to.add((m * V + v) * S::LANES));
                }
            }
            let mut input = self.input.as_ptr().add(first);
            let mut gradient = self.gradient.as_ptr();
            for _ in 0..self.tiles {
                let mut values = [S::splat(0.0); V];
                for v in 0..V {
                    values[v] = S::load(gradient.add(v * S::LANES));
                }
                for m in 0..M {
                    let factor = S::splat(*input.add(m));
                    for v in 0..V {
                        sums[m][v] = S::mul_add(factor, values[v], sums[m][v]);
                    }
                }
                input = input.wrapping_add(S::LANES);
                gradient = gradient.wrapping_add(V * S::LANES);
            }
            for m in 0..M {
                for v in 0..V {
                    S::store(to.add((m * V + v) * S::LANES), sums[m][v]);
                }
            }
        }
    }
}

impl Kernel for Outer<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(mut self) {
        for first in (0..S::LANES).step_by(M) {
            // SAFETY: as for this function; lanes are a multiple of `M`.
            unsafe {
                if self.vectors == 2 {
                    self.tile::<S, M, 2>(first);
                } else {
                    self.tile::<S, M, 1>(first);
                }
            }
        }
    }
}

/// The sums in the weight's layout: `Gᵀ u G`.
fn weights(level: Level, inputs: usize, outputs: usize, sums: &[f32]) -> Vec<f32> {
    let lanes = simd::shape(level).lanes;
    let blocks = outputs.div_ceil(lanes);
    let place = inputs.next_multiple_of(lanes) * blocks * lanes;
    let mut weight = vec![0.0; outputs * inputs * 9];
    weight.par_chunks_mut(inputs * 9).enumerate().for_each(|(output, weight)| {
        let block = output / lanes;
        let group = &groups(blocks)[block / 2];
        let width = group.len() * lanes;
        let lane = output - group.start * lanes;
        for (input, window) in weight.chunks_mut(9).enumerate() {
            let (input_block, input_lane) = (input / lanes, input % lanes);
            let at = input_block * lanes * blocks * lanes + group.start * lanes * lanes + input_lane * width + lane;
            let columns: [[f32; 3]; IN] =
                std::array::from_fn(|col| weight_line(std::array::from_fn(|row| sums[(row * IN + col) * place + at])));
            for row in 0..3 {
                let line = weight_line(std::array::from_fn(|col| columns[col][row]));
                window[row * 3..row * 3 + 3].copy_from_slice(&line);
            }
        }
    });
    weight
}

/// `Gᵀ u` for one line.
fn weight_line(u: [f32; IN]) -> [f32; 3] {
    let (near, far) = ((u[1] + u[2]) / 6.0, u[3] + u[4]);
    [u[0] / 4.0 - near + far / 24.0, (u[2] - u[1]) / 6.0 + (u[3] - u[4]) / 12.0, far / 6.0 - near + u[5]]
}
