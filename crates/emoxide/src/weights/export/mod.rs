//! Weights under other people's names: the key maps of the import, read backwards. There is no second list of names.

mod inverse;

use std::collections::BTreeMap;

use burn::module::Module;
use burn_store::burn_pack::Tensor as Packed;
use burn_store::{ModuleSnapshot, bridge};
use regex::Regex;
use safetensors::{Dtype, tensor::TensorView};

use super::fill::{Places, is_below};
use super::import::key_map;
use super::key_maps::GOOGLE;
use super::keys::{KeyMap, LinearLayout, Renamer};
use super::{WeightsError, convert};
use crate::models::{Network, NetworkConfig};
use inverse::{Inverse, unnumbered};

/// A tensor under a foreign name.
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// The tensors of a network as the bytes of a safetensors file with the names and the layout that the key map `keys`, one of
/// [`KEY_MAPS`](super::KEY_MAPS), reads; `metadata` stands in the file's header. With `part`, such as `clip`, the tensors of that part
/// alone, under the names that they have without it.
///
/// What is written comes back through [`import`](super::import()) with the same key map: every name is checked to be one that the map
/// takes to the network's own, and no two tensors have one name. A key map whose names cannot be told from the network's is refused,
/// and so are those of files that are no PyTorch's.
pub fn export(
    network: &Network,
    config: &NetworkConfig,
    keys: &str,
    part: Option<&str>,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, WeightsError> {
    let map = key_map(keys)?;
    let backwards = Backwards::new(map, config, part)?;
    let mut places = Places::default();
    network.visit(&mut places);
    places.check_part(part, |name| part.is_none_or(|part| is_below(name, part)))?;
    let mut named: BTreeMap<String, Tensor> = BTreeMap::new();
    let wanted = |tensor: &Packed| part.is_none_or(|part| is_below(&tensor.name, part));
    for tensor in network.collect(None, None, true).into_iter().filter(wanted) {
        let (name, shape) = (tensor.name.clone(), tensor.shape.to_vec());
        let refused = |problem| WeightsError::Export { keys: keys.to_owned(), name: name.clone(), problem };
        let values = bridge::into_data(tensor).map_err(|error| refused(error.to_string()))?;
        let values = values.try_into_vec::<f32>().map_err(|error| refused(format!("{error:?}")))?;
        let tensor = Tensor { shape, values };
        let tensor = if places.found.get(&name).is_some_and(|place| place.linear) { tensor.turned() } else { tensor };
        for (key, part) in backwards.tensors(&name, tensor).map_err(&refused)? {
            if named.insert(key.clone(), part).is_some() {
                return Err(refused(format!("would be `{key}`, as another tensor is")));
            }
        }
    }
    let bytes: Vec<Vec<u8>> =
        named.values().map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let broken =
        |error: String| WeightsError::Export { keys: keys.to_owned(), name: "file".to_owned(), problem: error };
    let mut views = Vec::with_capacity(named.len());
    for ((key, tensor), bytes) in named.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        views.push((key, view.map_err(|error| broken(error.to_string()))?));
    }
    let metadata = metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    safetensors::serialize(views, Some(metadata)).map_err(|error| broken(error.to_string()))
}

impl Tensor {
    /// A matrix on its side.
    fn turned(self) -> Self {
        match self.shape[..] {
            [rows, cols] => Self { shape: vec![cols, rows], values: convert::transpose(&self.values, rows, cols) },
            _ => self,
        }
    }
}

/// A key map and a network's spelling, read backwards.
struct Backwards<'a> {
    map: &'a KeyMap,
    /// What stands before the names of the network and not before the file's: `clip.`
    below: String,
    units: Option<&'a [usize]>,
    forwards: Renamer,
    spelling: Vec<Inverse>,
    rename: Vec<Inverse>,
    parts: Vec<Inverse>,
    turned: Vec<Regex>,
}

impl<'a> Backwards<'a> {
    fn new(map: &'a KeyMap, config: &'a NetworkConfig, part: Option<&str>) -> Result<Self, WeightsError> {
        let refused =
            |problem: String| WeightsError::Export { keys: map.name.to_owned(), name: "names".to_owned(), problem };
        if map.linear != LinearLayout::OutputsInputs || map.name == GOOGLE {
            return Err(refused("are those of files that are no PyTorch's, and only PyTorch's are written".to_owned()));
        }
        let inverses = |rules: &[(&str, &str)]| {
            rules.iter().map(|(from, to)| Inverse::new(from, to, &[])).collect::<Result<Vec<_>, _>>()
        };
        let parts = map.joined.as_ref().map(Inverse::of_parts).transpose().map_err(refused)?;
        Ok(Self {
            map,
            below: part.map(|part| format!("{part}.")).unwrap_or_default(),
            units: config.units(),
            forwards: Renamer::new(map, config.units(), config.spelling()),
            spelling: inverses(config.spelling()).map_err(refused)?,
            rename: inverses(map.rename).map_err(refused)?,
            parts: parts.unwrap_or_default(),
            turned: map
                .turned
                .iter()
                .map(|pattern| Regex::new(pattern).expect("the patterns of key maps are tested"))
                .collect(),
        })
    }

    /// The file's tensors that become the network's `name`: one, or the parts that are joined to it.
    fn tensors(&self, name: &str, tensor: Tensor) -> Result<Vec<(String, Tensor)>, String> {
        let key = self.key(name)?;
        let parts: Vec<String> =
            self.parts.iter().filter(|part| part.matches(&key)).map(|part| part.apply(&key)).collect();
        if !parts.is_empty() {
            let (rows, rest) =
                tensor.shape.split_first().filter(|(rows, _)| **rows % parts.len() == 0).ok_or("cannot be divided")?;
            let shape: Vec<usize> = std::iter::once(rows / parts.len()).chain(rest.iter().copied()).collect();
            let values = tensor.values.chunks(tensor.values.len() / parts.len());
            let divided = values.map(|values| Tensor { shape: shape.clone(), values: values.to_vec() });
            return Ok(parts.into_iter().zip(divided).collect());
        }
        let turned = self.turned.iter().any(|pattern| pattern.is_match(&key));
        Ok(vec![(key, if turned { tensor.turned() } else { tensor })])
    }

    /// A name of the file's that the map takes to this one.
    fn key(&self, name: &str) -> Result<String, String> {
        let KeyMap { stages, rename, .. } = self.map;
        // A prefix that the spelling takes away was there only where the file's own stages are counted below it.
        let spelt = self.spelling.iter().rev().fold(name.to_owned(), |name, rule| match (&rule.restores, stages) {
            (Some(text), Some(stages)) if stages.list.starts_with(text.as_str()) => rule.apply(&name),
            (Some(_), _) => name,
            (None, _) => rule.apply(&name),
        });
        let spelt = spelt.strip_prefix(&self.below).unwrap_or(&spelt).to_owned();
        let numbered = stages.as_ref().zip(self.units).and_then(|(stages, units)| unnumbered(stages, units, &spelt));
        // One that a key map takes away is put back where that is all that the map is for, and the head stands beside it.
        let alone = rename.len() == 1 && stages.is_none();
        let key = self.rename.iter().rev().fold(numbered.unwrap_or(spelt), |name, rule| match rule.restores {
            Some(_) if !alone || self.forwards.is_head(&name) => name,
            _ => rule.apply(&name),
        });
        let back = self.forwards.spell(&format!("{}{}", self.below, self.forwards.rename(&key)));
        if back != name {
            return Err(format!("would be `{key}`, which the key map takes for `{back}`"));
        }
        if self.forwards.ignores(&key) {
            return Err(format!("would be `{key}`, which the key map leaves out"));
        }
        Ok(key)
    }
}
