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
const COLS: usize = 16;

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

/// Tiles of this thread that are in use until this is dropped.
pub(crate) struct Tiles {
    pixels: usize,
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
    /// Two rows of tiles of `pixels` by output channels.
    ///
    /// # Panics
    /// When pixels are none or more than [`ROWS`], or tiles are not [permitted](is_permitted).
    pub(crate) fn new(pixels: usize) -> Self {
        assert!(is_permitted() && (1..=ROWS).contains(&pixels));
        let mut rows = [0; 16];
        // Sums 0 to 3, pixels 4 and 5, weights 6 and 7.
        rows[..6].fill(pixels as u8);
        rows[6..8].fill(ROWS as u8);
        let mut row_bytes = [0; 16];
        row_bytes[..8].fill(ROW_BYTES as u16);
        let configuration = Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows };
        // SAFETY: the instruction is there, and the sizes are within those of palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
        Self { pixels }
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
    /// `[taps][16][blocks · 16]` words
    pub(crate) weights: *const f32,
    /// `[blocks · 16]`, what sums begin with
    pub(crate) start: *const f32,
    /// 1 or 2.
    pub(crate) blocks: usize,
}

/// `[rows of tiles][blocks][pixels][output channels]`
#[repr(align(64))]
pub(crate) struct Sums(pub(crate) [[[[f32; COLS]; ROWS]; 2]; 2]);

/// The loop over the taps: `tmm0` and `tmm1` are the sums of the first pixels, `tmm2` and `tmm3` of the second.
macro_rules! two_blocks {
    ($product:literal, $products:expr, $sums:expr) => {
        asm!(
            "tileloadd tmm0, [{at} + {tap}*1]",
            "tileloadd tmm1, [{at} + {tap}*1 + 64]",
            "tileloadd tmm2, [{at} + {tap}*1]",
            "tileloadd tmm3, [{at} + {tap}*1 + 64]",
            "2:",
            "mov {tap}, [{taps}]",
            "lea {at}, [{first} + {tap}*4]",
            "tileloadd tmm4, [{at} + {step}*1]",
            "lea {at}, [{second} + {tap}*4]",
            "tileloadd tmm6, [{weights} + {row}*1]",
            "tileloadd tmm5, [{at} + {step}*1]",
            "tileloadd tmm7, [{weights} + {row}*1 + 64]",
            concat!($product, " tmm0, tmm4, tmm6"),
            concat!($product, " tmm2, tmm5, tmm6"),
            concat!($product, " tmm1, tmm4, tmm7"),
            concat!($product, " tmm3, tmm5, tmm7"),
            "add {weights}, 2048",
            "add {taps}, 8",
            "cmp {taps}, {end}",
            "jb 2b",
            "mov {tap}, 64",
            "tilestored [{sums} + {tap}*1], tmm0",
            "tilestored [{sums} + {tap}*1 + 1024], tmm1",
            "tilestored [{sums} + {tap}*1 + 2048], tmm2",
            "tilestored [{sums} + {tap}*1 + 3072], tmm3",
            at = inout(reg) $products.start => _,
            tap = inout(reg) 0usize => _,
            first = in(reg) $products.pixels[0],
            second = in(reg) $products.pixels[1],
            step = in(reg) $products.step * size_of::<f32>(),
            taps = inout(reg) $products.taps.as_ptr() => _,
            end = in(reg) $products.taps.as_ptr_range().end,
            weights = inout(reg) $products.weights => _,
            row = in(reg) 2 * ROW_BYTES,
            sums = in(reg) $sums,
            options(nostack),
        )
    };
}

/// As [`two_blocks`], for one block.
macro_rules! one_block {
    ($product:literal, $products:expr, $sums:expr) => {
        asm!(
            "tileloadd tmm0, [{at} + {tap}*1]",
            "tileloadd tmm2, [{at} + {tap}*1]",
            "2:",
            "mov {tap}, [{taps}]",
            "lea {at}, [{first} + {tap}*4]",
            "tileloadd tmm4, [{at} + {step}*1]",
            "lea {at}, [{second} + {tap}*4]",
            "tileloadd tmm6, [{weights} + {row}*1]",
            "tileloadd tmm5, [{at} + {step}*1]",
            concat!($product, " tmm0, tmm4, tmm6"),
            concat!($product, " tmm2, tmm5, tmm6"),
            "add {weights}, 1024",
            "add {taps}, 8",
            "cmp {taps}, {end}",
            "jb 2b",
            "tilestored [{sums} + {row}*1], tmm0",
            "tilestored [{sums} + {row}*1 + 2048], tmm2",
            at = inout(reg) $products.start => _,
            tap = inout(reg) 0usize => _,
            first = in(reg) $products.pixels[0],
            second = in(reg) $products.pixels[1],
            step = in(reg) $products.step * size_of::<f32>(),
            taps = inout(reg) $products.taps.as_ptr() => _,
            end = in(reg) $products.taps.as_ptr_range().end,
            weights = inout(reg) $products.weights => _,
            row = in(reg) ROW_BYTES,
            sums = in(reg) $sums,
            options(nostack),
        )
    };
}

impl Tiles {
    /// The sums; those of pixels and blocks that there are not stay as they were.
    ///
    /// # Safety
    /// All pixels can be read at all taps, 16 words at a time, and weights and start are as long as said.
    pub(crate) unsafe fn sums(&mut self, words: Words, products: &Products<'_>, sums: &mut Sums) {
        assert!(!products.taps.is_empty() && self.pixels > 0);
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
}
