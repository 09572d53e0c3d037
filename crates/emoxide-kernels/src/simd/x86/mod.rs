//! The vector instructions of x86-64 processors.

mod eight;
mod sixteen;

use std::arch::x86_64::{__m256, __m512};

use eight::{exponent_8, largest_8, sums_8, transpose_8};
pub(super) use sixteen::bf16_words;
use sixteen::{exponent_16, largest_16, narrow, sums_16, transpose_16, widen};

use super::{Kernel, Simd};

#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments. 16 registers.
    unsafe { kernel.run::<Avx2, 4, 3, 6>() }
}

#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512<K: Kernel>(kernel: K) {
    // SAFETY: the feature is enabled here; the caller vouches for the arguments. 32 registers.
    unsafe { kernel.run::<Avx512, 8, 3, 12>() }
}

#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn avx512_halves<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments.
    unsafe { kernel.run::<Avx512Halves, 8, 3, 12>() }
}

#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn avx512_bf16<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments.
    unsafe { kernel.run::<Bf16Words, 8, 3, 12>() }
}

#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn avx512_vnni<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments.
    unsafe { kernel.run::<ByteWords, 8, 3, 12>() }
}

macro_rules! x86_level {
    ($name:ident, $lanes:literal, $pixels:literal, $vector:ty, $splat:ident, $load:ident, $store:ident, $mul_add:ident, $product:path, $to_float:path, $transpose:ident, $exponent:ident, $largest:ident, $sums:ident, $($binary:ident = $intrinsic:ident),+; $($own:item)*) => {
        #[doc = concat!("Vectors of ", stringify!($lanes), " lanes.")]
        #[derive(Clone, Copy)]
        pub(crate) struct $name;

        // SAFETY of the blocks: the trait's contract gives the instruction set and the valid pointers.
        impl Simd for $name {
            const LANES: usize = $lanes;
            const PIXELS: usize = $pixels;
            type Vector = $vector;

            #[inline(always)]
            unsafe fn splat(value: f32) -> Self::Vector {
                // SAFETY: see above.
                unsafe { std::arch::x86_64::$splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self::Vector {
                // SAFETY: see above.
                unsafe { std::arch::x86_64::$load(from) }
            }

            #[inline(always)]
            unsafe fn store(to: *mut f32, vector: Self::Vector) {
                // SAFETY: see above.
                unsafe { std::arch::x86_64::$store(to, vector) }
            }

            #[inline(always)]
            unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                // SAFETY: see above.
                unsafe { std::arch::x86_64::$mul_add(a, b, c) }
            }

            #[inline(always)]
            unsafe fn product(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                // SAFETY: see above.
                unsafe { $product(a, b, c) }
            }

            #[inline(always)]
            unsafe fn to_float(sums: Self::Vector) -> Self::Vector {
                // SAFETY: see above.
                unsafe { $to_float(sums) }
            }

            #[inline(always)]
            unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
                // SAFETY: see above.
                unsafe { $transpose(from, from_row, to, to_row) }
            }

            #[inline(always)]
            unsafe fn exponent(shifted: Self::Vector) -> Self::Vector {
                // SAFETY: see above.
                unsafe { $exponent(shifted) }
            }

            #[inline(always)]
            unsafe fn largest(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: see above.
                unsafe { $largest(a, b) }
            }

            #[inline(always)]
            unsafe fn sums(from: *const f32, from_row: usize) -> Self::Vector {
                // SAFETY: see above.
                unsafe { $sums(from, from_row) }
            }

            $(#[inline(always)]
            unsafe fn $binary(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: see above.
                unsafe { std::arch::x86_64::$intrinsic(a, b) }
            })+

            #[inline(always)]
            unsafe fn prefetch(from: *const f32) {
                // SAFETY: reads nothing.
                unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from.cast()) }
            }

            $($own)*
        }
    };
}

x86_level!(
    Avx2,
    8,
    6,
    __m256,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    std::arch::x86_64::_mm256_fmadd_ps,
    already_floats,
    transpose_8,
    exponent_8,
    largest_8,
    sums_8,
    add = _mm256_add_ps,
    sub = _mm256_sub_ps,
    mul = _mm256_mul_ps,
    div = _mm256_div_ps,
    max = _mm256_max_ps,
    min = _mm256_min_ps;
);
macro_rules! avx512_level {
    ($name:ident, $product:path, $to_float:path; $($own:item)*) => {
        x86_level!(
            $name,
            16,
            14,
            __m512,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_fmadd_ps,
            $product,
            $to_float,
            transpose_16,
            exponent_16,
            largest_16,
            sums_16,
            add = _mm512_add_ps,
            sub = _mm512_sub_ps,
            mul = _mm512_mul_ps,
            div = _mm512_div_ps,
            max = _mm512_max_ps,
            min = _mm512_min_ps;
            #[inline(always)]
            unsafe fn widen(from: *const f32) -> [Self::Vector; 2] {
                // SAFETY: see above.
                unsafe { widen(from) }
            }
            $($own)*
        );
    };
}

avx512_level!(Avx512, std::arch::x86_64::_mm512_fmadd_ps, already_floats;);
avx512_level!(Avx512Halves, std::arch::x86_64::_mm512_fmadd_ps, already_floats;
    #[inline(always)]
    unsafe fn narrow(to: *mut f32, first: Self::Vector, second: Self::Vector) {
        // SAFETY: see above.
        unsafe { narrow(to, first, second) }
    }
);
avx512_level!(Bf16Words, dot_bf16, already_floats;
    #[inline(always)]
    unsafe fn narrow(to: *mut f32, first: Self::Vector, second: Self::Vector) {
        // SAFETY: see above.
        unsafe { narrow(to, first, second) }
    }
);
avx512_level!(ByteWords, dot_bytes, integers_to_floats;);

/// [`Simd::to_float`] where sums are floats.
///
/// # Safety
/// None is needed; like its alternatives.
#[inline(always)]
unsafe fn already_floats<V>(sums: V) -> V {
    sums
}

/// # Safety
/// The processor has AVX512-BF16.
#[inline(always)]
unsafe fn dot_bf16(a: __m512, b: __m512, c: __m512) -> __m512 {
    use std::{
        arch::x86_64::{__m512bh, _mm512_dpbf16_ps},
        mem::transmute,
    };

    // SAFETY: the instruction is there by the caller; the types are 512 bits for which every pattern is valid.
    unsafe { _mm512_dpbf16_ps(c, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b)) }
}

/// # Safety
/// The processor has AVX512-VNNI.
#[inline(always)]
unsafe fn dot_bytes(a: __m512, b: __m512, c: __m512) -> __m512 {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_castsi512_ps, _mm512_dpbusd_epi32};

    // SAFETY: by the caller.
    unsafe {
        let [a, b, c] = [_mm512_castps_si512(a), _mm512_castps_si512(b), _mm512_castps_si512(c)];
        _mm512_castsi512_ps(_mm512_dpbusd_epi32(c, a, b))
    }
}

/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
unsafe fn integers_to_floats(sums: __m512) -> __m512 {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_cvtepi32_ps};

    // SAFETY: by the caller.
    unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(sums)) }
}
