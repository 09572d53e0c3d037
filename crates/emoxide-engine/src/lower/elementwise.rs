//! Operations that know no neighbours.

use burn_ir::{BinaryOpIr, HardSigmoidOpIr, MaskWhereOpIr, ScalarOpIr, TensorIr};
use emoxide_kernels::blocked::{Activation, Binary};

use super::{Known, Lowering, shape::number};
use crate::{
    CompileError,
    constant::Constant,
    graph::{Affine, Operation, Value},
    view::{CHANNELS, View, for_each_index},
};

impl Lowering {
    pub(super) fn unary(
        &mut self,
        input: &TensorIr,
        out: &TensorIr,
        activation: Activation,
        name: &str,
    ) -> Result<(), CompileError> {
        let view = self.view(input, name)?;
        self.combine(&view, out, None, activation);
        Ok(())
    }

    pub(super) fn prelu(&mut self, op: &BinaryOpIr) -> Result<(), CompileError> {
        const NAME: &str = "PRelu";
        let view = self.view(&op.lhs, NAME)?;
        let view = self.whole(&view);
        let slopes = self.per_channel(&self.constant(&op.rhs, NAME)?, &view);
        let slopes = slopes.ok_or_else(|| CompileError::unsupported(NAME, "with slopes of anything but channels"))?;
        self.combine(&view, &op.out, None, Activation::PRelu(slopes));
        Ok(())
    }

    pub(super) fn leaky_relu(&mut self, op: &ScalarOpIr) -> Result<(), CompileError> {
        let view = self.view(&op.lhs, "LeakyRelu")?;
        let view = self.whole(&view);
        let [channels, ..] = self.sizes[view.value];
        self.combine(&view, &op.out, None, Activation::PRelu(vec![op.rhs.elem(); channels]));
        Ok(())
    }

    pub(super) fn hard_sigmoid(&mut self, op: &HardSigmoidOpIr) -> Result<(), CompileError> {
        let view = self.view(&op.tensor, "HardSigmoid")?;
        let view = self.whole(&view);
        let [channels, ..] = self.sizes[view.value];
        let affine = Affine { scale: vec![op.alpha.elem(); channels], shift: vec![op.beta.elem(); channels] };
        self.combine(&view, &op.out, Some(affine), Activation::Clamp(0.0, 1.0));
        Ok(())
    }

    pub(super) fn clamp(
        &mut self,
        input: &TensorIr,
        out: &TensorIr,
        [lowest, highest]: [f32; 2],
        name: &str,
    ) -> Result<(), CompileError> {
        self.unary(input, out, Activation::Clamp(lowest, highest), name)
    }

    /// The square or the cube.
    pub(super) fn power(
        &mut self,
        input: &TensorIr,
        exponent: f32,
        out: &TensorIr,
        name: &str,
    ) -> Result<(), CompileError> {
        let Some(times) = [2.0f32, 3.0].iter().position(|known| known.to_bits() == exponent.to_bits()) else {
            return Err(CompileError::unsupported(name, format!("of {exponent}; only squares and cubes")));
        };
        let view = self.view(input, name)?;
        let view = self.whole(&view);
        let size = self.sizes[view.value];
        let product = (0..=times).fold(view.value, |product, _| {
            self.node(Operation::Elementwise(Binary::Mul), product, vec![view.value], size)
        });
        self.define(out, View { value: product, ..view });
        Ok(())
    }

    /// `scale * x + shift` with one number each.
    pub(super) fn affine(
        &mut self,
        input: &TensorIr,
        out: &TensorIr,
        [scale, shift]: [f32; 2],
        name: &str,
    ) -> Result<(), CompileError> {
        let known = match self.known(input, name)? {
            Known::Constant(constant) => Known::Constant(constant.map(|value| scale * value + shift)),
            Known::Scores(scores) if shift == 0.0 => Known::Scores(scores.scaled(scale, name)?),
            Known::Moments(moments) if scale.to_bits() == 1.0f32.to_bits() => {
                Known::Moments(moments.shifted(shift, name)?)
            }
            _ => {
                let view = self.view(input, name)?;
                let view = self.whole(&view);
                let [channels, ..] = self.sizes[view.value];
                let affine = Affine { scale: vec![scale; channels], shift: vec![shift; channels] };
                self.combine(&view, out, Some(affine), Activation::Linear);
                return Ok(());
            }
        };
        self.known.insert(out.id, known);
        Ok(())
    }

    pub(super) fn binary(&mut self, op: &BinaryOpIr, binary: Binary, name: &str) -> Result<(), CompileError> {
        let BinaryOpIr { lhs, rhs, out } = op;
        match (self.known(lhs, name)?, self.known(rhs, name)?) {
            (left, Known::Moments(right)) => self.of_moments(&left, &right, binary, out, name),
            (Known::Constant(left), Known::Constant(right)) => {
                let dims = out.shape.to_vec();
                let result = left.with(&right, &dims, |a, b| match binary {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Max => a.max(b),
                });
                self.known.insert(out.id, Known::Constant(result));
                Ok(())
            }
            (Known::Constant(constant), _) => {
                let view = self.view(rhs, name)?;
                match binary {
                    Binary::Sub => self.with_constant(&view, &constant, [-1.0, 1.0], binary, out, name),
                    _ => self.with_constant(&view, &constant, [1.0, 1.0], binary, out, name),
                }
            }
            (_, Known::Constant(constant)) => {
                let view = self.view(lhs, name)?;
                match binary {
                    Binary::Sub => self.with_constant(&view, &constant, [1.0, -1.0], binary, out, name),
                    _ => self.with_constant(&view, &constant, [1.0, 1.0], binary, out, name),
                }
            }
            _ => {
                let [left, right] = [self.view(lhs, name)?, self.view(rhs, name)?];
                self.of_two(&left, &right, binary, out, name)
            }
        }
    }

    /// By a constant.
    pub(super) fn quotient(&mut self, op: &BinaryOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Div";
        let divisor = match (self.known(&op.lhs, NAME)?, self.known(&op.rhs, NAME)?) {
            (_, Known::Constant(divisor)) => divisor,
            (Known::Moments(left), Known::Moments(right)) => return self.group_norm(&left, &right, &op.out),
            _ => return Err(CompileError::unsupported(NAME, "by what depends on the image")),
        };
        let divisor = divisor.map(|value| 1.0 / value);
        if let Known::Constant(constant) = self.known(&op.lhs, NAME)? {
            let quotient = constant.with(&divisor, &op.out.shape.to_vec(), |a, b| a * b);
            self.known.insert(op.out.id, Known::Constant(quotient));
            return Ok(());
        }
        let view = self.view(&op.lhs, NAME)?;
        self.with_constant(&view, &divisor, [1.0, 1.0], Binary::Mul, &op.out, NAME)
    }

    /// The larger of two tensors, as Burn records it: the second one where the first one is smaller.
    pub(super) fn largest(&mut self, op: &MaskWhereOpIr) -> Result<(), CompileError> {
        const NAME: &str = "MaskWhere";
        let [left, right] = [self.view(&op.tensor, NAME)?, self.view(&op.value, NAME)?];
        match self.known(&op.mask, NAME)? {
            Known::Lower(smaller, larger) if (&smaller, &larger) == (&left, &right) => {
                self.of_two(&left, &right, Binary::Max, &op.out, NAME)
            }
            _ => Err(CompileError::unsupported(NAME, "that is not the maximum of two tensors")),
        }
    }

    /// `signs[0] * view` and `signs[1] * constant`, added or multiplied.
    fn with_constant(
        &mut self,
        view: &View,
        constant: &Constant,
        signs: [f32; 2],
        binary: Binary,
        out: &TensorIr,
        name: &str,
    ) -> Result<(), CompileError> {
        if view.shape() != out.shape.to_vec() {
            return Err(CompileError::unsupported(name, format!("of {:?} and {:?}", view.shape(), constant.dims)));
        }
        let view = self.whole(view);
        let size = self.sizes[view.value];
        let [channels, ..] = size;
        let constant = constant.clone().map(|value| value * signs[1]);
        let scaled = |scale: f32| Affine { scale: vec![scale; channels], shift: vec![0.0; channels] };
        match (self.per_channel(&constant, &view), binary) {
            (Some(scale), Binary::Mul) => {
                self.combine(&view, out, Some(Affine { scale, ..scaled(1.0) }), Activation::Linear);
            }
            (Some(shift), _) => {
                self.combine(&view, out, Some(Affine { shift, ..scaled(signs[0]) }), Activation::Linear);
            }
            (None, Binary::Mul) => {
                let factors = self.fix(self.spread(&constant, &view), size);
                let value = self.node(Operation::Elementwise(Binary::Mul), view.value, vec![factors], size);
                self.define(out, View { value, ..view });
            }
            (None, _) => {
                let summands = self.fix(self.spread(&constant, &view), size);
                let affine = Some(scaled(signs[0])).filter(|_| signs[0] < 0.0);
                self.combine(&view, out, affine, Activation::Linear);
                self.nodes.last_mut().expect("added just before").carried = Some(summands);
            }
        }
        Ok(())
    }

    fn of_two(
        &mut self,
        left: &View,
        right: &View,
        binary: Binary,
        out: &TensorIr,
        name: &str,
    ) -> Result<(), CompileError> {
        let shape = out.shape.to_vec();
        let (view, other) = if left.shape() == shape {
            (self.whole(left), right)
        } else if right.shape() == shape && binary != Binary::Sub {
            (self.whole(right), left)
        } else {
            return Err(CompileError::unsupported(name, format!("of {:?} and {:?}", left.shape(), right.shape())));
        };
        let other = self.meeting(other, &view);
        let value = self.pair(view.value, other, binary);
        self.define(out, View { value, ..view });
        Ok(())
    }

    fn pair(&mut self, left: Value, right: Value, binary: Binary) -> Value {
        let size = self.sizes[left];
        if binary == Binary::Add && self.sizes[right] == size {
            let operation = Operation::Combine { affine: None, activation: Activation::Linear };
            let value = self.node(operation, left, Vec::new(), size);
            self.nodes.last_mut().expect("added just before").carried = Some(right);
            return value;
        }
        self.node(Operation::Elementwise(binary), left, vec![right], size)
    }

    pub(super) fn combine(&mut self, view: &View, out: &TensorIr, affine: Option<Affine>, activation: Activation) {
        let view = self.whole(view);
        let operation = Operation::Combine { affine, activation };
        let value = self.node(operation, view.value, Vec::new(), self.sizes[view.value]);
        self.define(out, View { value, ..view });
    }

    /// A constant for every number of a view that is all of a value, channel by channel.
    fn spread(&self, constant: &Constant, view: &View) -> Vec<f32> {
        let size = self.sizes[view.value];
        let mut values = vec![0.0; size.iter().product()];
        for_each_index(&view.shape(), |index| values[number(view.position(index), size)] = constant.at(index));
        values
    }

    /// A constant for every channel of such a view, if it is the same for all pixels.
    fn per_channel(&self, constant: &Constant, view: &View) -> Option<Vec<f32>> {
        let [channels, ..] = self.sizes[view.value];
        let of_channels = |dim: usize| view.axes(dim).iter().all(|&axis| axis == CHANNELS);
        if constant.values.len() == 1 {
            return Some(vec![constant.values[0]; channels]);
        }
        let of_pixels = |dim: usize| !view.axes(dim).contains(&CHANNELS);
        if !(0..view.dims.len()).all(|dim| of_channels(dim) || (of_pixels(dim) && constant.dims[dim] == 1)) {
            return None;
        }
        let shape: Vec<usize> =
            view.shape().iter().enumerate().map(|(dim, &size)| if of_channels(dim) { size } else { 1 }).collect();
        let mut values = vec![0.0; channels];
        for_each_index(&shape, |index| values[view.position(index)[CHANNELS]] = constant.at(index));
        Some(values)
    }
}
