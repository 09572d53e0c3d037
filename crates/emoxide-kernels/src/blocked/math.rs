//! Functions of vectors by polynomials.
//!
//! What is not a number stays so: `Simd::max` and `Simd::min` give their second argument.

use crate::simd::Simd;

/// `exp(x)` to about 1e-7 of it, for `x` cut off at -87 and 88 (where floats end soon).
///
/// `2^n exp(r)` with `|r|` up to half the logarithm of 2, the second factor by its series up to the seventh power.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::Vector) -> S::Vector {
    /// Adding it leaves the sum's nearest integer plus 127, the bias of exponents, in the low bits.
    const SHIFT: f32 = 12_582_912.0 + 127.0;
    /// The logarithm of 2 in two parts, of which the first is exact times any exponent.
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    // SAFETY: by the caller.
    unsafe {
        let x = S::max(S::splat(-87.0), S::min(S::splat(88.0), x));
        let shifted = S::mul_add(x, S::splat(std::f32::consts::LOG2_E), S::splat(SHIFT));
        let n = S::sub(shifted, S::splat(SHIFT));
        let r = S::mul_add(n, S::splat(-LN_2[0]), x);
        let r = S::mul_add(n, S::splat(-LN_2[1]), r);
        let mut sum = S::splat(1.0 / 5040.0);
        for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = S::mul_add(sum, r, S::splat(factor));
        }
        S::mul(sum, S::exponent(shifted))
    }
}

/// `1 / (1 + exp(-x))` to about 2e-7 of it.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn sigmoid<S: Simd>(x: S::Vector) -> S::Vector {
    // SAFETY: by the caller.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
    }
}

/// `x sigmoid(factor x)` to about 3e-7 of it, beside the rounding of `factor x`.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn swish<S: Simd>(x: S::Vector, factor: f32) -> S::Vector {
    // SAFETY: by the caller.
    unsafe {
        let one = S::splat(1.0);
        S::div(x, S::add(one, exp::<S>(S::mul(S::splat(-factor), x))))
    }
}

/// The hyperbolic tangent to about 2e-7, absolutely: `2 sigmoid(2 x) - 1`.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn tanh<S: Simd>(x: S::Vector) -> S::Vector {
    // SAFETY: by the caller.
    unsafe { S::mul_add(S::splat(2.0), sigmoid::<S>(S::add(x, x)), S::splat(-1.0)) }
}

/// `x Φ(x)` to about 3e-7, absolutely.
///
/// `max(x, 0) - |x| Q(|x|)`, where `Q`, the upper tail of the normal distribution, is half the complementary error
/// function of `|x| / sqrt(2)`: formula 7.1.26 of Abramowitz and Stegun, to 1.5e-7.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn gelu<S: Simd>(x: S::Vector) -> S::Vector {
    const P: f32 = 0.327_591_1;
    const A: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    /// From here on the tail is nothing to a float; its square stays finite.
    const FAR: f32 = 13.0;
    // SAFETY: by the caller.
    unsafe {
        let zero = S::splat(0.0);
        let size = S::min(S::splat(FAR), S::max(S::sub(zero, x), x));
        let t = S::mul_add(size, S::splat(P * std::f32::consts::FRAC_1_SQRT_2), S::splat(1.0));
        let t = S::div(S::splat(1.0), t);
        let mut sum = S::splat(0.5 * A[0]);
        for factor in &A[1..] {
            sum = S::mul_add(sum, t, S::splat(0.5 * factor));
        }
        let density = exp::<S>(S::mul(S::mul(size, size), S::splat(-0.5)));
        let tail = S::mul(S::mul(sum, t), S::mul(density, size));
        S::sub(S::max(zero, x), tail)
    }
}
