//! What Python has for pictures.

use std::io::Read;
use std::path::{Path, PathBuf};

use emoxide::image::{Limits, RgbImage, decode};
use numpy::{PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods};
use pyo3::{Bound, PyAny, PyResult};

/// A picture, or where it is.
pub(crate) enum Picture {
    /// A file.
    File(PathBuf),
    /// What would be in a file.
    Encoded(Vec<u8>),
    /// Its pixels.
    Pixels(RgbImage),
    /// Something that the caller could not read, with the reason.
    Missing(String),
}

impl Picture {
    /// Takes a path, bytes, an array or an exception.
    pub(crate) fn from_python(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(array) = value.cast::<PyUntypedArray>() {
            return pixels(name, array).map(Self::Pixels);
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Encoded(bytes.as_bytes().to_vec()));
        }
        if value.is_instance_of::<PyException>() {
            let reason = value.str()?.to_string();
            let unnamed = reason.strip_prefix(name).and_then(|reason| reason.strip_prefix(": "));
            return Ok(Self::Missing(unnamed.unwrap_or(&reason).to_owned()));
        }
        Ok(Self::File(value.extract()?))
    }

    /// The pixels, or why there are none: the words of the command line.
    pub(crate) fn read(self, limits: &Limits) -> Result<RgbImage, String> {
        let bytes = match self {
            Self::Pixels(image) => return Ok(image),
            Self::Missing(reason) => return Err(reason),
            Self::Encoded(bytes) => bytes,
            Self::File(path) if path.is_dir() => return Err("is a folder".to_owned()),
            Self::File(path) => contents(&path, limits.max_bytes).map_err(|error| error.to_string())?,
        };
        decode(&bytes, limits).map_err(|error| error.to_string())
    }
}

/// The bytes of a file, at most `limit` of them and one more, so that the decoder can refuse one that is too large.
fn contents(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::OpenOptions::new().read(true).open(path)?;
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `[rows, cols, 3]`, or grey values `[rows, cols]` or `[rows, cols, 1]`, wherever they lie in memory.
fn pixels(name: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<RgbImage> {
    let Ok(values) = array.extract::<PyReadonlyArrayDyn<'_, u8>>() else {
        let dtype = array.dtype();
        return Err(PyTypeError::new_err(format!(
            "{name}: an array of {dtype}: pixels are uint8, from 0 to 255; convert it with `.astype(\"uint8\")`, after `* 255` where its \
             values end at 1"
        )));
    };
    let shape = array.shape();
    let (rows, cols, channels) = match *shape {
        [rows, cols] => (rows, cols, 1),
        [rows, cols, channels @ (1 | 3)] => (rows, cols, channels),
        [_, _, 4] => {
            return Err(PyValueError::new_err(format!(
                "{name}: an array of shape {shape:?}: leave out its transparency with `image[..., :3]`"
            )));
        }
        _ => {
            return Err(PyValueError::new_err(format!(
                "{name}: an array of shape {shape:?}: a picture is [height, width, 3], red first, or grey [height, width]"
            )));
        }
    };
    let values = values.as_array();
    let bytes: Vec<u8> = match (channels, values.as_slice()) {
        (3, Some(bytes)) => bytes.to_vec(),
        (3, None) => values.iter().copied().collect(),
        _ => values.iter().flat_map(|&grey| [grey; 3]).collect(),
    };
    let too_large =
        || PyValueError::new_err(format!("{name}: an array of shape {shape:?}: it has no pixels, or too many"));
    let side = |length: usize| u32::try_from(length).ok().filter(|length| *length > 0).ok_or_else(too_large);
    RgbImage::from_raw(side(cols)?, side(rows)?, bytes).ok_or_else(too_large)
}
