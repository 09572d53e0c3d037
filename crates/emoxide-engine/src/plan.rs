//! Which memory every value gets, and the steps in their order.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use emoxide_kernels::Level;
use emoxide_kernels::blocked::{
    Algorithm, Attention, Binary, Buffer, Combine, Convolution, Depthwise, GroupNorm, Involution, LayerNorm, Layout,
    Pool, Rearrange, Source, Tokens, elementwise, from_blocked, from_planar, softmax,
};

use crate::CompileError;
use crate::algorithm::algorithm;
use crate::capture::record;
use crate::graph::{Affine, Graph, Node, Operation, Size, Value};
use crate::precision::Precision;

/// A network that was compiled for the CPU.
#[derive(Debug)]
pub struct Engine {
    level: Level,
    precision: Precision,
    input: Size,
    outputs: usize,
    steps: Vec<Step>,
    places: Vec<Place>,
    /// Where the output lies.
    output: usize,
    /// Memory of batches that were answered, for the next ones.
    memory: Mutex<Vec<Memory>>,
}

/// Memory that values of the same layout share, one after the other.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    layout: Layout,
    /// What the halo holds, a value per channel; none: zero.
    outside: Option<Vec<f32>>,
    /// What lies there for every image, channel by channel; such a place is never written to.
    constant: Option<Arc<[f32]>>,
}

/// One operation and the places that it works on.
#[derive(Debug)]
struct Step {
    kernel: Kernel,
    source: usize,
    carried: Option<usize>,
    others: Vec<usize>,
    target: usize,
}

#[derive(Debug)]
enum Kernel {
    Convolution(Convolution),
    Depthwise(Depthwise),
    Combine(Combine),
    Elementwise(Binary),
    Pool(Pool),
    Softmax,
    LayerNorm(LayerNorm),
    GroupNorm(GroupNorm),
    Attention {
        attention: Attention,
        firsts: [usize; 3],
    },
    Involution(Involution),
    /// One for the source and one for each of the others.
    Rearrange(Vec<Rearrange>),
}

/// All places for one size of batch.
#[derive(Debug)]
struct Memory {
    batch: usize,
    buffers: Vec<Buffer>,
}

/// Sizes of batches whose memory is kept.
const KEPT: usize = 4;

impl Engine {
    /// Compiles what `forward` does with one image `[1, channels, rows, cols]`; it gets the device that records, to
    /// which it moves the network, and gives `[1, outputs]`.
    pub fn compile(
        level: Level,
        precision: Precision,
        input: [usize; 3],
        forward: impl FnOnce(&Device, Tensor<4>) -> Tensor<2>,
    ) -> Result<Self, CompileError> {
        let graph = Graph::new(record(input, forward)?, input)?.fused();
        Ok(Planner::new(level, precision, &graph).plan(graph))
    }

    /// Answers `batch` images `[batch, channels, rows, cols]`: `[batch, outputs]`.
    ///
    /// # Panics
    /// When the images are not as many as `batch` says, or not of the size that the engine was compiled for.
    pub fn run(&self, batch: usize, images: &[f32]) -> Vec<f32> {
        assert_eq!(images.len(), batch * self.input.iter().product::<usize>(), "values of {batch} images");
        if batch == 0 {
            return Vec::new();
        }
        let mut memory = self.memory(batch);
        // On one of the pool's threads, which the others need not be woken up for between two steps.
        rayon::scope(|_| {
            from_planar(images, &self.places[0].layout, &mut memory.buffers[0]);
            for step in &self.steps {
                self.step(step, batch, &mut memory.buffers);
            }
        });
        let logits = from_blocked(&self.places[self.output].layout, &memory.buffers[self.output]);
        let mut kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(memory);
        logits
    }

    /// Length of an answer.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Instructions that it uses.
    pub fn level(&self) -> Level {
        self.level
    }

    /// How exactly it multiplies.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Channels, rows and columns of an image.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    fn memory(&self, batch: usize) -> Memory {
        let mut kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = kept.iter().position(|memory| memory.batch == batch) {
            return kept.remove(index);
        }
        drop(kept);
        let buffer = |place: &Place| {
            let mut buffer = Buffer::images(&place.layout, batch, place.outside.as_deref());
            if let Some(values) = &place.constant {
                let Layout { channels, rows, cols, .. } = place.layout;
                let planar = Layout::planar(channels, [rows, cols], 0);
                let fill = Rearrange::new(planar, place.layout, Some);
                buffer.chunks_mut(place.layout.image()).for_each(|image| fill.run(values, image));
            }
            buffer
        };
        Memory { batch, buffers: self.places.iter().map(buffer).collect() }
    }

    fn step(&self, step: &Step, batch: usize, buffers: &mut [Buffer]) {
        let mut target = std::mem::replace(&mut buffers[step.target], Buffer::zeroed(0));
        let place = |index: usize| (&self.places[index].layout, &*buffers[index]);
        let source = place(step.source);
        let carried = step.carried.map(place);
        let to = (&self.places[step.target].layout, &mut *target);
        match &step.kernel {
            Kernel::Convolution(convolution) => convolution.run(batch, source, carried, to),
            Kernel::Depthwise(depthwise) => depthwise.run(batch, source, carried, to),
            Kernel::Combine(combine) => combine.run(source, carried, to),
            Kernel::Elementwise(binary) => elementwise(self.level, *binary, source, place(step.others[0]), to),
            Kernel::Pool(pool) => pool.run(self.level, source, to),
            Kernel::Softmax => softmax(self.level, source, to),
            Kernel::LayerNorm(norm) => norm.run(source, to),
            Kernel::GroupNorm(norm) => norm.run(source, to),
            Kernel::Attention { attention, firsts } => {
                let operands = [source, place(step.others[0]), place(step.others[1])];
                let tokens = std::array::from_fn(|index| {
                    let (layout, values) = operands[index];
                    Tokens { layout, values, first: firsts[index] }
                });
                attention.run(self.level, tokens, to);
            }
            Kernel::Involution(involution) => involution.run(batch, source, place(step.others[0]), to),
            Kernel::Rearrange(parts) => {
                let operands = std::iter::once(source).chain(step.others.iter().map(|&other| place(other)));
                for (part, (_, values)) in parts.iter().zip(operands) {
                    part.run(values, to.1);
                }
            }
        }
        buffers[step.target] = target;
    }
}

struct Planner {
    level: Level,
    precision: Precision,
    /// What every value needs.
    wanted: Vec<Place>,
    /// Index of the last node that reads a value.
    last: Vec<usize>,
    places: Vec<Place>,
    /// Places that nothing lives in.
    free: Vec<usize>,
    /// Place of every value that lives.
    home: Vec<Option<usize>>,
}

impl Planner {
    fn new(level: Level, precision: Precision, graph: &Graph) -> Self {
        let halved = if precision == Precision::Bf16 { graph.halved(level) } else { vec![false; graph.sizes.len()] };
        let layout = |value: Value| {
            let [channels, rows, cols] = graph.sizes[value];
            if value == graph.input {
                Layout::planar(channels, [rows, cols], 0)
            } else if halved[value] {
                Layout::bf16(level, channels, [rows, cols], 0)
            } else {
                Layout::blocked(level, channels, [rows, cols], 0)
            }
        };
        let mut wanted: Vec<Place> =
            (0..graph.sizes.len()).map(|value| Place::new(layout(value), graph.constants.get(&value))).collect();
        let mut last = vec![0; graph.sizes.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            for value in node.operands() {
                last[value] = index;
            }
            if let Operation::Convolution { shape, outside, .. } = &node.operation {
                let place = &mut wanted[node.source];
                place.layout.halo = place.layout.halo.max(shape.padding);
                if shape.padding > 0 {
                    place.outside.clone_from(outside);
                }
            }
        }
        last[graph.output] = graph.nodes.len();
        let home = vec![None; graph.sizes.len()];
        Self { level, precision, wanted, last, places: Vec::new(), free: Vec::new(), home }
    }

    fn plan(mut self, graph: Graph) -> Engine {
        self.settle(graph.input);
        for &value in graph.constants.keys() {
            self.settle(value);
        }
        let mut steps = Vec::new();
        for (index, node) in graph.nodes.into_iter().enumerate() {
            let target = self.settle(node.target);
            let Node { operation, source, carried, others, .. } = node;
            let home = |value: Value| self.home[value].expect("values are computed before they are read");
            let operands: Vec<Layout> =
                std::iter::once(source).chain(others.iter().copied()).map(|value| self.wanted[value].layout).collect();
            let kernel = kernel(self.level, self.precision, operation, &operands, self.wanted[node.target].layout);
            let others = others.into_iter().map(home).collect();
            steps.push(Step { kernel, source: home(source), carried: carried.map(home), others, target });
            for value in 0..self.home.len() {
                // The picture's place stays its own, as it alone is planar, and so do those of constants.
                let fixed = value == graph.input || graph.constants.contains_key(&value);
                if !fixed && self.last[value] <= index {
                    self.free.extend(self.home[value].take());
                }
            }
        }
        let output = self.home[graph.output].expect("the output is computed");
        Engine {
            level: self.level,
            precision: self.precision,
            input: graph.sizes[graph.input],
            outputs: graph.sizes[graph.output].iter().product(),
            steps,
            places: self.places,
            output,
            memory: Mutex::default(),
        }
    }

    /// Finds a place for a value.
    fn settle(&mut self, value: Value) -> usize {
        let wanted = &self.wanted[value];
        let free = self.free.iter().position(|&place| self.places[place] == *wanted);
        let place = if let Some(index) = free {
            self.free.swap_remove(index)
        } else {
            self.places.push(wanted.clone());
            self.places.len() - 1
        };
        self.home[value] = Some(place);
        place
    }
}

impl Place {
    fn new(layout: Layout, constant: Option<&Vec<f32>>) -> Self {
        Self { layout, outside: None, constant: constant.map(|values| values.as_slice().into()) }
    }
}

fn kernel(level: Level, precision: Precision, operation: Operation, operands: &[Layout], target: Layout) -> Kernel {
    let size = [operands[0].rows, operands[0].cols];
    match operation {
        Operation::Convolution { shape, depthwise: true, weight, bias, activation, .. } => {
            Kernel::Depthwise(Depthwise::new(level, shape, &weight, &bias, &activation))
        }
        Operation::Convolution { shape, weight, bias, activation, .. } => {
            let source = match operands[0] {
                Layout { lanes: 1, .. } => Source::Planar,
                layout if layout.is_bf16() => Source::Bf16,
                _ => Source::Blocked,
            };
            let algorithm = match source {
                Source::Bf16 => Algorithm::Bf16,
                _ => algorithm(level, precision, &shape, size, source == Source::Planar),
            };
            let convolution = Convolution::new(level, shape, source, algorithm, &weight, &bias, &activation);
            Kernel::Convolution(convolution)
        }
        Operation::Combine { affine, activation } => {
            let (scale, shift) = affine
                .as_ref()
                .map_or((None, None), |Affine { scale, shift }| (Some(scale.as_slice()), Some(shift.as_slice())));
            Kernel::Combine(Combine::new(level, target.channels, scale, shift, activation))
        }
        Operation::Elementwise(binary) => Kernel::Elementwise(binary),
        Operation::Pool(pool) => Kernel::Pool(pool),
        Operation::Softmax => Kernel::Softmax,
        Operation::LayerNorm { affine: Affine { scale, shift }, epsilon } => {
            Kernel::LayerNorm(LayerNorm::new(level, &scale, &shift, epsilon))
        }
        Operation::GroupNorm { groups, epsilon, affine, activation } => {
            let ones = || Affine { scale: vec![1.0; target.channels], shift: vec![0.0; target.channels] };
            let Affine { scale, shift } = affine.unwrap_or_else(ones);
            Kernel::GroupNorm(GroupNorm::new(level, groups, &scale, &shift, epsilon, activation))
        }
        Operation::Attention { attention, firsts } => Kernel::Attention { attention, firsts },
        Operation::Involution(geometry) => Kernel::Involution(Involution::new(level, geometry)),
        Operation::Rearrange { origins } => {
            let origin = |part: usize, [channel, row, col]: Size| {
                let (operand, from) = origins[(channel * target.rows + row) * target.cols + col];
                (operand == part).then_some(from)
            };
            let parts = operands.iter().enumerate();
            Kernel::Rearrange(
                parts.map(|(part, source)| Rearrange::new(*source, target, |at| origin(part, at))).collect(),
            )
        }
    }
}
