//! What a file's tensors have to become before they have names of the network: parts are joined, matrices turned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::TensorData;
use burn_store::bridge;
use burn_store::burn_pack::Tensor as Packed;
use regex::Regex;

use super::keys::{Joined, KeyMap};
use super::{WeightsError, convert};

/// The tensors as the key map's other rules expect them.
pub(super) fn arrange(map: &KeyMap, tensors: Vec<Packed>, path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let tensors = match &map.joined {
        Some(joined) => join(joined, tensors, path)?,
        None => tensors,
    };
    if map.turned.is_empty() {
        return Ok(tensors);
    }
    let turned: Vec<Regex> = map.turned.iter().map(|pattern| compile(pattern)).collect();
    let turn = |tensor: Packed| {
        if !turned.iter().any(|pattern| pattern.is_match(&tensor.name)) {
            return Ok(tensor);
        }
        let (name, shape) = (tensor.name.clone(), tensor.shape.to_vec());
        let [rows, cols] = shape[..] else {
            return Err(unfit(path, &name, format!("has the shape {shape:?}, and is no matrix")));
        };
        let values = convert::transpose(&values(path, tensor)?, rows, cols);
        Ok(bridge::from_data(TensorData::new(values, [cols, rows]), name, None))
    };
    tensors.into_iter().map(turn).collect()
}

fn join(joined: &Joined, tensors: Vec<Packed>, path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let pattern = compile(joined.pattern);
    let mut rest = Vec::with_capacity(tensors.len());
    let mut wholes: BTreeMap<String, Vec<Option<Packed>>> = BTreeMap::new();
    for tensor in tensors {
        let place = pattern.captures(&tensor.name).and_then(|found| {
            let part = joined.parts.iter().position(|part| found["part"] == **part)?;
            Some((pattern.replace(&tensor.name, joined.name).into_owned(), part))
        });
        match place {
            Some((name, part)) => {
                let parts = wholes.entry(name).or_insert_with(|| joined.parts.iter().map(|_| None).collect());
                parts[part] = Some(tensor);
            }
            None => rest.push(tensor),
        }
    }
    for (name, parts) in wholes {
        let lacks = || unfit(path, &name, format!("lacks one of its parts {}", joined.parts.join(", ")));
        let parts = parts.into_iter().collect::<Option<Vec<Packed>>>().ok_or_else(lacks)?;
        let shapes: BTreeSet<Vec<usize>> = parts.iter().map(|part| part.shape.to_vec()).collect();
        let mut shape = match shapes.first() {
            Some(shape) if shapes.len() == 1 && !shape.is_empty() => shape.clone(),
            _ => return Err(unfit(path, &name, format!("has parts of the shapes {shapes:?}"))),
        };
        shape[0] *= parts.len();
        let mut joint = Vec::with_capacity(shape.iter().product());
        for part in parts {
            joint.extend(values(path, part)?);
        }
        rest.push(bridge::from_data(TensorData::new(joint, shape), name, None));
    }
    Ok(rest)
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of key maps are tested")
}

/// In single precision.
fn values(path: &Path, tensor: Packed) -> Result<Vec<f32>, WeightsError> {
    let name = tensor.name.clone();
    if !tensor.dtype.is_float() {
        return Err(unfit(path, &name, format!("holds {:?}, floats are needed", tensor.dtype)));
    }
    let data = bridge::into_data(tensor).map_err(|error| unfit(path, &name, error.to_string()))?;
    data.convert::<f32>().try_into_vec().map_err(|error| unfit(path, &name, format!("{error:?}")))
}

fn unfit(path: &Path, name: &str, problem: String) -> WeightsError {
    WeightsError::Tensor { path: path.to_owned(), name: name.to_owned(), problem }
}
