//! Batch normalisation of a training step.

use std::borrow::Cow;

use burn::{
    backend::{
        Autodiff, AutodiffBackend, Backend, Flex, TensorMetadata,
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

use super::{Maybe, Values, tensor};
use crate::{
    batch_norm::{self, Affine, Planes},
    level::Level,
};

/// The numbers of a normalisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) planes: Planes,
    pub(crate) level: Level,
    pub(crate) epsilon: f64,
    pub(crate) rectified: bool,
}

#[backend_extension(Autodiff, Flex)]
pub(crate) trait Normalisation: Backend {
    /// Mean and biased variance of every channel, `[2, channels]`; a constant to the gradient, for which
    /// [`Normalisation::normalise`] accounts.
    fn statistics(input: FloatTensor<Self>, setting: Setting) -> FloatTensor<Self>;

    /// Normalises 32-bit floats whose shapes agree with the setting by the statistics of the same input.
    fn normalise(
        input: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        #[extension_type] carried: Maybe<Self>,
        setting: Setting,
    ) -> FloatTensor<Self>;
}

impl Normalisation for Flex {
    fn statistics(input: FlexTensor, setting: Setting) -> FlexTensor {
        let (mut values, variance) = batch_norm::statistics(setting.level, setting.planes, &Values::new(input));
        values.extend(variance);
        tensor(values, [2, setting.planes.channels])
    }

    fn normalise(
        input: FlexTensor,
        statistics: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        carried: Maybe<Self>,
        setting: Setting,
    ) -> FlexTensor {
        let shape = input.shape();
        let operands = Operands::new(input, statistics, weight, bias);
        let carried = match carried {
            Maybe::Present(carried) => Some(Values::new(carried)),
            Maybe::Absent => None,
        };
        tensor(operands.forward(setting, carried.as_deref()), shape)
    }
}

/// What forward pass and gradients both need.
#[derive(Clone, Debug)]
struct Operands {
    input: Values,
    statistics: Values,
    weight: Values,
    bias: Values,
}

impl Operands {
    fn new(input: FlexTensor, statistics: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> Self {
        Self {
            input: Values::new(input),
            statistics: Values::new(statistics),
            weight: Values::new(weight),
            bias: Values::new(bias),
        }
    }

    fn affine(&self, setting: Setting) -> Affine<'_> {
        let (mean, variance) = self.statistics.split_at(setting.planes.channels);
        Affine { mean, variance, weight: &self.weight, bias: &self.bias, epsilon: setting.epsilon }
    }

    fn forward(&self, setting: Setting, carried: Option<&[f32]>) -> Vec<f32> {
        let Setting { level, planes, rectified, .. } = setting;
        batch_norm::forward(level, planes, &self.input, self.affine(setting), carried, rectified)
    }
}

impl<C: CheckpointStrategy> Normalisation for Autodiff<Flex, C> {
    fn statistics(input: FloatTensor<Self>, setting: Setting) -> FloatTensor<Self> {
        <Self as AutodiffBackend>::from_inner(Flex::statistics(input.into_primitive(), setting))
    }

    fn normalise(
        input: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        carried: Maybe<Self>,
        setting: Setting,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        let shape = input.primitive().shape();
        let [input, statistics, weight, bias] =
            [input, statistics, weight, bias].map(FloatTensor::<Self>::into_primitive);
        let operands = Operands::new(input, statistics, weight, bias);
        macro_rules! record {
            ($parents:expr, $carried:expr) => {{
                let carried: Option<Values> = $carried;
                let output = tensor(operands.forward(setting, carried.as_deref()), shape.clone());
                match NormaliseBackward.prepare::<C>($parents).compute_bound().stateful() {
                    OpsKind::Tracked(prepared) => {
                        let rectified = setting.rectified.then(|| Values::new(output.clone()));
                        prepared.finish(State { operands, setting, shape, rectified }, output)
                    }
                    OpsKind::UnTracked(prepared) => prepared.finish(output),
                }
            }};
        }
        let [input, weight, bias] = nodes;
        match carried {
            Maybe::Present(carried) => {
                let (carried, node) = carried.into_parts();
                record!([input, weight, bias, node], Some(Values::new(carried)))
            }
            Maybe::Absent => record!([input, weight, bias], None),
        }
    }
}

/// What the gradients need from the forward pass.
#[derive(Clone, Debug)]
struct State {
    operands: Operands,
    setting: Setting,
    shape: Shape,
    /// The output, if it was rectified.
    rectified: Option<Values>,
}

/// Parents: input, weight, bias and, with `N` = 4, the carried input.
#[derive(Debug)]
struct NormaliseBackward;

impl<const N: usize> Backward<Flex, N> for NormaliseBackward {
    type State = State;

    fn backward(self, ops: Ops<State, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = Values::new(gradients.consume::<Flex>(&ops.node));
        let State { operands, setting, shape, rectified } = ops.state;
        let Setting { level, planes, .. } = setting;
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let affine = operands.affine(setting);
        let computed = batch_norm::gradients(level, planes, &operands.input, affine, rectified.as_deref(), &gradient);
        let carried = match computed.carried {
            Cow::Owned(values) => tensor(values, shape.clone()),
            Cow::Borrowed(_) => gradient.0.clone(),
        };
        let tensors = [
            tensor(computed.input, shape),
            tensor(computed.weight, [planes.channels]),
            tensor(computed.bias, [planes.channels]),
            carried,
        ];
        for (parent, tensor) in parents.into_iter().zip(tensors) {
            if let Some(id) = parent {
                gradients.register::<Flex>(id, tensor);
            }
        }
    }
}
