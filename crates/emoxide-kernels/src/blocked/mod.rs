//! Convolutions on blocked activations, for inference: everything stays in vectors from the first layer to the last.
//!
//! An activation is `[blocks][rows][cols][lanes]` per image: channels in blocks of one vector, and around every map a
//! *halo*, the padding that the next convolution reads ([`Layout`]). A convolution reads one value of the source for a
//! vector of output channels; what a network puts behind it (bias, carried input, activation) happens before the
//! result leaves the registers.

mod activation;
mod attention;
mod combine;
mod convert;
mod convolution;
mod depthwise;
mod elementwise;
mod group_norm;
mod involution;
mod layer_norm;
mod layout;
mod math;
#[cfg(target_arch = "x86_64")]
mod matrix;
mod outer;
#[cfg(target_arch = "x86_64")]
mod pairs;
mod planar;
mod pool;
mod rearrange;
mod rounded;
mod softmax;
mod tile;
mod transpose;
mod transposed;
mod weight_gradient;
mod weights;
mod winograd;

pub use activation::Activation;
pub use attention::{Attention, Tokens};
pub use combine::Combine;
pub use convert::{from_blocked, from_planar};
pub use convolution::{Algorithm, Convolution, Shape, Source};
pub use depthwise::Depthwise;
pub use elementwise::{Binary, elementwise};
pub use group_norm::GroupNorm;
pub use involution::Involution;
pub use layer_norm::LayerNorm;
pub use layout::{Buffer, Layout};
pub(crate) use planar::{forward, input_gradient, suits};
pub use pool::{Pool, Reduce};
pub use rearrange::Rearrange;
pub use softmax::softmax;
pub(crate) use transpose::pack;
pub(crate) use weight_gradient::weight_gradient;
