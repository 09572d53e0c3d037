//! The inner loops.

use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// Sums over channels and taps for one block of output channels:
/// `sums[m][v·lanes + l] = bias[m] + Σ weights[channel][tap][m] · source[channel·stride + taps[tap] + starts[v] + l]`.
#[derive(Debug)]
pub(crate) struct Correlate<'a> {
    /// Packed input, `[channels][stride]`.
    pub(crate) source: &'a [f32],
    /// Floats between two channels of the source.
    pub(crate) stride: usize,
    pub(crate) channels: usize,
    /// Offset of each kernel tap in a channel.
    pub(crate) taps: &'a [usize],
    /// Offset of each vector of output positions in a channel.
    pub(crate) starts: &'a [usize],
    /// `[channels][taps][block]`.
    pub(crate) weights: &'a [f32],
    /// `[block]`.
    pub(crate) bias: &'a [f32],
    /// `[block][starts · lanes]`.
    pub(crate) sums: &'a mut [f32],
}

impl Correlate<'_> {
    /// Computes the sums.
    pub(crate) fn run(self, level: Level) {
        let shape = shape(level);
        let last = |offsets: &[usize]| offsets.iter().copied().max().unwrap_or(0);
        let reach = last(self.taps) + last(self.starts) + shape.lanes;
        assert!(level.is_available());
        assert!(self.channels == 0 || (self.channels - 1) * self.stride + reach <= self.source.len());
        assert!(self.weights.len() >= self.channels * self.taps.len() * shape.block);
        assert!(self.bias.len() >= shape.block);
        assert!(self.sums.len() >= shape.block * self.starts.len() * shape.lanes);
        // SAFETY: the level is available, and the four slices hold everything that `tile` touches.
        unsafe { dispatch(level, self) }
    }

    /// `M` output channels x `N` vectors, from vector `first` on.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; `first + N <= starts.len()`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize, const N: usize>(&mut self, first: usize) {
        // SAFETY: `run` checked the lengths. Bases step past the end only after the last read, by wrapping.
        unsafe {
            let mut sums = [[S::splat(0.0); N]; M];
            for m in 0..M {
                sums[m] = [S::splat(*self.bias.as_ptr().add(m)); N];
            }
            let mut bases = [self.source.as_ptr(); N];
            for n in 0..N {
                bases[n] = bases[n].add(*self.starts.as_ptr().add(first + n));
            }
            let mut weights = self.weights.as_ptr();
            for _ in 0..self.channels {
                for &tap in self.taps {
                    let mut values = [S::splat(0.0); N];
                    for n in 0..N {
                        values[n] = S::load(bases[n].add(tap));
                    }
                    for m in 0..M {
                        let weight = S::splat(*weights.add(m));
                        for n in 0..N {
                            sums[m][n] = S::mul_add(weight, values[n], sums[m][n]);
                        }
                    }
                    weights = weights.wrapping_add(M);
                }
                for base in &mut bases {
                    *base = base.wrapping_add(self.stride);
                }
            }
            let width = self.starts.len() * S::LANES;
            for m in 0..M {
                for n in 0..N {
                    S::store(self.sums.as_mut_ptr().add(m * width + (first + n) * S::LANES), sums[m][n]);
                }
            }
        }
    }
}

impl Kernel for Correlate<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(mut self) {
        let vectors = self.starts.len();
        let mut first = 0;
        while first < vectors {
            let left = vectors - first;
            // SAFETY: as for this function; each tile ends at or before `vectors`.
            unsafe {
                if left >= N {
                    self.tile::<S, M, N>(first);
                    first += N;
                } else if left == 2 {
                    self.tile::<S, M, 2>(first);
                    first += 2;
                } else {
                    self.tile::<S, M, 1>(first);
                    first += 1;
                }
            }
        }
    }
}

/// One output row of the weight gradient's sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Where its input starts, in floats.
    pub(crate) input: usize,
    /// Where its gradient starts, in pixels.
    pub(crate) gradient: usize,
}

/// Outer products summed over pixels, for one strip of output channels:
/// `sums[m][k] += Σ_rows Σ_cols input[row.input + col·step + m] · gradient[row.gradient + col][k]`.
#[derive(Debug)]
pub(crate) struct Accumulate<'a> {
    /// Input with the channels last.
    pub(crate) input: &'a [f32],
    /// Output gradient, `[pixels][vectors · lanes]`.
    pub(crate) gradient: &'a [f32],
    pub(crate) rows: &'a [Row],
    pub(crate) cols: usize,
    /// Floats of input between two columns.
    pub(crate) step: usize,
    /// Vectors of the strip, 1 or 2.
    pub(crate) vectors: usize,
    /// Products per pixel and output channel; the sums have [`padded_products`] of them, the surplus is arbitrary.
    pub(crate) products: usize,
    /// `[padded products][vectors · lanes]`.
    pub(crate) sums: &'a mut [f32],
}

/// Products of the smaller tile, which takes what the larger one leaves over.
const PRODUCTS: usize = 4;

/// Products that [`Accumulate`] touches at most.
pub(crate) fn padded_products(products: usize) -> usize {
    products + PRODUCTS - 1
}

impl Accumulate<'_> {
    /// Adds to the sums.
    pub(crate) fn run(self, level: Level) {
        let lanes = shape(level).lanes;
        let products = padded_products(self.products);
        let last = |offset: fn(&Row) -> usize| self.rows.iter().map(offset).max().unwrap_or(0);
        let reach = self.cols.saturating_sub(1) * self.step + products;
        assert!(level.is_available());
        assert!(self.vectors == 1 || self.vectors == 2);
        assert!(last(|row| row.input) + reach <= self.input.len());
        assert!((last(|row| row.gradient) + self.cols) * self.vectors * lanes <= self.gradient.len());
        assert!(products * self.vectors * lanes <= self.sums.len());
        // SAFETY: the level is available, and the three slices hold everything that `tile` touches.
        unsafe { dispatch(level, self) }
    }

    /// `P` products from `first` on x `N` vectors.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; `N == vectors`, `first + P` at most the padded products.
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const N: usize>(&mut self, first: usize) {
        // SAFETY: `run` checked the lengths. Pointers step past the end only after the last read, by wrapping.
        unsafe {
            let to = self.sums.as_mut_ptr().add(first * N * S::LANES);
            let mut sums = [[S::splat(0.0); N]; P];
            for p in 0..P {
                for n in 0..N {
                    sums[p][n] = S::load(to.add((p * N + n) * S::LANES));
                }
            }
            for row in self.rows {
                let mut input = self.input.as_ptr().add(row.input + first);
                let mut gradient = self.gradient.as_ptr().add(row.gradient * N * S::LANES);
                for _ in 0..self.cols {
                    let mut values = [S::splat(0.0); N];
                    for n in 0..N {
                        values[n] = S::load(gradient.add(n * S::LANES));
                    }
                    for p in 0..P {
                        let factor = S::splat(*input.add(p));
                        for n in 0..N {
                            sums[p][n] = S::mul_add(factor, values[n], sums[p][n]);
                        }
                    }
                    input = input.wrapping_add(self.step);
                    gradient = gradient.wrapping_add(N * S::LANES);
                }
            }
            for p in 0..P {
                for n in 0..N {
                    S::store(to.add((p * N + n) * S::LANES), sums[p][n]);
                }
            }
        }
    }

    /// All products for `N` vectors.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; `N == vectors`.
    #[inline(always)]
    unsafe fn all<S: Simd, const P: usize, const N: usize>(&mut self) {
        let mut first = 0;
        while first < self.products {
            // SAFETY: full tiles end at or before `products`, the others at most `PRODUCTS - 1` later.
            unsafe {
                if self.products - first >= P {
                    self.tile::<S, P, N>(first);
                    first += P;
                } else {
                    self.tile::<S, PRODUCTS, N>(first);
                    first += PRODUCTS;
                }
            }
        }
    }
}

impl Kernel for Accumulate<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(mut self) {
        // SAFETY: as for this function; `vectors` is 1 or 2.
        unsafe {
            if self.vectors == 2 {
                self.all::<S, P, 2>();
            } else {
                self.all::<S, P, 1>();
            }
        }
    }
}
