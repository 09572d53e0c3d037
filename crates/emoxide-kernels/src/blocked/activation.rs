use super::math;
use crate::simd::Simd;

/// What follows the sum of bias, products and carried input.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `x` or, below zero, `x` times a factor per channel.
    PRelu(Vec<f32>),
    /// `min(max(x, lowest), highest)`; `ReLU6` is that of 0 and 6.
    Clamp(f32, f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x Φ(x)` with the normal distribution function itself, not its approximation by a hyperbolic tangent.
    Gelu,
    /// `x sigmoid(factor x)`: `SiLU` for the factor 1, `QuickGELU` for 1.702.
    Swish(f32),
}

impl Activation {
    /// Whether it is too long for the registers of a convolution: a [`Combine`](super::Combine) computes it behind.
    pub fn needs_pass(&self) -> bool {
        matches!(self, Self::Sigmoid | Self::Tanh | Self::Gelu | Self::Swish(_))
    }

    /// Applies it to vectors of the same channels; `slopes` are theirs.
    ///
    /// # Safety
    /// The processor has the instruction set.
    #[inline(always)]
    pub(super) unsafe fn apply<S: Simd, const N: usize>(
        &self,
        mut vectors: [S::Vector; N],
        slopes: S::Vector,
    ) -> [S::Vector; N] {
        // SAFETY: by the caller. What is not a number stays so: `max` and `min` give their second argument.
        unsafe {
            let zero = S::splat(0.0);
            match self {
                Self::Linear => (),
                Self::Relu => {
                    for x in &mut vectors {
                        *x = S::max(zero, *x);
                    }
                }
                Self::PRelu(_) => {
                    for x in &mut vectors {
                        *x = S::mul_add(S::min(zero, *x), slopes, S::max(zero, *x));
                    }
                }
                Self::Clamp(lowest, highest) => {
                    for x in &mut vectors {
                        *x = S::max(S::splat(*lowest), S::min(S::splat(*highest), *x));
                    }
                }
                Self::Sigmoid => {
                    for x in &mut vectors {
                        *x = math::sigmoid::<S>(*x);
                    }
                }
                Self::Tanh => {
                    for x in &mut vectors {
                        *x = math::tanh::<S>(*x);
                    }
                }
                Self::Gelu => {
                    for x in &mut vectors {
                        *x = math::gelu::<S>(*x);
                    }
                }
                Self::Swish(factor) => {
                    for x in &mut vectors {
                        *x = math::swish::<S>(*x, *factor);
                    }
                }
            }
        }
        vectors
    }
}
