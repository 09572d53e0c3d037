//! Convolutions, linear layers, norms with fixed statistics and pools.

use burn_ir::{AdaptiveAvgPool2dOpIr, AvgPool2dOpIr, BatchNormOpIr, Conv2dOpIr, LinearOpIr, MaxPool2dOpIr, TensorIr};

use super::{Lowering, Size};
use crate::ExportError;
use crate::onnx::builder::{float, int, ints};

impl Lowering<'_> {
    pub(super) fn convolution(&mut self, op: &Conv2dOpIr) -> Result<(), ExportError> {
        let options = &op.options;
        let [rows, cols] = options.padding;
        let settings = vec![
            ints("strides", options.stride),
            ints("dilations", options.dilation),
            ints("pads", [rows.0, cols.0, rows.1, cols.1]),
            int("group", options.groups as i64),
        ];
        let inputs: Vec<&TensorIr> = [&op.x, &op.weight].into_iter().chain(&op.bias).collect();
        self.simple("Conv", &inputs, settings, &op.out)
    }

    pub(super) fn batch_norm(&mut self, op: &BatchNormOpIr) -> Result<(), ExportError> {
        let inputs = [&op.x, &op.gamma, &op.beta, &op.mean, &op.variance];
        self.simple("BatchNormalization", &inputs, vec![float("epsilon", op.epsilon.elem())], &op.out)
    }

    pub(super) fn linear(&mut self, op: &LinearOpIr) -> Result<(), ExportError> {
        if op.x.shape.num_dims() == 2 {
            let inputs: Vec<&TensorIr> = [&op.x, &op.weight].into_iter().chain(&op.bias).collect();
            return self.simple("Gemm", &inputs, Vec::new(), &op.out);
        }
        self.simple("MatMul", &[&op.x, &op.weight], Vec::new(), &op.out)?;
        if let Some(bias) = &op.bias {
            self.simple("Add", &[&op.out, bias], Vec::new(), &op.out)?;
        }
        Ok(())
    }

    pub(super) fn max_pool(&mut self, op: &MaxPool2dOpIr) -> Result<(), ExportError> {
        let [rows, cols] = op.padding;
        let settings = vec![
            ints("kernel_shape", op.kernel_size),
            ints("strides", op.stride),
            ints("dilations", op.dilation),
            ints("pads", [rows, cols, rows, cols]),
            int("ceil_mode", i64::from(op.ceil_mode)),
        ];
        self.simple("MaxPool", &[&op.x], settings, &op.out)
    }

    pub(super) fn avg_pool(&mut self, op: &AvgPool2dOpIr) -> Result<(), ExportError> {
        let [rows, cols] = op.padding;
        let settings = vec![
            ints("kernel_shape", op.kernel_size),
            ints("strides", op.stride),
            ints("pads", [rows, cols, rows, cols]),
            int("ceil_mode", i64::from(op.ceil_mode)),
            int("count_include_pad", i64::from(op.count_include_pad)),
        ];
        self.simple("AveragePool", &[&op.x], settings, &op.out)
    }

    /// Windows of one size where they divide the map, otherwise a product with the shares that every pixel has in every window.
    pub(super) fn adaptive_avg_pool(&mut self, op: &AdaptiveAvgPool2dOpIr) -> Result<(), ExportError> {
        const NAME: &str = "AdaptiveAvgPool2d";
        let [_, _, Size::Fixed(rows), Size::Fixed(cols)] = self.shape(&op.x)[..] else {
            return Err(ExportError::unsupported(NAME, "of a map whose size follows the batch"));
        };
        let (from, to) = ([rows, cols], op.output_size);
        if to == [1, 1] {
            return self.simple("GlobalAveragePool", &[&op.x], Vec::new(), &op.out);
        }
        if [0, 1].iter().all(|&axis| from[axis].is_multiple_of(to[axis])) {
            let kernel = [from[0] / to[0], from[1] / to[1]];
            let settings = vec![ints("kernel_shape", kernel), ints("strides", kernel)];
            return self.simple("AveragePool", &[&op.x], settings, &op.out);
        }
        let map = self.name(&op.x)?;
        let down = self.builder.floats(shares(from[0], to[0]), &[to[0], from[0]])?;
        let across = turned(&shares(from[1], to[1]), from[1]);
        let across = self.builder.floats(across, &[from[1], to[1]])?;
        let narrow = self.builder.node("MatMul", &[&map, &across], Vec::new());
        let name = self.builder.node("MatMul", &[&down, &narrow], Vec::new());
        self.define(&op.out, name);
        Ok(())
    }
}

/// The share of every old place in every new one, `[to, from]`: windows begin at the floor and end at the ceiling of their part of
/// the axis.
fn shares(from: usize, to: usize) -> Vec<f32> {
    let mut shares = vec![0.0; to * from];
    for place in 0..to {
        let window = place * from / to..((place + 1) * from).div_ceil(to);
        let share = 1.0 / window.len() as f32;
        shares[place * from..][window].fill(share);
    }
    shares
}

fn turned(values: &[f32], cols: usize) -> Vec<f32> {
    (0..cols).flat_map(|col| values.iter().skip(col).step_by(cols).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::{shares, turned};

    #[test]
    fn windows_share_what_does_not_divide() {
        let half = 0.5;
        assert_eq!(shares(3, 2), [half, half, 0.0, 0.0, half, half]);
        assert_eq!(turned(&shares(3, 2), 3), [half, 0.0, half, half, 0.0, half]);
    }
}
