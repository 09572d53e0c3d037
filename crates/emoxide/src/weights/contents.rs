//! Files of weights by their containers: PyTorch's zip and older format, archives of `TorchScript`, Paddle's pickles,
//! Google's arrays, safetensors, our checkpoints.

use std::io::Read;
use std::path::Path;

use burn::tensor::DType;
use burn_store::bridge;
use burn_store::burn_pack::{Bytes, Tensor as Packed};
use burn_store::pytorch::PytorchReader;
use safetensors::SafeTensors;

use super::checkpoint::{self, Card};
use super::{WeightsError, npz, paddle, pickle, torchscript};

/// Where training scripts keep the state dict in a larger dictionary.
pub(super) const WRAPPERS: &[&str] = &["state_dict", "model_state_dict", "model"];

/// Who wrote a file, which says what its container cannot.
#[derive(Debug)]
pub(super) enum Origin {
    PyTorch,
    Paddle,
    /// Google, with JAX; brought into PyTorch's layouts.
    Google,
    /// Anyone: the format says nothing of names and layouts.
    Safetensors,
    /// This program.
    Own(Box<Card>),
}

/// Everything in a file of weights.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) origin: Origin,
    /// At least one, sorted by name; most are read from the file only when they are asked for.
    pub(super) tensors: Vec<Packed>,
}

/// The version and the level of detail, both 0, of a tensor without a name.
const PADDLE_NAMELESS: &[u8] = &[0; 12];

/// Reads a file of any container that is known.
pub(super) fn read(path: &Path) -> Result<Contents, WeightsError> {
    let format = |problem: &str| WeightsError::Format { path: path.to_owned(), problem: problem.to_owned() };
    let mut start = Vec::new();
    fs_err::File::open(path)?.take(64).read_to_end(&mut start)?;
    // A safetensors file opens with the length of its JSON, which no other file's first bytes look like.
    let (origin, mut tensors) = if start.get(8) == Some(&b'{') && !start.starts_with(b"PK") {
        read_safetensors(path)?
    } else if paddle::opens(&start) {
        (Origin::Paddle, paddle::read(path)?)
    } else if start.starts_with(PADDLE_NAMELESS) {
        return Err(format(
            "tensors without names, as Paddle's `jit.save` and `save_inference_model` write them; in Python, \
             `paddle.save(layer.state_dict(), ...)` writes them with their names",
        ));
    } else if start.starts_with(b"PK") && torchscript::opens(path)? {
        (Origin::PyTorch, torchscript::read(path)?)
    } else if start.starts_with(b"PK") && npz::opens(path)? {
        (Origin::Google, npz::read(path)?)
    } else {
        pickle::check(path)?;
        (Origin::PyTorch, read_pytorch(path)?)
    };
    if tensors.is_empty() {
        return Err(format("holds no tensors"));
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Contents { origin, tensors })
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

fn read_safetensors(path: &Path) -> Result<(Origin, Vec<Packed>), WeightsError> {
    let format = |problem: String| WeightsError::Format { path: path.to_owned(), problem };
    let bytes = fs_err::read(path)?;
    let origin = if checkpoint::is_own(&bytes) {
        Origin::Own(Box::new(checkpoint::read_card(&bytes, &path.display().to_string())?))
    } else {
        Origin::Safetensors
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format(error.to_string()))?;
    let tensors = file.iter().map(|(name, view)| {
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
    });
    Ok((origin, tensors.collect::<Result<_, _>>()?))
}
