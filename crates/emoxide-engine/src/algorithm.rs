//! How convolutions are computed, and which values are bfloat16 in memory.

use emoxide_kernels::Level;
use emoxide_kernels::blocked::{Algorithm, Convolution, Reduce, Shape, Source};

use crate::graph::{Graph, Node, Operation};
use crate::precision::Precision;

/// Fewest tiles of 4x4 pixels of a map, and fewest channels, for which Winograd's method was measured faster.
const WINOGRAD_TILES: usize = 9;
const WINOGRAD_CHANNELS: usize = 32;

/// That of a convolution whose source is floats, a picture or a map of `size`.
pub(crate) fn algorithm(
    level: Level,
    precision: Precision,
    shape: &Shape,
    size: [usize; 2],
    picture: bool,
) -> Algorithm {
    let source = if picture { Source::Planar } else { Source::Blocked };
    let tiles = size[0].div_ceil(4) * size[1].div_ceil(4);
    let wide = shape.inputs.min(shape.outputs) >= WINOGRAD_CHANNELS && tiles >= WINOGRAD_TILES;
    let winograd = wide && Convolution::suits_winograd(shape, source);
    // Rounding a map of which single pixels are read costs more than it saves.
    let exact = picture || is_linear(shape, size) || is_sampling(shape);
    // Matrix tiles alone multiply bfloat16 faster than Winograd's method gets through floats.
    let quicker = winograd && level < Level::Amx;
    match precision {
        Precision::Bf16 if !exact && !quicker => Algorithm::Bf16,
        Precision::Int8 if !exact => Algorithm::Int8,
        _ if winograd => Algorithm::Winograd,
        _ => Algorithm::Direct,
    }
}

/// Whether a map has a single result, as in a linear layer: it costs little, and rounding it most.
fn is_linear(shape: &Shape, size: [usize; 2]) -> bool {
    shape.output(size) == Some([1, 1])
}

/// Whether single pixels are read, with others between them.
fn is_sampling(shape: &Shape) -> bool {
    shape.kernel == [1, 1] && shape.stride > 1
}

impl Graph {
    /// Which values are rounded to bfloat16 where they are written: those that everything that reads them would round, or
    /// only adds. That spares rounding them again and again, and half of the memory traffic.
    pub(crate) fn halved(&self, level: Level) -> Vec<bool> {
        let mut halved = vec![false; self.sizes.len()];
        if !Convolution::multiplies_bf16(level) {
            return halved;
        }
        for node in &self.nodes {
            halved[node.target] = node.target != self.output && self.is_flexible(level, node);
        }
        loop {
            let before = halved.clone();
            for node in &self.nodes {
                let flexible = self.is_flexible(level, node);
                let reads = match &node.operation {
                    Operation::Convolution { shape, .. } => {
                        let size = &self.sizes[node.source];
                        flexible && !is_linear(shape, [size[1], size[2]])
                    }
                    // Floats in, floats out.
                    Operation::Pool(_) => {
                        halved[node.target] &= halved[node.source];
                        flexible && halved[node.target]
                    }
                    _ => false,
                };
                halved[node.source] &= reads;
                for other in node.carried.iter().chain(&node.others) {
                    halved[*other] &= flexible;
                }
            }
            if halved == before {
                return halved;
            }
        }
    }

    /// Whether the node's kernel reads and writes both floats and bfloat16.
    fn is_flexible(&self, level: Level, node: &Node) -> bool {
        match &node.operation {
            Operation::Convolution { depthwise: false, shape, .. } => {
                let [_, rows, cols] = self.sizes[node.source];
                let picture = node.source == self.input;
                algorithm(level, Precision::Bf16, shape, [rows, cols], picture) != Algorithm::Winograd
            }
            Operation::Pool(pool) => pool.reduce == Reduce::Max,
            _ => false,
        }
    }
}
