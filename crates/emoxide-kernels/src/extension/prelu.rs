//! The parametric rectifier.

use burn::{
    backend::{
        Autodiff, Backend, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::Shape,
};

use super::{Values, tensor};
use crate::{level::Level, planes::Planes, prelu};

#[backend_extension(Autodiff, Flex)]
pub(crate) trait ParametricRectifier: Backend {
    /// Rectifies 32-bit floats whose shapes agree with the sizes.
    fn rectify(input: FloatTensor<Self>, slopes: FloatTensor<Self>, planes: Planes, level: Level) -> FloatTensor<Self>;
}

impl ParametricRectifier for Flex {
    fn rectify(input: FlexTensor, slopes: FlexTensor, planes: Planes, level: Level) -> FlexTensor {
        let shape = input.shape();
        tensor(prelu::forward(level, planes, &Values::new(input), &Values::new(slopes)), shape)
    }
}

impl<C: CheckpointStrategy> ParametricRectifier for Autodiff<Flex, C> {
    fn rectify(input: FloatTensor<Self>, slopes: FloatTensor<Self>, planes: Planes, level: Level) -> FloatTensor<Self> {
        let nodes = [input.node(), slopes.node()];
        let shape = input.primitive().shape();
        let [input, slopes] = [input, slopes].map(|tensor| Values::new(tensor.into_primitive()));
        let output = tensor(prelu::forward(level, planes, &input, &slopes), shape.clone());
        match RectifyBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(State { input, slopes, planes, level, shape }, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// What the gradients need from the forward pass.
#[derive(Clone, Debug)]
struct State {
    input: Values,
    slopes: Values,
    planes: Planes,
    level: Level,
    shape: Shape,
}

/// Parents: input and slopes.
#[derive(Debug)]
struct RectifyBackward;

impl Backward<Flex, 2> for RectifyBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = Values::new(gradients.consume::<Flex>(&ops.node));
        let State { input, slopes, planes, level, shape } = ops.state;
        let [input_parent, slopes_parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        if let Some(id) = input_parent {
            let values = prelu::input_gradient(level, planes, &input, &slopes, &gradient);
            gradients.register::<Flex>(id, tensor(values, shape));
        }
        if let Some(id) = slopes_parent {
            let values = prelu::slope_gradient(level, planes, &input, &gradient);
            gradients.register::<Flex>(id, tensor(values, [planes.channels]));
        }
    }
}
