//! The kernels against Burn's operators on Flex.

mod batch_norm;
mod blocked;
mod conv;
mod involution;
mod operators;
mod prelu;
mod support;
mod tokens;
