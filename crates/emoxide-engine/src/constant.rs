//! Numbers that do not depend on the image.

use burn::tensor::TensorData;

use crate::{CompileError, view::for_each_index};

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

    /// A tensor of this shape whose elements are those at the places that `origin` writes.
    pub(crate) fn gather(&self, dims: &[usize], origin: impl Fn(&[usize], &mut [usize])) -> Self {
        let mut values = Vec::with_capacity(dims.iter().product());
        let mut from = vec![0; self.dims.len()];
        for_each_index(dims, |index| {
            origin(index, &mut from);
            values.push(self.at(&from));
        });
        Self { dims: dims.to_vec(), values }
    }

    pub(crate) fn permuted(&self, axes: &[usize]) -> Self {
        let dims: Vec<usize> = axes.iter().map(|&axis| self.dims[axis]).collect();
        let stride = |axis: usize| self.dims[axis + 1..].iter().product::<usize>();
        let strides: Vec<usize> = axes.iter().map(|&axis| stride(axis)).collect();
        let (Some((&last, rest)), Some((&step, strides))) = (dims.split_last(), strides.split_last()) else {
            return self.clone();
        };
        let mut values = Vec::with_capacity(self.values.len());
        for_each_index(rest, |index| {
            let first: usize = index.iter().zip(strides).map(|(at, stride)| at * stride).sum();
            values.extend((0..last).map(|at| self.values[first + at * step]));
        });
        Self { dims, values }
    }

    /// Of a matrix `[inputs, outputs]` the rows of its transpose, the inputs at the places `at`.
    pub(crate) fn turned(&self, outputs: usize, at: &[usize]) -> Vec<f32> {
        /// Outputs at a time, so that what is read and what is written follows each other.
        const TOGETHER: usize = 16;
        let mut turned = vec![0.0; self.values.len()];
        for (index, rows) in turned.chunks_mut(TOGETHER * at.len()).enumerate() {
            for (input, &at_input) in at.iter().enumerate() {
                let values = &self.values[input * outputs + index * TOGETHER..];
                for (row, value) in rows.chunks_mut(at.len()).zip(values) {
                    row[at_input] = *value;
                }
            }
        }
        turned
    }

    /// All elements of a dimension as one.
    pub(crate) fn reduced(&self, dim: usize, function: impl Fn(f32, f32) -> f32) -> Self {
        let mut dims = self.dims.clone();
        let size = std::mem::replace(&mut dims[dim], 1);
        let mut values = Vec::new();
        for_each_index(&dims, |index| {
            let mut index = index.to_vec();
            let first = self.at(&index);
            let rest = (1..size).map(|at| {
                index[dim] = at;
                self.at(&index)
            });
            values.push(rest.fold(first, &function));
        });
        Self { dims, values }
    }

    pub(crate) fn map(mut self, function: impl Fn(f32) -> f32) -> Self {
        for value in &mut self.values {
            *value = function(*value);
        }
        self
    }

    /// Value by value with another one, to this shape.
    pub(crate) fn with(&self, other: &Self, dims: &[usize], function: impl Fn(f32, f32) -> f32) -> Self {
        let mut values = Vec::new();
        for_each_index(dims, |index| values.push(function(self.at(index), other.at(index))));
        Self { dims: dims.to_vec(), values }
    }

    /// Its sizes, if they are so many.
    pub(crate) fn dims<const D: usize>(&self, name: &str) -> Result<[usize; D], CompileError> {
        let dims = self.dims.as_slice();
        dims.try_into().map_err(|_| CompileError::unsupported(name, format!("with a weight {dims:?}")))
    }
}
