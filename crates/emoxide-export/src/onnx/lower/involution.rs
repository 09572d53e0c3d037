//! Operators that Burn lacks, recorded under the names of `emoxide-kernels`.

use burn_ir::CustomOpIr;
use emoxide_kernels::involution::NAME;

use super::{Lowering, Size};
use crate::ExportError;
use crate::onnx::builder::{int, ints};

impl Lowering<'_> {
    pub(super) fn custom(&mut self, op: &CustomOpIr) -> Result<(), ExportError> {
        match (op.id.as_str(), op.inputs.as_slice(), op.outputs.as_slice(), op.scalars.as_slice()) {
            (NAME, [input, kernels], [out], [stride]) => {
                let stride = stride.elem::<u64>() as usize;
                let odd = || ExportError::unsupported(NAME, "of these shapes");
                let [Size::Images(1), Size::Fixed(channels), rows, cols] = self.shape(input)[..] else {
                    return Err(odd());
                };
                let [Size::Images(1), Size::Fixed(groups), Size::Fixed(taps), to_rows, to_cols] =
                    self.shape(kernels)[..]
                else {
                    return Err(odd());
                };
                let (side, members) = (taps.isqrt(), channels / groups);
                let (input, kernels) = (self.name(input)?, self.name(kernels)?);

                // The window of every output: a convolution of each channel alone with `taps` kernels of a single 1.
                let alone = self.reshaped(&input, &[Size::Images(channels), Size::Fixed(1), rows, cols]);
                let mut ones = vec![0.0; taps * taps];
                ones.iter_mut().step_by(taps + 1).for_each(|one| *one = 1.0);
                let ones = self.builder.floats(ones, &[taps, 1, side, side])?;
                let settings = vec![ints("strides", [stride; 2]), ints("pads", [(side - 1) / 2; 4]), int("group", 1)];
                let windows = self.builder.node("Conv", &[&alone, &ones], settings);
                let [groups, members, taps] = [groups, members, taps].map(Size::Fixed);
                let windows = self.reshaped(&windows, &[Size::Images(1), groups, members, taps, to_rows, to_cols]);
                let kernels =
                    self.reshaped(&kernels, &[Size::Images(1), groups, Size::Fixed(1), taps, to_rows, to_cols]);
                let products = self.builder.node("Mul", &[&windows, &kernels], Vec::new());
                let axes = self.builder.ints(&[3]);
                let sums = self.builder.node("ReduceSum", &[&products, &axes], vec![int("keepdims", 0)]);
                let sums = self.reshaped(&sums, &[Size::Images(1), Size::Fixed(channels), to_rows, to_cols]);
                self.define(out, sums);
                Ok(())
            }
            _ => Err(ExportError::unsupported(&op.id, "")),
        }
    }
}
