//! The inner loop: a rectangle of output pixels for one or two blocks of output channels, held in registers.

use std::{marker::PhantomData, ops::Range};

use crate::{
    level::Level,
    simd::{Kernel, Simd, Words, dispatch, dispatch_halves, dispatch_words, shape},
};

/// What follows the sum, per output channel of the group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finish<'a> {
    Linear,
    Relu,
    /// The smallest and the largest value.
    Clamp(f32, f32),
    /// Factors of negative values.
    Slopes(&'a [f32]),
}

/// What is added to the sums, with its own distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried<'a> {
    /// From the first pixel of the first block on.
    pub(super) values: &'a [f32],
    pub(super) block: usize,
    pub(super) row: usize,
    pub(super) col: usize,
    /// Whether values are bfloat16, both blocks of channels in one.
    pub(super) bf16: bool,
}

/// Memory that several threads write to at different places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pointer: *mut f32,
    len: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: the users of this module give every thread places of its own (`Target::part`).
unsafe impl Send for Target<'_> {}
// SAFETY: as above.
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    pub(super) fn new(memory: &'a mut [f32]) -> Self {
        Self { pointer: memory.as_mut_ptr(), len: memory.len(), memory: PhantomData }
    }

    /// The same memory from `offset` on.
    pub(super) fn part(self, offset: usize) -> Self {
        assert!(offset <= self.len);
        // SAFETY: within the memory, or one past its end.
        Self { pointer: unsafe { self.pointer.add(offset) }, len: self.len - offset, memory: PhantomData }
    }

    /// Writes values from `offset` on.
    pub(super) fn write(self, offset: usize, values: &[f32]) {
        let to = self.writable(offset + values.len());
        // SAFETY: within the memory, which no other reference to it overlaps; no other thread writes these places.
        unsafe { to.add(offset).copy_from_nonoverlapping(values.as_ptr(), values.len()) }
    }

    /// Where vectors can be written up to `reach` floats from here.
    pub(super) fn writable(self, reach: usize) -> *mut f32 {
        assert!(reach <= self.len, "a write past the target: {reach} of {}", self.len);
        self.pointer
    }
}

/// What source and weights consist of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operands<'a> {
    Floats,
    /// Words of two bfloat16, lane by lane.
    Bf16,
    /// Words of four bytes. Sums begin with integers, whose bits are in `bias`, and become floats times the first line plus
    /// the second, `[blocks · lanes]` each.
    Bytes([&'a [f32]; 2]),
}

impl Operands<'_> {
    fn words(self) -> Option<Words> {
        match self {
            Self::Floats => None,
            Self::Bf16 => Some(Words::Bf16),
            Self::Bytes(_) => Some(Words::Bytes),
        }
    }
}

/// A part of a convolution that one thread computes: some rows, for one or two blocks of output channels.
///
/// `target[k][row][col] = finish(bias[k] + Σ source[tap + lane] · weights[tap][lane][k] + carried[k][row][col])`
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// From the first tap of the first pixel on.
    pub(super) source: &'a [f32],
    /// Floats of source between two output rows.
    pub(super) source_row: usize,
    /// Offsets of the taps.
    pub(super) taps: &'a [usize],
    /// Values at each tap: a vector, or 1 where channels are planes.
    pub(super) inner: usize,
    /// Floats of source between two output columns.
    pub(super) source_col: usize,
    /// `[taps][inner][blocks · lanes]`
    pub(super) weights: &'a [f32],
    /// `[blocks · lanes]`, what sums begin with
    pub(super) bias: &'a [f32],
    pub(super) operands: Operands<'a>,
    pub(super) finish: Finish<'a>,
    pub(super) carried: Option<Carried<'a>>,
    pub(super) target: Target<'a>,
    pub(super) target_block: usize,
    pub(super) target_row: usize,
    pub(super) target_col: usize,
    /// Whether the target is bfloat16, both blocks of channels in one.
    pub(super) target_bf16: bool,
    pub(super) rows: Range<usize>,
    pub(super) cols: usize,
    /// Blocks of output channels, 1 or 2.
    pub(super) blocks: usize,
    /// Rows and columns of a tile; one of [`tiling`].
    pub(super) tile: [usize; 2],
}

/// Tiles that exist, rows by columns.
const TILES: [[usize; 2]; 17] = [
    [1, 1],
    [1, 2],
    [1, 3],
    [1, 4],
    [1, 5],
    [1, 6],
    [1, 7],
    [1, 8],
    [1, 10],
    [1, 12],
    [1, 14],
    [2, 3],
    [2, 4],
    [2, 5],
    [2, 6],
    [2, 7],
    [4, 3],
];

/// The tile for so many rows and columns: the last one of a row or column overlaps the one before.
pub(super) fn tiling(level: Level, rows: usize, cols: usize) -> [usize; 2] {
    let fits = |tile: &[usize; 2]| tile[0] * tile[1] <= shape(level).pixels && tile[0] <= rows && tile[1] <= cols;
    let cost = |tile: &[usize; 2]| {
        // Cycles for one value: two multiply-adds at a time, none before the last one on the same sum is done.
        let cycles = (tile[0] * tile[1]).max(4) + 1;
        rows.div_ceil(tile[0]) * cols.div_ceil(tile[1]) * cycles
    };
    TILES.into_iter().filter(fits).min_by_key(cost).unwrap_or([1, 1])
}

impl Part<'_> {
    /// Computes it.
    pub(super) fn run(self, level: Level) {
        let lanes = shape(level).lanes;
        let [tile_rows, tile_cols] = self.tile;
        assert!(level.is_available());
        assert!(matches!(self.blocks, 1 | 2));
        assert!(self.inner == 1 || self.inner == lanes);
        assert!(TILES.contains(&self.tile) && tile_rows * tile_cols <= shape(level).pixels);
        assert!(tile_rows <= self.rows.len() && tile_cols <= self.cols);
        let last_tap = self.taps.iter().max().copied().unwrap_or(0);
        let last_row = self.rows.end - 1;
        let last_col = self.cols - 1;
        let read = last_tap + last_row * self.source_row + last_col * self.source_col + self.inner;
        assert!(read <= self.source.len());
        assert!(self.taps.len() * self.inner * self.blocks * lanes <= self.weights.len());
        assert!(self.blocks * lanes <= self.bias.len());
        if let Operands::Bytes(lines) = self.operands {
            assert!(lines.iter().all(|line| self.blocks * lanes <= line.len()));
        }
        if self.operands.words().is_some() {
            assert!(level >= Level::Avx512Bf16 && self.inner == lanes && !self.taps.is_empty());
        }
        if let Finish::Slopes(slopes) = self.finish {
            assert!(self.blocks * lanes <= slopes.len());
        }
        if let Some(carried) = self.carried {
            let last_block = if carried.bf16 { 0 } else { (self.blocks - 1) * carried.block };
            let read = last_block + last_row * carried.row + last_col * carried.col + lanes;
            assert!(read <= carried.values.len());
        }
        let last_block = if self.target_bf16 { 0 } else { (self.blocks - 1) * self.target_block };
        let written = last_block + last_row * self.target_row + last_col * self.target_col;
        self.target.writable(written + lanes);
        #[cfg(target_arch = "x86_64")]
        if let (Some(words), Level::Amx) = (self.operands.words(), level) {
            // SAFETY: the level is available, and all slices reach as far as the pixels read and write.
            unsafe { self.by_matrices(words) };
            return;
        }
        // SAFETY: the level is available, and all slices reach as far as `tile` reads and writes.
        unsafe {
            match self.tile {
                [1, 1] => self.shaped::<1, 1>(level),
                [1, 2] => self.shaped::<1, 2>(level),
                [1, 3] => self.shaped::<1, 3>(level),
                [1, 4] => self.shaped::<1, 4>(level),
                [1, 5] => self.shaped::<1, 5>(level),
                [1, 6] => self.shaped::<1, 6>(level),
                [1, 7] => self.shaped::<1, 7>(level),
                [1, 8] => self.shaped::<1, 8>(level),
                [1, 10] => self.shaped::<1, 10>(level),
                [1, 12] => self.shaped::<1, 12>(level),
                [1, 14] => self.shaped::<1, 14>(level),
                [2, 3] => self.shaped::<2, 3>(level),
                [2, 4] => self.shaped::<2, 4>(level),
                [2, 5] => self.shaped::<2, 5>(level),
                [2, 6] => self.shaped::<2, 6>(level),
                [2, 7] => self.shaped::<2, 7>(level),
                [4, 3] => self.shaped::<4, 3>(level),
                tile => unreachable!("{tile:?} is none of `TILES`"),
            }
        }
    }

    /// One tile.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the tile lies within rows and columns.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const C: usize, const K: usize, const STEP: usize, const HALVES: bool>(
        &self,
        row: usize,
        col: usize,
    ) {
        let step = match STEP {
            ONE_VALUE => 1,
            TWO_VALUES => 2,
            ONE_VECTOR => S::LANES,
            TWO_VECTORS => 2 * S::LANES,
            _ => self.source_col,
        };
        // SAFETY: `run` checked the lengths. Weights step past the end only after the last read, by wrapping.
        unsafe {
            let mut sums = [[[S::splat(0.0); K]; C]; R];
            for k in 0..K {
                let bias = S::load(self.bias.as_ptr().add(k * S::LANES));
                for r in 0..R {
                    for c in 0..C {
                        sums[r][c][k] = bias;
                    }
                }
            }
            let source = self.source.as_ptr().add(row * self.source_row + col * step);
            let mut weights = self.weights.as_ptr();
            for &tap in self.taps {
                let mut at = source.add(tap);
                for _ in 0..self.inner {
                    let mut values = [S::splat(0.0); K];
                    for k in 0..K {
                        values[k] = S::load(weights.add(k * S::LANES));
                        S::prefetch(weights.wrapping_add(AHEAD + k * S::LANES));
                    }
                    for r in 0..R {
                        let at = at.add(r * self.source_row);
                        for c in 0..C {
                            let pixel = S::splat(*at.add(c * step));
                            for k in 0..K {
                                sums[r][c][k] = S::product(pixel, values[k], sums[r][c][k]);
                            }
                        }
                    }
                    weights = weights.wrapping_add(K * S::LANES);
                    at = at.wrapping_add(1);
                }
            }
            self.finish_tile::<S, R, C, K, HALVES>(row, col, sums);
        }
    }

    /// Whether what is carried or the target is bfloat16: a case of its own, for which floats need not be kept at hand.
    pub(super) fn has_halves(&self) -> bool {
        self.target_bf16 || self.carried.is_some_and(|carried| carried.bf16)
    }

    /// `HALVES` is [`Part::has_halves`].
    ///
    /// # Safety
    /// As for [`Part::tile`].
    #[inline(always)]
    pub(super) unsafe fn finish_tile<S: Simd, const R: usize, const C: usize, const K: usize, const HALVES: bool>(
        &self,
        row: usize,
        col: usize,
        mut sums: [[[S::Vector; K]; C]; R],
    ) {
        // SAFETY: `run` checked the lengths.
        unsafe {
            if let Operands::Bytes([scales, shifts]) = self.operands {
                for k in 0..K {
                    let scale = S::load(scales.as_ptr().add(k * S::LANES));
                    let shift = S::load(shifts.as_ptr().add(k * S::LANES));
                    for r in 0..R {
                        for c in 0..C {
                            sums[r][c][k] = S::mul_add(S::to_float(sums[r][c][k]), scale, shift);
                        }
                    }
                }
            }
            if HALVES
                && let Some(carried) = self.carried
                && carried.bf16
            {
                for r in 0..R {
                    let at = carried.values.as_ptr().add((row + r) * carried.row + col * carried.col);
                    for c in 0..C {
                        let values = S::widen(at.add(c * carried.col));
                        for k in 0..K {
                            sums[r][c][k] = S::add(sums[r][c][k], values[k]);
                        }
                    }
                }
            } else if let Some(carried) = self.carried {
                for r in 0..R {
                    for k in 0..K {
                        let at = carried.values.as_ptr();
                        let at = at.add(k * carried.block + (row + r) * carried.row + col * carried.col);
                        for c in 0..C {
                            sums[r][c][k] = S::add(sums[r][c][k], S::load(at.add(c * carried.col)));
                        }
                    }
                }
            }
            if HALVES && self.target_bf16 {
                for k in 0..K {
                    let finish = Finisher::<S>::new(self.finish, k);
                    for r in 0..R {
                        for c in 0..C {
                            sums[r][c][k] = finish.apply(sums[r][c][k]);
                        }
                    }
                }
                for r in 0..R {
                    let at = self.target.pointer.add((row + r) * self.target_row + col * self.target_col);
                    for c in 0..C {
                        let second = if K == 2 { sums[r][c][K - 1] } else { S::splat(0.0) };
                        S::narrow(at.add(c * self.target_col), sums[r][c][0], second);
                    }
                }
                return;
            }
            for k in 0..K {
                let finish = Finisher::<S>::new(self.finish, k);
                for r in 0..R {
                    let at = self.target.pointer;
                    let at = at.add(k * self.target_block + (row + r) * self.target_row + col * self.target_col);
                    for c in 0..C {
                        S::store(at.add(c * self.target_col), finish.apply(sums[r][c][k]));
                    }
                }
            }
        }
    }

    /// # Safety
    /// The level is available, and `run` checked the rest.
    unsafe fn shaped<const R: usize, const C: usize>(&self, level: Level) {
        let lanes = shape(level).lanes;
        let step = match self.source_col {
            1 => ONE_VALUE,
            2 => TWO_VALUES,
            step if step == lanes => ONE_VECTOR,
            step if step == 2 * lanes => TWO_VECTORS,
            _ => ANY,
        };
        if let Some(words) = self.operands.words() {
            // SAFETY: as for this function; `run` checked that there are instructions for words.
            unsafe {
                match (self.blocks, step) {
                    (1, _) if self.has_halves() => dispatch_words(words, Tiles::<R, C, 1, ANY, true>(self)),
                    (_, _) if self.has_halves() => dispatch_words(words, Tiles::<R, C, 2, ANY, true>(self)),
                    (1, ONE_VECTOR) => dispatch_words(words, Tiles::<R, C, 1, ONE_VECTOR, false>(self)),
                    (1, _) => dispatch_words(words, Tiles::<R, C, 1, ANY, false>(self)),
                    (_, ONE_VECTOR) => dispatch_words(words, Tiles::<R, C, 2, ONE_VECTOR, false>(self)),
                    (_, _) => dispatch_words(words, Tiles::<R, C, 2, ANY, false>(self)),
                }
            }
            return;
        }
        // SAFETY: as for this function.
        unsafe {
            match (self.blocks, step) {
                (1, ONE_VALUE) if self.has_halves() => dispatch_halves(level, Tiles::<R, C, 1, ONE_VALUE, true>(self)),
                (_, ONE_VALUE) if self.has_halves() => dispatch_halves(level, Tiles::<R, C, 2, ONE_VALUE, true>(self)),
                (1, _) if self.has_halves() => dispatch_halves(level, Tiles::<R, C, 1, ANY, true>(self)),
                (_, _) if self.has_halves() => dispatch_halves(level, Tiles::<R, C, 2, ANY, true>(self)),
                (1, ONE_VALUE) => dispatch(level, Tiles::<R, C, 1, ONE_VALUE, false>(self)),
                (1, TWO_VALUES) => dispatch(level, Tiles::<R, C, 1, TWO_VALUES, false>(self)),
                (1, ONE_VECTOR) => dispatch(level, Tiles::<R, C, 1, ONE_VECTOR, false>(self)),
                (1, TWO_VECTORS) => dispatch(level, Tiles::<R, C, 1, TWO_VECTORS, false>(self)),
                (1, _) => dispatch(level, Tiles::<R, C, 1, ANY, false>(self)),
                (_, ONE_VALUE) => dispatch(level, Tiles::<R, C, 2, ONE_VALUE, false>(self)),
                (_, TWO_VALUES) => dispatch(level, Tiles::<R, C, 2, TWO_VALUES, false>(self)),
                (_, ONE_VECTOR) => dispatch(level, Tiles::<R, C, 2, ONE_VECTOR, false>(self)),
                (_, TWO_VECTORS) => dispatch(level, Tiles::<R, C, 2, TWO_VECTORS, false>(self)),
                (_, _) => dispatch(level, Tiles::<R, C, 2, ANY, false>(self)),
            }
        }
    }
}

/// Floats of weights that are asked for ahead of their use: those that do not fit the second-level cache come slowly, and
/// processors foresee them to the end of a page only.
const AHEAD: usize = 1024;

/// Distances of two output columns in the source that are fixed in the code, which saves a register for each column.
const ONE_VALUE: usize = 0;
const TWO_VALUES: usize = 1;
const ONE_VECTOR: usize = 2;
const TWO_VECTORS: usize = 3;
/// `source_col`, whatever it is.
const ANY: usize = 4;

/// All tiles of a part: `R` x `C` pixels by `K` blocks. `HALVES` is [`Part::has_halves`].
struct Tiles<'a, const R: usize, const C: usize, const K: usize, const STEP: usize, const HALVES: bool>(&'a Part<'a>);

impl<const R: usize, const C: usize, const K: usize, const STEP: usize, const HALVES: bool> Kernel
    for Tiles<'_, R, C, K, STEP, HALVES>
{
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        if R * C > S::PIXELS {
            unreachable!("`run` checked the tile");
        }
        let part = self.0;
        for row in part.rows.clone().step_by(R) {
            let row = row.min(part.rows.end - R);
            for col in (0..part.cols).step_by(C) {
                // SAFETY: as for this function; the tile ends at the last row and column at the latest.
                unsafe { part.tile::<S, R, C, K, STEP, HALVES>(row, col.min(part.cols - C)) }
            }
        }
    }
}

/// [`Finish`] for one vector.
pub(super) enum Finisher<S: Simd> {
    Linear,
    Relu(S::Vector),
    Clamp(S::Vector, S::Vector),
    Slopes(S::Vector, S::Vector),
}

impl<S: Simd> Finisher<S> {
    /// For block `k`.
    ///
    /// # Safety
    /// The processor has the instruction set, and slopes reach to block `k`.
    #[inline(always)]
    pub(super) unsafe fn new(finish: Finish<'_>, k: usize) -> Self {
        // SAFETY: by the caller.
        unsafe {
            match finish {
                Finish::Linear => Self::Linear,
                Finish::Relu => Self::Relu(S::splat(0.0)),
                Finish::Clamp(lowest, highest) => Self::Clamp(S::splat(lowest), S::splat(highest)),
                Finish::Slopes(slopes) => Self::Slopes(S::splat(0.0), S::load(slopes.as_ptr().add(k * S::LANES))),
            }
        }
    }

    /// # Safety
    /// The processor has the instruction set.
    #[inline(always)]
    pub(super) unsafe fn apply(&self, sum: S::Vector) -> S::Vector {
        // SAFETY: by the caller. What is not a number stays so: `max` and `min` give their second argument.
        unsafe {
            match self {
                Self::Linear => sum,
                Self::Relu(zero) => S::max(*zero, sum),
                Self::Clamp(lowest, highest) => S::max(*lowest, S::min(*highest, sum)),
                Self::Slopes(zero, slopes) => S::mul_add(S::min(*zero, sum), *slopes, S::max(*zero, sum)),
            }
        }
    }
}
