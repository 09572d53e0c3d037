//! State dicts that `paddle.save` wrote: `.pdparams`, and `.pdiparams` where somebody gave a state dict that name.
//!
//! Such a file is one pickle of a dictionary of numpy arrays. Linear layers lie `[inputs, outputs]` in it. Beside the
//! tensors stands a table of the names that Paddle uses inside, and in files of protocols 2 and 3 a table of the tensors
//! that were cut into slices of less than a gigabyte. Reference: `paddle.framework.io` of Paddle 2.6 and 3.3.

mod objects;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{DType, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::Tensor as Packed;

use self::values::{Array, Own, Value};
use super::WeightsError;
use super::contents::WRAPPERS;
use super::machine::{self, Data, Id};
use super::pickle::{self, Refusal};

/// Files that are read at most, in bytes: the whole lies in memory.
const LARGEST: u64 = 16 << 30;

/// The table of the names inside Paddle.
const NAMES: &str = "StructuredToParameterName@@";
/// The table of tensors in slices.
const SLICES: &str = "UnpackBigParamInfor@@";

/// Whether a file that starts like this is a bare pickle of protocol 2 or later, as Paddle's are and PyTorch's are not.
pub(super) fn opens(start: &[u8]) -> bool {
    start.first() == Some(&0x80) && !pickle::is_legacy(start)
}

/// All tensors of a state dict, whose bytes are copied when they are asked for.
pub(super) fn read(path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let size = fs_err::metadata(path)?.len();
    if size > LARGEST {
        let problem = format!("has {size} bytes; Paddle files of more than {LARGEST} are not read");
        return Err(WeightsError::Format { path: path.to_owned(), problem });
    }
    let bytes = Arc::new(fs_err::read(path)?);
    let tensors = state_dict(&bytes).map_err(|refusal| refusal.of(path, "Paddle"))?;
    Ok(tensors.into_iter().map(|tensor| tensor.packed(&bytes)).collect())
}

/// A tensor by its name, in one array or in slices of one.
struct Tensor {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    slices: Vec<Array>,
}

impl Tensor {
    fn packed(self, bytes: &Arc<Vec<u8>>) -> Packed {
        let Self { name, dtype, shape, slices } = self;
        let (file, whole) = (Arc::clone(bytes), shape.clone());
        bridge::deferred(name, dtype, shape.into(), None, move || {
            let data = slices.iter().flat_map(|slice| row_major(slice, &file)).collect();
            Ok(TensorData::from_bytes_vec(data, whole.clone(), dtype))
        })
    }
}

/// The bytes of an array, the last axis the fastest.
fn row_major(array: &Array, file: &[u8]) -> Vec<u8> {
    let Array { dtype, shape, fortran, data: Data { range, latin } } = array;
    let stored = &file[range.clone()];
    // The machine has seen that every character is a byte.
    let stored =
        if *latin { String::from_utf8_lossy(stored).chars().map(|char| char as u8).collect() } else { stored.to_vec() };
    if !fortran || shape.len() < 2 {
        return stored;
    }
    let size = dtype.size();
    let mut out = Vec::with_capacity(stored.len());
    let mut place = vec![0; shape.len()];
    while out.len() < stored.len() {
        let at = place.iter().zip(shape).rev().fold(0, |at, (index, length)| at * length + index);
        out.extend_from_slice(&stored[at * size..][..size]);
        for (index, length) in place.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *length {
                break;
            }
            *index = 0;
        }
    }
    out
}

/// The tensors of the pickle in `bytes`.
fn state_dict(bytes: &[u8]) -> Result<Vec<Tensor>, Refusal> {
    let (values, root) = machine::run(bytes)?;
    let pickle = Pickle { bytes, values };
    let items = pickle.dict(root)?;
    let inside = |wrapper: &&str| {
        let state = pickle.dict(*items.get(*wrapper)?).ok()?;
        state.values().any(|id| pickle.array(*id).is_some()).then_some(state)
    };
    let state = WRAPPERS.iter().find_map(inside);
    pickle.tensors(state.unwrap_or(items))
}

/// What the machine made of a file.
struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
}

impl<'a> Pickle<'a> {
    fn broken<T>(problem: String) -> Result<T, Refusal> {
        Err(Refusal::Broken(problem))
    }

    fn get(&self, id: Id) -> &Value {
        &self.values[id as usize]
    }

    fn text(&self, id: Id) -> Result<&'a str, Refusal> {
        let (Value::Text(range) | Value::Bytes(Data { range, latin: false })) = self.get(id) else {
            return Self::broken("a name in it is no text".to_owned());
        };
        let bytes = self.bytes;
        str::from_utf8(&bytes[range.clone()]).or_else(|_| Self::broken("a name in it is no UTF-8".to_owned()))
    }

    /// A dictionary by the text of its keys.
    fn dict(&self, id: Id) -> Result<BTreeMap<&'a str, Id>, Refusal> {
        let Value::Dict(pairs) = self.get(id) else {
            return Self::broken("what should be a dictionary is none".to_owned());
        };
        let mut items = BTreeMap::new();
        for (key, value) in pairs {
            let key = self.text(*key)?;
            if items.insert(key, *value).is_some() {
                return Self::broken(format!("`{key}` stands in it twice"));
            }
        }
        Ok(items)
    }

    /// The array of a tensor, which in a wrapped state dict stands behind its inner name.
    fn array(&self, id: Id) -> Option<&Array> {
        match self.get(id) {
            Value::Own(Own::Array(array)) => Some(array),
            Value::Tuple(items) => match items.as_slice() {
                [name, array] => match (self.get(*name), self.get(*array)) {
                    (Value::Text(_), Value::Own(Own::Array(array))) => Some(array),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    fn tensors(&self, mut items: BTreeMap<&'a str, Id>) -> Result<Vec<Tensor>, Refusal> {
        items.remove(NAMES);
        let mut tensors = Vec::with_capacity(items.len());
        let mut used = BTreeSet::new();
        if let Some(table) = items.remove(SLICES) {
            for (name, entry) in self.dict(table)? {
                let (tensor, parts) = self.sliced(name, entry, &items)?;
                tensors.push(tensor);
                used.extend(parts);
            }
        }
        for (name, id) in items {
            if used.contains(name) {
                continue;
            }
            let Some(array) = self.array(id) else { return Self::broken(format!("`{name}` is no tensor")) };
            let Array { dtype, shape, .. } = array.clone();
            tensors.push(Tensor { name: name.to_owned(), dtype, shape, slices: vec![array.clone()] });
        }
        Ok(tensors)
    }

    /// A tensor that stands in slices, and their names.
    fn sliced(&self, name: &str, entry: Id, items: &BTreeMap<&'a str, Id>) -> Result<(Tensor, Vec<&'a str>), Refusal> {
        let odd = || Refusal::Broken(format!("the slices of `{name}` do not make up a tensor"));
        let entry = self.dict(entry)?;
        let (Some(shape), Some(list)) = (entry.get("OriginShape"), entry.get("slices")) else { return Err(odd()) };
        let (Value::Tuple(shape), Value::List(list)) = (self.get(*shape), self.get(*list)) else { return Err(odd()) };
        let axis = |id: &Id| match self.get(*id) {
            Value::Int(length) => usize::try_from(*length).ok(),
            _ => None,
        };
        let shape: Vec<usize> = shape.iter().map(axis).collect::<Option<_>>().ok_or_else(odd)?;
        let names = list.iter().map(|id| self.text(*id)).collect::<Result<Vec<_>, _>>()?;
        let slice = |name: &&str| self.array(*items.get(*name)?).cloned();
        let slices: Vec<Array> = names.iter().map(slice).collect::<Option<_>>().ok_or_else(odd)?;
        let dtype = slices.first().ok_or_else(odd)?.dtype;
        let values: usize = slices.iter().map(|slice| slice.shape.iter().product::<usize>()).sum();
        let whole = shape.iter().try_fold(1usize, |length, axis| length.checked_mul(*axis));
        if whole != Some(values) || slices.iter().any(|slice| slice.dtype != dtype || slice.shape.len() != 1) {
            return Err(odd());
        }
        Ok((Tensor { name: name.to_owned(), dtype, shape, slices }, names))
    }
}
