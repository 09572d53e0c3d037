//! Matrix tiles (AMX): their availability, and products of pixels by weights.
//!
//! Rust has no stable intrinsics for them. A tile is 16 rows of 64 bytes. One of words has 16 pixels, or 16 words of
//! input channels by 16 output channels; one of sums has 16 pixels by 16 output channels.

use std::{
    arch::{asm, x86_64::__cpuid_count},
    sync::OnceLock,
};

use crate::simd::Words;

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;

/// 32-bit numbers in a row.
pub(crate) const COLS: usize = 16;

/// Bytes in a row.
const ROW_BYTES: usize = 64;

/// Whether the processor has tiles of bfloat16 and of bytes, and the system lets this process use them.
pub(crate) fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    // AMX-BF16, AMX-TILE and AMX-INT8; a processor with AVX-512, which was asked for before, has this leaf.
    *PERMITTED.get_or_init(|| {
        let features = __cpuid_count(7, 0).edx;
        [22, 24, 25].into_iter().all(|bit| features >> bit & 1 == 1) && system_permits()
    })
}

/// Asks Linux for the tiles' registers, for all threads of this process.
#[cfg(target_os = "linux")]
fn system_permits() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: a request with two numbers; without effect where it is refused.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// How other systems are asked is not known here.
#[cfg(not(target_os = "linux"))]
fn system_permits() -> bool {
    false
}

/// Tiles of this thread that are in use until this is dropped: sums 0 to 3, and the operands 4 to 7 of their products.
pub(crate) struct Tiles {
    of: Of,
}

/// What the operands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Pixels,
    Pairs,
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// For [`Tiles::sums`] of so many pixels by output channels: pixels in 4 and 5, weights in 6 and 7.
    ///
    /// # Panics
    /// When pixels are none or more than [`ROWS`], or tiles are not [permitted](is_permitted).
    pub(crate) fn of_pixels(pixels: usize) -> Self {
        Self::configured(Of::Pixels, [pixels, pixels, ROWS], ROW_BYTES)
    }

    /// For [`Tiles::add`] of so many pairs of pixels: gradients in 4 and 5, inputs in 6 and 7.
    ///
    /// # Panics
    /// As [`Tiles::of_pixels`].
    pub(crate) fn of_pairs(pairs: usize) -> Self {
        Self::configured(Of::Pairs, [ROWS, ROWS, pairs], pairs * size_of::<f32>())
    }

    /// Rows of sums, left and right operands, and bytes in a row of a left operand.
    fn configured(of: Of, heights: [usize; 3], left_bytes: usize) -> Self {
        assert!(is_permitted() && heights.iter().all(|height| (1..=ROWS).contains(height)));
        let (mut rows, mut row_bytes) = ([0; 16], [0; 16]);
        for (tiles, height) in [0..4, 4..6, 6..8].into_iter().zip(heights) {
            rows[tiles].fill(height as u8);
        }
        row_bytes[..8].fill(ROW_BYTES as u16);
        row_bytes[4..6].fill(left_bytes as u16);
        let configuration = Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows };
        // SAFETY: the instruction is there, and the sizes are within those of palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
        Self { of }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there are tiles, as `new` checked.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Sums of two times some pixels by one or two blocks of output channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Products<'a> {
    /// The first pixel of each of the two rows of tiles.
    pub(crate) pixels: [*const f32; 2],
    /// Words between two pixels.
    pub(crate) step: usize,
    /// Words from a pixel to what is multiplied, 16 in a row.
    pub(crate) taps: &'a [usize],
    /// `[taps][blocks][16][16]` words
    pub(crate) weights: *const f32,
    /// `[blocks · 16]`, what sums begin with
    pub(crate) start: *const f32,
    /// 1 or 2.
    pub(crate) blocks: usize,
}

/// `[rows of tiles][blocks][pixels][output channels]`
#[repr(align(64))]
pub(crate) struct Sums(pub(crate) [[[[f32; COLS]; ROWS]; 2]; 2]);

/// The loop over the taps: `tmm0` and `tmm1` are the sums of the first pixels, `tmm2` and `tmm3` of the second. `$tap` is what
/// is done for one of them.
///
/// A tile is stored after every eight taps, for nothing but its time: products that follow each other for longer make the
/// processor pause, which was measured to cost a tenth more.
macro_rules! loop_over_taps {
    ([$($start:expr),+], [$($tap:expr),+], [$($end:expr),+], $products:expr, $sums:expr) => {
        asm!(
            $($start,)+
            "cmp {left}, 8",
            "jb 3f",
            "2:",
            ".rept 8",
            $($tap,)+
            ".endr",
            "tilestored [{sums} + {row}*1], tmm0",
            "sub {left}, 8",
            "cmp {left}, 8",
            "jae 2b",
            "3:",
            "test {left}, {left}",
            "jz 5f",
            "4:",
            $($tap,)+
            "dec {left}",
            "jnz 4b",
            "5:",
            $($end,)+
            at = inout(reg) $products.start => _,
            tap = inout(reg) 0usize => _,
            first = in(reg) $products.pixels[0],
            second = in(reg) $products.pixels[1],
            step = in(reg) $products.step * size_of::<f32>(),
            taps = inout(reg) $products.taps.as_ptr() => _,
            left = inout(reg) $products.taps.len() => _,
            weights = inout(reg) $products.weights => _,
            row = in(reg) ROW_BYTES,
            sums = in(reg) $sums,
            options(nostack),
        )
    };
}

macro_rules! two_blocks {
    ($product:literal, $products:expr, $sums:expr) => {
        loop_over_taps!(
            [
                "tileloadd tmm0, [{at} + {tap}*1]",
                "tileloadd tmm1, [{at} + {tap}*1 + 64]",
                "tileloadd tmm2, [{at} + {tap}*1]",
                "tileloadd tmm3, [{at} + {tap}*1 + 64]"
            ],
            [
                "mov {tap}, [{taps}]",
                "lea {at}, [{first} + {tap}*4]",
                "tileloadd tmm4, [{at} + {step}*1]",
                "lea {at}, [{second} + {tap}*4]",
                "tileloadd tmm6, [{weights} + {row}*1]",
                "tileloadd tmm5, [{at} + {step}*1]",
                "tileloadd tmm7, [{weights} + {row}*1 + 1024]",
                concat!($product, " tmm0, tmm4, tmm6"),
                concat!($product, " tmm2, tmm5, tmm6"),
                concat!($product, " tmm1, tmm4, tmm7"),
                concat!($product, " tmm3, tmm5, tmm7"),
                "add {weights}, 2048",
                "add {taps}, 8"
            ],
            [
                "tilestored [{sums} + {row}*1], tmm0",
                "tilestored [{sums} + {row}*1 + 2048], tmm2",
                "tilestored [{sums} + {row}*1 + 1024], tmm1",
                "tilestored [{sums} + {row}*1 + 3072], tmm3"
            ],
            $products,
            $sums
        )
    };
}

macro_rules! one_block {
    ($product:literal, $products:expr, $sums:expr) => {
        loop_over_taps!(
            ["tileloadd tmm0, [{at} + {tap}*1]", "tileloadd tmm2, [{at} + {tap}*1]"],
            [
                "mov {tap}, [{taps}]",
                "lea {at}, [{first} + {tap}*4]",
                "tileloadd tmm4, [{at} + {step}*1]",
                "lea {at}, [{second} + {tap}*4]",
                "tileloadd tmm6, [{weights} + {row}*1]",
                "tileloadd tmm5, [{at} + {step}*1]",
                concat!($product, " tmm0, tmm4, tmm6"),
                concat!($product, " tmm2, tmm5, tmm6"),
                "add {weights}, 1024",
                "add {taps}, 8"
            ],
            ["tilestored [{sums} + {row}*1], tmm0", "tilestored [{sums} + {row}*1 + 2048], tmm2"],
            $products,
            $sums
        )
    };
}

impl Tiles {
    /// The sums; those of pixels and blocks that there are not stay as they were.
    ///
    /// # Panics
    /// When there are no taps, or these are not tiles [`of_pixels`](Tiles::of_pixels).
    ///
    /// # Safety
    /// All pixels can be read at all taps, 16 words at a time; weights and start are as long as said.
    pub(crate) unsafe fn sums(&mut self, words: Words, products: &Products<'_>, sums: &mut Sums) {
        assert!(self.of == Of::Pixels && !products.taps.is_empty());
        let to = sums.0.as_mut_ptr();
        // SAFETY: tiles have as many rows as there are pixels, `sums` is four tiles long, and the rest is by the caller.
        // Nothing else uses the tiles of this thread.
        unsafe {
            match (words, products.blocks) {
                (Words::Bf16, 1) => one_block!("tdpbf16ps", products, to),
                (Words::Bf16, _) => two_blocks!("tdpbf16ps", products, to),
                (Words::Bytes, 1) => one_block!("tdpbusd", products, to),
                (Words::Bytes, _) => two_blocks!("tdpbusd", products, to),
            }
        }
    }

    /// Adds products of gradients and inputs to their sums.
    ///
    /// # Panics
    /// When there are no starts, or these are not tiles [`of_pairs`](Tiles::of_pairs).
    ///
    /// # Safety
    /// All pairs can be read in both operands from every start on, and sums are 16 rows that nothing else uses meanwhile.
    pub(crate) unsafe fn add(&mut self, outer: &Outer<'_>) {
        assert!(self.of == Of::Pairs && !outer.starts.is_empty());
        // SAFETY: by the caller.
        unsafe {
            asm!(
                "mov {at}, [{sums}]",
                "tileloadd tmm0, [{at} + {start}*1]",
                "mov {at}, [{sums} + 8]",
                "tileloadd tmm1, [{at} + {start}*1]",
                "mov {at}, [{sums} + 16]",
                "tileloadd tmm2, [{at} + {start}*1]",
                "mov {at}, [{sums} + 24]",
                "tileloadd tmm3, [{at} + {start}*1]",
                "2:",
                "mov {start}, [{starts}]",
                "lea {at}, [{gradient0} + {start}*4]",
                "tileloadd tmm4, [{at} + {gradient_step}*1]",
                "lea {at}, [{gradient1} + {start}*4]",
                "tileloadd tmm5, [{at} + {gradient_step}*1]",
                "mov {start}, [{starts} + 8]",
                "lea {at}, [{input0} + {start}*4]",
                "tileloadd tmm6, [{at} + {input_step}*1]",
                "lea {at}, [{input1} + {start}*4]",
                "tileloadd tmm7, [{at} + {input_step}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {starts}, 16",
                "cmp {starts}, {end}",
                "jb 2b",
                "mov {start}, [{sums} + 32]",
                "mov {at}, [{sums}]",
                "tilestored [{at} + {start}*1], tmm0",
                "mov {at}, [{sums} + 8]",
                "tilestored [{at} + {start}*1], tmm1",
                "mov {at}, [{sums} + 16]",
                "tilestored [{at} + {start}*1], tmm2",
                "mov {at}, [{sums} + 24]",
                "tilestored [{at} + {start}*1], tmm3",
                sums = in(reg) &raw const outer.sums,
                start = inout(reg) outer.sums.step => _,
                at = out(reg) _,
                starts = inout(reg) outer.starts.as_ptr() => _,
                end = in(reg) outer.starts.as_ptr_range().end,
                gradient0 = in(reg) outer.gradient[0],
                gradient1 = in(reg) outer.gradient[1],
                gradient_step = in(reg) outer.gradient_step * size_of::<f32>(),
                input0 = in(reg) outer.input[0],
                input1 = in(reg) outer.input[1],
                input_step = in(reg) outer.input_step * size_of::<f32>(),
                options(nostack),
            );
        }
    }
}

/// Products of two blocks of outputs by two blocks of inputs, summed over pairs of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer<'a> {
    /// Words of two blocks, 16 rows of pairs each.
    pub(crate) gradient: [*const f32; 2],
    /// Words between two outputs.
    pub(crate) gradient_step: usize,
    /// Words of two blocks, 16 inputs of a pair in a row.
    pub(crate) input: [*const f32; 2],
    /// Words between two pairs.
    pub(crate) input_step: usize,
    /// Where pairs begin, in words of gradient and input.
    pub(crate) starts: &'a [[usize; 2]],
    pub(crate) sums: Places,
}

/// Where sums are: of the first block of outputs with both of inputs, then of the second.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Places {
    pub(crate) tiles: [*mut f32; 4],
    /// Bytes between two outputs.
    pub(crate) step: usize,
}
