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
mod planar;
mod pool;
mod tile;
mod transpose;
mod weight_gradient;
mod winograd;

pub use combine::Combine;
pub use convert::{from_blocked, from_planar};
pub use convolution::{Activation, Algorithm, Convolution, Shape, Source};
pub use layout::{Buffer, Layout};
pub(crate) use planar::{convolve, pays};
pub use pool::{max_pool, mean};
pub(crate) use transpose::pack;
pub(crate) use weight_gradient::weight_gradient;
