//! Operations that leave the numbers as they are, or reduce a dimension.

use burn_ir::{CatOpIr, RepeatDimOpIr, SliceOpIr, TensorIr};
use emoxide_kernels::blocked::{Pool, Reduce};

use super::{Known, Lowering};
use crate::{
    CompileError,
    constant::Constant,
    graph::{Operation, Size, Value},
    view::{CHANNELS, COLS, ROWS, View, for_each_index},
};

/// What becomes of a dimension.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reduction {
    Mean,
    Sum,
    Max,
}

impl Lowering {
    pub(super) fn reshape(&mut self, input: &TensorIr, out: &TensorIr) -> Result<(), CompileError> {
        const NAME: &str = "Reshape";
        let dims: Vec<usize> = out.shape.to_vec();
        if let Known::Constant(constant) = self.known(input, NAME)? {
            self.known.insert(out.id, Known::Constant(Constant { dims, ..constant }));
            return Ok(());
        }
        let view = self.view(input, NAME)?;
        let reshaped = view.reshape(&dims).or_else(|| {
            let rank = view.dims.len();
            self.arranged(&view, &[(0..rank).collect(), vec![], vec![]]).reshape(&dims)
        });
        self.define(out, reshaped.expect("channels alone can be divided in any way"));
        Ok(())
    }

    pub(super) fn permute(&mut self, input: &TensorIr, axes: &[usize], out: &TensorIr) -> Result<(), CompileError> {
        let shape = input.shape.to_vec();
        let still = |(dim, &axis): (usize, &usize)| dim == axis || [shape[dim], shape[axis]] == [1, 1];
        let known = match self.known(input, "Permute")? {
            known if axes.iter().enumerate().all(still) => known,
            Known::Constant(constant) => Known::Constant(constant.permuted(axes)),
            _ => Known::View(self.view(input, "Permute")?.permute(axes)),
        };
        self.known.insert(out.id, known);
        Ok(())
    }

    pub(super) fn expand(&mut self, input: &TensorIr, out: &TensorIr, name: &str) -> Result<(), CompileError> {
        let dims: Vec<usize> = out.shape.to_vec();
        let known = match self.known(input, name)? {
            Known::Constant(constant) => {
                // New dimensions come in front.
                let mut padded = vec![1; dims.len() - constant.dims.len()];
                padded.extend(&constant.dims);
                Known::Constant(
                    Constant { dims: padded, ..constant }.gather(&dims, |index, from| from.copy_from_slice(index)),
                )
            }
            _ => Known::View(self.view(input, name)?),
        };
        if let Known::View(view) = &known
            && view.shape() != dims
        {
            return Err(CompileError::unsupported(name, format!("from {:?} to {dims:?}", view.shape())));
        }
        self.known.insert(out.id, known);
        Ok(())
    }

    pub(super) fn repeat(&mut self, op: &RepeatDimOpIr) -> Result<(), CompileError> {
        let dims: Vec<usize> = op.out.shape.to_vec();
        if let Known::Constant(constant) = self.known(&op.tensor, "RepeatDim")? {
            let size = constant.dims[op.dim];
            let repeated = constant.gather(&dims, |index, from| {
                from.copy_from_slice(index);
                from[op.dim] %= size;
            });
            self.known.insert(op.out.id, Known::Constant(repeated));
            return Ok(());
        }
        self.expand(&op.tensor, &op.out, "RepeatDim")
    }

    pub(super) fn slice(&mut self, op: &SliceOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Slice";
        if op.ranges.iter().any(|range| range.step < 1) {
            return Err(CompileError::unsupported(NAME, "backwards"));
        }
        let shape: Vec<usize> = op.out.shape.to_vec();
        let range = |dim: usize, size: usize| {
            op.ranges.get(dim).map_or((0, 1), |range| (range.to_range(size).start, range.step as usize))
        };
        if let Known::Constant(constant) = self.known(&op.tensor, NAME)? {
            let slice = constant.gather(&shape, |index, from| {
                for (dim, (from, at)) in from.iter_mut().zip(index).enumerate() {
                    let (start, step) = range(dim, constant.dims[dim]);
                    *from = start + at * step;
                }
            });
            self.known.insert(op.out.id, Known::Constant(slice));
            return Ok(());
        }
        let view = self.view(&op.tensor, NAME)?;
        let sliced = |view: View| {
            (0..shape.len()).try_fold(view, |view, dim| {
                let (start, step) = range(dim, view.shape()[dim]);
                view.slice(dim, start, shape[dim], step)
            })
        };
        let slice = sliced(view.clone()).or_else(|| sliced(self.arranged(&view, &View::usual_axes(shape.len()))));
        self.define(&op.out, slice.expect("a dimension along one axis is regular"));
        Ok(())
    }

    pub(super) fn cat(&mut self, op: &CatOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Cat";
        let shape: Vec<usize> = op.out.shape.to_vec();
        let parts = op.tensors.iter().map(|tensor| self.known(tensor, NAME)).collect::<Result<Vec<_>, _>>()?;
        let lengths: Vec<usize> = op.tensors.iter().map(|tensor| tensor.shape.to_vec()[op.dim]).collect();
        if let Some(parts) = parts.iter().map(as_constant).collect::<Option<Vec<_>>>() {
            let mut values = Vec::new();
            for_each_index(&shape, |index| {
                let (mut index, mut part) = (index.to_vec(), 0);
                while index[op.dim] >= lengths[part] {
                    index[op.dim] -= lengths[part];
                    part += 1;
                }
                values.push(parts[part].at(&index));
            });
            self.known.insert(op.out.id, Known::Constant(Constant { dims: shape, values }));
            return Ok(());
        }
        let mut views = Vec::new();
        for (tensor, part) in op.tensors.iter().zip(parts) {
            views.push(match part {
                Known::Constant(constant) => self.fixed(&constant),
                _ => self.view(tensor, NAME)?,
            });
        }
        let axes = View::usual_axes(shape.len());
        let whole = View::canonical(self.sizes.len(), &shape, &axes);
        let (_, size) = whole.dense();
        let mut origins = vec![(0, [0; 3]); size.iter().product()];
        let mut first = 0;
        for (operand, (view, length)) in views.iter().zip(&lengths).enumerate() {
            // From where the part begins.
            let mut begin = vec![0; shape.len()];
            begin[op.dim] = first;
            let part = View { start: whole.position(&begin), ..whole.clone() };
            for_each_index(&view.shape(), |index| {
                origins[number(part.position(index), size)] = (operand, view.position(index));
            });
            first += length;
        }
        let others = views[1..].iter().map(|view| view.value).collect();
        self.node(Operation::Rearrange { origins }, views[0].value, others, size);
        self.define(&op.out, whole);
        Ok(())
    }

    pub(super) fn reduce(
        &mut self,
        input: &TensorIr,
        dim: usize,
        out: &TensorIr,
        reduction: Reduction,
        name: &str,
    ) -> Result<(), CompileError> {
        if let Known::Constant(constant) = self.known(input, name)? {
            let reduced = constant.reduced(dim, |a, b| if reduction == Reduction::Max { a.max(b) } else { a + b });
            let share = if reduction == Reduction::Mean { 1.0 / constant.dims[dim] as f32 } else { 1.0 };
            self.known.insert(out.id, Known::Constant(reduced.map(|value| value * share)));
            return Ok(());
        }
        if reduction == Reduction::Mean && self.moment(input, dim, out)? {
            return Ok(());
        }
        let view = self.view(input, name)?;
        let view = self.whole(&view);
        let rank = view.dims.len();
        let reduced = view.axes(dim);
        let shared = (0..rank).any(|other| other != dim && view.axes(other).iter().any(|axis| reduced.contains(axis)));
        let (view, reduced) = if shared || reduced.contains(&CHANNELS) {
            let rest = (0..rank).filter(|&other| other != dim).collect();
            (self.arranged(&view, &[rest, vec![], vec![dim]]), vec![COLS])
        } else {
            (view, reduced)
        };
        let [channels, rows, cols] = self.sizes[view.value];
        let windows = |axis: usize, size: usize| {
            if reduced.contains(&axis) { Pool::shares(size, 1) } else { Pool::shares(size, size) }
        };
        let reduce = match reduction {
            Reduction::Mean => Reduce::Mean,
            Reduction::Sum => Reduce::Share(1.0),
            Reduction::Max => Reduce::Max,
        };
        let pool = Pool { reduce, rows: windows(ROWS, rows), cols: windows(COLS, cols) };
        let size = [channels, pool.rows.len(), pool.cols.len()];
        let value = self.node(Operation::Pool(pool), view.value, Vec::new(), size);
        let mut reduced = View { value, ..view };
        reduced.dims[dim] = Vec::new();
        self.define(out, reduced);
        Ok(())
    }

    /// The same tensor as all of a value.
    pub(super) fn whole(&mut self, view: &View) -> View {
        if view.is_whole(self.sizes[view.value]) {
            return view.clone();
        }
        let (dims, size) = view.dense();
        self.moved(view, View { value: self.sizes.len(), start: [0; 3], dims }, size)
    }

    /// The same tensor as all of a value whose axes are made of these dimensions.
    pub(super) fn arranged(&mut self, view: &View, axes: &[Vec<usize>; 3]) -> View {
        let arranged = View::canonical(view.value, &view.shape(), axes);
        let (_, size) = arranged.dense();
        if arranged == *view && size == self.sizes[view.value] {
            return arranged;
        }
        self.moved(view, View { value: self.sizes.len(), ..arranged }, size)
    }

    fn moved(&mut self, view: &View, target: View, size: Size) -> View {
        let mut origins = vec![(0, [0; 3]); size.iter().product()];
        for_each_index(&view.shape(), |index| {
            origins[number(target.position(index), size)] = (0, view.position(index));
        });
        self.node(Operation::Rearrange { origins }, view.value, Vec::new(), size);
        target
    }

    /// A tensor, repeated along dimensions of size 1, as a value that meets all of `other` value by value; the value
    /// stays a single pixel or a single channel where that is enough.
    pub(super) fn meeting(&mut self, view: &View, other: &View) -> Value {
        let full = self.sizes[other.value];
        let repeated = |dim: usize| view.dims[dim].is_empty();
        let one = |axes: &[usize]| {
            (0..other.dims.len()).all(|dim| repeated(dim) || other.axes(dim).iter().all(|axis| !axes.contains(axis)))
        };
        let mut size = full;
        if one(&[CHANNELS]) {
            size[CHANNELS] = 1;
        }
        if one(&[ROWS, COLS]) {
            size = [size[CHANNELS], 1, 1];
        }
        let same = (0..view.dims.len()).all(|dim| repeated(dim) || view.dims[dim] == other.dims[dim]);
        if same && view.is_whole(self.sizes[view.value]) && self.sizes[view.value] == size {
            return view.value;
        }
        let mut origins = vec![(0, [0; 3]); size.iter().product()];
        for_each_index(&other.shape(), |index| {
            let mut at = other.position(index);
            for axis in 0..3 {
                at[axis] = at[axis].min(size[axis] - 1);
            }
            // A dimension without walks has one place.
            origins[number(at, size)] = (0, view.position(index));
        });
        self.node(Operation::Rearrange { origins }, view.value, Vec::new(), size)
    }

    /// Its value in row-major order.
    pub(super) fn in_order(&mut self, view: &View) -> Value {
        let rank = view.dims.len();
        let size = self.sizes[view.value];
        let [channels, rows, cols] = size;
        let plain = View::canonical(view.value, &[channels, rows, cols], &[vec![0], vec![1], vec![2]]);
        let walks: Vec<_> = view.dims.iter().flatten().copied().collect();
        if view.start == [0; 3] && walks == plain.dims.concat() {
            return view.value;
        }
        self.arranged(view, &[(0..rank).collect(), vec![], vec![]]).value
    }

    /// A constant as a value.
    fn fixed(&mut self, constant: &Constant) -> View {
        let view = View::canonical(self.sizes.len(), &constant.dims, &View::usual_axes(constant.dims.len()));
        let (_, size) = view.dense();
        let mut values = vec![0.0; constant.values.len()];
        for_each_index(&constant.dims, |index| values[number(view.position(index), size)] = constant.at(index));
        self.fix(values, size);
        view
    }

    /// Adds a value that is the same for every image.
    pub(super) fn fix(&mut self, values: Vec<f32>, size: Size) -> Value {
        let value = self.sizes.len();
        self.sizes.push(size);
        self.constants.insert(value, values);
        value
    }
}

fn as_constant(known: &Known) -> Option<Constant> {
    if let Known::Constant(constant) = known { Some(constant.clone()) } else { None }
}

/// The number of a place, channel by channel.
pub(super) fn number([channel, row, col]: Size, [_, rows, cols]: Size) -> usize {
    (channel * rows + row) * cols + col
}
