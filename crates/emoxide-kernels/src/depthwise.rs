//! Convolution with a window for every channel, and its gradients, plane by plane.
//!
//! A plane is copied with its padding into *phases*, one for each column of a stride: what one place of the window reads for
//! neighbouring outputs then lies side by side, whatever the stride.

use std::{cell::RefCell, mem::MaybeUninit};

use rayon::prelude::*;

use crate::{
    conv::filled,
    geometry::Geometry,
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

thread_local! {
    /// Phases, and the gradient's rows, of this thread.
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// `[batch, channels, output rows, output cols]`
pub(crate) fn forward(
    level: Level,
    geometry: &Geometry,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let [rows, cols] = geometry.output();
    filled(geometry.output_len(), |output| {
        let planes = output.par_chunks_mut(rows * cols).zip(input.par_chunks(geometry.input[0] * geometry.input[1]));
        planes.enumerate().for_each(|(plane, (target, source))| {
            let channel = plane % geometry.input_channels;
            let window = &weight[channel * taps..][..taps];
            let view = View {
                spread: [1, 1],
                before: geometry.padding.map(|(before, _)| before as isize),
                size: geometry.input,
            };
            let phases = Phases::new(level, geometry.kernel, geometry.stride, [rows, cols]);
            SCRATCH.with_borrow_mut(|[scratch, _]| {
                phases.fill(&view, source, scratch);
                let start = bias.map_or(0.0, |bias| bias[channel]);
                Correlate { phases: &phases, values: scratch, window, start, target }.run(level);
            });
        });
    })
}

/// Of the input, from that of the output.
pub(crate) fn input_gradient(level: Level, geometry: &Geometry, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let [rows, cols] = geometry.output();
    filled(geometry.input_len(), |target| {
        let [input_rows, input_cols] = geometry.input;
        let planes = target.par_chunks_mut(input_rows * input_cols).zip(gradient.par_chunks(rows * cols));
        planes.enumerate().for_each(|(plane, (target, source))| {
            let window = &weight[plane % geometry.input_channels * taps..][..taps];
            let turned: Vec<f32> = window.iter().rev().copied().collect();
            // The gradient, a stride apart, under the window turned by 180 degrees.
            let before = [0, 1].map(|axis| geometry.kernel[axis] as isize - 1 - geometry.padding[axis].0 as isize);
            let view = View { spread: geometry.stride, before, size: [rows, cols] };
            let phases = Phases::new(level, geometry.kernel, [1, 1], geometry.input);
            SCRATCH.with_borrow_mut(|[scratch, _]| {
                phases.fill(&view, source, scratch);
                Correlate { phases: &phases, values: scratch, window: &turned, start: 0.0, target }.run(level);
            });
        });
    })
}

/// `[channels, 1, kernel rows, kernel cols]`
pub(crate) fn weight_gradient(level: Level, geometry: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let [rows, cols] = geometry.output();
    let per_window = geometry.input_channels * taps;
    // A window for every plane, added up over the images in their order.
    let mut windows = vec![0.0; geometry.batch * per_window];
    let planes = input.par_chunks(geometry.input[0] * geometry.input[1]).zip(gradient.par_chunks(rows * cols));
    windows.par_chunks_mut(taps).zip(planes).for_each(|(window, (input, gradient))| {
        let view =
            View { spread: [1, 1], before: geometry.padding.map(|(before, _)| before as isize), size: geometry.input };
        let phases = Phases::new(level, geometry.kernel, geometry.stride, [rows, cols]);
        SCRATCH.with_borrow_mut(|[scratch, lines]| {
            phases.fill(&view, input, scratch);
            phases.lines(gradient, lines);
            Products { phases: &phases, values: scratch, lines, window }.run(level);
        });
    });
    let mut sums = vec![0.0; per_window];
    for window in windows.chunks(per_window) {
        sums.iter_mut().zip(window).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// A plane as a window sees it.
struct View {
    /// Rows and columns from one value to the next; zeros lie between.
    spread: [usize; 2],
    /// Rows and columns of zeros before the plane; of the plane that are not seen, if negative.
    before: [isize; 2],
    /// Rows and columns of the plane.
    size: [usize; 2],
}

/// `[rows][phases][line]`
struct Phases {
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Of the results.
    size: [usize; 2],
    /// Rows that windows see.
    rows: usize,
    /// Floats of a phase of a row: whole vectors can be read wherever a result is.
    line: usize,
    /// Floats of the results' columns in whole vectors.
    vectors: usize,
}

impl Phases {
    fn new(level: Level, kernel: [usize; 2], stride: [usize; 2], size: [usize; 2]) -> Self {
        let vectors = size[1].next_multiple_of(shape(level).lanes);
        let rows = (size[0] - 1) * stride[0] + kernel[0];
        Self { kernel, stride, size, rows, line: vectors + (kernel[1] - 1) / stride[1], vectors }
    }

    fn fill(&self, view: &View, plane: &[f32], values: &mut Vec<f32>) {
        let phases = self.stride[1];
        values.clear();
        values.resize(self.rows * phases * self.line, 0.0);
        for (row, source) in plane.chunks_exact(view.size[1]).enumerate() {
            let at = (row * view.spread[0]) as isize + view.before[0];
            let Some(row) = usize::try_from(at).ok().filter(|&row| row < self.rows) else { continue };
            let lines = &mut values[row * phases * self.line..][..phases * self.line];
            // The common case is a copy.
            if phases == 1 && view.spread[1] == 1 && view.before[1] >= 0 {
                let line = &mut lines[view.before[1].unsigned_abs().min(self.line)..];
                let seen = source.len().min(line.len());
                line[..seen].copy_from_slice(&source[..seen]);
                continue;
            }
            for (col, &value) in source.iter().enumerate() {
                let at = (col * view.spread[1]) as isize + view.before[1];
                let Ok(at) = usize::try_from(at) else { continue };
                if at / phases < self.line {
                    lines[at % phases * self.line + at / phases] = value;
                }
            }
        }
    }

    /// Rows of the results, each filled up to whole vectors with zeros.
    fn lines(&self, results: &[f32], lines: &mut Vec<f32>) {
        lines.clear();
        lines.resize(self.size[0] * self.vectors, 0.0);
        for (line, results) in lines.chunks_exact_mut(self.vectors).zip(results.chunks_exact(self.size[1])) {
            line[..results.len()].copy_from_slice(results);
        }
    }

    /// Where a place of the window reads for the first result of a row.
    fn tap(&self, tap: usize) -> usize {
        let [row, col] = [tap / self.kernel[1], tap % self.kernel[1]];
        let phases = self.stride[1];
        (row * phases + col % phases) * self.line + col / phases
    }

    /// Floats between what two rows of results read.
    fn step(&self) -> usize {
        self.stride[0] * self.stride[1] * self.line
    }

    /// That every place of the window can read whole vectors for every row.
    fn check(&self, level: Level, values: &[f32], window: &[f32]) {
        let lanes = shape(level).lanes;
        assert!(level.is_available() && self.vectors.is_multiple_of(lanes));
        assert_eq!(window.len(), self.kernel[0] * self.kernel[1], "window");
        let last = (0..window.len()).map(|tap| self.tap(tap)).max().unwrap_or(0);
        assert!(last + (self.size[0] - 1) * self.step() + self.vectors <= values.len(), "phases");
    }
}

/// `target[row][col] = start + Σ window[tap] · values[tap, row, col]`
struct Correlate<'a> {
    phases: &'a Phases,
    values: &'a [f32],
    window: &'a [f32],
    start: f32,
    /// Every float is written.
    target: &'a mut [MaybeUninit<f32>],
}

impl Correlate<'_> {
    fn run(self, level: Level) {
        self.phases.check(level, self.values, self.window);
        assert_eq!(self.target.len(), self.phases.size[0] * self.phases.size[1], "target");
        // SAFETY: the level is available, and `check` saw to what is read; writes are safe code.
        unsafe { dispatch(level, self) }
    }
}

/// The longest vector.
const LANES: usize = 16;

impl Kernel for Correlate<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Self { phases, values, window, start, target } = self;
        let taps: Vec<usize> = (0..window.len()).map(|tap| phases.tap(tap)).collect();
        for (row, target) in target.chunks_exact_mut(phases.size[1]).enumerate() {
            for (index, target) in target.chunks_mut(S::LANES).enumerate() {
                let at = row * phases.step() + index * S::LANES;
                let mut results = [0.0f32; LANES];
                // SAFETY: `run` checked that every tap of every row can be read as far as whole vectors go.
                unsafe {
                    let from = values.as_ptr().add(at);
                    let mut sum = S::splat(start);
                    for (&tap, &weight) in taps.iter().zip(window) {
                        sum = S::mul_add(S::splat(weight), S::load(from.add(tap)), sum);
                    }
                    S::store(results.as_mut_ptr(), sum);
                }
                target.write_copy_of_slice(&results[..target.len()]);
            }
        }
    }
}

/// `window[tap] = Σ lines[row][col] · values[tap, row, col]`
struct Products<'a> {
    phases: &'a Phases,
    values: &'a [f32],
    /// `[rows][whole vectors]`, zeros behind the last column.
    lines: &'a [f32],
    window: &'a mut [f32],
}

impl Products<'_> {
    fn run(self, level: Level) {
        self.phases.check(level, self.values, self.window);
        assert_eq!(self.lines.len(), self.phases.size[0] * self.phases.vectors, "lines");
        // SAFETY: the level is available, and everything that is read was checked.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Products<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Self { phases, values, lines, window } = self;
        for (tap, sum) in window.iter_mut().enumerate() {
            let mut lanes = [0.0f32; LANES];
            // SAFETY: `run` checked that whole vectors can be read of every row.
            unsafe {
                let mut products = S::splat(0.0);
                for (row, line) in lines.chunks_exact(phases.vectors).enumerate() {
                    let from = values.as_ptr().add(phases.tap(tap) + row * phases.step());
                    for col in (0..phases.vectors).step_by(S::LANES) {
                        products = S::mul_add(S::load(from.add(col)), S::load(line.as_ptr().add(col)), products);
                    }
                }
                S::store(lanes.as_mut_ptr(), products);
            }
            *sum = lanes.iter().sum();
        }
    }
}
