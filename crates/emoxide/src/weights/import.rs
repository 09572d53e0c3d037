//! Weights that other programs wrote.

use std::path::Path;

use burn::tensor::Device;

use super::contents::{self, Contents, Origin};
use super::fill::Filling;
use super::key_maps::{GOOGLE, KEY_MAPS, OWN, PADDLE};
use super::keys::{KeyMap, LinearLayout};
use super::start::{self, Start, Started};
use super::{WeightsError, fingerprint};
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
    Ok(import_parts(path, config, classes, keys, head, &[], device)?.0)
}

/// As [`import`], with files for parts of the network that the first file has nothing of: each names its part, fills the
/// whole of it and is used whole. CAFE's own checkpoints, for one, come without CLIP. → the network, and what each of them
/// filled
pub fn import_parts(
    path: &Path,
    config: &NetworkConfig,
    classes: usize,
    keys: Option<&str>,
    head: Head,
    parts: &[Start],
    device: &Device,
) -> Result<(Network, Vec<Started>), WeightsError> {
    config.validate()?;
    keys.map(key_map).transpose()?;
    start::check(parts)?;
    let named = |(index, start): (usize, &Start)| match start.part.clone() {
        Some(part) => Ok(part),
        None => Err(WeightsError::Start { index, problem: "names no `part` of the network".to_owned() }),
    };
    let others: Vec<String> = parts.iter().enumerate().map(named).collect::<Result<_, _>>()?;
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let mut network = config.build(classes, device);
    let mut fill = |path: &Path, keys: Option<&str>, head: Head, part: Option<&str>, others: &[&str]| {
        let contents = foreign(path)?;
        let (map, linear) = naming(keys, &contents.origin)?;
        let spelling = config.spelling();
        let filling = Filling { path, config, map, spelling, linear, file_head: &[], head, part, others, adapt: None };
        filling.fill(&mut network, contents.tensors)
    };
    fill(path, keys, head, None, &others)?;
    let mut filled = Vec::with_capacity(parts.len());
    for (start, part) in parts.iter().zip(&others) {
        let done = fill(&start.file, start.keys.as_deref(), Head::Keep, Some(part), &[])?;
        filled.push(Started {
            file: start.file.display().to_string(),
            sha256: fingerprint(&start.file)?,
            part: start.part.clone(),
            tensors: done.tensors,
            changes: done.changes,
        });
    }
    Ok((network.drawn(), filled))
}

/// What is in a file that is no checkpoint of ours.
fn foreign(path: &Path) -> Result<Contents, WeightsError> {
    let contents = contents::read(path)?;
    if matches!(contents.origin, Origin::Own(_)) {
        let problem = "an emoxide checkpoint already: use it as it is, or start training from it (`network.weights`)";
        return Err(WeightsError::Format { path: path.to_owned(), problem: problem.to_owned() });
    }
    Ok(contents)
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
