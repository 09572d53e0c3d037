//! The few vector operations that the kernels need, per instruction set.
//!
//! A [`Kernel`] is written once, generic over [`Simd`]; [`dispatch`] instantiates it inside a function that has the
//! instruction set enabled. Everything below that function is `#[inline(always)]`, otherwise the intrinsics would
//! become calls. So would what a closure does with vectors: the function that calls the closure has no instruction set
//! enabled. Kernels use loops.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use portable::Portable;

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

    /// Asks for memory that will be read soon; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_from: *const f32) {}

    /// Writes twice as many values as lanes, those of `first` before those of `second`, rounded to bfloat16.
    #[inline(always)]
    unsafe fn narrow(to: *mut f32, first: Self::Vector, second: Self::Vector) {
        const MOST: usize = 32;
        let mut values = [0.0f32; MOST];
        // SAFETY: `values` has room for two vectors, and `to` for one by the trait's contract.
        unsafe {
            Self::store(values.as_mut_ptr(), first);
            Self::store(values.as_mut_ptr().add(Self::LANES), second);
            for lane in 0..Self::LANES {
                let word = bf16(values[2 * lane]) | bf16(values[2 * lane + 1]) << 16;
                *to.add(lane) = f32::from_bits(word);
            }
        }
    }

    /// Reads what [`Simd::narrow`] wrote.
    #[inline(always)]
    unsafe fn widen(from: *const f32) -> [Self::Vector; 2] {
        const MOST: usize = 32;
        let mut values = [0.0f32; MOST];
        // SAFETY: as for `narrow`.
        unsafe {
            for lane in 0..Self::LANES {
                let word = (*from.add(lane)).to_bits();
                values[2 * lane] = f32::from_bits(word << 16);
                values[2 * lane + 1] = f32::from_bits(word & 0xFFFF_0000);
            }
            [Self::load(values.as_ptr()), Self::load(values.as_ptr().add(Self::LANES))]
        }
    }
}

/// The upper half of the value, rounded to the nearest bfloat16, ties to even; what is not a number stays so.
#[inline(always)]
pub(crate) fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
    if value.is_nan() { bits >> 16 | 0x40 } else { rounded >> 16 }
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
        Level::Avx2 => Shape { lanes: x86::Avx2::LANES, block: 4, pixels: x86::Avx2::PIXELS },
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 | Level::Avx512Bf16 | Level::Amx => {
            Shape { lanes: x86::Avx512::LANES, block: 8, pixels: x86::Avx512::PIXELS }
        }
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("levels are checked for availability before they are used"),
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
        Level::Avx2 => unsafe { x86::avx2(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 | Level::Avx512Bf16 | Level::Amx => unsafe { x86::avx512(kernel) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("levels are checked for availability before they are used"),
    }
}

/// Runs a kernel that reads or writes bfloat16 and computes with floats, with the level's instructions.
///
/// # Safety
/// As for [`dispatch`].
pub(crate) unsafe fn dispatch_halves<K: Kernel>(level: Level, kernel: K) {
    match level {
        // SAFETY: the caller vouches for level and arguments.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 | Level::Amx => unsafe { x86::avx512_halves(kernel) },
        // SAFETY: as above.
        _ => unsafe { dispatch(level, kernel) },
    }
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
        Words::Bf16 => unsafe { x86::avx512_bf16(kernel) },
        // SAFETY: as above.
        Words::Bytes => unsafe { x86::avx512_vnni(kernel) },
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (words, kernel);
        unreachable!("levels are checked for availability before they are used")
    }
}

/// Blocks of one or two maps, rounded to bfloat16: a vector of words holds a vector of the first map and one of the second,
/// two neighbours in each word, the first in its lower half.
///
/// # Safety
/// The level is [`Level::Avx512Bf16`] or better and available.
///
/// # Panics
/// When a map is not as long as `words`, which are whole vectors, or there are more than two.
pub(crate) unsafe fn bf16_words(maps: &[&[f32]], words: &mut [f32]) {
    let (low, high): (&[f32], &[f32]) = match *maps {
        [low] => (low, &[]),
        [low, high] => (low, high),
        _ => panic!("{} maps in a word", maps.len()),
    };
    assert!(low.len() == words.len() && (maps.len() == 1 || high.len() == words.len()), "lengths");
    assert!(words.len().is_multiple_of(16), "whole vectors");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: by the caller, and as checked.
    unsafe {
        x86::bf16_words(low, high, words);
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("levels are checked for availability before they are used");
}
