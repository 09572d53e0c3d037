//! One file a verb.

pub(crate) mod bench;
pub(crate) mod computing;
pub(crate) mod data;
pub(crate) mod detecting;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod models;
pub(crate) mod predict;
pub(crate) mod serve;
pub(crate) mod train;
pub(crate) mod tsne;
