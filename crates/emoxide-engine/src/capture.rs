use burn::backend::capture::CaptureBackend;
use burn::tensor::{CapturedGraph, Device, Tensor, TensorData, TensorId};

use crate::CompileError;

/// What `forward` does with one image `[1, channels, rows, cols]`, as Burn records it.
///
/// `forward` gets the recording device too: it moves the network there.
pub(crate) fn record(
    [channels, rows, cols]: [usize; 3],
    forward: impl FnOnce(&Device, Tensor<4>) -> Tensor<2>,
) -> Result<CapturedGraph, CompileError> {
    let device = Device::capture();
    let graph = device.capture_scope(|scope| {
        // From data, not from an operation, otherwise it would be a constant of the graph.
        let zeros = vec![0.0f32; channels * rows * cols];
        let image = Tensor::<4>::from_data(TensorData::new(zeros, [1, channels, rows, cols]), &device);
        let input = id(&image);
        let output = forward(&device, image);
        scope.complete([input], [id(&output)])
    });
    graph.map_err(CompileError::Capture)
}

fn id<const D: usize>(tensor: &Tensor<D>) -> TensorId {
    let recorded = tensor.clone().try_into_primitive::<CaptureBackend>();
    recorded.expect("a tensor of the recording device").id()
}
