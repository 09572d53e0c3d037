//! Layers that more than one network uses, with PyTorch's semantics and PyTorch's parameter names.

mod conv;
mod conv_norm;
mod drop;
mod encoder;
mod group_norm;
mod layer_norm;
mod norm;
mod prelu;
mod resize;
mod transformer;

pub use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
pub use conv::{Conv2d, Conv2dConfig};
pub use conv_norm::ConvNorm;
pub use drop::{DropKind, DropMaps, one_of};
pub use encoder::{Encoder, EncoderConfig, EncoderLayer, NormPlace, SelfAttention};
pub use group_norm::GroupNorm;
pub use layer_norm::LayerNorm;
pub use norm::BatchNorm;
pub use prelu::PRelu;
pub use resize::resize_corners;
pub use transformer::{Block, BlockConfig, BlockInit, DEVIATION};

use burn::tensor::module::max_pool2d as pool;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

/// Largest value of each `kernel` x `kernel` window: `[batch, channels, rows, cols]` →
/// `[batch, channels, rows', cols']` with `rows' = (rows + 2 padding - kernel) / stride + 1`.
pub fn max_pool2d(input: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    let options =
        MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]).with_ceil_mode(false);
    pool(input, options)
}

/// Means over `side` x `side` windows that cover the map: `[batch, channels, rows, cols]` →
/// `[batch, channels, side, side]`.
pub fn adaptive_average_pool(map: Tensor<4>, side: usize) -> Tensor<4> {
    burn::tensor::module::adaptive_avg_pool2d(map, [side; 2])
}

/// Mean over the places of a map: `[batch, channels, rows, cols]` → `[batch, channels]`.
pub fn global_average_pool(map: Tensor<4>) -> Tensor<2> {
    adaptive_average_pool(map, 1).flatten(1, 3)
}

/// A linear layer with PyTorch's initialisation: weight and bias uniform in ±1/√`inputs`.
/// The weight lies as `[inputs, outputs]`, the transpose of PyTorch's.
pub fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}
