//! The loops over the taps of a group's kernels.
//!
//! *Windows* are maps of the input with its padding, *pixels* maps of the output's size.

use std::{marker::PhantomData, mem::MaybeUninit, ops::Range};

use super::{
    geometry::Geometry,
    maps::{Maps, SQUARE, Square},
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// Floats of the longest vector.
const LANES: usize = 16;

/// Vectors of the longest row of inputs that a tile of outputs sees.
const SPAN: usize = 24;

/// Adds to some rows of outputs, of which `rows.start` is the first, what they see in the windows.
pub(super) fn forward(
    level: Level,
    geometry: &Geometry,
    windows: &mut Maps,
    kernels: &[f32],
    outputs: Range<usize>,
    pixels: &mut Maps,
) {
    let first = outputs.start * geometry.stride;
    let reached = 0..windows.layout.rows + 2 * geometry.padding();
    Rows::<Gather> { geometry, windows, pixels, kernels, outputs, first, reached, direction: PhantomData }.run(level);
}

/// Adds the gradient of some rows of outputs, spread over what these saw, to the windows, of which `first` is the first
/// row without the padding; the padding itself gets no rows.
pub(super) fn input_gradient(
    level: Level,
    geometry: &Geometry,
    pixels: &mut Maps,
    kernels: &[f32],
    outputs: Range<usize>,
    first: usize,
    windows: &mut Maps,
) {
    let reached = geometry.padding()..geometry.padding() + windows.layout.rows;
    Rows::<Scatter> { geometry, windows, pixels, kernels, outputs, first, reached, direction: PhantomData }.run(level);
}

/// Row by row: a row of pixels, a row of windows, and as many rows of the kernels as a window has columns.
struct Rows<'a, D> {
    geometry: &'a Geometry,
    windows: &'a mut Maps,
    pixels: &'a mut Maps,
    /// `[taps][output rows][output cols]`
    kernels: &'a [f32],
    /// Rows of the output that the pixels are.
    outputs: Range<usize>,
    /// Row of the input that the windows' first one behind the padding is.
    first: usize,
    /// Rows of the windows, counted with the padding, that take part.
    reached: Range<usize>,
    direction: PhantomData<D>,
}

/// Which of windows and pixels is read, and which is added to.
trait Direction: Copy {
    /// `T` neighbouring pixels, `V` neighbouring taps; the windows of two pixels are `STRIDE` vectors apart.
    ///
    /// # Safety
    /// The processor has the instruction set. Valid are `T` vectors of `pixels`, `(T - 1) * STRIDE + V` of `windows`, and `T`
    /// floats from every multiple of `area` below `V` on of `kernels`.
    unsafe fn tile<S: Simd, const T: usize, const V: usize, const STRIDE: usize>(
        windows: *mut f32,
        pixels: *mut f32,
        kernels: *const f32,
        area: usize,
    );
}

/// Pixels are sums over their windows.
#[derive(Clone, Copy)]
struct Gather;

impl Direction for Gather {
    #[inline(always)]
    unsafe fn tile<S: Simd, const T: usize, const V: usize, const STRIDE: usize>(
        windows: *mut f32,
        pixels: *mut f32,
        kernels: *const f32,
        area: usize,
    ) {
        // SAFETY: by the caller.
        unsafe {
            let mut inputs = [S::splat(0.0); SPAN];
            for place in 0..(T - 1) * STRIDE + V {
                inputs[place] = S::load(windows.add(place * S::LANES));
            }
            let mut sums = [S::splat(0.0); T];
            for pixel in 0..T {
                sums[pixel] = S::load(pixels.add(pixel * S::LANES));
            }
            for tap in 0..V {
                for pixel in 0..T {
                    let factor = S::splat(*kernels.add(tap * area + pixel));
                    sums[pixel] = S::mul_add(inputs[pixel * STRIDE + tap], factor, sums[pixel]);
                }
            }
            for pixel in 0..T {
                S::store(pixels.add(pixel * S::LANES), sums[pixel]);
            }
        }
    }
}

/// Windows are sums over the pixels that see them.
#[derive(Clone, Copy)]
struct Scatter;

impl Direction for Scatter {
    #[inline(always)]
    unsafe fn tile<S: Simd, const T: usize, const V: usize, const STRIDE: usize>(
        windows: *mut f32,
        pixels: *mut f32,
        kernels: *const f32,
        area: usize,
    ) {
        // SAFETY: by the caller.
        unsafe {
            let mut sums = [S::splat(0.0); SPAN];
            for place in 0..(T - 1) * STRIDE + V {
                sums[place] = S::load(windows.add(place * S::LANES));
            }
            for pixel in 0..T {
                let gradient = S::load(pixels.add(pixel * S::LANES));
                for tap in 0..V {
                    let factor = S::splat(*kernels.add(tap * area + pixel));
                    let place = pixel * STRIDE + tap;
                    sums[place] = S::mul_add(gradient, factor, sums[place]);
                }
            }
            for place in 0..(T - 1) * STRIDE + V {
                S::store(windows.add(place * S::LANES), sums[place]);
            }
        }
    }
}

impl<D: Direction> Rows<'_, D> {
    fn run(self, level: Level) {
        let Self { geometry, outputs, reached, .. } = &self;
        let [rows, cols] = geometry.output();
        let layout = |rows: usize, cols: usize, halo: usize| geometry.layout(level, [rows, cols], halo);
        assert!(level.is_available() && shape(level).lanes <= LANES, "level");
        assert!(outputs.end <= rows, "rows of the output");
        assert_eq!(self.kernels.len(), geometry.taps() * rows * cols, "kernels length");
        assert_eq!(self.pixels.layout, layout(outputs.len(), cols, 0), "layout of the pixels");
        let windows = layout(self.windows.layout.rows, geometry.input[1], geometry.padding());
        assert_eq!(self.windows.layout, windows, "layout of the windows");
        assert!(reached.end <= windows.rows + 2 * windows.halo, "rows of the windows");
        // SAFETY: the level is available. Rows: `outputs` and `reached` lie within the maps and the kernels. Columns: the
        // last window begins at most at the input's last column, and the padding has as many columns as are behind it.
        unsafe { dispatch(level, self) }
    }
}

impl<D: Direction> Kernel for Rows<'_, D> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Geometry { kernel, stride, .. } = *self.geometry;
        let [rows, cols] = self.geometry.output();
        let area = rows * cols;
        let (windows_layout, pixels_layout) = (self.windows.layout, self.pixels.layout);
        for (index, output) in self.outputs.enumerate() {
            for tap_row in 0..kernel {
                let Some(row) = (output * stride + tap_row).checked_sub(self.first) else { continue };
                if !self.reached.contains(&row) {
                    continue;
                }
                for block in 0..pixels_layout.blocks() {
                    // SAFETY: `Rows::run` checked the sizes.
                    unsafe {
                        let windows = self.windows.as_mut_ptr();
                        let windows = windows.add(block * windows_layout.block() + row * windows_layout.row());
                        let pixels = self.pixels.as_mut_ptr();
                        let pixels = pixels.add(block * pixels_layout.block() + index * pixels_layout.row());
                        let kernels = self.kernels.as_ptr().add(tap_row * kernel * area + output * cols);
                        let row = Row { windows, pixels, kernels, area, cols, stride };
                        match (kernel, stride) {
                            (1, 1) => row.tiles::<S, D, M, 1, 1>(),
                            (3, 1) => row.tiles::<S, D, M, 3, 1>(),
                            (5, 1) => row.tiles::<S, D, M, 5, 1>(),
                            (7, 1) => row.tiles::<S, D, M, 7, 1>(),
                            (1, 2) => row.tiles::<S, D, M, 1, 2>(),
                            (3, 2) => row.tiles::<S, D, M, 3, 2>(),
                            (5, 2) => row.tiles::<S, D, M, 5, 2>(),
                            (7, 2) => row.tiles::<S, D, M, 7, 2>(),
                            _ => (0..kernel).for_each(|tap| row.skip_to_tap::<S>(tap).tiles::<S, D, 1, 1, 0>()),
                        }
                    }
                }
            }
        }
    }
}

/// One row of the pixels, one of the windows, and one of the kernels for every tap.
#[derive(Clone, Copy)]
struct Row {
    windows: *mut f32,
    pixels: *mut f32,
    kernels: *const f32,
    /// Floats between the kernels' taps.
    area: usize,
    /// Pixels.
    cols: usize,
    stride: usize,
}

impl Row {
    /// The row without the taps before `tap`.
    ///
    /// # Safety
    /// The kernels have this tap.
    #[inline(always)]
    unsafe fn skip_to_tap<S: Simd>(self, tap: usize) -> Self {
        // SAFETY: by the caller.
        unsafe {
            Self { windows: self.windows.add(tap * S::LANES), kernels: self.kernels.add(tap * self.area), ..self }
        }
    }

    /// All pixels, `T` together as long as there are so many, and `V` taps of each.
    ///
    /// # Safety
    /// As [`Direction::tile`] for all pixels of the row; `STRIDE` is the stride, or `T` is 1.
    #[inline(always)]
    unsafe fn tiles<S: Simd, D: Direction, const T: usize, const V: usize, const STRIDE: usize>(self) {
        let mut col = 0;
        // SAFETY: by the caller; the columns stay below the row's.
        unsafe {
            while col + T <= self.cols {
                self.tile::<S, D, T, V, STRIDE>(col);
                col += T;
            }
            while col < self.cols {
                self.tile::<S, D, 1, V, STRIDE>(col);
                col += 1;
            }
        }
    }

    /// The tile from `col` on.
    ///
    /// # Safety
    /// As [`Self::tiles`], and the row has `T` pixels from `col` on.
    #[inline(always)]
    unsafe fn tile<S: Simd, D: Direction, const T: usize, const V: usize, const STRIDE: usize>(self, col: usize) {
        // SAFETY: by the caller.
        unsafe {
            let windows = self.windows.add(col * self.stride * S::LANES);
            D::tile::<S, T, V, STRIDE>(windows, self.pixels.add(col * S::LANES), self.kernels.add(col), self.area);
        }
    }
}

/// Writes the gradient of the kernels, a plane for every tap with as many floats as there are `pixels`, which hold the
/// gradient of the output.
pub(super) fn kernel_gradient(
    level: Level,
    geometry: &Geometry,
    windows: &Maps,
    pixels: &Maps,
    planes: Vec<&mut [MaybeUninit<f32>]>,
) {
    let (layout, kernel, stride) = (windows.layout, geometry.kernel, geometry.stride);
    let (rows, cols) = (pixels.layout.rows, pixels.layout.cols);
    assert!(level.is_available() && layout.lanes == shape(level).lanes && layout.lanes <= LANES, "level");
    assert_eq!([layout.blocks(), layout.halo], [pixels.layout.blocks(), geometry.padding()], "layout of the windows");
    assert!(layout.rows > (rows - 1) * stride && layout.cols > (cols - 1) * stride, "as many windows as pixels");
    assert_eq!([pixels.layout.lanes, pixels.layout.halo], [layout.lanes, 0], "layout of the pixels");
    assert_eq!(planes.len(), geometry.taps(), "a plane for every tap");
    assert!(planes.iter().all(|plane| plane.len() == rows * cols), "a float for every pixel");
    let starts = (0..rows).flat_map(|row| (0..cols).map(move |col| (row * layout.row() + col * layout.lanes) * stride));
    let starts: Vec<usize> = starts.collect();
    // SAFETY: the level is available; every start is the first of `kernel` rows of as many vectors within the windows.
    unsafe { dispatch(level, KernelGradient { windows, pixels, starts: &starts, kernel, planes }) }
}

/// Vectors of pixels, one tap after the other: the dot product over the channels.
struct KernelGradient<'a, 'b> {
    windows: &'a Maps,
    pixels: &'a Maps,
    /// Where the window of every pixel begins within a block.
    starts: &'a [usize],
    kernel: usize,
    planes: Vec<&'b mut [MaybeUninit<f32>]>,
}

impl Kernel for KernelGradient<'_, '_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        // SAFETY: by the caller.
        unsafe {
            match self.pixels.layout.blocks() {
                1 => self.blocks::<S>(1),
                2 => self.blocks::<S>(2),
                4 => self.blocks::<S>(4),
                blocks => self.blocks::<S>(blocks),
            }
        }
    }
}

impl KernelGradient<'_, '_> {
    /// # Safety
    /// As [`Kernel::run`]; the maps have this number of blocks.
    #[inline(always)]
    unsafe fn blocks<S: Simd>(mut self, blocks: usize) {
        let (windows, pixels) = (self.windows.as_ptr(), self.pixels.as_ptr());
        let (windows_layout, pixels_layout) = (self.windows.layout, self.pixels.layout);
        let count = self.starts.len();
        let mut products = Square([0.0; SQUARE]);
        for tap_row in 0..self.kernel {
            for first in (0..count).step_by(S::LANES) {
                // The last vector may overlap the one before.
                let first = first.min(count.saturating_sub(S::LANES));
                for tap_col in 0..self.kernel {
                    let tap = tap_row * windows_layout.row() + tap_col * S::LANES;
                    let mut values = [0.0f32; LANES];
                    // SAFETY: the pixels are below `count`, with windows as `kernel_gradient` checked; the square has as many
                    // floats as the longest vector needs.
                    unsafe {
                        for lane in 0..S::LANES {
                            let pixel = (first + lane).min(count - 1);
                            let window = windows.add(*self.starts.get_unchecked(pixel) + tap);
                            let gradient = pixels.add(pixel * S::LANES);
                            let mut sum = S::splat(0.0);
                            for block in 0..blocks {
                                let input = S::load(window.add(block * windows_layout.block()));
                                sum = S::mul_add(input, S::load(gradient.add(block * pixels_layout.block())), sum);
                            }
                            S::store(products.0.as_mut_ptr().add(lane * S::LANES), sum);
                        }
                        S::store(values.as_mut_ptr(), S::sums(products.0.as_ptr(), S::LANES));
                    }
                    let plane = &mut self.planes[tap_row * self.kernel + tap_col];
                    let len = S::LANES.min(count);
                    plane[first..first + len].write_copy_of_slice(&values[..len]);
                }
            }
        }
    }
}
