//! Which processor the networks run on: the one place that knows the backends.

pub use burn::tensor::Device;
use emoxide_kernels::{Level, LevelError};
pub use emoxide_kernels::{TrainingPrecision, keep_freed_memory, with_precision};

/// Why a device could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text names no kind of device.
    #[error(
        "`{0}` is not a device; use cpu, vulkan, wgpu, metal or cuda, with an index as in `vulkan:1` where there are several"
    )]
    Unknown(String),
    /// The number behind the colon is not one.
    #[error("`{0}` has no valid device index; write for instance `cuda:0`")]
    Index(String),
    /// The kind is known but this binary was built without it.
    #[error(
        "this build has no `{kind}` backend; build it with `cargo build --release --features {}`, or use {available}",
        feature(kind)
    )]
    NotBuilt {
        /// Backend asked for.
        kind: String,
        /// Backends that are there, comma separated.
        available: String,
    },
    /// The environment asks the CPU for instructions that cannot be had.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The backend is there but finds no such hardware.
    #[error("no `{0}` device was found on this machine; `--device cpu` runs everywhere")]
    Absent(String),
}

/// The feature that builds the backend of a device's kind.
fn feature(kind: &str) -> &str {
    if kind == "cpu" { "flex" } else { kind }
}

/// Names of the backends in this build, best first.
pub fn available() -> Vec<&'static str> {
    let mut names = Vec::new();
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    if cfg!(feature = "metal") {
        names.push("metal");
    }
    if cfg!(feature = "vulkan") {
        names.push("vulkan");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    if cfg!(feature = "flex") {
        names.push("cpu");
    }
    names
}

/// Opens a device by its name: `cpu`, or a GPU backend of this build with an optional index (`vulkan`, `cuda:1`).
///
/// A device that was asked for and is not there is an error; nothing falls back to the CPU in silence.
pub fn open(name: &str) -> Result<Device, DeviceError> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, Some(index.parse::<usize>().map_err(|_| DeviceError::Index(name.to_owned()))?)),
        None => (name, None),
    };
    if !["cpu", "vulkan", "wgpu", "metal", "cuda"].contains(&kind) {
        return Err(DeviceError::Unknown(name.to_owned()));
    }
    if !available().contains(&kind) {
        return Err(DeviceError::NotBuilt { kind: kind.to_owned(), available: available().join(", ") });
    }
    match kind {
        "cpu" if index.unwrap_or(0) != 0 => Err(DeviceError::Absent(name.to_owned())),
        #[cfg(feature = "flex")]
        "cpu" => {
            // The kernels could only panic over it later.
            Level::active()?;
            Ok(Device::flex())
        }
        #[cfg(any(feature = "vulkan", feature = "wgpu", feature = "metal", feature = "cuda"))]
        _ => gpu(kind, name, index),
        #[cfg(not(any(feature = "vulkan", feature = "wgpu", feature = "metal", feature = "cuda")))]
        _ => Err(DeviceError::Unknown(name.to_owned())),
    }
}

/// Takes the `index`-th device that the backend itself lists, so that an absent one is an error and not a panic.
#[cfg(any(feature = "vulkan", feature = "wgpu", feature = "metal", feature = "cuda"))]
fn gpu(kind: &str, name: &str, index: Option<usize>) -> Result<Device, DeviceError> {
    use burn::tensor::DeviceType;

    let filter = match kind {
        #[cfg(feature = "cuda")]
        "cuda" => DeviceType::Cuda,
        #[cfg(feature = "metal")]
        "metal" => DeviceType::Metal,
        #[cfg(feature = "vulkan")]
        "vulkan" => DeviceType::Vulkan,
        #[cfg(feature = "wgpu")]
        "wgpu" => DeviceType::Wgpu,
        _ => return Err(DeviceError::Unknown(name.to_owned())),
    };
    let devices = Device::enumerate(filter).into_vec();
    devices.into_iter().nth(index.unwrap_or(0)).ok_or_else(|| DeviceError::Absent(name.to_owned()))
}

/// Whether the device is the CPU.
pub fn is_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    let cpu = *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    let cpu = false;
    cpu
}

/// The device used when none is named: the CPU, where results repeat bit for bit.
pub fn default_name() -> &'static str {
    "cpu"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_wrong_ones_refused() {
        assert!(open("cpu").is_ok());
        assert!(open("cpu:0").is_ok());
        assert_eq!(open("cpu:1").unwrap_err(), DeviceError::Absent("cpu:1".into()));
        assert_eq!(open("gpu").unwrap_err(), DeviceError::Unknown("gpu".into()));
        assert_eq!(open("cuda:x").unwrap_err(), DeviceError::Index("cuda:x".into()));
        if !cfg!(feature = "cuda") {
            assert!(open("cuda").unwrap_err().to_string().contains("--features cuda"));
        }
    }
}
