//! What transformers are made of.

use burn_ir::{AttentionOpIr, DimOpIr, LayerNormOpIr, ScalarIr};

use super::{Lowering, Size};
use crate::ExportError;
use crate::onnx::builder::{float, int, ints};

impl Lowering<'_> {
    pub(super) fn layer_norm(&mut self, op: &LayerNormOpIr) -> Result<(), ExportError> {
        let inputs: Vec<_> = [&op.input, &op.gamma].into_iter().chain(&op.beta).collect();
        let settings = vec![int("axis", -1), float("epsilon", op.epsilon.elem())];
        self.simple("LayerNormalization", &inputs, settings, &op.out)
    }

    pub(super) fn softmax(&mut self, op: &DimOpIr) -> Result<(), ExportError> {
        self.simple("Softmax", &[&op.input], vec![int("axis", op.axis as i64)], &op.out)
    }

    /// Burn's own operation: `softmax(query · keyᵀ · scale) · value`, all of `[batch, heads, tokens, width]`.
    pub(super) fn attention(&mut self, op: &AttentionOpIr) -> Result<(), ExportError> {
        const NAME: &str = "Attention";
        if op.mask.is_some() || op.attn_bias.is_some() || op.options.softcap.is_some() || op.options.is_causal {
            return Err(ExportError::unsupported(NAME, "with a mask, a bias, a cap of its scores or causal"));
        }
        let [_, _, _, Size::Fixed(width)] = self.shape(&op.query)[..] else {
            return Err(ExportError::unsupported(NAME, "whose width follows the batch"));
        };
        let scale = op.options.scale.map_or(1.0 / (width as f64).sqrt(), ScalarIr::elem);
        let [query, key, value] = [self.name(&op.query)?, self.name(&op.key)?, self.name(&op.value)?];
        let scale = self.builder.number(scale)?;
        let key = self.builder.node("Transpose", &[&key], vec![ints("perm", [0, 1, 3, 2])]);
        let query = self.builder.node("Mul", &[&query, &scale], Vec::new());
        let scores = self.builder.node("MatMul", &[&query, &key], Vec::new());
        let shares = self.builder.node("Softmax", &[&scores], vec![int("axis", -1)]);
        let name = self.builder.node("MatMul", &[&shares, &value], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }
}
