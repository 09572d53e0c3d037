//! Gradient of the weight of a convolution: outer products of input and output gradient, summed over pixels and images.
//!
//! For 3x3 windows with stride 1 the sums are taken in Winograd's transformed places: the output is `Aᵀ (U ⊙ V) A` of the
//! transformed weight `U = G g Gᵀ` and input `V = Bᵀ d B`, so the gradient of `g` is `Gᵀ (Σ V ⊙ A y Aᵀ) G`, summed over the
//! tiles of the output's gradient `y`: again a quarter of the multiplications. Matrix tiles multiply bfloat16 so fast that
//! the transformation would only cost.

use std::ops::Range;

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::pairs;
use super::{
    convolution::{Convolution, Shape, Source, groups},
    layout::{Buffer, Layout},
    outer::Outer,
    planar::sized,
    rounded::round_to_bf16,
    transpose::pack,
    winograd::{Grid, IN, MOST_LANES, OUT, PLACES, TransformInput},
};
use crate::{
    conv::Computing,
    level::Level,
    precision::TrainingPrecision,
    simd::{self, Kernel, Simd, dispatch},
};

/// The batch is split into this many parts at most, whatever the number of threads: results must not depend on it.
const PARTS: usize = 8;
/// Floats that the sums of all parts may take, unless that leaves fewer than two parts.
const ALL_SUMS: usize = 4 * 1024 * 1024;
/// Tiles between two visits of the sums: as many as there are channels, but at least that many.
const FEWEST_TILES: usize = 64;
/// Pixels between two visits of the sums, where there are no tiles.
const PIXELS: usize = 400;

/// Gradient of the weight `[outputs, inputs, kernel, kernel]` of a convolution that [`super::suits`], from its input
/// `[batch, inputs, rows, cols]` and the gradient of its output.
pub(crate) fn weight_gradient(
    Computing { level, precision }: Computing,
    shape: Shape,
    size: [usize; 2],
    input: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let Shape { inputs, outputs, kernel, padding, .. } = shape;
    let results = shape.output(size).expect("a window fits");
    let lens = [inputs * size[0] * size[1], outputs * results[0] * results[1]];
    let images = input.len() / lens[0];
    let bf16 = precision == TrainingPrecision::Bf16;
    let method = if bf16 && level == Level::Amx {
        Method::Pairs
    } else if Convolution::suits_winograd(&shape, Source::Blocked) && tiles_pay(&shape, results, images) {
        Method::Winograd
    } else {
        Method::Pixels
    };
    let round = bf16 && method != Method::Pairs;
    let from = Layout::blocked(level, inputs, size, padding);
    let to = Layout::blocked(level, outputs, results, 0);
    let places = if method == Method::Winograd { PLACES } else { kernel[0] * kernel[1] };
    let sums = places * from.blocks() * from.lanes * to.blocks() * to.lanes;
    let parts = (ALL_SUMS / sums).clamp(2, PARTS);
    let per_part = images.div_ceil(parts);
    let mut parts: Vec<Buffer> = input
        .par_chunks(per_part * lens[0])
        .zip(gradient.par_chunks(per_part * lens[1]))
        .map(|(input, gradient)| {
            let mut part = Part { level, round, method, shape, from, to, sums: Buffer::zeroed(sums) };
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
    #[cfg(target_arch = "x86_64")]
    if method == Method::Pairs {
        first.par_chunks_mut(to.blocks() * to.lanes * to.lanes).for_each(|sums| pairs::turn(level, to.blocks(), sums));
    }
    weights(level, &shape, method == Method::Winograd, first)
}

/// Whether Winograd's method saves more multiplications than its sums, four times as many, cost memory traffic.
fn tiles_pay(shape: &Shape, results: [usize; 2], images: usize) -> bool {
    let tiles = images * results.map(|size| size.div_ceil(OUT)).iter().product::<usize>();
    tiles > FEW_TILES || PLACES * shape.inputs * shape.outputs <= CACHED
}

/// Up to so many tiles do not pay for sums that leave the cache.
const FEW_TILES: usize = 40;

/// Floats of sums that stay in the cache.
const CACHED: usize = 1024 * 1024;

/// Floats that one task adds up over the parts.
const SLICE: usize = 16 * 1024;

/// How the sums are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Winograd,
    /// Pixel by pixel.
    Pixels,
    /// By matrix tiles of bfloat16.
    Pairs,
}

/// The sums over some images.
struct Part {
    level: Level,
    /// Whether input and gradient are rounded to bfloat16.
    round: bool,
    method: Method,
    shape: Shape,
    /// Of the packed input.
    from: Layout,
    /// Of the packed gradient.
    to: Layout,
    /// `[places][input blocks][groups][lanes][blocks of the group · lanes]`; without tiles, a place is one of the window.
    sums: Buffer,
}

impl Part {
    /// Adds these images.
    fn add(&mut self, input: &[f32], gradient: &[f32]) {
        match self.method {
            Method::Winograd => self.add_transformed(input, gradient),
            Method::Pixels | Method::Pairs => self.add_bands(input, gradient),
        }
    }

    fn add_transformed(&mut self, input: &[f32], gradient: &[f32]) {
        let Self { from, to, .. } = *self;
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
                self.pack_images(values, layout, area, 0, packed);
            }
            let tiles = images * tile_rows * tile_cols;
            let chunk = tiles.div_ceil(tiles.div_ceil(wanted));
            for first in (0..tiles).step_by(chunk) {
                let grid = Grid { tile_rows, tile_cols, tiles: first..tiles.min(first + chunk) };
                self.add_tiles(&grid, &packed, &mut transformed);
            }
        }
    }

    /// Rows of `[images, channels, area]` from `first` on.
    fn pack_images(&self, values: &[f32], layout: &Layout, area: usize, first: usize, packed: &mut [f32]) {
        for (values, packed) in values.chunks(layout.channels * area).zip(packed.chunks_mut(layout.image())) {
            pack(self.level, values, area, first, layout, packed);
            if self.round {
                round_to_bf16(self.level, packed);
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
                        counts: [1, 1, tiles],
                        input,
                        input_steps: [0, 0, lanes],
                        gradient: &gradients[start * tiles..],
                        gradient_steps: [0, 0, group.len() * lanes],
                        gradient_block: lanes,
                        vectors: group.len(),
                        sums: &mut sums[start * lanes..],
                    }
                    .run(level);
                }
            }
        }
    }

    fn add_bands(&mut self, input: &[f32], gradient: &[f32]) {
        let Self { shape, from, to, .. } = *self;
        let Shape { kernel, stride, padding, .. } = shape;
        let areas = [from.rows * from.cols, to.rows * to.cols];
        let band = PIXELS.div_ceil(to.cols).min(to.rows);
        let images = PIXELS.div_ceil(areas[1]);
        let mut packed = [Buffer::zeroed(0), Buffer::zeroed(0)];
        let chunks = input.chunks(images * from.channels * areas[0]);
        for (input, gradient) in chunks.zip(gradient.chunks(images * to.channels * areas[1])) {
            let images = input.len() / (from.channels * areas[0]);
            for first in (0..to.rows).step_by(band) {
                let rows = band.min(to.rows - first);
                let from = Layout { rows: (rows - 1) * stride + kernel[0] - 2 * padding, ..from };
                // Its columns are at the distance of the input's.
                let halo = if self.method == Method::Pairs && stride == 1 { padding } else { 0 };
                let to = Layout { rows, halo, ..to };
                let [packed_input, packed_gradient] = &mut packed;
                let packed_input = sized(packed_input, images * from.image());
                let packed_gradient = sized(packed_gradient, images * to.image());
                self.pack_images(input, &from, areas[0], first * stride, packed_input);
                self.pack_images(gradient, &to, areas[1], first, packed_gradient);
                self.add_pixels([&from, &to], images, [packed_input, packed_gradient]);
            }
        }
    }

    fn add_pixels(&mut self, [from, to]: [&Layout; 2], images: usize, [input, gradient]: [&[f32]; 2]) {
        #[cfg(target_arch = "x86_64")]
        if self.method == Method::Pairs {
            let pixels = pairs::Pixels { shape: self.shape, images, from, input, to, gradient };
            pixels.add(self.level, &mut self.sums);
            return;
        }
        let Shape { kernel, stride, padding, .. } = self.shape;
        let lanes = from.lanes;
        let block_sums = lanes * to.blocks() * lanes;
        let places = self.sums.chunks_mut(from.blocks() * block_sums).enumerate();
        for (place, sums) in places {
            let [row, col] = [place / kernel[1], place % kernel[1]].map(|at| at as isize - padding as isize);
            for (block, sums) in sums.chunks_mut(block_sums).enumerate() {
                for group in groups(to.blocks()) {
                    Outer {
                        counts: [images, to.rows, to.cols],
                        input: &input[from.offset(block, row, col)..],
                        input_steps: [from.image(), stride * from.row(), stride * lanes],
                        gradient: &gradient[group.start * to.block()..],
                        gradient_steps: [to.image(), to.row(), lanes],
                        gradient_block: to.block(),
                        vectors: group.len(),
                        sums: &mut sums[group.start * lanes * lanes..],
                    }
                    .run(self.level);
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
                            let mut line = [S::splat(0.0); OUT];
                            for c in 0..OUT {
                                line[c] = columns[c][r];
                            }
                            let line = gradient_line::<S>(line);
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

/// The sums in the weight's layout; of transformed places, `Gᵀ u G`.
fn weights(level: Level, shape: &Shape, winograd: bool, sums: &[f32]) -> Vec<f32> {
    let Shape { inputs, outputs, kernel, .. } = *shape;
    let lanes = simd::shape(level).lanes;
    let area = kernel[0] * kernel[1];
    let mut weight = vec![0.0; outputs * inputs * area];
    weight.par_chunks_mut(lanes * inputs * area).enumerate().for_each(|(block, weight)| {
        let group = groups(outputs.div_ceil(lanes)).swap_remove(block / 2);
        Unpack { inputs, blocks: outputs.div_ceil(lanes), group, block, area, winograd, sums, weight }.run(level);
    });
    weight
}

/// The sums of one block of outputs to their weights.
struct Unpack<'a> {
    inputs: usize,
    /// Of all outputs.
    blocks: usize,
    group: Range<usize>,
    block: usize,
    area: usize,
    winograd: bool,
    sums: &'a [f32],
    /// `[outputs of the block][inputs][area]`
    weight: &'a mut [f32],
}

impl Unpack<'_> {
    fn run(self, level: Level) {
        let lanes = simd::shape(level).lanes;
        let places = if self.winograd { PLACES } else { self.area };
        assert!(level.is_available() && self.group.contains(&self.block) && self.block < self.blocks);
        assert!(self.group.end <= self.blocks && (!self.winograd || self.area == 9) && lanes <= MOST_LANES);
        assert_eq!(self.sums.len(), places * self.inputs.next_multiple_of(lanes) * self.blocks * lanes);
        // SAFETY: the level is available; vectors of sums lie within them.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Unpack<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Self { inputs, blocks, group, block, area, winograd, sums, weight } = self;
        let width = group.len() * S::LANES;
        let place = inputs.next_multiple_of(S::LANES) * blocks * S::LANES;
        let mut values = [0.0f32; MOST_LANES];
        for input in 0..inputs {
            let at = input / S::LANES * S::LANES * blocks * S::LANES
                + group.start * S::LANES * S::LANES
                + input % S::LANES * width
                + (block - group.start) * S::LANES;
            let mut put = |index: usize, values: &[f32; MOST_LANES]| {
                for (weight, &value) in weight.chunks_exact_mut(inputs * area).zip(values) {
                    weight[input * area + index] = value;
                }
            };
            // SAFETY: `run` checked the sums, and that a vector fits `values`.
            unsafe {
                let from = sums.as_ptr().add(at);
                if winograd {
                    let mut columns = [[S::splat(0.0); 3]; IN];
                    for col in 0..IN {
                        let mut line = [S::splat(0.0); IN];
                        for row in 0..IN {
                            line[row] = S::load(from.add((row * IN + col) * place));
                        }
                        columns[col] = weight_line::<S>(line);
                    }
                    for row in 0..3 {
                        let mut line = [S::splat(0.0); IN];
                        for col in 0..IN {
                            line[col] = columns[col][row];
                        }
                        let line = weight_line::<S>(line);
                        for col in 0..3 {
                            S::store(values.as_mut_ptr(), line[col]);
                            put(row * 3 + col, &values);
                        }
                    }
                } else {
                    for index in 0..area {
                        S::store(values.as_mut_ptr(), S::load(from.add(index * place)));
                        put(index, &values);
                    }
                }
            }
        }
    }
}

/// `Gᵀ u` for one line.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn weight_line<S: Simd>(u: [S::Vector; IN]) -> [S::Vector; 3] {
    // SAFETY: by the caller.
    unsafe {
        let zero = S::splat(0.0);
        let near = S::add(u[1], u[2]);
        let far = S::add(u[3], u[4]);
        let near_slope = S::sub(u[2], u[1]);
        let far_slope = S::sub(u[3], u[4]);
        let sixth = S::splat(1.0 / 6.0);
        let inner = S::mul_add(S::splat(-1.0 / 6.0), near, zero);
        [
            S::mul_add(S::splat(0.25), u[0], S::mul_add(S::splat(1.0 / 24.0), far, inner)),
            S::mul_add(sixth, near_slope, S::mul_add(S::splat(1.0 / 12.0), far_slope, zero)),
            S::add(u[5], S::mul_add(sixth, far, inner)),
        ]
    }
}
