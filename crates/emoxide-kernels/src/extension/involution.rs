//! The involution.

use burn::backend::{
    Autodiff, Backend, Flex, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    capture::CaptureBackend,
    flex::FlexTensor,
    tensor::FloatTensor,
};
#[cfg(feature = "_gpu")]
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use burn_ir::{CustomOpIr, OperationIr, ScalarIr, TensorIr};
use burn_router::RouterClient;

use super::{Values, tensor};
#[cfg(feature = "_gpu")]
use crate::involution::gpu;
use crate::{
    involution::{self, Geometry},
    level::Level,
};

#[backend_extension(Autodiff, Flex, Capture, Cube: cfg(feature = "_gpu"), Fusion: cfg(feature = "_gpu"))]
pub(crate) trait Involution: Backend {
    /// Involution of 32-bit floats whose shapes agree with the geometry.
    #[fusion(dtype = input, shape = geometry.output_shape())]
    fn involve(input: FloatTensor<Self>, kernels: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
}

/// The derivatives, for [`Autodiff`] over the backends that have them.
#[backend_extension(Flex, Cube: cfg(feature = "_gpu"), Fusion: cfg(feature = "_gpu"))]
pub(crate) trait InvolutionGradients: Involution {
    /// Gradient of the input from the gradient of the output.
    #[fusion(dtype = gradient, shape = geometry.input_shape())]
    fn involution_input_gradient(
        kernels: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// Gradient of the kernels from the gradient of the output.
    #[fusion(dtype = gradient, shape = geometry.kernels_shape())]
    fn involution_kernel_gradient(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
}

impl Involution for Flex {
    fn involve(input: FlexTensor, kernels: FlexTensor, geometry: Geometry) -> FlexTensor {
        let values = involution::forward(level(), &geometry, &Values::new(input), &Values::new(kernels));
        tensor(values, geometry.output_shape())
    }
}

impl InvolutionGradients for Flex {
    fn involution_input_gradient(kernels: FlexTensor, gradient: FlexTensor, geometry: Geometry) -> FlexTensor {
        let values = involution::input_gradient(level(), &geometry, &Values::new(kernels), &Values::new(gradient));
        tensor(values, geometry.input_shape())
    }

    fn involution_kernel_gradient(input: FlexTensor, gradient: FlexTensor, geometry: Geometry) -> FlexTensor {
        let values = involution::kernel_gradient(level(), &geometry, &Values::new(input), &Values::new(gradient));
        tensor(values, geometry.kernels_shape())
    }
}

/// Recorded as an operation of its own, with the stride as its scalar.
impl Involution for CaptureBackend {
    fn involve(input: FloatTensor<Self>, kernels: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        let client = input.client.clone();
        let output = TensorIr::uninit(client.create_empty_handle(), geometry.output_shape(), input.dtype());
        let inputs = [input.into_ir(), kernels.into_ir()];
        let stride = ScalarIr::UInt(geometry.stride as u64);
        let operation = CustomOpIr::new(involution::NAME, &inputs, &[output]);
        let operation = CustomOpIr { scalars: vec![stride], ..operation };
        let mut outputs = client.register(OperationIr::Custom(operation));
        outputs.pop().expect("the one output")
    }
}

/// Only networks for inference are recorded: Burn refuses to differentiate on the recording backend.
impl InvolutionGradients for CaptureBackend {
    fn involution_input_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Geometry) -> FloatTensor<Self> {
        unreachable!("the recording backend has no gradients")
    }

    fn involution_kernel_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Geometry) -> FloatTensor<Self> {
        unreachable!("the recording backend has no gradients")
    }
}

fn level() -> Level {
    Level::active().unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(feature = "_gpu")]
impl Involution for CubeBackend {
    fn involve(input: CubeTensor, kernels: CubeTensor, geometry: Geometry) -> CubeTensor {
        gpu::forward(&geometry, input, kernels)
    }
}

#[cfg(feature = "_gpu")]
impl InvolutionGradients for CubeBackend {
    fn involution_input_gradient(kernels: CubeTensor, gradient: CubeTensor, geometry: Geometry) -> CubeTensor {
        gpu::input_gradient(&geometry, kernels, gradient)
    }

    fn involution_kernel_gradient(input: CubeTensor, gradient: CubeTensor, geometry: Geometry) -> CubeTensor {
        gpu::kernel_gradient(&geometry, input, gradient)
    }
}

impl<B: InvolutionGradients, C: CheckpointStrategy> Involution for Autodiff<B, C> {
    fn involve(input: FloatTensor<Self>, kernels: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        // The input is kept for the kernels' gradient only and the other way round.
        let (keep_input, keep_kernels) = (kernels.is_tracked(), input.is_tracked());
        match InvolveBackward.prepare::<C>([input.node(), kernels.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = State {
                    input: keep_input.then(|| prepared.checkpoint(&input)),
                    kernels: keep_kernels.then(|| prepared.checkpoint(&kernels)),
                    geometry,
                };
                prepared.finish(state, B::involve(input.into_primitive(), kernels.into_primitive(), geometry))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::involve(input.into_primitive(), kernels.into_primitive(), geometry))
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
}

/// Parents: input, kernels.
#[derive(Debug)]
struct InvolveBackward;

impl<B: InvolutionGradients> Backward<B, 2> for InvolveBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [input_parent, kernels_parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        let State { input, kernels, geometry } = ops.state;
        // Retrieved even where unused: the checkpointer counts the uses that were announced.
        let mut retrieve = |id: NodeId| checkpointer.retrieve_node_output::<FloatTensor<B>>(id);
        let input = input.map(&mut retrieve);
        let kernels = kernels.map(&mut retrieve);

        if let (Some(id), Some(kernels)) = (input_parent, kernels) {
            gradients.register::<B>(id, B::involution_input_gradient(kernels, gradient.clone(), geometry));
        }
        if let (Some(id), Some(input)) = (kernels_parent, input) {
            gradients.register::<B>(id, B::involution_kernel_gradient(input, gradient, geometry));
        }
    }
}
