//! Convolutions, linear layers, norms with fixed statistics and pools.

use burn_ir::{AdaptiveAvgPool2dOpIr, AvgPool2dOpIr, BatchNormOpIr, Conv2dOpIr, MaxPool2dOpIr, TensorIr};
use emoxide_kernels::blocked::{Activation, Pool, Reduce, Shape};

use super::{Lowering, shape::number};
use crate::{
    CompileError,
    constant::Constant,
    graph::{Affine, Operation},
    view::{CHANNELS, View, Walk, for_each_index},
};

impl Lowering {
    pub(super) fn convolution(&mut self, op: &Conv2dOpIr) -> Result<(), CompileError> {
        const NAME: &str = "Conv2d";
        let options = &op.options;
        let weight = self.constant(&op.weight, NAME)?;
        let [outputs, inputs, rows, cols] = weight.dims(NAME)?;
        let source = self.map(&op.x, NAME)?;
        let [channels, source_rows, source_cols] = self.sizes[source.value];
        let one_stride = options.stride[0] == options.stride[1];
        let depthwise = options.groups > 1 && options.groups == channels && outputs == channels && inputs == 1;
        if !(one_stride && (options.groups == 1 || depthwise) && options.dilation == [1, 1]) {
            return Err(CompileError::unsupported(
                NAME,
                format!(
                    "with stride {:?}, dilation {:?} and {} groups; only one stride, no dilation, and one group or a group \
                     for every channel",
                    options.stride, options.dilation, options.groups
                ),
            ));
        }
        // Kernels here have one padding: where a side has less, the window begins or ends with zeros instead.
        let sides = options.padding;
        let padding = sides.iter().flat_map(|&(before, behind)| [before, behind]).max().unwrap_or(0);
        let larger = |size: usize, (before, behind): (usize, usize)| size + 2 * padding - before - behind;
        let kernel = [larger(rows, sides[0]), larger(cols, sides[1])];
        let mut weight = weight;
        if kernel != [rows, cols] {
            let mut values = vec![0.0; outputs * inputs * kernel[0] * kernel[1]];
            let first = sides.map(|(before, _)| padding - before);
            for (index, row) in weight.values.chunks(cols).enumerate() {
                let to = (index / rows * kernel[0] + index % rows + first[0]) * kernel[1] + first[1];
                values[to..to + cols].copy_from_slice(row);
            }
            weight.values = values;
        }
        let shape = Shape { inputs: channels, outputs, kernel, stride: options.stride[0], padding };
        let bias = match &op.bias {
            Some(bias) => self.constant(bias, NAME)?.values,
            None => vec![0.0; outputs],
        };
        let [rows, cols] = shape
            .output([source_rows, source_cols])
            .ok_or_else(|| CompileError::unsupported(NAME, "whose window is larger than the map"))?;
        let value = self.convolve(source.value, shape, depthwise, weight.values, bias, [rows, cols]);
        self.define(&op.out, View::canonical(value, &[1, outputs, rows, cols], &View::usual_axes(4)));
        Ok(())
    }

    fn convolve(
        &mut self,
        source: usize,
        shape: Shape,
        depthwise: bool,
        weight: Vec<f32>,
        bias: Vec<f32>,
        [rows, cols]: [usize; 2],
    ) -> usize {
        let activation = Activation::Linear;
        let operation = Operation::Convolution { shape, depthwise, weight, bias, activation, outside: None };
        self.node(operation, source, Vec::new(), [shape.outputs, rows, cols])
    }

    pub(super) fn batch_norm(&mut self, op: &BatchNormOpIr) -> Result<(), CompileError> {
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
        let view = self.view(&op.x, NAME)?;
        let rank = view.dims.len();
        if rank < 2 || view.shape()[0] != 1 {
            return Err(CompileError::unsupported(NAME, format!("of {:?}", view.shape())));
        }
        let view = self.by_channel(&view, 1);
        self.combine(&view, &op.out, Some(affine), Activation::Linear);
        Ok(())
    }

    pub(super) fn max_pool(&mut self, op: &MaxPool2dOpIr) -> Result<(), CompileError> {
        const NAME: &str = "MaxPool2d";
        if op.dilation != [1, 1] {
            return Err(CompileError::unsupported(NAME, format!("with dilation {:?}", op.dilation)));
        }
        self.pool(&op.x, &op.out, (op.kernel_size, op.stride, op.padding), Reduce::Max, NAME)
    }

    pub(super) fn avg_pool(&mut self, op: &AvgPool2dOpIr) -> Result<(), CompileError> {
        const NAME: &str = "AvgPool2d";
        if op.ceil_mode {
            return Err(CompileError::unsupported(NAME, "with ceil mode"));
        }
        let padded = op.count_include_pad && op.padding != [0, 0];
        let reduce = if padded { Reduce::Share((op.kernel_size[0] * op.kernel_size[1]) as f32) } else { Reduce::Mean };
        self.pool(&op.x, &op.out, (op.kernel_size, op.stride, op.padding), reduce, NAME)
    }

    fn pool(
        &mut self,
        x: &TensorIr,
        out: &TensorIr,
        (kernel, stride, padding): ([usize; 2], [usize; 2], [usize; 2]),
        reduce: Reduce,
        name: &str,
    ) -> Result<(), CompileError> {
        let source = self.map(x, name)?;
        let [_, rows, cols] = self.sizes[source.value];
        let targets = out.shape.to_vec();
        let windows = |axis: usize, size: usize| {
            Pool::windows(size, targets[2 + axis], kernel[axis], stride[axis], padding[axis])
        };
        let pool = Pool { reduce, rows: windows(0, rows), cols: windows(1, cols) };
        if pool.rows.iter().chain(&pool.cols).any(std::ops::Range::is_empty) {
            return Err(CompileError::unsupported(name, "with windows outside of the map"));
        }
        self.pooled(&source, out, pool);
        Ok(())
    }

    pub(super) fn adaptive_avg_pool(&mut self, op: &AdaptiveAvgPool2dOpIr) -> Result<(), CompileError> {
        let source = self.map(&op.x, "AdaptiveAvgPool2d")?;
        let [_, rows, cols] = self.sizes[source.value];
        let [target_rows, target_cols] = op.output_size;
        let pool =
            Pool { reduce: Reduce::Mean, rows: Pool::shares(rows, target_rows), cols: Pool::shares(cols, target_cols) };
        self.pooled(&source, &op.out, pool);
        Ok(())
    }

    fn pooled(&mut self, source: &View, out: &TensorIr, pool: Pool) {
        let [channels, ..] = self.sizes[source.value];
        let [rows, cols] = [pool.rows.len(), pool.cols.len()];
        // Windows of a pixel each.
        let identity = pool.rows == Pool::shares(rows, rows) && pool.cols == Pool::shares(cols, cols);
        if identity && self.sizes[source.value] == [channels, rows, cols] && !matches!(pool.reduce, Reduce::Share(_)) {
            self.define(out, source.clone());
            return;
        }
        let value = self.node(Operation::Pool(pool), source.value, Vec::new(), [channels, rows, cols]);
        self.define(out, View::canonical(value, &[1, channels, rows, cols], &View::usual_axes(4)));
    }

    /// Times `[inputs, outputs]` along the last dimension: a convolution of single pixels where that dimension is the
    /// channels, and one with a window as large as the map where it is everything.
    pub(super) fn linear(
        &mut self,
        x: &TensorIr,
        weight: &TensorIr,
        bias: Option<Constant>,
        out: &TensorIr,
        name: &str,
    ) -> Result<(), CompileError> {
        let view = self.view(x, name)?;
        let mut weight = self.constant(weight, name)?;
        let extra = weight.dims.len().saturating_sub(2);
        if weight.dims[..extra].iter().all(|&size| size == 1) {
            weight.dims.drain(..extra);
        }
        let [inputs, outputs] = weight.dims(name)?;
        let view = self.whole(&view);
        let last = view.dims.len() - 1;
        let [_, rows, cols] = self.sizes[view.value];
        let bias = bias.map_or_else(|| vec![0.0; outputs], |bias| bias.values);
        let alone = view.dims[..last].iter().all(Vec::is_empty);
        if alone && rows * cols > 1 {
            let size = self.sizes[view.value];
            let shape = Shape { inputs: size[CHANNELS], outputs, kernel: [rows, cols], stride: 1, padding: 0 };
            let mut at = Vec::new();
            for_each_index(&view.shape(), |index| at.push(number(view.position(index), size)));
            let value = self.convolve(view.value, shape, false, weight.turned(outputs, &at), bias, [1, 1]);
            let mut dims = vec![1; last];
            dims.push(outputs);
            self.define(out, View::canonical(value, &dims, &[vec![last], vec![], vec![]]));
            return Ok(());
        }
        let view = self.by_channel(&view, last);
        let [_, rows, cols] = self.sizes[view.value];
        let shape = Shape { inputs, outputs, kernel: [1, 1], stride: 1, padding: 0 };
        let at: Vec<usize> = (0..inputs).collect();
        let value = self.convolve(view.value, shape, false, weight.turned(outputs, &at), bias, [rows, cols]);
        let mut result = View { value, ..view };
        result.dims[last] = if outputs > 1 { vec![Walk { axis: CHANNELS, count: outputs, stride: 1 }] } else { vec![] };
        self.define(out, result);
        Ok(())
    }

    /// A map of one image, its axes those of the tensor.
    pub(super) fn map(&mut self, tensor: &TensorIr, name: &str) -> Result<View, CompileError> {
        let view = self.view(tensor, name)?;
        if view.dims.len() != 4 || view.shape()[0] != 1 {
            return Err(CompileError::unsupported(name, format!("of {:?}", view.shape())));
        }
        Ok(self.arranged(&view, &View::usual_axes(4)))
    }

    /// All of a value, whose channels are this dimension and nothing else.
    pub(super) fn by_channel(&mut self, view: &View, dim: usize) -> View {
        let view = self.whole(view);
        let [channels, ..] = self.sizes[view.value];
        if view.shape()[dim] == channels && view.axes(dim).iter().all(|&axis| axis == CHANNELS) {
            return view;
        }
        let rest = (0..view.dims.len()).filter(|&other| other != dim).collect();
        self.arranged(&view, &[vec![dim], vec![], rest])
    }
}
