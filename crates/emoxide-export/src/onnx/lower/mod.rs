//! From what was recorded to ONNX's operators.

mod convolution;
mod elementwise;
mod involution;
mod shape;
mod tokens;

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{TensorData, TensorId};
use burn_ir::{
    ActivationOperationIr, BaseOperationIr, FloatOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr,
    TensorIr,
};

use super::INPUT;
use super::builder::Builder;
use super::form::name;
use super::record::{Recording, Size};
use crate::ExportError;

/// Adds a recording to a graph whose input is there already, under this name; the name of the logits.
pub(super) fn lower(recording: Recording, input: &str, builder: &mut Builder) -> Result<String, ExportError> {
    let Recording { operations, input: images, output, values, names, shapes, .. } = recording;
    let known = HashMap::from([(images, input.to_owned())]);
    let mut lowering = Lowering { builder, known, values, names, shapes, batch: None };
    for operation in &operations {
        lowering.operation(operation)?;
    }
    let logits = lowering.known.remove(&output);
    logits.ok_or_else(|| ExportError::unsupported("output", "that does not depend on the image"))
}

struct Lowering<'a> {
    builder: &'a mut Builder,
    /// Names of the tensors that are in the graph.
    known: HashMap<TensorId, String>,
    /// Constants that are not, yet.
    values: BTreeMap<TensorId, TensorData>,
    /// Names of parameters.
    names: HashMap<TensorId, String>,
    shapes: HashMap<TensorId, Vec<Size>>,
    /// The number of images as a list of one, once something asked for it.
    batch: Option<String>,
}

impl Lowering<'_> {
    fn operation(&mut self, operations: &[OperationIr; 3]) -> Result<(), ExportError> {
        match &operations[0] {
            OperationIr::Module(operation) => self.module(operation),
            OperationIr::Activation(operation) => self.activation(operation),
            OperationIr::NumericFloat(_, operation) => self.numeric(operation),
            OperationIr::Float(_, operation) => self.float(operation),
            OperationIr::BaseFloat(operation) => self.base(operation, operations),
            OperationIr::Custom(operation) => self.custom(operation),
            other => Err(ExportError::unsupported(&name(other), "")),
        }
    }

    fn module(&mut self, operation: &ModuleOperationIr) -> Result<(), ExportError> {
        match operation {
            ModuleOperationIr::Conv2d(op) => self.convolution(op),
            ModuleOperationIr::BatchNorm(op) => self.batch_norm(op),
            ModuleOperationIr::MaxPool2d(op) => self.max_pool(op),
            ModuleOperationIr::AvgPool2d(op) => self.avg_pool(op),
            ModuleOperationIr::AdaptiveAvgPool2d(op) => self.adaptive_avg_pool(op),
            ModuleOperationIr::LayerNorm(op) => self.layer_norm(op),
            ModuleOperationIr::Attention(op) => self.attention(op),
            ModuleOperationIr::Linear(op) => self.linear(op),
            other => Err(ExportError::unsupported(&name(&OperationIr::Module(other.clone())), "")),
        }
    }

    fn activation(&mut self, operation: &ActivationOperationIr) -> Result<(), ExportError> {
        match operation {
            ActivationOperationIr::Relu(op) => self.unary("Relu", op),
            ActivationOperationIr::Sigmoid(op) => self.unary("Sigmoid", op),
            ActivationOperationIr::Gelu(op) => self.gelu(op),
            ActivationOperationIr::PRelu(op) => self.prelu(op),
            ActivationOperationIr::LeakyRelu(op) => self.leaky_relu(op),
            ActivationOperationIr::HardSigmoid(op) => self.hard_sigmoid(op),
            ActivationOperationIr::Softmax(op) => self.softmax(op),
            other => Err(ExportError::unsupported(&name(&OperationIr::Activation(other.clone())), "")),
        }
    }

    fn numeric(&mut self, operation: &NumericOperationIr) -> Result<(), ExportError> {
        use NumericOperationIr as Op;
        match operation {
            Op::Add(op) => self.binary("Add", op),
            Op::Sub(op) => self.binary("Sub", op),
            Op::Mul(op) => self.binary("Mul", op),
            Op::Div(op) => self.binary("Div", op),
            Op::AddScalar(op) => self.with_number("Add", op),
            Op::SubScalar(op) => self.with_number("Sub", op),
            Op::MulScalar(op) => self.with_number("Mul", op),
            Op::DivScalar(op) => self.with_number("Div", op),
            Op::PowiScalar(op) => self.with_number("Pow", op),
            Op::Neg(op) => self.unary("Neg", op),
            Op::Abs(op) => self.unary("Abs", op),
            Op::Clamp(op) => self.clip(&op.tensor, Some(op.min), Some(op.max), &op.out),
            Op::ClampMin(op) => self.clip(&op.lhs, Some(op.rhs), None, &op.out),
            Op::ClampMax(op) => self.clip(&op.lhs, None, Some(op.rhs), &op.out),
            Op::MeanDim(op) => self.reduce("ReduceMean", op),
            Op::SumDim(op) => self.reduce("ReduceSum", op),
            Op::MaxDim(op) => self.reduce("ReduceMax", op),
            Op::Lower(op) => self.binary("Less", op),
            Op::Full(op) => self.fill(&op.out, op.value.elem()),
            other => {
                let operation = OperationIr::NumericFloat(burn::tensor::DType::F32, other.clone());
                Err(ExportError::unsupported(&name(&operation), ""))
            }
        }
    }

    fn float(&mut self, operation: &FloatOperationIr) -> Result<(), ExportError> {
        match operation {
            FloatOperationIr::Matmul(op) => self.simple("MatMul", &[&op.lhs, &op.rhs], Vec::new(), &op.out),
            FloatOperationIr::Sqrt(op) => self.unary("Sqrt", op),
            FloatOperationIr::Exp(op) => self.unary("Exp", op),
            FloatOperationIr::Log(op) => self.unary("Log", op),
            FloatOperationIr::Erf(op) => self.unary("Erf", op),
            FloatOperationIr::Tanh(op) => self.unary("Tanh", op),
            FloatOperationIr::Recip(op) => self.unary("Reciprocal", op),
            FloatOperationIr::PowfScalar(op) => self.with_number("Pow", op),
            other => {
                let operation = OperationIr::Float(burn::tensor::DType::F32, other.clone());
                Err(ExportError::unsupported(&name(&operation), ""))
            }
        }
    }

    fn base(&mut self, operation: &BaseOperationIr, operations: &[OperationIr; 3]) -> Result<(), ExportError> {
        match operation {
            BaseOperationIr::Reshape(op) => self.reshape(&op.input, &op.out),
            BaseOperationIr::SwapDims(op) => {
                let mut axes: Vec<usize> = (0..op.input.shape.num_dims()).collect();
                axes.swap(op.dim1, op.dim2);
                self.permute(&op.input, &axes, &op.out)
            }
            BaseOperationIr::Permute(op) => self.permute(&op.input, &op.axes, &op.out),
            BaseOperationIr::Flip(op) => self.flip(op),
            BaseOperationIr::Expand(op) => self.expand(&op.input, &op.out),
            BaseOperationIr::RepeatDim(op) => self.repeat(op),
            BaseOperationIr::Slice(op) => self.slice(op, operations),
            BaseOperationIr::Cat(op) => self.cat(op),
            BaseOperationIr::MaskWhere(op) => {
                self.simple("Where", &[&op.mask, &op.value, &op.tensor], Vec::new(), &op.out)
            }
            BaseOperationIr::Zeros(op) => self.fill(&op.out, 0.0),
            BaseOperationIr::Ones(op) => self.fill(&op.out, 1.0),
            other => Err(ExportError::unsupported(&name(&OperationIr::BaseFloat(other.clone())), "")),
        }
    }

    /// The name of a tensor; constants come into the graph when they are first read.
    fn name(&mut self, tensor: &TensorIr) -> Result<String, ExportError> {
        if let Some(name) = self.known.get(&tensor.id) {
            return Ok(name.clone());
        }
        let values = self.values.remove(&tensor.id);
        let values = values.ok_or_else(|| ExportError::unsupported("tensor", "without an origin"))?;
        let name = match self.names.get(&tensor.id) {
            Some(name) => {
                self.builder.constant(name, values)?;
                name.clone()
            }
            None => self.builder.unnamed(values)?,
        };
        self.define(tensor, name.clone());
        Ok(name)
    }

    fn define(&mut self, tensor: &TensorIr, name: String) {
        self.known.insert(tensor.id, name);
    }

    /// One node.
    fn simple(
        &mut self,
        kind: &'static str,
        inputs: &[&TensorIr],
        settings: Vec<super::proto::AttributeProto>,
        out: &TensorIr,
    ) -> Result<(), ExportError> {
        let names = inputs.iter().map(|input| self.name(input)).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let name = self.builder.node(kind, &names, settings);
        self.define(out, name);
        Ok(())
    }

    fn shape(&self, tensor: &TensorIr) -> Vec<Size> {
        self.shapes[&tensor.id].clone()
    }

    /// The number of images.
    fn batch(&mut self) -> String {
        if let Some(name) = &self.batch {
            return name.clone();
        }
        let settings = vec![super::builder::int("start", 0), super::builder::int("end", 1)];
        let name = self.builder.node("Shape", &[INPUT], settings);
        self.batch = Some(name.clone());
        name
    }

    /// Sizes as a list of whole numbers.
    fn sizes(&mut self, sizes: &[Size]) -> String {
        let fixed = |size: &Size| match size {
            Size::Fixed(size) => Some(*size as i64),
            Size::Images(_) => None,
        };
        if let Some(sizes) = sizes.iter().map(fixed).collect::<Option<Vec<_>>>() {
            return self.builder.ints(&sizes);
        }
        let mut parts = Vec::new();
        for size in sizes {
            parts.push(match *size {
                Size::Fixed(size) => self.builder.ints(&[size as i64]),
                Size::Images(1) => self.batch(),
                Size::Images(times) => {
                    let (batch, times) = (self.batch(), self.builder.ints(&[times as i64]));
                    self.builder.node("Mul", &[&batch, &times], Vec::new())
                }
            });
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.builder.node("Concat", &parts, vec![super::builder::int("axis", 0)])
    }
}
