//! The recorded operations in the engine's own terms: maps in, maps out, per image.

use std::collections::HashMap;

use burn::tensor::{CapturedGraph, DType, TensorData, TensorId};
use burn_ir::{
    ActivationOperationIr, BaseOperationIr, BatchNormOpIr, Conv2dOpIr, MaxPool2dOpIr, ModuleOperationIr,
    NumericOperationIr, OperationIr, TensorIr,
};
use emoxide_kernels::blocked::{Activation, Shape};

use crate::CompileError;

/// Index of a value in [`Graph::sizes`].
pub(crate) type Value = usize;

/// Channels, rows and columns of a map; a vector is a map of one pixel.
pub(crate) type Size = [usize; 3];

/// A network for one image. Values are numbered in the order in which they are computed.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Sizes of all values.
    pub(crate) sizes: Vec<Size>,
    /// In an order in which they can be computed.
    pub(crate) nodes: Vec<Node>,
    pub(crate) input: Value,
    pub(crate) output: Value,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) operation: Operation,
    pub(crate) source: Value,
    /// What is added before the activation.
    pub(crate) carried: Option<Value>,
    pub(crate) target: Value,
}

/// What is computed from the source.
#[derive(Debug)]
pub(crate) enum Operation {
    /// `activation(source * weight + bias + carried)`; outside of the map the source is `outside`, or zero.
    Convolution { shape: Shape, weight: Vec<f32>, bias: Vec<f32>, activation: Activation, outside: Option<Vec<f32>> },
    /// `activation(scale * source + shift + carried)`
    Combine { affine: Option<Affine>, activation: Activation },
    /// Largest value of a window.
    MaxPool { kernel: usize, stride: usize, padding: usize },
    /// Mean of a map.
    Mean,
}

/// `scale * x + shift` per channel.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

/// What a recorded tensor is.
#[derive(Clone)]
enum Known {
    Constant(Constant),
    /// A map; `[1, channels, rows, cols]` or, flattened, `[1, channels · rows · cols]`.
    Map(Value),
}

#[derive(Clone)]
struct Constant {
    dims: Vec<usize>,
    values: Vec<f32>,
}

struct Lowering {
    known: HashMap<TensorId, Known>,
    constants: std::collections::BTreeMap<TensorId, TensorData>,
    sizes: Vec<Size>,
    nodes: Vec<Node>,
}

impl Graph {
    /// Translates what was recorded.
    pub(crate) fn new(captured: CapturedGraph, input: Size) -> Result<Self, CompileError> {
        let CapturedGraph { graph, values } = captured;
        let mut known = HashMap::new();
        known.insert(graph.inputs[0], Known::Map(0));
        let mut lowering = Lowering { known, constants: values, sizes: vec![input], nodes: Vec::new() };
        for operation in &graph.operations {
            lowering.operation(operation)?;
        }
        let output = match lowering.known.get(&graph.outputs[0]) {
            Some(Known::Map(value)) => *value,
            _ => return Err(CompileError::unsupported("output", "that does not depend on the image")),
        };
        let Lowering { sizes, nodes, .. } = lowering;
        let reads = |node: &Node| match node.operation {
            Operation::Convolution { .. } => node.carried == Some(0),
            _ => node.source == 0 || node.carried == Some(0),
        };
        if output == 0 || nodes.iter().any(reads) {
            return Err(CompileError::unsupported("input", "that anything but a convolution reads"));
        }
        Ok(Self { sizes, nodes, input: 0, output })
    }

    /// How many nodes read a value; the network's output counts as a reader.
    pub(crate) fn readers(&self, value: Value) -> usize {
        let reads = |node: &Node| usize::from(node.source == value) + usize::from(node.carried == Some(value));
        self.nodes.iter().map(reads).sum::<usize>() + usize::from(self.output == value)
    }

    /// The node that computes a value.
    pub(crate) fn producer(&self, value: Value) -> Option<usize> {
        self.nodes.iter().position(|node| node.target == value)
    }
}

impl Lowering {
    fn operation(&mut self, operation: &OperationIr) -> Result<(), CompileError> {
        match operation {
            OperationIr::Init(_) | OperationIr::Drop(_) => Ok(()),
            OperationIr::Module(ModuleOperationIr::Conv2d(op)) => self.convolution(op),
            OperationIr::Module(ModuleOperationIr::BatchNorm(op)) => self.batch_norm(op),
            OperationIr::Module(ModuleOperationIr::MaxPool2d(op)) => self.max_pool(op),
            OperationIr::Module(ModuleOperationIr::AdaptiveAvgPool2d(op)) => {
                if op.output_size != [1, 1] {
                    return Err(CompileError::unsupported(
                        "AdaptiveAvgPool2d",
                        format!("to {:?}, only to [1, 1]", op.output_size),
                    ));
                }
                let source = self.map(&op.x, "AdaptiveAvgPool2d")?;
                let [channels, ..] = self.sizes[source];
                self.push(&op.out, Operation::Mean, source, None, [channels, 1, 1]);
                Ok(())
            }
            OperationIr::Module(ModuleOperationIr::Linear(op)) => {
                let bias = op.bias.as_ref().map(|bias| self.constant(bias, "Linear")).transpose()?;
                self.linear(&op.x, &op.weight, bias, &op.out, "Linear")
            }
            OperationIr::Float(_, burn_ir::FloatOperationIr::Matmul(op)) => {
                self.linear(&op.lhs, &op.rhs, None, &op.out, "Matmul")
            }
            OperationIr::NumericFloat(_, NumericOperationIr::Add(op)) => self.add(&op.lhs, &op.rhs, &op.out),
            OperationIr::Activation(ActivationOperationIr::Relu(op)) => {
                let source = self.map(&op.input, "Relu")?;
                self.combine(&op.out, source, None, Activation::Relu);
                Ok(())
            }
            OperationIr::Activation(ActivationOperationIr::PRelu(op)) => {
                let source = self.map(&op.lhs, "PRelu")?;
                let slopes = self.constant(&op.rhs, "PRelu")?.values;
                let [channels, ..] = self.sizes[source];
                let slopes = if slopes.len() == 1 { vec![slopes[0]; channels] } else { slopes };
                self.combine(&op.out, source, None, Activation::PRelu(slopes));
                Ok(())
            }
            OperationIr::BaseFloat(BaseOperationIr::Reshape(op)) => self.reshape(&op.input, &op.out),
            OperationIr::BaseFloat(BaseOperationIr::SwapDims(op)) => {
                let mut axes: Vec<usize> = (0..op.input.shape.num_dims()).collect();
                axes.swap(op.dim1, op.dim2);
                self.permute(&op.input, &axes, &op.out)
            }
            OperationIr::BaseFloat(BaseOperationIr::Permute(op)) => self.permute(&op.input, &op.axes, &op.out),
            other => Err(CompileError::unsupported(&name(other), "")),
        }
    }

    fn convolution(&mut self, op: &Conv2dOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Conv2d";
        let options = &op.options;
        let weight = self.constant(&op.weight, NAME)?;
        let [outputs, inputs, rows, cols] = dims(&weight, NAME)?;
        let [(top, bottom), (left, right)] = options.padding;
        let one_padding = [bottom, left, right] == [top; 3];
        let one_stride = options.stride[0] == options.stride[1] && matches!(options.stride[0], 1 | 2);
        if !(one_padding && one_stride && options.groups == 1 && options.dilation == [1, 1]) {
            return Err(CompileError::unsupported(
                NAME,
                format!(
                    "with stride {:?}, padding {:?}, dilation {:?} and {} groups; only one padding on all sides, stride 1 or \
                     2, no dilation and one group",
                    options.stride, options.padding, options.dilation, options.groups
                ),
            ));
        }
        let shape = Shape { inputs, outputs, kernel: [rows, cols], stride: options.stride[0], padding: top };
        let bias = match &op.bias {
            Some(bias) => self.constant(bias, NAME)?.values,
            None => vec![0.0; outputs],
        };
        let source = self.map(&op.x, NAME)?;
        let [_, source_rows, source_cols] = self.sizes[source];
        let [rows, cols] = shape
            .output([source_rows, source_cols])
            .ok_or_else(|| CompileError::unsupported(NAME, "whose window is larger than the map"))?;
        self.convolve(&op.out, shape, weight.values, bias, source, [outputs, rows, cols]);
        Ok(())
    }

    fn batch_norm(&mut self, op: &BatchNormOpIr) -> Result<(), CompileError> {
        const NAME: &str = "BatchNorm";
        let [gamma, beta] = [self.constant(&op.gamma, NAME)?.values, self.constant(&op.beta, NAME)?.values];
        let [mean, variance] = [self.constant(&op.mean, NAME)?.values, self.constant(&op.variance, NAME)?.values];
        let epsilon: f64 = op.epsilon.elem();
        let mut affine = Affine { scale: Vec::new(), shift: Vec::new() };
        for channel in 0..gamma.len() {
            let scale = f64::from(gamma[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
            affine.scale.push(scale as f32);
            affine.shift.push((f64::from(beta[channel]) - f64::from(mean[channel]) * scale) as f32);
        }
        let source = self.map(&op.x, NAME)?;
        self.combine(&op.out, source, Some(affine), Activation::Linear);
        Ok(())
    }

    fn max_pool(&mut self, op: &MaxPool2dOpIr) -> Result<(), CompileError> {
        const NAME: &str = "MaxPool2d";
        let MaxPool2dOpIr { kernel_size, stride, padding, dilation, ceil_mode, .. } = op;
        let square = kernel_size[0] == kernel_size[1] && stride[0] == stride[1] && padding[0] == padding[1];
        if !square || *dilation != [1, 1] || *ceil_mode {
            return Err(CompileError::unsupported(
                NAME,
                format!(
                    "with window {kernel_size:?}, stride {stride:?}, padding {padding:?}, dilation {dilation:?}, ceil mode \
                     {ceil_mode}; only square windows without dilation and ceil mode"
                ),
            ));
        }
        let source = self.map(&op.x, NAME)?;
        let [_, channels, rows, cols] = shape_of(&op.out, NAME)?;
        let operation = Operation::MaxPool { kernel: kernel_size[0], stride: stride[0], padding: padding[0] };
        self.push(&op.out, operation, source, None, [channels, rows, cols]);
        Ok(())
    }

    /// A vector, or a flattened map, times `[inputs, outputs]`: a convolution with a window as large as the map.
    fn linear(
        &mut self,
        x: &TensorIr,
        weight: &TensorIr,
        bias: Option<Constant>,
        out: &TensorIr,
        name: &str,
    ) -> Result<(), CompileError> {
        let source = self.map(x, name)?;
        let weight = self.constant(weight, name)?;
        let [inputs, outputs] = dims(&weight, name)?;
        let [channels, rows, cols] = self.sizes[source];
        if channels * rows * cols != inputs || x.shape.num_dims() != 2 {
            return Err(CompileError::unsupported(name, "of anything but one vector an image"));
        }
        let shape = Shape { inputs: channels, outputs, kernel: [rows, cols], stride: 1, padding: 0 };
        let transposed = permuted(&weight, &[1, 0]).values;
        let bias = bias.map_or_else(|| vec![0.0; outputs], |bias| bias.values);
        self.convolve(out, shape, transposed, bias, source, [outputs, 1, 1]);
        Ok(())
    }

    fn add(&mut self, lhs: &TensorIr, rhs: &TensorIr, out: &TensorIr) -> Result<(), CompileError> {
        const NAME: &str = "Add";
        let (map, other) = if let Ok(map) = self.map(lhs, NAME) { (map, rhs) } else { (self.map(rhs, NAME)?, lhs) };
        let [channels, rows, cols] = self.sizes[map];
        if let Ok(constant) = self.constant(other, NAME) {
            // A bias, broadcast over everything but the channels.
            let dims: Vec<usize> = constant.dims.iter().copied().filter(|size| *size != 1).collect();
            if dims != [channels] || (rows * cols > 1 && constant.dims.len() != 4) {
                return Err(CompileError::unsupported(NAME, format!("of a constant {:?}", constant.dims)));
            }
            let affine = Affine { scale: vec![1.0; channels], shift: constant.values };
            self.combine(out, map, Some(affine), Activation::Linear);
            return Ok(());
        }
        let carried = self.map(other, NAME)?;
        if self.sizes[carried] != [channels, rows, cols] || lhs.shape != rhs.shape {
            return Err(CompileError::unsupported(NAME, format!("of {:?} and {:?}", lhs.shape, rhs.shape)));
        }
        let operation = Operation::Combine { affine: None, activation: Activation::Linear };
        self.push(out, operation, map, Some(carried), [channels, rows, cols]);
        Ok(())
    }

    fn reshape(&mut self, input: &TensorIr, out: &TensorIr) -> Result<(), CompileError> {
        let dims: Vec<usize> = out.shape.to_vec();
        let known = match self.known(input, "Reshape")? {
            Known::Constant(constant) => Known::Constant(Constant { dims, ..constant }),
            // To a vector and, of a single pixel, back: the memory stays as it is.
            Known::Map(value) => {
                let [channels, rows, cols] = self.sizes[value];
                let flat = dims == [1, channels * rows * cols];
                let pixel =
                    rows * cols == 1 && dims.iter().product::<usize>() == channels && dims.get(1) == Some(&channels);
                if !flat && !pixel {
                    let from: Vec<usize> = input.shape.to_vec();
                    return Err(CompileError::unsupported("Reshape", format!("from {from:?} to {dims:?}")));
                }
                Known::Map(value)
            }
        };
        self.known.insert(out.id, known);
        Ok(())
    }

    fn permute(&mut self, input: &TensorIr, axes: &[usize], out: &TensorIr) -> Result<(), CompileError> {
        let constant = self.constant(input, "Permute")?;
        self.known.insert(out.id, Known::Constant(permuted(&constant, axes)));
        Ok(())
    }

    fn convolve(&mut self, out: &TensorIr, shape: Shape, weight: Vec<f32>, bias: Vec<f32>, source: Value, size: Size) {
        let operation = Operation::Convolution { shape, weight, bias, activation: Activation::Linear, outside: None };
        self.push(out, operation, source, None, size);
    }

    fn combine(&mut self, out: &TensorIr, source: Value, affine: Option<Affine>, activation: Activation) {
        self.push(out, Operation::Combine { affine, activation }, source, None, self.sizes[source]);
    }

    fn push(&mut self, out: &TensorIr, operation: Operation, source: Value, carried: Option<Value>, size: Size) {
        let target = self.sizes.len();
        self.sizes.push(size);
        self.nodes.push(Node { operation, source, carried, target });
        self.known.insert(out.id, Known::Map(target));
    }

    fn known(&self, tensor: &TensorIr, name: &str) -> Result<Known, CompileError> {
        if let Some(known) = self.known.get(&tensor.id) {
            return Ok(known.clone());
        }
        let data = self.constants.get(&tensor.id);
        let data = data.ok_or_else(|| CompileError::unsupported(name, "of a tensor without an origin"))?;
        if data.dtype() != DType::F32 {
            return Err(CompileError::unsupported(name, format!("of {:?}; only 32-bit floats", data.dtype())));
        }
        let values = data.clone().try_into_vec::<f32>().expect("the type was checked");
        Ok(Known::Constant(Constant { dims: data.shape().to_vec(), values }))
    }

    fn map(&self, tensor: &TensorIr, name: &str) -> Result<Value, CompileError> {
        match self.known(tensor, name)? {
            Known::Map(value) => Ok(value),
            Known::Constant(_) => Err(CompileError::unsupported(name, "of a constant")),
        }
    }

    fn constant(&self, tensor: &TensorIr, name: &str) -> Result<Constant, CompileError> {
        match self.known(tensor, name)? {
            Known::Constant(constant) => Ok(constant),
            Known::Map(_) => Err(CompileError::unsupported(name, "with a weight that depends on the image")),
        }
    }
}

fn dims<const D: usize>(constant: &Constant, name: &str) -> Result<[usize; D], CompileError> {
    let dims = constant.dims.as_slice();
    dims.try_into().map_err(|_| CompileError::unsupported(name, format!("with a weight {dims:?}")))
}

fn shape_of<const D: usize>(tensor: &TensorIr, name: &str) -> Result<[usize; D], CompileError> {
    let dims = tensor.shape.to_vec();
    dims.as_slice().try_into().map_err(|_| CompileError::unsupported(name, format!("to {dims:?}")))
}

fn permuted(constant: &Constant, axes: &[usize]) -> Constant {
    let dims: Vec<usize> = axes.iter().map(|&axis| constant.dims[axis]).collect();
    let stride = |axis: usize| constant.dims[axis + 1..].iter().product::<usize>();
    let strides: Vec<usize> = axes.iter().map(|&axis| stride(axis)).collect();
    let place = |mut index: usize| {
        let mut from = 0;
        for (size, stride) in dims.iter().zip(&strides).rev() {
            from += index % size * stride;
            index /= size;
        }
        from
    };
    let values = (0..constant.values.len()).map(|index| constant.values[place(index)]).collect();
    Constant { dims, values }
}

/// `Module(Unfold4d(Unfold4dOpIr { .. }))` is called `Unfold4d`.
fn name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let names: Vec<&str> = text.split('(').map(str::trim).collect();
    let inner = names.get(1).copied().unwrap_or_default();
    let inner = inner.split(", ").last().unwrap_or(inner);
    if inner.contains('{') || inner.is_empty() { names[0].to_owned() } else { inner.to_owned() }
}
