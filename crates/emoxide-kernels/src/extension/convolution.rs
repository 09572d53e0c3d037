//! The convolution.

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

use super::{Maybe, Values, tensor};
use crate::conv::{self, Computing, Geometry};

#[backend_extension(Autodiff, Flex)]
pub(crate) trait Convolution: Backend {
    /// Convolution of 32-bit floats whose shapes agree with the geometry.
    fn convolve(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
        geometry: Geometry,
        computing: Computing,
    ) -> FloatTensor<Self>;
}

impl Convolution for Flex {
    fn convolve(
        input: FlexTensor,
        weight: FlexTensor,
        bias: Maybe<Self>,
        geometry: Geometry,
        computing: Computing,
    ) -> FlexTensor {
        let (input, weight) = (Values::new(input), Values::new(weight));
        let bias = match bias {
            Maybe::Present(bias) => Some(Values::new(bias)),
            Maybe::Absent => None,
        };
        let output = conv::forward(computing, &geometry, &input, &weight, bias.as_deref());
        let [rows, cols] = geometry.output();
        tensor(output, [geometry.batch, geometry.output_channels, rows, cols])
    }
}

impl<C: CheckpointStrategy> Convolution for Autodiff<Flex, C> {
    fn convolve(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Maybe<Self>,
        geometry: Geometry,
        computing: Computing,
    ) -> FloatTensor<Self> {
        // The input is kept for the weight's gradient only and the other way round.
        let (keep_input, keep_weight) = (weight.is_tracked(), input.is_tracked());
        macro_rules! record {
            ($parents:expr, $bias:expr) => {
                match ConvolveBackward.prepare::<C>($parents).compute_bound().stateful() {
                    OpsKind::Tracked(mut prepared) => {
                        let state = State {
                            input: keep_input.then(|| prepared.checkpoint(&input)),
                            weight: keep_weight.then(|| prepared.checkpoint(&weight)),
                            geometry,
                            computing,
                        };
                        let (input, weight) = (input.into_primitive(), weight.into_primitive());
                        prepared.finish(state, Flex::convolve(input, weight, $bias, geometry, computing))
                    }
                    OpsKind::UnTracked(prepared) => {
                        let (input, weight) = (input.into_primitive(), weight.into_primitive());
                        prepared.finish(Flex::convolve(input, weight, $bias, geometry, computing))
                    }
                }
            };
        }
        match bias {
            Maybe::Present(bias) => {
                let (bias, node) = bias.into_parts();
                record!([input.node(), weight.node(), node], Maybe::Present(bias))
            }
            Maybe::Absent => record!([input.node(), weight.node()], Maybe::Absent),
        }
    }
}

/// What the gradients need from the forward pass.
#[derive(Clone, Debug)]
struct State {
    /// Absent where the weight needs no gradient.
    input: Option<NodeId>,
    /// Absent where the input needs no gradient.
    weight: Option<NodeId>,
    geometry: Geometry,
    computing: Computing,
}

/// Parents: input, weight and, with `N` = 3, bias.
#[derive(Debug)]
struct ConvolveBackward;

impl Backward<Flex, 2> for ConvolveBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Values::new(gradients.consume::<Flex>(&ops.node));
        let [input, weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        ops.state.register([input, weight, None], &gradient, gradients, checkpointer);
    }
}

impl Backward<Flex, 3> for ConvolveBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = Values::new(gradients.consume::<Flex>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        ops.state.register(parents, &gradient, gradients, checkpointer);
    }
}

impl State {
    /// Registers the gradients of input, weight and bias, where wanted.
    fn register(
        self,
        parents: [Option<NodeId>; 3],
        gradient: &[f32],
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let Self { geometry, computing, .. } = self;
        let [input_parent, weight_parent, bias_parent] = parents;
        // Retrieved even where unused: the checkpointer counts the uses that were announced.
        let mut retrieve = |id: NodeId| Values::new(checkpointer.retrieve_node_output::<FlexTensor>(id));
        let input = self.input.map(&mut retrieve);
        let weight = self.weight.map(&mut retrieve);
        let [kernel_rows, kernel_cols] = geometry.kernel;
        let [rows, cols] = geometry.input;

        if let (Some(id), Some(weight)) = (input_parent, weight) {
            let values = conv::input_gradient(computing, &geometry, &weight, gradient);
            gradients.register::<Flex>(id, tensor(values, [geometry.batch, geometry.input_channels, rows, cols]));
        }
        if let (Some(id), Some(input)) = (weight_parent, input) {
            let values = conv::weight_gradient(computing, &geometry, &input, gradient);
            let shape = [geometry.output_channels, geometry.window_channels(), kernel_rows, kernel_cols];
            gradients.register::<Flex>(id, tensor(values, shape));
        }
        if let Some(id) = bias_parent {
            let values = conv::bias_gradient(&geometry, gradient);
            gradients.register::<Flex>(id, tensor(values, [geometry.output_channels]));
        }
    }
}
