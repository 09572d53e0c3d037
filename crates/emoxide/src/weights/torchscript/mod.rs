//! Archives that `torch.jit.save` wrote, of which CLIP's own file is one: beside the code of a module, which is not looked
//! at, they hold its tensors. A pickle says of which module each is an attribute, and those names make up a state dict.
//!
//! Reference: `torch/csrc/jit/serialization` of PyTorch 2.

mod objects;

use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::path::Path;

use burn::tensor::{DType, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::{Error as PackError, Tensor as Packed};
use fs_err::File;
use zip::ZipArchive;
use zip::result::ZipError;

use self::objects::{Own, Tensor, Value};
use super::WeightsError;
use super::machine::{self, Id};
use super::pickle::Refusal;

/// Names in an archive, and bytes of one, at most.
const MOST_NAMES: usize = 1 << 16;
const LONGEST_NAME: usize = 4096;
/// Bytes of the pickle at most: tensors are not in it.
const LARGEST_PICKLE: u64 = 1 << 26;

type Archive = ZipArchive<BufReader<File>>;

/// Whether the file at `path`, a zip, is such an archive.
pub(super) fn opens(path: &Path) -> Result<bool, WeightsError> {
    Ok(find(&open(path)?, "/constants.pkl").is_some())
}

fn open(path: &Path) -> Result<Archive, WeightsError> {
    let file = BufReader::new(File::open(path)?);
    ZipArchive::new(file).map_err(|error| broken(path, &format!("not a whole zip archive: {error}")))
}

/// The first file in the archive whose name ends like this.
fn find(archive: &Archive, ending: &str) -> Option<String> {
    archive.file_names().flatten().find(|name| name.ends_with(ending)).map(Cow::into_owned)
}

fn broken(path: &Path, problem: &str) -> WeightsError {
    WeightsError::Format { path: path.to_owned(), problem: problem.to_owned() }
}

/// All tensors by the names of the modules that hold them; their bytes are read when they are asked for.
pub(super) fn read(path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let mut archive = open(path)?;
    let Some(name) = find(&archive, "/data.pkl") else {
        return Err(broken(path, "a TorchScript archive without `data.pkl`"));
    };
    let root = name.trim_end_matches("data.pkl").to_owned();
    let pickle = entry(&mut archive, &name, LARGEST_PICKLE).map_err(|problem| broken(path, &problem))?;
    if entry(&mut archive, &format!("{root}byteorder"), 64).is_ok_and(|order| order == b"big") {
        return Err(broken(path, "its numbers are in big-endian order; save it again on a little-endian machine"));
    }
    let tensors = named(&pickle).map_err(|refusal| refusal.of(path, "TorchScript"))?;
    let mut packed = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let file = format!("{root}data/{}", tensor.key);
        let bytes = archive.by_name(&file).map_err(|error| broken(path, &format!("`{name}`: {file}: {error}")))?.size();
        if !tensor.fits(bytes) {
            return Err(broken(path, &format!("`{name}` lies outside of {file}, which has {bytes} bytes")));
        }
        let (path, dtype, shape) = (path.to_owned(), tensor.dtype, tensor.shape.clone());
        packed.push(bridge::deferred(name, dtype, shape.into(), None, move || data(&path, &file, &tensor)));
    }
    Ok(packed)
}

/// The bytes of a file in the archive, which may be so many at most.
fn entry(archive: &mut Archive, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let said = |error: ZipError| format!("{name}: {error}");
    let entry = archive.by_name(name).map_err(said)?;
    let size = entry.size();
    if size > most {
        return Err(format!("{name} has {size} bytes, which is more than {most}"));
    }
    let mut bytes = Vec::new();
    entry.take(most).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    Ok(bytes)
}

fn data(path: &Path, file: &str, tensor: &Tensor) -> Result<TensorData, PackError> {
    let mut archive = open(path).map_err(|error| PackError::IoError(error.to_string()))?;
    let stored = entry(&mut archive, file, u64::MAX).map_err(PackError::IoError)?;
    if !tensor.fits(stored.len() as u64) {
        return Err(PackError::ValidationError(format!("{file} has {} bytes now", stored.len())));
    }
    Ok(TensorData::from_bytes_vec(tensor.row_major(&stored), tensor.shape.clone(), tensor.dtype))
}

/// The tensors in a pickle of nested modules.
fn named(pickle: &[u8]) -> Result<Vec<(String, Tensor)>, Refusal> {
    let (values, root): (Vec<Value>, Id) = machine::run(pickle)?;
    let mut tensors = Vec::new();
    let (mut waiting, mut seen): (Vec<(String, Id)>, usize) = (vec![(String::new(), root)], 0);
    if !matches!(values[root as usize], Value::Own(Own::Object(_))) {
        return Err(Refusal::Broken("it holds no module".to_owned()));
    }
    while let Some((prefix, id)) = waiting.pop() {
        let Value::Own(Own::Object(attributes)) = &values[id as usize] else { continue };
        for (key, value) in attributes {
            let Value::Text(key) = &values[*key as usize] else {
                return Err(Refusal::Broken("the name of an attribute is no text".to_owned()));
            };
            let key = str::from_utf8(&pickle[key.clone()]).unwrap_or_default();
            let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            seen += 1;
            if seen > MOST_NAMES || name.len() > LONGEST_NAME {
                return Err(Refusal::Broken("its modules hold more than a network does".to_owned()));
            }
            match &values[*value as usize] {
                Value::Own(Own::Tensor(tensor)) => tensors.push((name, tensor.clone())),
                Value::Own(Own::Object(_)) => waiting.push((name, *value)),
                _ => (),
            }
        }
    }
    Ok(tensors)
}

impl Tensor {
    /// Numbers in it.
    fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |length, axis| length.checked_mul(*axis))
    }

    /// Whether a storage of so many bytes holds all of it, each number once at most.
    fn fits(&self, bytes: u64) -> bool {
        let stored = bytes as usize / self.dtype.size();
        let last = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, (axis, stride)| {
            last.checked_add(axis.saturating_sub(1).checked_mul(*stride)?)
        });
        match self.len() {
            Some(0) => true,
            Some(length) => length <= stored && last.is_some_and(|last| last < stored),
            None => false,
        }
    }

    /// Its bytes, the last axis the fastest, out of those of its storage.
    fn row_major(&self, stored: &[u8]) -> Vec<u8> {
        let (size, length) = (self.dtype.size(), self.len().unwrap_or(0));
        let mut expected = 1;
        let dense = self.shape.iter().zip(&self.strides).rev().all(|(axis, stride)| {
            let fits = *axis == 1 || *stride == expected;
            expected *= axis;
            fits
        });
        if dense {
            return stored[self.offset * size..][..length * size].to_vec();
        }
        let mut out = Vec::with_capacity(length * size);
        let mut place = vec![0; self.shape.len()];
        for _ in 0..length {
            let at: usize = place.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
            out.extend_from_slice(&stored[(self.offset + at) * size..][..size]);
            for (index, axis) in place.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *axis {
                    break;
                }
                *index = 0;
            }
        }
        out
    }
}

/// The numbers of a storage by PyTorch's name for it.
fn dtype(storage: &str) -> Option<DType> {
    Some(match storage {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" | "BoolStorage" => DType::U8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::{Tensor, named};
    use crate::weights::pickle::Refusal;

    fn refusal(pickle: &[u8]) -> String {
        match named(pickle) {
            Ok(tensors) => format!("{} tensors", tensors.len()),
            Err(Refusal::Asks(what) | Refusal::Broken(what)) => what,
            Err(Refusal::Read(error)) => error.to_string(),
        }
    }

    #[test]
    fn what_is_no_module_is_refused_by_name() {
        for (pickle, expected) in [
            (&b"\x80\x02cposix\nsystem\n."[..], "`posix.system`"),
            (b"\x80\x02c__torch__\nA\n)R.", "a call of Class"),
            (b"\x80\x02(ios\nsystem\n.", "0x69"),
            (b"\x80\x04N.", "protocol 2"),
            (b"\x80\x02N.", "no module"),
            (b"\x80\x02X\xff\xff\xff\xff", "ends too early"),
            (b"\x80\x02h\x01.", "never had"),
            (b"\x80\x02c__torch__\nA\n)\x81}X\x01\x00\x00\x00aNsb.", "0 tensors"),
            // A module that is its own attribute.
            (b"\x80\x02c__torch__\nA\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb.", "more than a network does"),
        ] {
            let said = refusal(pickle);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn strides_are_followed_and_stay_inside() {
        let tensor = |offset, shape: &[usize], strides: &[usize]| Tensor {
            dtype: DType::U8,
            key: "0".to_owned(),
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        };
        let stored: Vec<u8> = (0..12).collect();
        assert_eq!(tensor(2, &[2, 3], &[3, 1]).row_major(&stored), [2, 3, 4, 5, 6, 7]);
        assert_eq!(tensor(1, &[3, 2], &[1, 4]).row_major(&stored), [1, 5, 2, 6, 3, 7]);
        assert_eq!(tensor(5, &[], &[]).row_major(&stored), [5]);
        assert!(tensor(6, &[2, 3], &[3, 1]).fits(12) && !tensor(7, &[2, 3], &[3, 1]).fits(12));
        assert!(!tensor(0, &[20, 3], &[0, 1]).fits(12), "an expanded tensor");
        assert!(!tensor(0, &[usize::MAX, 2], &[1, 1]).fits(12) && tensor(99, &[0], &[1]).fits(0));
    }
}
