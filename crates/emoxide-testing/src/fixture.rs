use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use crate::fixture_path;

/// Tensors that a script in `tools/reference` wrote.
pub struct Fixture {
    topic: String,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Fixture {
    /// Reads `tests/fixtures/<topic>.safetensors` of the calling crate.
    ///
    /// # Panics
    /// If the file is missing, damaged, or holds anything but 32-bit floats.
    pub fn open(topic: &str) -> Self {
        let path = fixture_path(format!("{topic}.safetensors"));
        let bytes = fs_err::read(&path).unwrap_or_else(|error| panic!("fixture: {error}"));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let read = |(name, view): (&str, safetensors::tensor::TensorView)| {
            assert_eq!(view.dtype(), Dtype::F32, "{topic}: type of `{name}`");
            let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            (name.to_owned(), (view.shape().to_vec(), values))
        };
        Self { topic: topic.to_owned(), tensors: file.iter().map(read).collect() }
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names that start with `prefix`, without it, in alphabetical order.
    pub fn names_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.tensors.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    /// The shape of a tensor.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.get(name).0
    }

    /// The values of a tensor in row-major order.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn values(&self, name: &str) -> &[f32] {
        &self.get(name).1
    }

    /// A tensor on a device.
    ///
    /// # Panics
    /// If there is none of this name or it has another number of axes.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = self.get(name);
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    fn get(&self, name: &str) -> &(Vec<usize>, Vec<f32>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor `{name}`", self.topic))
    }
}
