//! Weights that other programs wrote.

use std::path::Path;

use burn::tensor::Device;

use super::WeightsError;
use super::contents::{self, Origin};
use super::fill::Filling;
use super::key_maps::{GOOGLE, KEY_MAPS, OWN, PADDLE};
use super::keys::{KeyMap, LinearLayout};
use crate::models::{Network, NetworkConfig};

/// What becomes of the head in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// It is taken like everything else, so its classes must be the network's.
    Keep,
    /// It is left out, and the network's classifier keeps fresh weights: the file gives the backbone only.
    Drop,
}

/// Builds the network of `config` and fills it from a PyTorch file (`.pth`, `.pt`, zip or the older format), a Paddle file
/// (`.pdparams`, `.pdiparams`), a file of `NumPy` arrays (`.npz`) or a safetensors file. `keys` names one of [`KEY_MAPS`];
/// without it, the authors' own names are expected, Paddle's in a Paddle file and Google's in one of arrays. Tensors of half
/// or double precision become single.
///
/// All of the network is filled and all of the file is used, or the import fails. Exempt are the tensors that the key map
/// ignores and, with [`Head::Drop`], the head on both sides. Nothing in the file is executed.
pub fn import(
    path: &Path,
    config: &NetworkConfig,
    classes: usize,
    keys: Option<&str>,
    head: Head,
    device: &Device,
) -> Result<Network, WeightsError> {
    config.validate()?;
    keys.map(key_map).transpose()?;
    let contents = contents::read(path)?;
    if matches!(contents.origin, Origin::Own(_)) {
        let problem = "an emoxide checkpoint already: use it as it is, or start training from it (`network.weights`)";
        return Err(WeightsError::Format { path: path.to_owned(), problem: problem.to_owned() });
    }
    let (map, linear) = naming(keys, &contents.origin)?;
    let spelling = config.spelling();
    let filling = Filling { path, config, map, spelling, linear, file_head: &[], head, part: None, adapt: None };
    let mut network = config.build(classes, device);
    filling.fill(&mut network, contents.tensors)?;
    Ok(network.drawn())
}

/// The key map of this name.
pub(super) fn key_map(name: &str) -> Result<&'static KeyMap, WeightsError> {
    KEY_MAPS.iter().find(|map| map.name == name).ok_or_else(|| {
        let known: Vec<_> = KEY_MAPS.iter().map(|map| map.name).collect();
        WeightsError::KeyMap { name: name.to_owned(), known: known.join(", ") }
    })
}

/// The key map of a file, and the order of the axes of its linear layers, which the container decides where it can.
pub(super) fn naming(keys: Option<&str>, origin: &Origin) -> Result<(&'static KeyMap, LinearLayout), WeightsError> {
    Ok(match origin {
        Origin::Own(_) => (&OWN, OWN.linear),
        Origin::Paddle => (key_map(keys.unwrap_or(PADDLE))?, LinearLayout::InputsOutputs),
        Origin::Google => {
            let map = key_map(keys.unwrap_or(GOOGLE))?;
            (map, map.linear)
        }
        Origin::PyTorch | Origin::Safetensors => {
            let map = key_map(keys.unwrap_or(KEY_MAPS[0].name))?;
            (map, map.linear)
        }
    })
}
