//! The inner loop of weight gradients.

use crate::{
    level::Level,
    simd::{self, Kernel, Simd, dispatch},
};

/// `sums[m][k] += Σ input[m] · gradient[k]` over images, rows and columns, for a block of inputs and one or two of outputs.
pub(super) struct Outer<'a> {
    /// Images, rows, columns.
    pub(super) counts: [usize; 3],
    /// From the first place on, a vector at each.
    pub(super) input: &'a [f32],
    /// Floats between images, rows and columns.
    pub(super) input_steps: [usize; 3],
    pub(super) gradient: &'a [f32],
    pub(super) gradient_steps: [usize; 3],
    /// Floats between the two vectors of a place.
    pub(super) gradient_block: usize,
    /// Blocks of outputs, 1 or 2.
    pub(super) vectors: usize,
    /// `[lanes][vectors · lanes]`
    pub(super) sums: &'a mut [f32],
}

impl Outer<'_> {
    pub(super) fn run(self, level: Level) {
        let lanes = simd::shape(level).lanes;
        assert!(level.is_available() && matches!(self.vectors, 1 | 2));
        assert!(self.counts.iter().all(|&count| count > 0));
        let last = |steps: [usize; 3]| (0..3).map(|axis| (self.counts[axis] - 1) * steps[axis]).sum::<usize>();
        assert!(last(self.input_steps) + lanes <= self.input.len());
        let vectors = (self.vectors - 1) * self.gradient_block;
        assert!(last(self.gradient_steps) + vectors + lanes <= self.gradient.len());
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
            let [images, rows, cols] = self.counts;
            for image in 0..images {
                for row in 0..rows {
                    let at = |steps: [usize; 3]| image * steps[0] + row * steps[1];
                    let mut input = self.input.as_ptr().add(at(self.input_steps) + first);
                    let mut gradient = self.gradient.as_ptr().add(at(self.gradient_steps));
                    for _ in 0..cols {
                        let mut values = [S::splat(0.0); V];
                        for v in 0..V {
                            values[v] = S::load(gradient.add(v * self.gradient_block));
                        }
                        for m in 0..M {
                            let factor = S::splat(*input.add(m));
                            for v in 0..V {
                                sums[m][v] = S::mul_add(factor, values[v], sums[m][v]);
                            }
                        }
                        input = input.wrapping_add(self.input_steps[2]);
                        gradient = gradient.wrapping_add(self.gradient_steps[2]);
                    }
                }
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
