//! The involution.

use burn::backend::{
    Autodiff, Backend, Flex,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    flex::FlexTensor,
    tensor::FloatTensor,
};

use super::{Values, tensor};
use crate::{
    involution::{self, Geometry},
    level::Level,
};

#[backend_extension(Autodiff, Flex)]
pub(crate) trait Involution: Backend {
    /// Involution of 32-bit floats whose shapes agree with the geometry.
    fn involve(
        input: FloatTensor<Self>,
        kernels: FloatTensor<Self>,
        geometry: Geometry,
        level: Level,
    ) -> FloatTensor<Self>;
}

impl Involution for Flex {
    fn involve(input: FlexTensor, kernels: FlexTensor, geometry: Geometry, level: Level) -> FlexTensor {
        let output = involution::forward(level, &geometry, &Values::new(input), &Values::new(kernels));
        let [rows, cols] = geometry.output();
        tensor(output, [geometry.batch, geometry.channels, rows, cols])
    }
}

impl<C: CheckpointStrategy> Involution for Autodiff<Flex, C> {
    fn involve(
        input: FloatTensor<Self>,
        kernels: FloatTensor<Self>,
        geometry: Geometry,
        level: Level,
    ) -> FloatTensor<Self> {
        // The input is kept for the kernels' gradient only and the other way round.
        let (keep_input, keep_kernels) = (kernels.is_tracked(), input.is_tracked());
        match InvolveBackward.prepare::<C>([input.node(), kernels.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = State {
                    input: keep_input.then(|| prepared.checkpoint(&input)),
                    kernels: keep_kernels.then(|| prepared.checkpoint(&kernels)),
                    geometry,
                    level,
                };
                let output = Flex::involve(input.into_primitive(), kernels.into_primitive(), geometry, level);
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(Flex::involve(input.into_primitive(), kernels.into_primitive(), geometry, level))
            }
        }
    }
}

/// What the gradients need from the forward pass.
#[derive(Clone, Debug)]
struct State {
    /// Absent where the kernels need no gradient.
    input: Option<NodeId>,
    /// Absent where the input needs no gradient.
    kernels: Option<NodeId>,
    geometry: Geometry,
    level: Level,
}

/// Parents: input, kernels.
#[derive(Debug)]
struct InvolveBackward;

impl Backward<Flex, 2> for InvolveBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Values::new(gradients.consume::<Flex>(&ops.node));
        let [input_parent, kernels_parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        let State { input, kernels, geometry, level } = ops.state;
        // Retrieved even where unused: the checkpointer counts the uses that were announced.
        let mut retrieve = |id: NodeId| Values::new(checkpointer.retrieve_node_output::<FlexTensor>(id));
        let input = input.map(&mut retrieve);
        let kernels = kernels.map(&mut retrieve);

        if let (Some(id), Some(kernels)) = (input_parent, kernels) {
            let values = involution::input_gradient(level, &geometry, &kernels, &gradient);
            let [rows, cols] = geometry.input;
            gradients.register::<Flex>(id, tensor(values, [geometry.batch, geometry.channels, rows, cols]));
        }
        if let (Some(id), Some(input)) = (kernels_parent, input) {
            let values = involution::kernel_gradient(level, &geometry, &input, &gradient);
            let [rows, cols] = geometry.output();
            let shape = [geometry.batch, geometry.groups, geometry.kernel * geometry.kernel, rows, cols];
            gradients.register::<Flex>(id, tensor(values, shape));
        }
    }
}
