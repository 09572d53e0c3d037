//! The few vector operations that the kernels need, per instruction set.
//!
//! A [`Kernel`] is written once, generic over [`Simd`]; [`dispatch`] instantiates it inside a function that has the
//! instruction set enabled. Everything below that function is `#[inline(always)]`, otherwise the intrinsics would
//! become calls.

use crate::level::Level;

/// One instruction set.
///
/// # Safety contract of all methods
/// They may only run on a processor with the instruction set, and pointers must be valid for [`Simd::LANES`] floats.
pub(crate) trait Simd: Copy {
    /// Floats per vector.
    const LANES: usize;
    /// Pixels by two vectors of output channels that fit the registers, beside what the loop needs.
    const PIXELS: usize;
    /// A vector register.
    type Vector: Copy;

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// Reads a vector; no alignment needed.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Writes a vector; no alignment needed.
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// `a * b + c`.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a * b + c` of what the instruction set multiplies: floats, unless it is one for [`Words`].
    unsafe fn product(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Sums of [`Simd::product`] as floats.
    unsafe fn to_float(sums: Self::Vector) -> Self::Vector;
    /// `a + b`.
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`.
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    unsafe fn div(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger of `a` and `b`; `b` where one is not a number.
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger of `a` and `b`; not a number where one is not.
    unsafe fn largest(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller of `a` and `b`; `b` where one is not a number.
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// 2 to the power of what the low bits of `shifted` say: the bits, moved to where a float has its exponent.
    unsafe fn exponent(shifted: Self::Vector) -> Self::Vector;
    /// `to[j · to_row + i] = from[i · from_row + j]` for a square of as many rows as there are lanes; the pointers are
    /// valid for all of its rows.
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize);
    /// Lane `i` is the sum of row `i` of a square as for [`Simd::transpose`].
    unsafe fn sums(from: *const f32, from_row: usize) -> Self::Vector;
}

/// A computation with one generic body for all instruction sets.
pub(crate) trait Kernel {
    /// Runs with register tiles chosen for the instruction set.
    ///
    /// `M` x `N` (broadcasts x vectors) is the forward tile, `P` x 2 the tile of the weight gradient.
    ///
    /// # Safety
    /// The processor has the instruction set `S`, and the arguments inside `self` were checked by its constructor.
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self);
}

/// Lanes of a vector and rows of the forward tile: what the layouts of the packed operands depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Floats per vector.
    pub(crate) lanes: usize,
    /// Output channels that are computed together.
    pub(crate) block: usize,
    /// [`Simd::PIXELS`].
    pub(crate) pixels: usize,
}

/// Layout parameters of a level; they agree with [`dispatch`].
pub(crate) fn shape(level: Level) -> Shape {
    match level {
        Level::Portable => Shape { lanes: Portable::LANES, block: 4, pixels: Portable::PIXELS },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Shape { lanes: Avx2::LANES, block: 4, pixels: Avx2::PIXELS },
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 | Level::Avx512Bf16 | Level::Amx => {
            Shape { lanes: Avx512::LANES, block: 8, pixels: Avx512::PIXELS }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 | Level::Avx512 => unreachable!("levels are checked for availability before they are used"),
    }
}

/// Runs the kernel with the level's instructions.
///
/// # Safety
/// The level is available (`Level::is_available`) and the kernel's arguments are valid for [`Kernel::run`].
pub(crate) unsafe fn dispatch<K: Kernel>(level: Level, kernel: K) {
    match level {
        // SAFETY: the caller vouches for the kernel's arguments; these are baseline instructions.
        Level::Portable => unsafe { kernel.run::<Portable, 4, 2, 4>() },
        // SAFETY: the caller vouches for level and arguments.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 | Level::Avx512Bf16 | Level::Amx => unsafe { avx512(kernel) },
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 | Level::Avx512 => unreachable!("levels are checked for availability before they are used"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments. 16 registers.
    unsafe { kernel.run::<Avx2, 4, 3, 6>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<K: Kernel>(kernel: K) {
    // SAFETY: the feature is enabled here; the caller vouches for the arguments. 32 registers.
    unsafe { kernel.run::<Avx512, 8, 3, 12>() }
}

/// Several narrow values in the 32 bits of a lane, which an instruction multiplies and adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Two bfloat16; sums are floats.
    Bf16,
    /// Four bytes: unsigned of the source, signed of the weight; sums are 32-bit integers.
    Bytes,
}

impl Words {
    /// Values in a word.
    pub(crate) fn values(self) -> usize {
        match self {
            Words::Bf16 => 2,
            Words::Bytes => 4,
        }
    }
}

/// Runs the kernel with instructions for words.
///
/// # Safety
/// The level is [`Level::Avx512Bf16`] or better and available, and the kernel's arguments are valid for [`Kernel::run`].
pub(crate) unsafe fn dispatch_words<K: Kernel>(words: Words, kernel: K) {
    #[cfg(target_arch = "x86_64")]
    match words {
        // SAFETY: the caller vouches for instructions and arguments.
        Words::Bf16 => unsafe { avx512_bf16(kernel) },
        // SAFETY: as above.
        Words::Bytes => unsafe { avx512_vnni(kernel) },
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (words, kernel);
        unreachable!("levels are checked for availability before they are used")
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn avx512_bf16<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments.
    unsafe { kernel.run::<Bf16Words, 8, 3, 12>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn avx512_vnni<K: Kernel>(kernel: K) {
    // SAFETY: the features are enabled here; the caller vouches for the arguments.
    unsafe { kernel.run::<ByteWords, 8, 3, 12>() }
}

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

#[cfg(target_arch = "x86_64")]
macro_rules! x86_level {
    ($name:ident, $lanes:literal, $pixels:literal, $vector:ty, $splat:ident, $load:ident, $store:ident, $mul_add:ident, $product:path, $to_float:path, $transpose:ident, $exponent:ident, $largest:ident, $sums:ident, $($binary:ident = $intrinsic:ident),+) => {
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
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_level!(
    Avx2,
    8,
    6,
    std::arch::x86_64::__m256,
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
    min = _mm256_min_ps
);
#[cfg(target_arch = "x86_64")]
macro_rules! avx512_level {
    ($name:ident, $product:path, $to_float:path) => {
        x86_level!(
            $name,
            16,
            14,
            std::arch::x86_64::__m512,
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
            min = _mm512_min_ps
        );
    };
}

#[cfg(target_arch = "x86_64")]
avx512_level!(Avx512, std::arch::x86_64::_mm512_fmadd_ps, already_floats);
#[cfg(target_arch = "x86_64")]
avx512_level!(Bf16Words, dot_bf16, already_floats);
#[cfg(target_arch = "x86_64")]
avx512_level!(ByteWords, dot_bytes, integers_to_floats);

/// [`Simd::to_float`] where sums are floats.
///
/// # Safety
/// None is needed; like its alternatives.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn already_floats<V>(sums: V) -> V {
    sums
}

/// # Safety
/// The processor has AVX512-BF16.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn dot_bf16(
    a: std::arch::x86_64::__m512,
    b: std::arch::x86_64::__m512,
    c: std::arch::x86_64::__m512,
) -> std::arch::x86_64::__m512 {
    use std::{
        arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps},
        mem::transmute,
    };

    // SAFETY: the instruction is there by the caller; the types are 512 bits for which every pattern is valid.
    unsafe { _mm512_dpbf16_ps(c, transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b)) }
}

/// # Safety
/// The processor has AVX512-VNNI.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn dot_bytes(
    a: std::arch::x86_64::__m512,
    b: std::arch::x86_64::__m512,
    c: std::arch::x86_64::__m512,
) -> std::arch::x86_64::__m512 {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_castsi512_ps, _mm512_dpbusd_epi32};

    // SAFETY: by the caller.
    unsafe {
        let [a, b, c] = [a, b, c].map(|vector| _mm512_castps_si512(vector));
        _mm512_castsi512_ps(_mm512_dpbusd_epi32(c, a, b))
    }
}

/// # Safety
/// The processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn integers_to_floats(sums: std::arch::x86_64::__m512) -> std::arch::x86_64::__m512 {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_cvtepi32_ps};

    // SAFETY: by the caller.
    unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(sums)) }
}

/// [`Simd::exponent`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn exponent_8(shifted: std::arch::x86_64::__m256) -> std::arch::x86_64::__m256 {
    use std::arch::x86_64::{_mm256_castps_si256, _mm256_castsi256_ps, _mm256_slli_epi32};

    // SAFETY: by the caller.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(shifted))) }
}

/// [`Simd::exponent`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn exponent_16(shifted: std::arch::x86_64::__m512) -> std::arch::x86_64::__m512 {
    use std::arch::x86_64::{_mm512_castps_si512, _mm512_castsi512_ps, _mm512_slli_epi32};

    // SAFETY: by the caller.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(shifted))) }
}

/// [`Simd::largest`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn largest_8(a: std::arch::x86_64::__m256, b: std::arch::x86_64::__m256) -> std::arch::x86_64::__m256 {
    use std::arch::x86_64::{_CMP_UNORD_Q, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_max_ps};

    // SAFETY: by the caller. The maximum is `b` where one is not a number.
    unsafe { _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
}

/// [`Simd::largest`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn largest_16(a: std::arch::x86_64::__m512, b: std::arch::x86_64::__m512) -> std::arch::x86_64::__m512 {
    use std::arch::x86_64::{_CMP_UNORD_Q, _mm512_cmp_ps_mask, _mm512_mask_blend_ps, _mm512_max_ps};

    // SAFETY: by the caller. The maximum is `b` where one is not a number.
    unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), _mm512_max_ps(a, b), a) }
}

/// [`Simd::transpose`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2, and the pointers are valid for 8 rows of 8 floats.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::{
        __m256, _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_storeu_ps,
        _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    };

    // SAFETY: by the caller.
    unsafe {
        let rows: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(from.add(i * from_row)));
        let mut pairs = rows;
        for i in 0..4 {
            pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        // `fours[4 i + j]` holds, in its half `h`, column `4 h + j` of rows `4 i` to `4 i + 3`.
        let pairs = pairs.map(|pair| _mm256_castps_pd(pair));
        let mut fours = rows;
        for i in [0, 4] {
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

/// [`Simd::transpose`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F, and the pointers are valid for 16 rows of 16 floats.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_16(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::{
        __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps,
        _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    // SAFETY: by the caller.
    unsafe {
        let rows: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(from.add(i * from_row)));
        let mut pairs = rows;
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        // `fours[4 i + j]` holds, in its quarter `q`, column `4 q + j` of rows `4 i` to `4 i + 3`.
        let pairs = pairs.map(|pair| _mm512_castps_pd(pair));
        let mut fours = rows;
        for i in [0, 4, 8, 12] {
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

/// [`Simd::sums`] for 8 lanes.
///
/// # Safety
/// The processor has AVX2, and the pointer is valid for 8 rows of 8 floats.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn sums_8(from: *const f32, from_row: usize) -> std::arch::x86_64::__m256 {
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

/// [`Simd::sums`] for 16 lanes.
///
/// # Safety
/// The processor has AVX-512F, and the pointer is valid for 16 rows of 16 floats.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn sums_16(from: *const f32, from_row: usize) -> std::arch::x86_64::__m512 {
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
