//! Google's vision transformers: `NumPy`'s `.npz`, a zip of arrays, with the names and layouts of JAX.
//!
//! An array is a line of text, a Python dictionary, and raw numbers. Only plain numbers are read: arrays of objects are
//! pickles, and refused.

use std::io::{BufReader, Read, Seek};
use std::path::Path;

use burn::tensor::DType;
use burn_store::burn_pack::{Bytes, Tensor as Packed};
use regex::Regex;
use zip::ZipArchive;

use super::{WeightsError, convert};

/// What every array begins with, before its version.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest description of an array.
const LONGEST: usize = 1 << 16;
/// Most numbers of an array.
const LARGEST: usize = 1 << 30;

/// Whether a zip archive is one of arrays.
pub(super) fn opens(path: &Path) -> Result<bool, WeightsError> {
    let file = BufReader::new(fs_err::File::open(path)?);
    // A damaged archive is told of by whoever reads it.
    let Ok(archive) = ZipArchive::new(file) else { return Ok(false) };
    let is_array = |index| matches!(archive.name_for_index(index), Some(Ok(name)) if name.ends_with(".npy"));
    Ok(!archive.is_empty() && (0..archive.len()).all(is_array))
}

/// The arrays under their names with points for strokes, in PyTorch's layouts.
pub(super) fn read(path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let format = |problem: String| WeightsError::Format { path: path.to_owned(), problem };
    let broken = |error: zip::result::ZipError| format(format!("not a whole zip archive: {error}"));
    let file = BufReader::new(fs_err::File::open(path)?);
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    let mut tensors = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let (name, array) =
            entry(&mut archive, index).map_err(|(name, problem)| format(format!("`{name}`: {problem}")))?;
        let Array { shape, values } = array.in_pytorch_s_layout(&name);
        let name = name.replace('/', ".");
        tensors.push(Packed::new(name, DType::F32, shape, None, Bytes::from_elems(values)));
    }
    Ok(tensors)
}

/// An array of the archive; an error with its name.
fn entry<R: Read + Seek>(archive: &mut ZipArchive<R>, index: usize) -> Result<(String, Array), (String, String)> {
    let name = match archive.name_for_index(index) {
        Some(Ok(name)) => name.strip_suffix(".npy").unwrap_or(&name).to_owned(),
        _ => return Err((index.to_string(), "an entry without a readable name".to_owned())),
    };
    let array = match archive.by_index(index) {
        Ok(file) => Array::read(file),
        Err(error) => Err(error.to_string()),
    };
    array.map(|array| (name.clone(), array)).map_err(|problem| (name, problem))
}

/// Numbers in row-major order.
#[derive(Debug, PartialEq)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// An `.npy` file.
    fn read(mut file: impl Read) -> Result<Self, String> {
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(|error| error.to_string())?;
        if !start.starts_with(MAGIC) {
            return Err("is no NumPy array".to_owned());
        }
        let mut length = [0; 4];
        let bytes = if start[6] == 1 { 2 } else { 4 };
        file.read_exact(&mut length[..bytes]).map_err(|error| error.to_string())?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(format!("its description has {length} bytes"));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(|error| error.to_string())?;
        let Description { width, read, shape } = Description::parse(&String::from_utf8_lossy(&text))?;
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let count =
            count.filter(|&count| count <= LARGEST).ok_or_else(|| format!("its shape {shape:?} is too large"))?;
        let mut bytes = Vec::new();
        file.take((count * width) as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() != count * width {
            return Err(format!("its numbers are not as many as its shape {shape:?} says"));
        }
        Ok(Self { shape, values: bytes.chunks_exact(width).map(read).collect() })
    }

    /// Kernels of convolutions lie as rows, columns, inputs, outputs; of linear layers as inputs, outputs, either of which may
    /// be split into heads; what belongs to channels may have axes of size 1 before them.
    fn in_pytorch_s_layout(self, name: &str) -> Self {
        let Self { shape, values } = self;
        let (of, kind) = name.rsplit_once('/').unwrap_or(("", name));
        match (kind, shape.as_slice()) {
            ("kernel", &[rows, cols, inputs, outputs]) => {
                // Windows before channels: all of it turned on its side, then each filter.
                let filters = convert::transpose(&values, rows * cols * inputs, outputs);
                let turned = filters.chunks_exact(rows * cols * inputs);
                let values = turned.flat_map(|filter| convert::transpose(filter, rows * cols, inputs)).collect();
                Self { shape: vec![outputs, inputs, rows, cols], values }
            }
            ("kernel", &[first, middle, last]) => {
                let heads_first = of.ends_with("/out");
                let [inputs, outputs] = if heads_first { [first * middle, last] } else { [first, middle * last] };
                Self { shape: vec![outputs, inputs], values: convert::transpose(&values, inputs, outputs) }
            }
            ("kernel", &[inputs, outputs]) => {
                Self { shape: vec![outputs, inputs], values: convert::transpose(&values, inputs, outputs) }
            }
            ("scale" | "bias", _) => Self { shape: vec![values.len()], values },
            _ => Self { shape, values },
        }
    }
}

/// What stands before the numbers.
struct Description {
    /// Bytes of a number.
    width: usize,
    read: fn(&[u8]) -> f32,
    shape: Vec<usize>,
}

impl Description {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (768, 12, 64), }`
    fn parse(text: &str) -> Result<Self, String> {
        let found = |pattern: &str| {
            let pattern = Regex::new(pattern).expect("the pattern is tested");
            pattern.captures(text).map(|found| found[1].to_owned())
        };
        let missing = |what: &str| format!("its description says no {what}: {}", text.trim());
        let kind = found(r"'descr':\s*'([^']*)'").ok_or_else(|| missing("type"))?;
        let (width, read): (usize, fn(&[u8]) -> f32) = match kind.as_str() {
            "<f4" => (4, |bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            "<f8" => (8, |bytes| {
                let mut number = [0; 8];
                number.copy_from_slice(bytes);
                f64::from_le_bytes(number) as f32
            }),
            _ => return Err(format!("holds `{kind}`, floats of 4 or 8 bytes (`<f4`, `<f8`) are needed")),
        };
        match found(r"'fortran_order':\s*(True|False)").ok_or_else(|| missing("order"))?.as_str() {
            "False" => {}
            _ => return Err("lies column by column; `numpy.ascontiguousarray` brings it into rows".to_owned()),
        }
        let sizes = found(r"'shape':\s*\(([0-9, ]*)\)").ok_or_else(|| missing("shape"))?;
        let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape = sizes.map(|size| size.parse().map_err(|_| missing("shape"))).collect::<Result<_, _>>()?;
        Ok(Self { width, read, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::{Array, Description};

    fn array(name: &str, shape: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let values = (0..shape.iter().product::<usize>()).map(|value| value as f32).collect();
        let Array { shape, values } = Array { shape: shape.to_vec(), values }.in_pytorch_s_layout(name);
        (shape, values)
    }

    #[test]
    fn kernels_and_channels_come_into_pytorch_s_layouts() {
        // One row, two columns, two inputs, two outputs.
        let conv = array("conv/kernel", &[1, 2, 2, 2]);
        assert_eq!(conv, (vec![2, 2, 1, 2], vec![0.0, 4.0, 2.0, 6.0, 1.0, 5.0, 3.0, 7.0]));
        let query = array("a/query/kernel", &[2, 1, 3]);
        assert_eq!(query, (vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        let out = array("a/out/kernel", &[1, 2, 3]);
        assert_eq!(out, (vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        assert_eq!(array("gn/scale", &[1, 1, 1, 2]), (vec![2], vec![0.0, 1.0]));
        assert_eq!(array("a/query/bias", &[1, 2]), (vec![2], vec![0.0, 1.0]));
        assert_eq!(array("cls", &[1, 1, 2]).0, [1, 1, 2]);
    }

    #[test]
    fn descriptions_are_read_or_refused() {
        let of = |text: &str| Description::parse(text).map(|found| (found.width, found.shape));
        let line = |kind: &str, order: &str, shape: &str| {
            format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}      \n")
        };
        assert_eq!(of(&line("<f4", "False", "(768, 12, 64)")), Ok((4, vec![768, 12, 64])));
        assert_eq!(of(&line("<f8", "False", "(7,)")), Ok((8, vec![7])));
        assert_eq!(of(&line("<f4", "False", "()")), Ok((4, vec![])));
        for (text, expected) in [
            (line("|O", "False", "(1,)"), "holds `|O`, floats"),
            (line(">f4", "False", "(1,)"), "holds `>f4`, floats"),
            (line("<f4", "True", "(2, 2)"), "lies column by column"),
            (line("<f4", "False", "[2, 2]"), "its description says no shape"),
            ("{}".to_owned(), "its description says no type"),
        ] {
            let error = of(&text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn arrays_that_end_early_are_refused() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
        let file = |numbers: &[u8]| {
            let length = (text.len() as u16).to_le_bytes();
            [b"\x93NUMPY\x01\x00".as_slice(), &length, text.as_bytes(), numbers].concat()
        };
        let numbers = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
        let array = Array { shape: vec![2], values: vec![1.5, -2.0] };
        assert_eq!(Array::read(file(&numbers).as_slice()), Ok(array));
        for wrong in [&numbers[..7], &[numbers.as_slice(), &[0]].concat()] {
            assert!(Array::read(file(wrong).as_slice()).unwrap_err().starts_with("its numbers are not as many"));
        }
        assert_eq!(Array::read(b"PK345678".as_slice()).unwrap_err(), "is no NumPy array");
        assert!(Array::read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff".as_slice()).unwrap_err().contains("bytes"));
    }
}
