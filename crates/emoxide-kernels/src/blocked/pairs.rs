//! Sums of a weight's gradient by matrix tiles: two neighbouring pixels of a row, as bfloat16, share a word.

use std::ops::Range;

use super::{
    convolution::{Shape, groups},
    layout::{Buffer, Layout},
};
use crate::{
    amx::{COLS, Outer, Places, ROWS, Tiles},
    level::Level,
    simd::{Kernel, Simd, bf16, dispatch},
};

/// Floats of a tile.
const TILE: usize = ROWS * COLS;

/// Some rows of some images: packed input, and gradient of the output. With stride 1 both have the same halo.
pub(super) struct Pixels<'a> {
    pub(super) shape: Shape,
    pub(super) images: usize,
    pub(super) from: &'a Layout,
    pub(super) input: &'a [f32],
    pub(super) to: &'a Layout,
    pub(super) gradient: &'a [f32],
}

impl Pixels<'_> {
    /// Adds their products to `[places][input blocks][groups][outputs][blocks of the group · inputs]`, for two blocks of a
    /// group side by side.
    ///
    /// # Panics
    /// When the level is not [`Level::Amx`], or a slice is too short.
    pub(super) fn add(&self, level: Level, sums: &mut [f32]) {
        assert!(level == Level::Amx && level.is_available());
        let Self { shape, images, from, input, to, gradient } = *self;
        let Shape { kernel, stride, padding, .. } = shape;
        assert!(images * from.image() <= input.len() && images * to.image() <= gradient.len(), "pixels");
        let lines = Lines::of(stride, from, to);
        // A line's pairs in tiles of nearly equal size; zeros of the gradient fill the last one.
        let per_line = lines.pixels.div_ceil(2).div_ceil(ROWS);
        let pairs = lines.pixels.div_ceil(2).div_ceil(per_line);
        let line = per_line * pairs;
        let block = lines.count * COLS * line;
        let input_step = 2 * stride * COLS;
        let starts: Vec<[usize; 2]> = (0..images * lines.count * per_line)
            .map(|index| {
                let (row, tile) = (index / per_line % lines.count, index % per_line);
                let image = index / per_line / lines.count;
                let output = image * to.blocks() * block + row * COLS * line + tile * pairs;
                let input = image * from.image() + row * stride * from.row() + tile * pairs * input_step;
                [output, input]
            })
            .collect();
        let Some(&last) = starts.last() else { return };
        let mut gradients = Buffer::zeroed(images * to.blocks() * block);
        Turn { to, lines, gradient: &gradient[..images * to.image()], line, turned: &mut gradients }.run(level);
        // Pairs that only zeros meet lie behind the last pixel.
        let mut inputs = Buffer::zeroed(images * from.image() + line * input_step);
        Pair { distance: stride * COLS, values: &input[..images * from.image()], words: &mut inputs }.run(level);

        let block_sums = COLS * to.blocks() * COLS;
        let places = kernel[0] * kernel[1];
        assert!(places * from.blocks() * block_sums <= sums.len(), "sums");
        let mut tiles = Tiles::of_pairs(pairs);
        let mut spare = Buffer::zeroed(2 * TILE);
        for (place, sums) in sums.chunks_exact_mut(from.blocks() * block_sums).take(places).enumerate() {
            let [row, col] = [place / kernel[1], place % kernel[1]].map(|at| at as isize - padding as isize);
            for input_group in groups(from.blocks()) {
                for group in groups(to.blocks()) {
                    let ends = |group: &Range<usize>| [group.start, group.end - 1];
                    let gradient = ends(&group).map(|output| &gradients[output * block..]);
                    let input = ends(&input_group).map(|input| &inputs[from.offset(input, row, col)..]);
                    assert!(last[0] + (COLS - 1) * line + pairs <= gradient[1].len());
                    assert!(last[1] + (pairs - 1) * input_step + COLS <= input[1].len());
                    let mut place = |output: usize, input: usize| {
                        if output < group.len() && input < input_group.len() {
                            let at = (input_group.start + input) * block_sums + group.start * TILE + output * COLS;
                            sums[at..].as_mut_ptr()
                        } else {
                            spare.as_mut_ptr()
                        }
                    };
                    let outer = Outer {
                        gradient: gradient.map(<[f32]>::as_ptr),
                        gradient_step: line,
                        input: input.map(<[f32]>::as_ptr),
                        input_step,
                        starts: &starts,
                        sums: Places {
                            tiles: [place(0, 0), place(0, 1), place(1, 0), place(1, 1)],
                            step: group.len() * COLS * size_of::<f32>(),
                        },
                    };
                    // SAFETY: no start lies behind the last one, which has a tile behind it in both operands; sums are
                    // tiles of their own, and `spare` is one with rows of up to twice its own.
                    unsafe { tiles.add(&outer) };
                }
            }
        }
    }
}

/// Pixels of a block of the gradient that stand at equal distances from each other, there and in the input.
#[derive(Clone, Copy, Debug)]
struct Lines {
    count: usize,
    pixels: usize,
}

impl Lines {
    /// The rows; with stride 1 all pixels are one line, with zeros of the gradient's halo between two rows, so that small
    /// maps fill tiles.
    fn of(stride: usize, from: &Layout, to: &Layout) -> Self {
        if stride == 1 {
            assert_eq!(to.row(), from.row(), "distances of rows");
            return Self { count: 1, pixels: (to.rows - 1) * (to.cols + 2 * to.halo) + to.cols };
        }
        assert_eq!(to.halo, 0, "rows without a halo");
        Self { count: to.rows, pixels: to.cols }
    }
}

/// Exchanges inputs and outputs in every tile of `[..][rows][blocks of a group · 16]`.
pub(super) fn turn(level: Level, outputs: usize, sums: &mut [f32]) {
    for sums in sums.chunks_exact_mut(COLS * outputs * COLS) {
        for group in groups(outputs) {
            for output in 0..group.len() {
                let tile = &mut sums[group.start * TILE + output * COLS..];
                Exchange { tile, row: group.len() * COLS }.run(level);
            }
        }
    }
}

/// Lines of the gradient as words: `[images][blocks][lines][outputs][line]`.
struct Turn<'a> {
    to: &'a Layout,
    lines: Lines,
    gradient: &'a [f32],
    line: usize,
    turned: &'a mut [f32],
}

impl Turn<'_> {
    fn run(self, level: Level) {
        assert!(level.is_available() && self.to.width == COLS && self.to.lanes == COLS);
        // SAFETY: the level is available; the rest is checked or safe.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Turn<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        assert_eq!(S::LANES, COLS);
        let Lines { count, pixels } = self.lines;
        let first = self.to.offset(0, 0, 0);
        for (index, turned) in self.turned.chunks_exact_mut(COLS * self.line).enumerate() {
            let start = index / count * self.to.block() + first + index % count * self.to.row();
            let line = &self.gradient[start..][..pixels * COLS];
            for (tile, pixels) in line.chunks(2 * TILE).enumerate() {
                // Pairs by outputs, then outputs by pairs.
                let [mut words, mut square] = [[0.0f32; TILE]; 2];
                for (words, pair) in words.chunks_exact_mut(COLS).zip(pixels.chunks(2 * COLS)) {
                    let (left, right) = pair.split_at(COLS);
                    for lane in 0..COLS {
                        let right = right.get(lane).map_or(0, |&value| bf16(value));
                        words[lane] = f32::from_bits(bf16(left[lane]) | right << 16);
                    }
                }
                // SAFETY: both are squares of as many rows as lanes.
                unsafe { S::transpose(words.as_ptr(), COLS, square.as_mut_ptr(), COLS) };
                let pairs = (self.line - tile * COLS).min(COLS);
                for (output, square) in square.chunks_exact(COLS).enumerate() {
                    turned[output * self.line + tile * COLS..][..pairs].copy_from_slice(&square[..pairs]);
                }
            }
        }
    }
}

/// `words[i]` holds value `i` and the one a distance further on.
struct Pair<'a> {
    distance: usize,
    values: &'a [f32],
    words: &'a mut [f32],
}

impl Pair<'_> {
    fn run(self, level: Level) {
        assert!(level.is_available());
        // SAFETY: the level is available; safe code otherwise.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Pair<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let whole = self.values.len() - self.distance.min(self.values.len());
        let pairs = self.values[..whole].iter().zip(&self.values[self.values.len() - whole..]);
        for (word, (&left, &right)) in self.words.iter_mut().zip(pairs) {
            *word = f32::from_bits(bf16(left) | bf16(right) << 16);
        }
        for (word, &left) in self.words[whole..].iter_mut().zip(&self.values[whole..]) {
            *word = f32::from_bits(bf16(left));
        }
    }
}

/// Turns a square in place.
struct Exchange<'a> {
    tile: &'a mut [f32],
    row: usize,
}

impl Exchange<'_> {
    fn run(self, level: Level) {
        assert!(level.is_available() && (COLS - 1) * self.row + COLS <= self.tile.len());
        // SAFETY: the level is available, and the square lies within the slice.
        unsafe { dispatch(level, self) }
    }
}

impl Kernel for Exchange<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        assert_eq!(S::LANES, COLS);
        let mut square = [0.0f32; TILE];
        // SAFETY: as checked.
        unsafe { S::transpose(self.tile.as_ptr(), self.row, square.as_mut_ptr(), COLS) };
        for (row, values) in square.chunks_exact(COLS).enumerate() {
            self.tile[row * self.row..][..COLS].copy_from_slice(values);
        }
    }
}
