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

use anyhow::{Result, bail};
use emoxide_train::data::DataSpec;

/// `NAME=DIR` arguments, one a data set.
pub(crate) fn sources(arguments: &[String]) -> Result<Vec<DataSpec>> {
    let sources = arguments.iter().map(|argument| argument.parse()).collect::<Result<Vec<DataSpec>, _>>()?;
    for (index, spec) in sources.iter().enumerate() {
        if sources[..index].iter().any(|other| other.layout == spec.layout) {
            bail!("--data {spec}: {} is named twice", spec.layout);
        }
    }
    Ok(sources)
}
