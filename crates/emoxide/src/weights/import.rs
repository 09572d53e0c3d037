//! Weights that other programs wrote.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use burn::tensor::{DType, Device, TensorData, shape};
use burn_store::burn_pack::{Bytes, Tensor as Packed};
use burn_store::pytorch::PytorchReader;
use burn_store::{ApplyError, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot, bridge};
use safetensors::SafeTensors;

use super::keys::{KEY_MAPS, KeyMap, LinearLayout, Renamer};
use super::{WeightsError, pickle};
use crate::models::{Network, NetworkConfig};

/// Where training scripts keep the state dict in a larger dictionary.
const WRAPPERS: &[&str] = &["state_dict", "model_state_dict", "model"];

/// What becomes of the head in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// It is taken like everything else, so its classes must be the network's.
    Keep,
    /// It is left out, and the network's classifier keeps fresh weights: the file gives the backbone only.
    Drop,
}

/// Builds the network of `config` and fills it from a PyTorch file (`.pth`, `.pt`, zip or the older format) or from a
/// safetensors file with PyTorch's names. `keys` names one of [`KEY_MAPS`]; without it, the authors' own names are
/// expected. Tensors of half or double precision become single.
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
    let map = key_map(keys)?;
    let names = Names { path, renamer: Renamer::new(map, config.units()), head_of: config.head(), head };
    let (tensors, sources) = names.apply(read(path)?)?;

    let mut network = config.build(classes, device);
    let layout = Layout { transposed: map.linear == LinearLayout::OutputsInputs };
    let adapter = Box::new(layout.chain(FloatCastAdapter::to(DType::F32)));
    let applied = network.apply(tensors, None, Some(adapter), true);

    let file = || path.to_owned();
    if let Some(key) = applied.unused.first() {
        let first = sources.get(key).unwrap_or(key).clone();
        return Err(WeightsError::Unexpected { path: file(), first, count: applied.unused.len() });
    }
    if let Some(error) = applied.errors.into_iter().next() {
        return Err(refused(path, error, layout));
    }
    let missing: Vec<_> = applied.missing.into_iter().map(|(name, _)| name).filter(|name| !names.drops(name)).collect();
    if let Some(first) = missing.first() {
        return Err(WeightsError::Missing { path: file(), first: first.clone(), count: missing.len() });
    }
    Ok(network.drawn())
}

fn key_map(name: Option<&str>) -> Result<&'static KeyMap, WeightsError> {
    let Some(name) = name else { return Ok(&KEY_MAPS[0]) };
    KEY_MAPS.iter().find(|map| map.name == name).ok_or_else(|| {
        let known: Vec<_> = KEY_MAPS.iter().map(|map| map.name).collect();
        WeightsError::KeyMap { name: name.to_owned(), known: known.join(", ") }
    })
}

fn refused(path: &Path, error: ApplyError, layout: Layout) -> WeightsError {
    let path = path.to_owned();
    match error {
        ApplyError::ShapeMismatch { path: name, expected, found } => {
            let (mut expected, mut found) = (expected.to_vec(), found.to_vec());
            // Two axes are a linear layer's; shown as they stand in the file.
            if layout.transposed && expected.len() == 2 {
                expected.reverse();
                found.reverse();
            }
            WeightsError::Shape { path, name, expected, found }
        }
        ApplyError::DTypeMismatch { path: name, found, .. } => {
            WeightsError::Tensor { path, name, problem: format!("holds {found:?}, floats are needed") }
        }
        ApplyError::AdapterError { path: name, message } | ApplyError::LoadError { path: name, message } => {
            WeightsError::Tensor { path, name, problem: message }
        }
    }
}

/// From the names in the file to the network's.
struct Names<'a> {
    path: &'a Path,
    renamer: Renamer,
    head_of: &'static [&'static str],
    head: Head,
}

impl Names<'_> {
    /// Whether the network's tensor `name` is left to its fresh weights.
    fn drops(&self, name: &str) -> bool {
        self.head == Head::Drop && self.head_of.iter().any(|prefix| name.starts_with(prefix))
    }

    /// The tensors under the network's names, and the file's name of each.
    fn apply(&self, tensors: Vec<Packed>) -> Result<(Vec<Packed>, BTreeMap<String, String>), WeightsError> {
        let parallel = tensors.iter().all(|tensor| tensor.name.starts_with("module."));
        let mut sources = BTreeMap::new();
        let mut renamed = Vec::with_capacity(tensors.len());
        for mut tensor in tensors {
            let key = if parallel { &tensor.name["module.".len()..] } else { &tensor.name };
            if self.renamer.ignores(key) || (self.head == Head::Drop && self.renamer.is_head(key)) {
                continue;
            }
            let name = self.renamer.rename(key);
            if self.drops(&name) {
                continue;
            }
            let second = std::mem::replace(&mut tensor.name, name.clone());
            if let Some(first) = sources.insert(name.clone(), second.clone()) {
                return Err(WeightsError::Twice { path: self.path.to_owned(), name, first, second });
            }
            renamed.push(tensor);
        }
        Ok((renamed, sources))
    }
}

/// All tensors of the file, sorted by name.
fn read(path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let mut start = Vec::new();
    fs_err::File::open(path)?.take(9).read_to_end(&mut start)?;
    // A safetensors file opens with the length of its JSON, which no PyTorch file's first bytes look like.
    let mut tensors = if start.get(8) == Some(&b'{') && !start.starts_with(b"PK") {
        read_safetensors(path)?
    } else {
        pickle::check(path)?;
        read_pytorch(path)?
    };
    if tensors.is_empty() {
        return Err(WeightsError::Format { path: path.to_owned(), problem: "holds no tensors".to_owned() });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

fn read_pytorch(path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let open = || {
        for wrapper in WRAPPERS {
            match PytorchReader::with_top_level_key(path, wrapper) {
                Ok(reader) if !reader.is_empty() => return Ok(reader),
                _ => {}
            }
        }
        PytorchReader::new(path)
    };
    let reader = open().map_err(|error| WeightsError::Format { path: path.to_owned(), problem: error.to_string() })?;
    Ok(reader.into_tensors().into_values().map(bridge::from_pytorch).collect())
}

fn read_safetensors(path: &Path) -> Result<Vec<Packed>, WeightsError> {
    let format = |problem: String| WeightsError::Format { path: path.to_owned(), problem };
    let bytes = fs_err::read(path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format(error.to_string()))?;
    file.iter()
        .map(|(name, view)| {
            let dtype = match view.dtype() {
                safetensors::Dtype::F64 => DType::F64,
                safetensors::Dtype::F32 => DType::F32,
                safetensors::Dtype::F16 => DType::F16,
                safetensors::Dtype::BF16 => DType::BF16,
                safetensors::Dtype::I64 => DType::I64,
                other => return Err(format(format!("`{name}` holds {other:?}, floats are needed"))),
            };
            let bytes = Bytes::from_bytes_vec(view.data().to_vec());
            Ok(Packed::new(name.to_owned(), dtype, view.shape().to_vec(), None, bytes))
        })
        .collect()
}

/// Brings the weights of linear layers into our order, `[inputs, outputs]`, where the file has the other one.
#[derive(Clone, Copy)]
struct Layout {
    transposed: bool,
}

impl ModuleAdapter for Layout {
    fn adapt(&self, tensor: Packed, context: ModuleContext<'_>) -> Packed {
        let linear = context.module_type() == Some("Struct:Linear") && tensor.name.ends_with("weight");
        if !(self.transposed && linear && tensor.shape.len() == 2) {
            return tensor;
        }
        let (name, dtype) = (tensor.name.clone(), tensor.dtype);
        let [rows, cols] = [tensor.shape[0], tensor.shape[1]];
        bridge::map_data(tensor, name, dtype, shape![cols, rows], move |data| transpose(&data, rows, cols))
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(*self)
    }
}

fn transpose(data: &TensorData, rows: usize, cols: usize) -> TensorData {
    let (bytes, size) = (data.as_bytes(), data.dtype().size());
    let mut out = Vec::with_capacity(bytes.len());
    for col in 0..cols {
        for row in 0..rows {
            out.extend_from_slice(&bytes[(row * cols + col) * size..][..size]);
        }
    }
    TensorData::from_bytes_vec(out, [cols, rows], data.dtype())
}
