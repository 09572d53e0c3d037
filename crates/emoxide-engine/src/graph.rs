//! The network in the engine's own terms: maps in, maps out, per image.

use std::collections::BTreeMap;

use emoxide_kernels::blocked::{Activation, Attention, Binary, Pool, Shape};
use emoxide_kernels::involution::Geometry;

use crate::view::for_each_index;

/// Index of a value in [`Graph::sizes`].
pub(crate) type Value = usize;

/// Channels, rows and columns of a map. A vector is a map of one pixel; tokens are pixels of one row or of several.
pub(crate) type Size = [usize; 3];

/// A network for one image. Values are numbered in the order in which they are computed.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Sizes of all values.
    pub(crate) sizes: Vec<Size>,
    /// Values that are the same for every image, channel by channel.
    pub(crate) constants: BTreeMap<Value, Vec<f32>>,
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
    /// Further operands.
    pub(crate) others: Vec<Value>,
    pub(crate) target: Value,
}

impl Node {
    /// Everything that it reads.
    pub(crate) fn operands(&self) -> impl Iterator<Item = Value> {
        [Some(self.source), self.carried].into_iter().flatten().chain(self.others.iter().copied())
    }
}

/// What is computed from the source.
#[derive(Debug)]
pub(crate) enum Operation {
    /// `activation(source * weight + bias + carried)`; outside of the map the source is `outside`, or zero.
    Convolution {
        shape: Shape,
        /// Whether every channel has a window of its own.
        depthwise: bool,
        weight: Vec<f32>,
        bias: Vec<f32>,
        activation: Activation,
        outside: Option<Vec<f32>>,
    },
    /// `activation(scale * source + shift + carried)`
    Combine { affine: Option<Affine>, activation: Activation },
    /// Source and other operand, value by value.
    Elementwise(Binary),
    /// Windows, each reduced to a pixel.
    Pool(Pool),
    /// The channels of every pixel as shares of 1.
    Softmax,
    /// Every pixel normalised by mean and variance of its channels.
    LayerNorm { affine: Affine, epsilon: f32 },
    /// Groups of channels normalised by mean and variance of all their pixels, then `activation(scale * x + shift)`.
    GroupNorm { groups: usize, epsilon: f32, affine: Option<Affine>, activation: Activation },
    /// The source's tokens as queries, the others' as keys and values; `firsts` are the first channels of the three.
    Attention { attention: Attention, firsts: [usize; 3] },
    /// The source by the kernels of the other operand, whose channels are groups and in each the numbers of a kernel.
    Involution(Geometry),
    /// For every number of the target, channel by channel, the operand and the number there that it is.
    Rearrange { origins: Vec<(usize, Size)> },
}

/// `scale * x + shift` per channel.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

impl Graph {
    /// How many nodes read a value; the network's output counts as a reader.
    pub(crate) fn readers(&self, value: Value) -> usize {
        let reads = self.nodes.iter().flat_map(Node::operands).filter(|&operand| operand == value);
        reads.count() + usize::from(self.output == value)
    }

    /// The node that computes a value.
    pub(crate) fn producer(&self, value: Value) -> Option<usize> {
        self.nodes.iter().position(|node| node.target == value)
    }

    /// The picture lies channel by channel, as convolutions read it: for the other nodes it becomes a value like the
    /// others.
    pub(crate) fn with_readable_input(mut self) -> Self {
        let input = self.input;
        let planar = |node: &Node| {
            matches!(node.operation, Operation::Convolution { depthwise: false, .. }) && node.carried != Some(input)
        };
        if self.output != input && !self.nodes.iter().any(|node| node.operands().any(|v| v == input) && !planar(node)) {
            return self;
        }
        let size = self.sizes[input];
        let target = self.sizes.len();
        self.sizes.push(size);
        let moved = |value: &mut Value| {
            if *value == input {
                *value = target;
            }
        };
        for node in self.nodes.iter_mut().filter(|node| !planar(node)) {
            moved(&mut node.source);
            node.carried.iter_mut().chain(&mut node.others).for_each(moved);
        }
        moved(&mut self.output);
        let mut origins = Vec::new();
        for_each_index(&size, |at| origins.push((0, [at[0], at[1], at[2]])));
        let operation = Operation::Rearrange { origins };
        self.nodes.insert(0, Node { operation, source: input, carried: None, others: Vec::new(), target });
        self
    }
}
