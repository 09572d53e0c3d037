//! Operators that Burn lacks, recorded under the names of `emoxide-kernels`.

use burn_ir::CustomOpIr;
use emoxide_kernels::involution::{Geometry, NAME};

use super::Lowering;
use crate::{CompileError, graph::Operation, view::View};

impl Lowering {
    pub(super) fn custom(&mut self, op: &CustomOpIr) -> Result<(), CompileError> {
        match (op.id.as_str(), op.inputs.as_slice(), op.outputs.as_slice(), op.scalars.as_slice()) {
            (NAME, [input, kernels], [out], [stride]) => {
                let view = self.map(input, NAME)?;
                let by = self.view(kernels, NAME)?;
                let kernels = by.shape();
                let shape = |dims: &[usize]| CompileError::unsupported(NAME, format!("of {dims:?}"));
                let of = <[usize; 4]>::try_from(view.shape()).map_err(|dims| shape(&dims))?;
                let kernels = <[usize; 5]>::try_from(kernels).map_err(|dims| shape(&dims))?;
                let geometry = Geometry::new(of, kernels, stride.elem::<u64>() as usize);
                let geometry =
                    geometry.map_err(|error| CompileError::unsupported(NAME, format!("of this: {error}")))?;
                // Groups and the numbers of their kernels are the channels of a map.
                let by = self.arranged(&by, &[vec![0, 1, 2], vec![3], vec![4]]);
                let [rows, cols] = geometry.output();
                let size = [geometry.channels, rows, cols];
                let value = self.node(Operation::Involution(geometry), view.value, vec![by.value], size);
                self.define(out, View::canonical(value, &[1, size[0], rows, cols], &View::usual_axes(4)));
                Ok(())
            }
            _ => Err(CompileError::unsupported(&op.id, "")),
        }
    }
}
