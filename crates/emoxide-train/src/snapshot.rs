//! Exact copies of tensors under names: what a run needs to go on as if it had never stopped.
//!
//! Values travel bit for bit in a safetensors container with one line of JSON beside them. Names are parameter paths,
//! so that a state fits any module of the same architecture, whatever the ids of its parameters.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The only metadata key: safetensors keeps its metadata in no particular order, one key keeps files reproducible.
const NOTE: &str = "emoxide.state";

/// Why a state was not written or not taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Not a safetensors container.
    #[error("the saved state is damaged ({0}); delete the run's folder `state` and start anew")]
    Container(#[from] safetensors::SafeTensorError),
    /// The JSON line beside the tensors is missing or does not fit.
    #[error("the saved state was not written by this version ({0}); start the run anew")]
    Note(String),
    /// A tensor of a type that no state holds.
    #[error("`{name}` is stored as {dtype}, a state holds floats only")]
    Dtype {
        /// Path of the tensor.
        name: String,
        /// The type found.
        dtype: String,
    },
    /// The state lacks a tensor.
    #[error("the saved state lacks `{name}`: it belongs to another network")]
    Missing {
        /// Path of the tensor.
        name: String,
    },
    /// The state holds a tensor that nothing asked for.
    #[error("the saved state holds `{name}`, which belongs to nothing here: it belongs to another network")]
    Unused {
        /// Path of the tensor.
        name: String,
    },
    /// A tensor of another shape.
    #[error("`{name}` is {found:?} in the saved state and {wanted:?} here: it belongs to another network")]
    Shape {
        /// Path of the tensor.
        name: String,
        /// Shape in the state.
        found: Vec<usize>,
        /// Shape here.
        wanted: Vec<usize>,
    },
    /// The state of another optimiser.
    #[error("the saved state is that of `{found}`, the recipe asks for `{wanted}`")]
    Kind {
        /// The optimiser that wrote the state.
        found: String,
        /// The optimiser of the recipe.
        wanted: String,
    },
}

/// Named tensors, in the order of their names.
pub type Tensors = BTreeMap<String, TensorData>;

/// Writes `tensors` and a `note` into one buffer; the same state always gives the same bytes.
pub fn to_bytes(tensors: &Tensors, note: &impl Serialize) -> Result<Vec<u8>, StateError> {
    let note = serde_json::to_string(note).map_err(|error| StateError::Note(error.to_string()))?;
    let views = tensors
        .iter()
        .map(|(name, data)| {
            let dtype = container_dtype(data.dtype())
                .ok_or_else(|| StateError::Dtype { name: name.clone(), dtype: format!("{:?}", data.dtype()) })?;
            Ok((name, TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())?))
        })
        .collect::<Result<Vec<_>, StateError>>()?;
    Ok(safetensors::serialize(views, Some(HashMap::from([(NOTE.to_owned(), note)])))?)
}

/// Reads back what [`to_bytes`] wrote.
pub fn from_bytes<N: DeserializeOwned>(bytes: &[u8]) -> Result<(Tensors, N), StateError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let note = metadata
        .metadata()
        .as_ref()
        .and_then(|map| map.get(NOTE))
        .ok_or_else(|| StateError::Note(format!("no `{NOTE}` in its header")))?;
    let note = serde_json::from_str(note).map_err(|error| StateError::Note(error.to_string()))?;
    let tensors = SafeTensors::deserialize(bytes)?
        .iter()
        .map(|(name, view)| {
            let dtype = tensor_dtype(view.dtype())
                .ok_or_else(|| StateError::Dtype { name: name.to_owned(), dtype: format!("{:?}", view.dtype()) })?;
            Ok((name.to_owned(), TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype)))
        })
        .collect::<Result<Tensors, StateError>>()?;
    Ok((tensors, note))
}

/// Writes `bytes` beside `path` and renames: whoever reads `path` sees the old file or the new one.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut file = fs_err::File::create(&beside)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    drop(file);
    fs_err::rename(&beside, path)?;
    Ok(())
}

/// All float tensors of `module` under their paths, parameters and running statistics alike.
///
/// Running statistics that still wait for their turn (Burn applies each update with the next one) are brought in.
pub fn tensors_of<M: Module>(module: &M) -> Tensors {
    let mut reader = Reader { path: Vec::new(), tensors: Tensors::new() };
    module.valid().visit(&mut reader);
    reader.tensors
}

/// Gives `module` the values of `tensors`; both must hold the same names and shapes.
///
/// Whether a parameter asks for gradients, and its device, stay as they are.
pub fn restore<M: Module>(module: M, tensors: Tensors) -> Result<M, StateError> {
    let mut writer = Writer { path: Vec::new(), tensors, error: None };
    let module = module.map(&mut writer);
    match (writer.error, writer.tensors.into_keys().next()) {
        (Some(error), _) => Err(error),
        (None, Some(name)) => Err(StateError::Unused { name }),
        (None, None) => Ok(module),
    }
}

/// Saves every float tensor of `module` exactly.
pub fn save_module<M: Module>(module: &M, path: &Path) -> Result<(), StateError> {
    write(path, &to_bytes(&tensors_of(module), &())?)
}

/// Gives `module` the values that [`save_module`] wrote.
pub fn load_module<M: Module>(module: M, path: &Path) -> Result<M, StateError> {
    let (tensors, ()) = from_bytes(&fs_err::read(path)?)?;
    restore(module, tensors)
}

fn container_dtype(dtype: DType) -> Option<Dtype> {
    match dtype {
        DType::F64 => Some(Dtype::F64),
        DType::F32 => Some(Dtype::F32),
        DType::F16 => Some(Dtype::F16),
        DType::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}

fn tensor_dtype(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F64 => Some(DType::F64),
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}

struct Reader {
    path: Vec<String>,
    tensors: Tensors,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.insert(self.path.join("."), param.val().into_data());
    }
}

struct Writer {
    path: Vec<String>,
    tensors: Tensors,
    error: Option<StateError>,
}

impl Writer {
    fn take(&mut self, wanted: &[usize]) -> Result<TensorData, StateError> {
        let name = self.path.join(".");
        let Some(data) = self.tensors.remove(&name) else { return Err(StateError::Missing { name }) };
        let found = data.shape().to_vec();
        if found == wanted { Ok(data) } else { Err(StateError::Shape { name, found, wanted: wanted.to_vec() }) }
    }
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let new = match self.take(&old.dims()) {
            Ok(data) => {
                let device = old.device().without_autodiff();
                like(&old, Tensor::from_data(data, (&device, old.dtype())))
            }
            Err(error) => {
                self.error.get_or_insert(error);
                old
            }
        };
        Param::from_mapped_value(id, new, mapper)
    }
}

/// Gives a plain `value` the place of `old` in training: autodiff, its checkpointing strategy, the wish for gradients.
pub(crate) fn like<const D: usize>(old: &Tensor<D>, value: Tensor<D>) -> Tensor<D> {
    let Some(strategy) = old.gradient_checkpointing_strategy() else { return value };
    let value = Tensor::from_inner(value).with_gradient_checkpointing_strategy(strategy);
    if old.is_require_grad() { value.require_grad() } else { value }
}
