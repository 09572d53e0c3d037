//! Group norms, which Burn records as arithmetic: `(x - mean) / sqrt(mean((x - mean)²) + epsilon)`.

use burn_ir::TensorIr;
use emoxide_kernels::blocked::{Activation, Binary};

use super::{Known, Lowering};
use crate::{
    CompileError,
    graph::Operation,
    view::{CHANNELS, View},
};

/// A step on the way, of a tensor along one of its dimensions. None is ever computed.
#[derive(Clone)]
pub(super) struct Moments {
    view: View,
    dim: usize,
    step: Step,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Mean,
    /// The distances from the mean.
    Centred,
    Squares,
    /// The mean of the squares plus a number.
    Variance(f32),
    /// Its root.
    Deviation(f32),
}

impl Moments {
    fn at(&self, step: Step) -> Known {
        Known::Moments(Self { step, ..self.clone() })
    }

    pub(super) fn shifted(self, shift: f32, name: &str) -> Result<Self, CompileError> {
        match self.step {
            Step::Variance(epsilon) => Ok(Self { step: Step::Variance(epsilon + shift), ..self }),
            _ => Err(CompileError::unsupported(name, "of a mean of channels and pixels")),
        }
    }
}

impl Lowering {
    /// Whether a mean is one of these steps: that of a dimension with channels and pixels, or that of squares.
    pub(super) fn moment(&mut self, input: &TensorIr, dim: usize, out: &TensorIr) -> Result<bool, CompileError> {
        let known = match self.known(input, "MeanDim")? {
            Known::View(view) => {
                let axes = view.axes(dim);
                if !axes.contains(&CHANNELS) || axes.iter().all(|&axis| axis == CHANNELS) {
                    return Ok(false);
                }
                Known::Moments(Moments { view, dim, step: Step::Mean })
            }
            Known::Moments(moments) if moments.step == Step::Squares && moments.dim == dim => {
                moments.at(Step::Variance(0.0))
            }
            _ => return Ok(false),
        };
        self.known.insert(out.id, known);
        Ok(true)
    }

    /// `x - mean` and `(x - mean)²`.
    pub(super) fn of_moments(
        &mut self,
        left: &Known,
        right: &Moments,
        binary: Binary,
        out: &TensorIr,
        name: &str,
    ) -> Result<(), CompileError> {
        let same = |left: &Moments| left.view == right.view && left.dim == right.dim;
        let known = match (left, right.step, binary) {
            (Known::View(view), Step::Mean, Binary::Sub) if *view == right.view => right.at(Step::Centred),
            (Known::Moments(left), Step::Centred, Binary::Mul) if left.step == Step::Centred && same(left) => {
                right.at(Step::Squares)
            }
            _ => return Err(CompileError::unsupported(name, "of a mean of channels and pixels")),
        };
        self.known.insert(out.id, known);
        Ok(())
    }

    pub(super) fn root(&mut self, input: &TensorIr, out: &TensorIr) -> Result<(), CompileError> {
        const NAME: &str = "Sqrt";
        let known = match self.known(input, NAME)? {
            Known::Constant(constant) => Known::Constant(constant.map(f32::sqrt)),
            Known::Moments(moments) => match moments.step {
                Step::Variance(epsilon) => moments.at(Step::Deviation(epsilon)),
                _ => return Err(CompileError::unsupported(NAME, "of a mean of channels and pixels")),
            },
            _ => return Err(CompileError::unsupported(NAME, "of what depends on the image")),
        };
        self.known.insert(out.id, known);
        Ok(())
    }

    /// `(x - mean) / deviation`
    pub(super) fn group_norm(&mut self, left: &Moments, right: &Moments, out: &TensorIr) -> Result<(), CompileError> {
        const NAME: &str = "Div";
        let (Step::Centred, Step::Deviation(epsilon)) = (left.step, right.step) else {
            return Err(CompileError::unsupported(NAME, "of a mean of channels and pixels"));
        };
        let view = self.whole(&left.view);
        let size = self.sizes[view.value];
        let [channels, rows, cols] = size;
        // As a tensor with the groups, their channels and the pixels.
        let groups: usize = (0..view.dims.len()).filter(|&dim| dim != left.dim).map(|dim| view.shape()[dim]).product();
        let expected =
            View::canonical(view.value, &[groups, channels / groups, rows, cols], &[vec![0, 1], vec![2], vec![3]]);
        let fits = [&left.view, &right.view].iter().all(|of| **of == left.view)
            && left.dim == right.dim
            && view.dims[left.dim] == expected.dims[1..].concat()
            && view.walks_beside(left.dim) == expected.dims[0];
        if !fits {
            return Err(CompileError::unsupported(NAME, "as a norm of anything but groups of channels"));
        }
        let operation = Operation::GroupNorm { groups, epsilon, affine: None, activation: Activation::Linear };
        let value = self.node(operation, view.value, Vec::new(), size);
        self.define(out, View { value, ..view });
        Ok(())
    }
}
