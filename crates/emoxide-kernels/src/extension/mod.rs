//! The operators as Burn backend extensions, with their derivatives.

mod batch_norm;
mod convolution;
mod involution;
mod prelu;

use std::ops::Deref;

use burn::{
    backend::{
        Backend, ExtensionType,
        flex::{FlexTensor, Layout},
        tensor::FloatTensor,
    },
    tensor::{Bytes, DType, Shape},
};

pub(crate) use batch_norm::{Normalisation, Setting};
pub(crate) use convolution::Convolution;
pub(crate) use involution::Involution;
pub(crate) use prelu::ParametricRectifier;

/// An optional tensor: the extension macro does not route `Option`.
#[derive(ExtensionType)]
pub(crate) enum Maybe<B: Backend> {
    Absent,
    Present(FloatTensor<B>),
}

/// A tensor of 32-bit floats whose values lie in a row.
#[derive(Clone, Debug)]
struct Values(FlexTensor);

impl Values {
    fn new(tensor: FlexTensor) -> Self {
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.0.as_slice().expect("made contiguous, and the caller checked the element type")
    }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}
