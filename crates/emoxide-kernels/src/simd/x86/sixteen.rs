//! What AVX-512 has no single instruction for.

use std::arch::x86_64::{__m512, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};

/// [`Simd::exponent`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
pub(super) unsafe fn exponent_16(shifted: __m512) -> __m512 {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_castsi512_ps, _mm512_slli_epi32};

    // SAFETY: by the caller.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(shifted))) }
}

/// [`Simd::largest`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F.
#[inline(always)]
pub(super) unsafe fn largest_16(a: __m512, b: __m512) -> __m512 {
    use std::arch::x86_64::{_CMP_UNORD_Q, _mm512_cmp_ps_mask, _mm512_mask_blend_ps, _mm512_max_ps};

    // SAFETY: by the caller. The maximum is `b` where one is not a number.
    unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), _mm512_max_ps(a, b), a) }
}

/// [`Simd::transpose`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F, and the pointers are valid for 16 rows of 16 floats.
#[inline(always)]
pub(super) unsafe fn transpose_16(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::{
        _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_setzero_pd, _mm512_setzero_ps,
        _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
        _mm512_unpacklo_ps,
    };

    // SAFETY: by the caller.
    unsafe {
        let mut rows = [_mm512_setzero_ps(); 16];
        for i in 0..16 {
            rows[i] = _mm512_loadu_ps(from.add(i * from_row));
        }
        let mut pairs = [_mm512_setzero_pd(); 16];
        for i in 0..8 {
            pairs[2 * i] = _mm512_castps_pd(_mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]));
            pairs[2 * i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]));
        }
        // `fours[4 i + j]` holds, in its quarter `q`, column `4 q + j` of rows `4 i` to `4 i + 3`.
        let mut fours = rows;
        for group in 0..4 {
            let i = 4 * group;
            fours[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs[i], pairs[i + 2]));
            fours[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs[i], pairs[i + 2]));
            fours[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs[i + 1], pairs[i + 3]));
            fours[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs[i + 1], pairs[i + 3]));
        }
        for j in 0..4 {
            let even = _mm512_shuffle_f32x4::<0x88>(fours[j], fours[4 + j]);
            let odd = _mm512_shuffle_f32x4::<0xDD>(fours[j], fours[4 + j]);
            let later_even = _mm512_shuffle_f32x4::<0x88>(fours[8 + j], fours[12 + j]);
            let later_odd = _mm512_shuffle_f32x4::<0xDD>(fours[8 + j], fours[12 + j]);
            _mm512_storeu_ps(to.add(j * to_row), _mm512_shuffle_f32x4::<0x88>(even, later_even));
            _mm512_storeu_ps(to.add((4 + j) * to_row), _mm512_shuffle_f32x4::<0x88>(odd, later_odd));
            _mm512_storeu_ps(to.add((8 + j) * to_row), _mm512_shuffle_f32x4::<0xDD>(even, later_even));
            _mm512_storeu_ps(to.add((12 + j) * to_row), _mm512_shuffle_f32x4::<0xDD>(odd, later_odd));
        }
    }
}

/// [`Simd::sums`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F, and the pointer is valid for 16 rows of 16 floats.
#[inline(always)]
pub(super) unsafe fn sums_16(from: *const f32, from_row: usize) -> __m512 {
    use std::arch::x86_64::{
        _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_setzero_pd, _mm512_setzero_ps,
        _mm512_shuffle_f32x4, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    // SAFETY: by the caller.
    unsafe {
        // A quarter of `fours[i]` holds the sums of that quarter of rows `4 i` to `4 i + 3`.
        let mut fours = [_mm512_setzero_ps(); 4];
        for i in 0..4 {
            let mut pairs = [_mm512_setzero_pd(); 2];
            for j in 0..2 {
                let even = _mm512_loadu_ps(from.add((4 * i + 2 * j) * from_row));
                let odd = _mm512_loadu_ps(from.add((4 * i + 2 * j + 1) * from_row));
                let sum = _mm512_add_ps(_mm512_unpacklo_ps(even, odd), _mm512_unpackhi_ps(even, odd));
                pairs[j] = _mm512_castps_pd(sum);
            }
            let low = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs[0], pairs[1]));
            fours[i] = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(pairs[0], pairs[1])));
        }
        let mut halves = [_mm512_setzero_ps(); 2];
        for i in 0..2 {
            let [left, right] = [fours[2 * i], fours[2 * i + 1]];
            let low = _mm512_shuffle_f32x4::<0x44>(left, right);
            halves[i] = _mm512_add_ps(low, _mm512_shuffle_f32x4::<0xEE>(left, right));
        }
        let even = _mm512_shuffle_f32x4::<0x88>(halves[0], halves[1]);
        _mm512_add_ps(even, _mm512_shuffle_f32x4::<0xDD>(halves[0], halves[1]))
    }
}

/// `words[i]` holds `low[i]` in its lower half and `high[i]` in its upper one, both rounded to bfloat16; a value that is not
/// there counts as 0, and so do values below the normal ones.
///
/// # Safety
/// The processor has AVX512-BF16; `low` is as long as `words`, `high` too or empty; they are whole vectors.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(in crate::simd) unsafe fn bf16_words(low: &[f32], high: &[f32], words: &mut [f32]) {
    const LANES: usize = 16;
    // SAFETY: by the caller.
    unsafe {
        for at in (0..words.len()).step_by(LANES) {
            let first = _mm512_loadu_ps(low.as_ptr().add(at));
            let second = if high.is_empty() { _mm512_setzero_ps() } else { _mm512_loadu_ps(high.as_ptr().add(at)) };
            narrow(words.as_mut_ptr().add(at), first, second);
        }
    }
}

/// [`Simd::narrow`](crate::simd::Simd::narrow) by the processor's own instruction.
///
/// # Safety
/// The processor has AVX512-BF16, and 16 floats can be written.
#[inline(always)]
pub(super) unsafe fn narrow(to: *mut f32, first: __m512, second: __m512) {
    use std::{
        arch::x86_64::{__m512bh, _mm512_cvtne2ps_pbh},
        mem::transmute,
    };

    // SAFETY: by the caller; the types are 512 bits for which every pattern is valid.
    unsafe { _mm512_storeu_ps(to, transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(second, first))) }
}

/// [`Simd::widen`](crate::simd::Simd::widen).
///
/// # Safety
/// The processor has AVX-512F, and 16 floats can be read.
#[inline(always)]
pub(super) unsafe fn widen(from: *const f32) -> [__m512; 2] {
    use std::arch::x86_64::{_mm256_loadu_si256, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_slli_epi32};

    const HALF: usize = 8;
    // SAFETY: by the caller.
    unsafe {
        let mut vectors = [_mm512_setzero_ps(); 2];
        for half in 0..2 {
            let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.add(half * HALF).cast()));
            vectors[half] = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words));
        }
        vectors
    }
}
