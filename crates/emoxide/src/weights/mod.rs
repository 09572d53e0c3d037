//! Skeleton.

pub mod checkpoint;
