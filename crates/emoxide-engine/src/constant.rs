//! Numbers that do not depend on the image.

use burn::tensor::TensorData;

use crate::{CompileError, view::indices};

/// A tensor in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Constant {
    pub(crate) fn new(data: &TensorData, name: &str) -> Result<Self, CompileError> {
        let dtype = data.dtype();
        let values = data.clone().try_into_vec::<f32>();
        let values =
            values.map_err(|_| CompileError::unsupported(name, format!("of {dtype:?}; only 32-bit floats")))?;
        Ok(Self { dims: data.shape().to_vec(), values })
    }

    /// The element there; dimensions of size 1 have the same one everywhere.
    pub(crate) fn at(&self, index: &[usize]) -> f32 {
        let place = |place: usize, (size, at): (&usize, &usize)| place * size + if *size == 1 { 0 } else { *at };
        self.values[self.dims.iter().zip(index).fold(0, place)]
    }

    /// A tensor of this shape whose elements are those at `origin`.
    pub(crate) fn gather(&self, dims: &[usize], origin: impl Fn(&[usize]) -> Vec<usize>) -> Self {
        let values = indices(dims).map(|index| self.at(&origin(&index))).collect();
        Self { dims: dims.to_vec(), values }
    }

    pub(crate) fn permuted(&self, axes: &[usize]) -> Self {
        let dims: Vec<usize> = axes.iter().map(|&axis| self.dims[axis]).collect();
        self.gather(&dims, |index| {
            let mut from = vec![0; index.len()];
            for (&axis, &at) in axes.iter().zip(index) {
                from[axis] = at;
            }
            from
        })
    }

    pub(crate) fn map(mut self, function: impl Fn(f32) -> f32) -> Self {
        for value in &mut self.values {
            *value = function(*value);
        }
        self
    }

    /// Value by value with another one, to this shape.
    pub(crate) fn with(&self, other: &Self, dims: &[usize], function: impl Fn(f32, f32) -> f32) -> Self {
        let values = indices(dims).map(|index| function(self.at(&index), other.at(&index))).collect();
        Self { dims: dims.to_vec(), values }
    }

    /// Its sizes, if they are so many.
    pub(crate) fn dims<const D: usize>(&self, name: &str) -> Result<[usize; D], CompileError> {
        let dims = self.dims.as_slice();
        dims.try_into().map_err(|_| CompileError::unsupported(name, format!("with a weight {dims:?}")))
    }
}
