//! From what was recorded to a [`Graph`].

mod convolution;
mod elementwise;
mod involution;
mod moments;
mod shape;
mod tokens;

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{CapturedGraph, TensorData, TensorId};
use burn_ir::{
    ActivationOperationIr, BaseOperationIr, FloatOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr,
    TensorIr,
};
use emoxide_kernels::blocked::{Activation, Binary};

use crate::{
    CompileError,
    constant::Constant,
    graph::{Graph, Node, Operation, Size, Value},
    view::View,
};
use moments::Moments;
use tokens::Scores;

/// What a recorded tensor is.
#[derive(Clone)]
enum Known {
    Constant(Constant),
    View(View),
    /// Products of queries and keys, which are never computed as a whole.
    Scores(Scores),
    /// On the way to a group norm.
    Moments(Moments),
    /// Where one tensor is smaller than another: the mask of a maximum.
    Lower(View, View),
}

struct Lowering {
    known: HashMap<TensorId, Known>,
    data: BTreeMap<TensorId, TensorData>,
    sizes: Vec<Size>,
    constants: BTreeMap<Value, Vec<f32>>,
    nodes: Vec<Node>,
}

impl Graph {
    /// Translates what was recorded.
    pub(crate) fn new(captured: CapturedGraph, input: Size) -> Result<Self, CompileError> {
        let CapturedGraph { graph, values } = captured;
        let [channels, rows, cols] = input;
        let image = View::canonical(0, &[1, channels, rows, cols], &View::usual_axes(4));
        let mut lowering = Lowering {
            known: HashMap::from([(graph.inputs[0], Known::View(image))]),
            data: values,
            sizes: vec![input],
            constants: BTreeMap::new(),
            nodes: Vec::new(),
        };
        for operation in &graph.operations {
            lowering.operation(operation)?;
        }
        let output = match lowering.known.get(&graph.outputs[0]) {
            Some(Known::View(view)) => view.clone(),
            _ => return Err(CompileError::unsupported("output", "that does not depend on the image")),
        };
        let output = lowering.in_order(&output);
        let Lowering { sizes, constants, nodes, .. } = lowering;
        Ok(Self { sizes, constants, nodes, input: 0, output }.with_readable_input())
    }
}

impl Lowering {
    fn operation(&mut self, operation: &OperationIr) -> Result<(), CompileError> {
        match operation {
            OperationIr::Init(_) | OperationIr::Drop(_) => Ok(()),
            OperationIr::Module(operation) => self.module(operation),
            OperationIr::Activation(operation) => self.activation(operation),
            OperationIr::NumericFloat(_, operation) => self.numeric(operation),
            OperationIr::Float(_, operation) => self.float(operation),
            OperationIr::BaseFloat(operation) => self.base(operation),
            OperationIr::Custom(operation) => self.custom(operation),
            other => Err(CompileError::unsupported(&name(other), "")),
        }
    }

    fn module(&mut self, operation: &ModuleOperationIr) -> Result<(), CompileError> {
        match operation {
            ModuleOperationIr::Conv2d(op) => self.convolution(op),
            ModuleOperationIr::BatchNorm(op) => self.batch_norm(op),
            ModuleOperationIr::MaxPool2d(op) => self.max_pool(op),
            ModuleOperationIr::AvgPool2d(op) => self.avg_pool(op),
            ModuleOperationIr::AdaptiveAvgPool2d(op) => self.adaptive_avg_pool(op),
            ModuleOperationIr::LayerNorm(op) => self.layer_norm(op),
            ModuleOperationIr::Attention(op) => self.attention(op),
            ModuleOperationIr::Linear(op) => {
                let bias = op.bias.as_ref().map(|bias| self.constant(bias, "Linear")).transpose()?;
                self.linear(&op.x, &op.weight, bias, &op.out, "Linear")
            }
            other => Err(CompileError::unsupported(&name(&OperationIr::Module(other.clone())), "")),
        }
    }

    fn activation(&mut self, operation: &ActivationOperationIr) -> Result<(), CompileError> {
        match operation {
            ActivationOperationIr::Relu(op) => self.unary(&op.input, &op.out, Activation::Relu, "Relu"),
            ActivationOperationIr::Gelu(op) => self.unary(&op.input, &op.out, Activation::Gelu, "Gelu"),
            ActivationOperationIr::Sigmoid(op) => self.unary(&op.input, &op.out, Activation::Sigmoid, "Sigmoid"),
            ActivationOperationIr::PRelu(op) => self.prelu(op),
            ActivationOperationIr::LeakyRelu(op) => self.leaky_relu(op),
            ActivationOperationIr::HardSigmoid(op) => self.hard_sigmoid(op),
            ActivationOperationIr::Softmax(op) => self.softmax(op),
            other => Err(CompileError::unsupported(&name(&OperationIr::Activation(other.clone())), "")),
        }
    }

    fn numeric(&mut self, operation: &NumericOperationIr) -> Result<(), CompileError> {
        use NumericOperationIr as Op;
        match operation {
            Op::Add(op) => self.binary(op, Binary::Add, "Add"),
            Op::Sub(op) => self.binary(op, Binary::Sub, "Sub"),
            Op::Mul(op) => self.binary(op, Binary::Mul, "Mul"),
            Op::Div(op) => self.quotient(op),
            Op::AddScalar(op) => self.affine(&op.lhs, &op.out, [1.0, op.rhs.elem()], "AddScalar"),
            Op::SubScalar(op) => self.affine(&op.lhs, &op.out, [1.0, -op.rhs.elem::<f32>()], "SubScalar"),
            Op::MulScalar(op) => self.affine(&op.lhs, &op.out, [op.rhs.elem(), 0.0], "MulScalar"),
            Op::DivScalar(op) => self.affine(&op.lhs, &op.out, [1.0 / op.rhs.elem::<f32>(), 0.0], "DivScalar"),
            Op::Neg(op) => self.affine(&op.input, &op.out, [-1.0, 0.0], "Neg"),
            Op::Clamp(op) => self.clamp(&op.tensor, &op.out, [op.min.elem(), op.max.elem()], "Clamp"),
            Op::ClampMin(op) => self.clamp(&op.lhs, &op.out, [op.rhs.elem(), f32::INFINITY], "ClampMin"),
            Op::ClampMax(op) => self.clamp(&op.lhs, &op.out, [f32::NEG_INFINITY, op.rhs.elem()], "ClampMax"),
            Op::MeanDim(op) => self.reduce(&op.input, op.axis, &op.out, shape::Reduction::Mean, "MeanDim"),
            Op::SumDim(op) => self.reduce(&op.input, op.axis, &op.out, shape::Reduction::Sum, "SumDim"),
            Op::MaxDim(op) => self.reduce(&op.input, op.axis, &op.out, shape::Reduction::Max, "MaxDim"),
            Op::PowiScalar(op) => self.power(&op.lhs, op.rhs.elem(), &op.out, "PowiScalar"),
            Op::Full(op) => {
                self.fill(&op.out, op.value.elem());
                Ok(())
            }
            Op::Lower(op) => {
                let [left, right] = [self.view(&op.lhs, "Lower")?, self.view(&op.rhs, "Lower")?];
                self.known.insert(op.out.id, Known::Lower(left, right));
                Ok(())
            }
            other => {
                let operation = OperationIr::NumericFloat(burn::tensor::DType::F32, other.clone());
                Err(CompileError::unsupported(&name(&operation), ""))
            }
        }
    }

    fn float(&mut self, operation: &FloatOperationIr) -> Result<(), CompileError> {
        match operation {
            FloatOperationIr::Matmul(op) => self.matmul(op),
            FloatOperationIr::Sqrt(op) => self.root(&op.input, &op.out),
            FloatOperationIr::Tanh(op) => self.unary(&op.input, &op.out, Activation::Tanh, "Tanh"),
            FloatOperationIr::PowfScalar(op) => self.power(&op.lhs, op.rhs.elem(), &op.out, "PowfScalar"),
            other => {
                let operation = OperationIr::Float(burn::tensor::DType::F32, other.clone());
                Err(CompileError::unsupported(&name(&operation), ""))
            }
        }
    }

    fn base(&mut self, operation: &BaseOperationIr) -> Result<(), CompileError> {
        match operation {
            BaseOperationIr::Reshape(op) => self.reshape(&op.input, &op.out),
            BaseOperationIr::SwapDims(op) => {
                let mut axes: Vec<usize> = (0..op.input.shape.num_dims()).collect();
                axes.swap(op.dim1, op.dim2);
                self.permute(&op.input, &axes, &op.out)
            }
            BaseOperationIr::Permute(op) => self.permute(&op.input, &op.axes, &op.out),
            BaseOperationIr::Expand(op) => self.expand(&op.input, &op.out, "Expand"),
            BaseOperationIr::RepeatDim(op) => self.repeat(op),
            BaseOperationIr::Slice(op) => self.slice(op),
            BaseOperationIr::Cat(op) => self.cat(op),
            BaseOperationIr::MaskWhere(op) => self.largest(op),
            BaseOperationIr::Zeros(op) => {
                self.fill(&op.out, 0.0);
                Ok(())
            }
            BaseOperationIr::Ones(op) => {
                self.fill(&op.out, 1.0);
                Ok(())
            }
            other => Err(CompileError::unsupported(&name(&OperationIr::BaseFloat(other.clone())), "")),
        }
    }

    /// Adds a node; the value that it computes.
    fn node(&mut self, operation: Operation, source: Value, others: Vec<Value>, size: Size) -> Value {
        let target = self.sizes.len();
        self.sizes.push(size);
        self.nodes.push(Node { operation, source, carried: None, others, target });
        target
    }

    /// A constant of one number.
    fn fill(&mut self, out: &TensorIr, value: f32) {
        let dims = out.shape.to_vec();
        let values = vec![value; dims.iter().product()];
        self.known.insert(out.id, Known::Constant(Constant { dims, values }));
    }

    fn define(&mut self, out: &TensorIr, view: View) {
        self.known.insert(out.id, Known::View(view));
    }

    fn known(&self, tensor: &TensorIr, name: &str) -> Result<Known, CompileError> {
        if let Some(known) = self.known.get(&tensor.id) {
            return Ok(known.clone());
        }
        let data = self.data.get(&tensor.id);
        let data = data.ok_or_else(|| CompileError::unsupported(name, "of a tensor without an origin"))?;
        Ok(Known::Constant(Constant::new(data, name)?))
    }

    /// A tensor that depends on the image.
    fn view(&self, tensor: &TensorIr, name: &str) -> Result<View, CompileError> {
        match self.known(tensor, name)? {
            Known::View(view) => Ok(view),
            Known::Constant(_) => Err(CompileError::unsupported(name, "of a constant")),
            Known::Scores(_) => Err(CompileError::unsupported(name, "of attention scores")),
            Known::Moments(_) => Err(CompileError::unsupported(name, "of a mean of channels and pixels")),
            Known::Lower(..) => Err(CompileError::unsupported(name, "of a comparison")),
        }
    }

    fn constant(&self, tensor: &TensorIr, name: &str) -> Result<Constant, CompileError> {
        match self.known(tensor, name)? {
            Known::Constant(constant) => Ok(constant),
            _ => Err(CompileError::unsupported(name, "with a weight that depends on the image")),
        }
    }
}

/// `Module(Unfold4d(Unfold4dOpIr { .. }))` is called `Unfold4d`.
fn name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let names: Vec<&str> = text.split('(').map(str::trim).collect();
    let inner = names.get(1).copied().unwrap_or_default();
    let inner = inner.split(", ").last().unwrap_or(inner);
    if inner.contains('{') || inner.is_empty() { names[0].to_owned() } else { inner.to_owned() }
}
