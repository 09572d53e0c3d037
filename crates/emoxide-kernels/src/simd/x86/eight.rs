//! What AVX2 has no single instruction for.

use std::arch::x86_64::__m256;

/// [`Simd::exponent`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn exponent_8(shifted: __m256) -> __m256 {
    use std::arch::x86_64::{_mm256_castps_si256, _mm256_castsi256_ps, _mm256_slli_epi32};

    // SAFETY: by the caller.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(shifted))) }
}

/// [`Simd::largest`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn largest_8(a: __m256, b: __m256) -> __m256 {
    use std::arch::x86_64::{_CMP_UNORD_Q, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_max_ps};

    // SAFETY: by the caller. The maximum is `b` where one is not a number.
    unsafe { _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
}

/// [`Simd::transpose`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2, and the pointers are valid for 8 rows of 8 floats.
#[inline(always)]
pub(super) unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::{
        _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_setzero_pd,
        _mm256_setzero_ps, _mm256_storeu_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd,
        _mm256_unpacklo_ps,
    };

    // SAFETY: by the caller.
    unsafe {
        let mut rows = [_mm256_setzero_ps(); 8];
        for i in 0..8 {
            rows[i] = _mm256_loadu_ps(from.add(i * from_row));
        }
        let mut pairs = [_mm256_setzero_pd(); 8];
        for i in 0..4 {
            pairs[2 * i] = _mm256_castps_pd(_mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]));
            pairs[2 * i + 1] = _mm256_castps_pd(_mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]));
        }
        // `fours[4 i + j]` holds, in its half `h`, column `4 h + j` of rows `4 i` to `4 i + 3`.
        let mut fours = rows;
        for group in 0..2 {
            let i = 4 * group;
            fours[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[i], pairs[i + 2]));
            fours[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[i], pairs[i + 2]));
            fours[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[i + 1], pairs[i + 3]));
            fours[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[i + 1], pairs[i + 3]));
        }
        for j in 0..4 {
            _mm256_storeu_ps(to.add(j * to_row), _mm256_permute2f128_ps::<0x20>(fours[j], fours[4 + j]));
            _mm256_storeu_ps(to.add((4 + j) * to_row), _mm256_permute2f128_ps::<0x31>(fours[j], fours[4 + j]));
        }
    }
}

/// [`Simd::sums`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2, and the pointer is valid for 8 rows of 8 floats.
#[inline(always)]
pub(super) unsafe fn sums_8(from: *const f32, from_row: usize) -> __m256 {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_setzero_pd,
        _mm256_setzero_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    };

    // SAFETY: by the caller.
    unsafe {
        // A half of `fours[i]` holds the sums of that half of rows `4 i` to `4 i + 3`.
        let mut fours = [_mm256_setzero_ps(); 2];
        for i in 0..2 {
            let mut pairs = [_mm256_setzero_pd(); 2];
            for j in 0..2 {
                let even = _mm256_loadu_ps(from.add((4 * i + 2 * j) * from_row));
                let odd = _mm256_loadu_ps(from.add((4 * i + 2 * j + 1) * from_row));
                let sum = _mm256_add_ps(_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd));
                pairs[j] = _mm256_castps_pd(sum);
            }
            let low = _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[0], pairs[1]));
            fours[i] = _mm256_add_ps(low, _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[0], pairs[1])));
        }
        let low = _mm256_permute2f128_ps::<0x20>(fours[0], fours[1]);
        _mm256_add_ps(low, _mm256_permute2f128_ps::<0x31>(fours[0], fours[1]))
    }
}
