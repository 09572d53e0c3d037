//! Which instruction set the kernels use.

use std::sync::OnceLock;

/// Environment variable that pins the level, by its name.
pub const LEVEL_VARIABLE: &str = "EMOXIDE_CPU";

/// Instruction set of the kernels, from the slowest to the fastest.
///
/// Results differ between levels in the last bits (order of summation, fused multiply-add), never between runs or
/// thread counts of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Plain Rust that the compiler vectorises for the target's baseline.
    Portable,
    /// AVX2 and FMA, 8 lanes.
    Avx2,
    /// AVX-512F, 16 lanes.
    Avx512,
    /// AVX-512 with dot products of bfloat16 and of bytes (BF16 and VNNI).
    Avx512Bf16,
    /// That and matrix tiles of bfloat16 and of bytes (AMX), which the kernel of the system has to permit.
    Amx,
}

/// Why a requested [`Level`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// The variable holds something else than a level's name.
    #[error(
        "{LEVEL_VARIABLE}={value}: unknown level; use portable, avx2, avx512, avx512-bf16 or amx, or unset the variable"
    )]
    Unknown {
        /// What the variable holds.
        value: String,
    },
    /// The processor lacks the instructions.
    #[error("{LEVEL_VARIABLE}={level}: this processor does not have these instructions; available here: {available}")]
    Unsupported {
        /// The requested level.
        level: &'static str,
        /// Names of the levels that would work.
        available: String,
    },
}

impl Level {
    /// All levels, the slowest first.
    pub const ALL: [Level; 5] = [Level::Portable, Level::Avx2, Level::Avx512, Level::Avx512Bf16, Level::Amx];

    /// The level's name in [`LEVEL_VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Avx512Bf16 => "avx512-bf16",
            Level::Amx => "amx",
        }
    }

    /// Levels that this processor can run, the slowest first.
    pub fn available() -> Vec<Level> {
        Level::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    /// Whether this processor can run the level.
    pub fn is_available(self) -> bool {
        match self {
            Level::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(target_arch = "x86_64")]
            Level::Amx => Level::Avx512Bf16.is_available() && crate::amx::is_permitted(),
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 | Level::Avx512Bf16 | Level::Amx => false,
        }
    }

    /// The level in use: the one that [`LEVEL_VARIABLE`] names, otherwise the fastest available one.
    ///
    /// Read once per process. Call it early to report a wrong variable as an error: [`crate::conv2d`] panics with the
    /// same message.
    pub fn active() -> Result<Level, LevelError> {
        static ACTIVE: OnceLock<Result<Level, LevelError>> = OnceLock::new();
        ACTIVE
            .get_or_init(|| {
                let value = std::env::var_os(LEVEL_VARIABLE);
                Level::choose(value.map(|value| value.to_string_lossy().into_owned()).as_deref())
            })
            .clone()
    }

    /// The level for a value of [`LEVEL_VARIABLE`] (`None`: not set).
    pub fn choose(value: Option<&str>) -> Result<Level, LevelError> {
        let available = Level::available();
        let Some(value) = value else {
            return Ok(available.into_iter().max().unwrap_or(Level::Portable));
        };
        let level = Level::ALL
            .into_iter()
            .find(|level| level.name() == value)
            .ok_or_else(|| LevelError::Unknown { value: value.to_owned() })?;
        if level.is_available() {
            Ok(level)
        } else {
            let available: Vec<_> = available.into_iter().map(Level::name).collect();
            Err(LevelError::Unsupported { level: level.name(), available: available.join(", ") })
        }
    }
}
