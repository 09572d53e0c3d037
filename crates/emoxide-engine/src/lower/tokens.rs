//! What transformers are made of.

use burn_ir::{AttentionOpIr, DimOpIr, LayerNormOpIr, MatmulOpIr};
use emoxide_kernels::blocked::Attention;

use super::{Known, Lowering};
use crate::{
    CompileError,
    graph::{Affine, Operation},
    view::{CHANNELS, COLS, ROWS, View, Walk},
};

/// Products of queries and keys. Both are `[1, heads, tokens, width]`.
#[derive(Clone)]
pub(super) struct Scores {
    query: View,
    key: View,
    scale: f32,
    /// Whether they were made shares of 1 for every query.
    shares: bool,
    /// Dimensions of the recorded tensor, 4 or, of one head, 3.
    rank: usize,
}

impl Scores {
    pub(super) fn scaled(self, factor: f32, name: &str) -> Result<Self, CompileError> {
        if self.shares {
            return Err(CompileError::unsupported(name, "of attention scores behind their softmax"));
        }
        Ok(Self { scale: self.scale * factor, ..self })
    }
}

impl Lowering {
    pub(super) fn layer_norm(&mut self, op: &LayerNormOpIr) -> Result<(), CompileError> {
        const NAME: &str = "LayerNorm";
        let scale = self.constant(&op.gamma, NAME)?.values;
        let shift = match &op.beta {
            Some(beta) => self.constant(beta, NAME)?.values,
            None => vec![0.0; scale.len()],
        };
        let view = self.view(&op.input, NAME)?;
        let view = self.by_channel(&view, view.dims.len() - 1);
        let operation = Operation::LayerNorm { affine: Affine { scale, shift }, epsilon: op.epsilon.elem() };
        let value = self.node(operation, view.value, Vec::new(), self.sizes[view.value]);
        self.define(&op.out, View { value, ..view });
        Ok(())
    }

    pub(super) fn softmax(&mut self, op: &DimOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Softmax";
        if let Known::Scores(scores) = self.known(&op.input, NAME)? {
            if scores.shares || op.axis + 1 != scores.rank {
                return Err(CompileError::unsupported(NAME, "of attention scores, but over the keys"));
            }
            self.known.insert(op.out.id, Known::Scores(Scores { shares: true, ..scores }));
            return Ok(());
        }
        let view = self.view(&op.input, NAME)?;
        let view = self.by_channel(&view, op.axis);
        let value = self.node(Operation::Softmax, view.value, Vec::new(), self.sizes[view.value]);
        self.define(&op.out, View { value, ..view });
        Ok(())
    }

    /// A linear layer, or one of the two products of attention.
    pub(super) fn matmul(&mut self, op: &MatmulOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Matmul";
        let MatmulOpIr { lhs, rhs, out } = op;
        match (self.known(lhs, NAME)?, self.known(rhs, NAME)?) {
            (Known::View(_), Known::Constant(_)) => self.linear(lhs, rhs, None, out, NAME),
            (Known::View(query), Known::View(key)) => {
                let rank = query.dims.len();
                let [query, key] = [headed(query, NAME)?, headed(key, NAME)?];
                let key = key.permute(&[0, 1, 3, 2]);
                let scores = Scores { query, key, scale: 1.0, shares: false, rank };
                self.known.insert(out.id, Known::Scores(scores));
                Ok(())
            }
            (Known::Scores(scores), Known::View(value)) if scores.shares => {
                let mut result = self.attend(&scores, &headed(value, NAME)?)?;
                if scores.rank == 3 {
                    result.dims.remove(1);
                }
                self.define(out, result);
                Ok(())
            }
            _ => Err(CompileError::unsupported(NAME, "but with a weight or as attention")),
        }
    }

    /// Burn's own operation for it.
    pub(super) fn attention(&mut self, op: &AttentionOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Attention";
        if op.mask.is_some() || op.attn_bias.is_some() || op.options.softcap.is_some() || op.options.is_causal {
            return Err(CompileError::unsupported(NAME, "with a mask, a bias, a cap of its scores or causal"));
        }
        let [query, key, value] = [self.view(&op.query, NAME)?, self.view(&op.key, NAME)?, self.view(&op.value, NAME)?];
        let width = query.shape()[3] as f32;
        let scale = op.options.scale.map_or(1.0 / width.sqrt(), burn_ir::ScalarIr::elem);
        let scores = Scores { query, key, scale, shares: true, rank: 4 };
        let result = self.attend(&scores, &value)?;
        self.define(&op.out, result);
        Ok(())
    }

    fn attend(&mut self, scores: &Scores, value: &View) -> Result<View, CompileError> {
        let [query, key] = [&scores.query, &scores.key];
        let shapes = [query, key, value].map(View::shape);
        let [_, heads, _, width] = shapes[0][..] else { unreachable!("`headed` gives four dimensions") };
        let value_width = shapes[2][3];
        let fits = shapes.iter().all(|shape| shape[..2] == [1, heads])
            && shapes[1][2..] == [shapes[2][2], width]
            && !shapes.iter().flatten().any(|&size| size == 0);
        if !fits {
            return Err(CompileError::unsupported("Matmul", format!("as attention of {shapes:?}")));
        }
        let [query, key, value] = [query, key, value].map(|view| self.heads(view));
        let attention = Attention { heads, width, value_width, scale: scores.scale };
        let operation = Operation::Attention {
            attention,
            firsts: [query.start[CHANNELS], key.start[CHANNELS], value.start[CHANNELS]],
        };
        let [_, rows, cols] = self.sizes[query.value];
        let others = vec![key.value, value.value];
        let target = self.node(operation, query.value, others, [heads * value_width, rows, cols]);
        let walks = |count: usize, stride: usize| {
            if count > 1 { vec![Walk { axis: CHANNELS, count, stride }] } else { Vec::new() }
        };
        let dims = vec![Vec::new(), walks(heads, value_width), query.dims[2].clone(), walks(value_width, 1)];
        Ok(View { value: target, start: [0; 3], dims })
    }

    /// Heads whose channels follow each other, of tokens that are all pixels of a value.
    fn heads(&mut self, view: &View) -> View {
        let size = self.sizes[view.value];
        let axes = [vec![0, 1, 3], vec![], vec![2]];
        let plain = View::canonical(view.value, &view.shape(), &axes);
        let pixels = View::canonical(view.value, &[size[ROWS], size[COLS]], &[vec![], vec![0], vec![1]]);
        let direct = view.start[1..] == [0, 0]
            && [1, 3].iter().all(|&dim| view.dims[dim] == plain.dims[dim])
            && view.dims[2] == pixels.dims.concat();
        if direct { view.clone() } else { self.arranged(view, &axes) }
    }
}

/// `[1, heads, tokens, width]`; a tensor of three dimensions is one head.
fn headed(mut view: View, name: &str) -> Result<View, CompileError> {
    match view.dims.len() {
        3 => view.dims.insert(1, Vec::new()),
        4 => (),
        rank => return Err(CompileError::unsupported(name, format!("of two tensors with {rank} dimensions"))),
    }
    Ok(view)
}
