//! Operations that know no neighbours.

use burn_ir::{BinaryOpIr, HardSigmoidOpIr, ScalarIr, ScalarOpIr, TensorIr, UnaryOpIr};

use super::{Lowering, Size};
use crate::ExportError;
use crate::onnx::builder::float;

impl Lowering<'_> {
    pub(super) fn unary(&mut self, kind: &'static str, op: &UnaryOpIr) -> Result<(), ExportError> {
        self.simple(kind, &[&op.input], Vec::new(), &op.out)
    }

    pub(super) fn binary(&mut self, kind: &'static str, op: &BinaryOpIr) -> Result<(), ExportError> {
        self.simple(kind, &[&op.lhs, &op.rhs], Vec::new(), &op.out)
    }

    pub(super) fn with_number(&mut self, kind: &'static str, op: &ScalarOpIr) -> Result<(), ExportError> {
        let (input, number) = (self.name(&op.lhs)?, self.builder.number(op.rhs.elem())?);
        let name = self.builder.node(kind, &[&input, &number], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }

    pub(super) fn clip(
        &mut self,
        input: &TensorIr,
        lowest: Option<ScalarIr>,
        highest: Option<ScalarIr>,
        out: &TensorIr,
    ) -> Result<(), ExportError> {
        let input = self.name(input)?;
        let mut bound = |value: Option<ScalarIr>| match value {
            Some(value) => self.builder.number(value.elem()),
            // An operand without a name is absent.
            None => Ok(String::new()),
        };
        let (lowest, highest) = (bound(lowest)?, bound(highest)?);
        let mut inputs = vec![input.as_str(), &lowest];
        if !highest.is_empty() {
            inputs.push(&highest);
        }
        let name = self.builder.node("Clip", &inputs, Vec::new());
        self.define(out, name);
        Ok(())
    }

    /// `x / 2 · (1 + erf(x / √2))`: ONNX has an operator for it from version 20 on only.
    pub(super) fn gelu(&mut self, op: &UnaryOpIr) -> Result<(), ExportError> {
        let input = self.name(&op.input)?;
        let [root, one, half] =
            [self.builder.number(2.0f64.sqrt())?, self.builder.number(1.0)?, self.builder.number(0.5)?];
        let scaled = self.builder.node("Div", &[&input, &root], Vec::new());
        let error = self.builder.node("Erf", &[&scaled], Vec::new());
        let share = self.builder.node("Add", &[&error, &one], Vec::new());
        let product = self.builder.node("Mul", &[&input, &share], Vec::new());
        let name = self.builder.node("Mul", &[&product, &half], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }

    /// The slopes of channels lie along the second axis.
    pub(super) fn prelu(&mut self, op: &BinaryOpIr) -> Result<(), ExportError> {
        let (input, slopes) = (self.name(&op.lhs)?, self.name(&op.rhs)?);
        let (rank, shape) = (op.lhs.shape.num_dims(), self.shape(&op.rhs));
        let slopes = match shape[..] {
            [slopes_of @ Size::Fixed(count)] if count > 1 && rank > 2 => {
                let mut to = vec![slopes_of];
                to.resize(rank - 1, Size::Fixed(1));
                self.reshaped(&slopes, &to)
            }
            _ => slopes,
        };
        let name = self.builder.node("PRelu", &[&input, &slopes], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }

    pub(super) fn leaky_relu(&mut self, op: &ScalarOpIr) -> Result<(), ExportError> {
        self.simple("LeakyRelu", &[&op.lhs], vec![float("alpha", op.rhs.elem())], &op.out)
    }

    pub(super) fn hard_sigmoid(&mut self, op: &HardSigmoidOpIr) -> Result<(), ExportError> {
        let settings = vec![float("alpha", op.alpha.elem()), float("beta", op.beta.elem())];
        self.simple("HardSigmoid", &[&op.tensor], settings, &op.out)
    }
}
