//! Operations that leave the numbers as they are, or reduce an axis.

use burn::tensor::TensorData;
use burn_ir::{BaseOperationIr, CatOpIr, FlipOpIr, OperationIr, ReduceDimOpIr, RepeatDimOpIr, SliceOpIr, TensorIr};

use super::{Lowering, Size};
use crate::ExportError;
use crate::onnx::builder::{int, ints};

impl Lowering<'_> {
    pub(super) fn reshape(&mut self, input: &TensorIr, out: &TensorIr) -> Result<(), ExportError> {
        let (from, to) = (self.shape(input), self.shape(out));
        let name = self.name(input)?;
        let name = if from == to { name } else { self.reshaped(&name, &to) };
        self.define(out, name);
        Ok(())
    }

    /// A tensor in another shape. A single size that follows the batch is what is left over.
    pub(super) fn reshaped(&mut self, name: &str, to: &[Size]) -> String {
        let following = to.iter().filter(|size| matches!(size, Size::Images(_))).count();
        let sizes = if following == 1 {
            let sizes: Vec<i64> =
                to.iter().map(|size| if let Size::Fixed(size) = size { *size as i64 } else { -1 }).collect();
            self.builder.ints(&sizes)
        } else {
            self.sizes(to)
        };
        self.builder.node("Reshape", &[name, &sizes], Vec::new())
    }

    pub(super) fn permute(&mut self, input: &TensorIr, axes: &[usize], out: &TensorIr) -> Result<(), ExportError> {
        self.simple("Transpose", &[input], vec![ints("perm", axes.iter().copied())], out)
    }

    pub(super) fn flip(&mut self, op: &FlipOpIr) -> Result<(), ExportError> {
        let last = vec![-1; op.axes.len()];
        let before_first = vec![i64::MIN; op.axes.len()];
        let axes: Vec<i64> = op.axes.iter().map(|&axis| axis as i64).collect();
        let lists = [&last, &before_first, &axes, &last].map(|values| self.builder.ints(values));
        let input = self.name(&op.input)?;
        let [starts, ends, axes, steps] = &lists;
        let name = self.builder.node("Slice", &[&input, starts, ends, axes, steps], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }

    pub(super) fn expand(&mut self, input: &TensorIr, out: &TensorIr) -> Result<(), ExportError> {
        let (from, to) = (self.shape(input), self.shape(out));
        let name = self.name(input)?;
        if from == to {
            self.define(out, name);
            return Ok(());
        }
        // New axes come in front. A size of 1 leaves an axis as it is.
        let new = to.len() - from.len();
        let wanted = to.iter().enumerate().map(|(axis, size)| {
            let kept = axis >= new && from[axis - new] == *size;
            if kept { Size::Fixed(1) } else { *size }
        });
        let wanted: Vec<Size> = wanted.collect();
        let sizes = self.sizes(&wanted);
        let name = self.builder.node("Expand", &[&name, &sizes], Vec::new());
        self.define(out, name);
        Ok(())
    }

    pub(super) fn repeat(&mut self, op: &RepeatDimOpIr) -> Result<(), ExportError> {
        let (from, to) = (self.shape(&op.tensor), self.shape(&op.out));
        let times = match (from[op.dim], to[op.dim]) {
            (Size::Fixed(1), _) => return self.expand(&op.tensor, &op.out),
            (Size::Fixed(from), Size::Fixed(to)) | (Size::Images(from), Size::Images(to)) => Size::Fixed(to / from),
            (Size::Fixed(from), Size::Images(to)) if to % from == 0 => Size::Images(to / from),
            (from, to) => return Err(ExportError::unsupported("RepeatDim", format!("from {from:?} to {to:?}"))),
        };
        let mut repeats = vec![Size::Fixed(1); from.len()];
        repeats[op.dim] = times;
        let (input, repeats) = (self.name(&op.tensor)?, self.sizes(&repeats));
        let name = self.builder.node("Tile", &[&input, &repeats], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }

    pub(super) fn slice(&mut self, op: &SliceOpIr, operations: &[OperationIr; 3]) -> Result<(), ExportError> {
        const NAME: &str = "Slice";
        let recorded = operations.each_ref().map(|operation| match operation {
            OperationIr::BaseFloat(BaseOperationIr::Slice(op)) => Some(op),
            _ => None,
        });
        let mut lists: [Vec<i64>; 4] = Default::default();
        for axis in 0..op.ranges.len() {
            // First element, number of elements, and size of the axis.
            let cut = |op: &SliceOpIr| {
                let size = op.tensor.shape.to_vec()[axis];
                (op.ranges[axis].to_range(size).start, op.out.shape.to_vec()[axis], size)
            };
            let cuts: Vec<_> = recorded.iter().flatten().map(|op| cut(op)).collect();
            let step = op.ranges[axis].step;
            if step < 1 {
                return Err(ExportError::unsupported(NAME, "backwards"));
            }
            if cuts.iter().all(|&(first, count, size)| first == 0 && count == size) {
                continue;
            }
            let (first, count, _) = cuts[0];
            if cuts.iter().any(|&(other, others, _)| (other, others) != (first, count)) {
                return Err(ExportError::unsupported(NAME, format!("that follows the batch: {cuts:?}")));
            }
            let end = first + (count - 1) * step as usize + 1;
            for (list, value) in lists.iter_mut().zip([first, end, axis, step as usize]) {
                list.push(value as i64);
            }
        }
        let input = self.name(&op.tensor)?;
        if lists[0].is_empty() {
            self.define(&op.out, input);
            return Ok(());
        }
        let [starts, ends, axes, steps] = lists.map(|values| self.builder.ints(&values));
        let name = self.builder.node(NAME, &[&input, &starts, &ends, &axes, &steps], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }

    pub(super) fn cat(&mut self, op: &CatOpIr) -> Result<(), ExportError> {
        let parts: Vec<&TensorIr> = op.tensors.iter().collect();
        self.simple("Concat", &parts, vec![int("axis", op.dim as i64)], &op.out)
    }

    pub(super) fn reduce(&mut self, kind: &'static str, op: &ReduceDimOpIr) -> Result<(), ExportError> {
        let kept = op.input.shape.num_dims() == op.out.shape.num_dims();
        let (input, axes) = (self.name(&op.input)?, self.builder.ints(&[op.axis as i64]));
        let name = self.builder.node(kind, &[&input, &axes], vec![int("keepdims", i64::from(kept))]);
        self.define(&op.out, name);
        Ok(())
    }

    /// A tensor of one number.
    pub(super) fn fill(&mut self, out: &TensorIr, value: f32) -> Result<(), ExportError> {
        let number = self.builder.unnamed(TensorData::new(vec![value], vec![1; out.shape.num_dims()]))?;
        let sizes = self.shape(out);
        let sizes = self.sizes(&sizes);
        let name = self.builder.node("Expand", &[&number, &sizes], Vec::new());
        self.define(out, name);
        Ok(())
    }
}
