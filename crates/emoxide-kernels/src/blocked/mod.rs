//! Convolutions on blocked activations, for inference: everything stays in vectors from the first layer to the last.
//!
//! An activation is `[blocks][rows][cols][lanes]` per image: channels in blocks of one vector, and around every map a
//! *halo*, the padding that the next convolution reads ([`Layout`]). A convolution reads one value of the source for a
//! vector of output channels; what a network puts behind it (bias, carried input, activation) happens before the
//! result leaves the registers.

mod combine;
mod convert;
mod convolution;
mod layout;
#[cfg(target_arch = "x86_64")]
mod matrix;
mod outer;
mod planar;
mod pool;
mod rounded;
mod tile;
mod transpose;
mod transposed;
mod weight_gradient;
mod weights;
mod winograd;

pub use combine::Combine;
pub use convert::{from_blocked, from_planar};
pub use convolution::{Activation, Algorithm, Convolution, Shape, Source};
pub use layout::{Buffer, Layout};
pub(crate) use planar::{forward, input_gradient, suits};
pub use pool::{max_pool, mean};
pub(crate) use weight_gradient::weight_gradient;
