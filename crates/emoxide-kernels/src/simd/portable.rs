//! Vectors without instructions of their own.

use super::Simd;

/// Plain arrays, left to the compiler's vectoriser.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    const LANES: usize = 4;
    const PIXELS: usize = 6;
    type Vector = [f32; 4];

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Vector {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Vector {
        // SAFETY: valid for `LANES` floats by the trait's contract.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: Self::Vector) {
        // SAFETY: valid for `LANES` floats by the trait's contract.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // Without a fused instruction in the baseline, `f32::mul_add` is a slow library call.
        const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
        let mut out = c;
        for lane in 0..4 {
            out[lane] = if FUSED { a[lane].mul_add(b[lane], c[lane]) } else { a[lane] * b[lane] + c[lane] };
        }
        out
    }

    #[inline(always)]
    unsafe fn product(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: as for this function.
        unsafe { Self::mul_add(a, b, c) }
    }

    #[inline(always)]
    unsafe fn to_float(sums: Self::Vector) -> Self::Vector {
        sums
    }

    #[inline(always)]
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    unsafe fn div(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] / b[lane])
    }

    #[inline(always)]
    unsafe fn exponent(shifted: Self::Vector) -> Self::Vector {
        shifted.map(|lane| f32::from_bits(lane.to_bits() << 23))
    }

    #[inline(always)]
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn largest(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| if a[lane] > b[lane] || a[lane].is_nan() { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for i in 0..4 {
            for j in 0..4 {
                // SAFETY: valid for all rows by the trait's contract.
                unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) }
            }
        }
    }

    #[inline(always)]
    unsafe fn sums(from: *const f32, from_row: usize) -> Self::Vector {
        std::array::from_fn(|lane| {
            // SAFETY: valid for all rows by the trait's contract.
            let [a, b, c, d] = unsafe { Self::load(from.add(lane * from_row)) };
            (a + b) + (c + d)
        })
    }
}
