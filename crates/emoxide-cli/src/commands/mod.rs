//! One file a verb.

pub(crate) mod data;
pub(crate) mod eval;
pub(crate) mod models;
pub(crate) mod predict;
pub(crate) mod train;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use emoxide::labels::Classes;
use emoxide_train::data::{DataSpec, Layout};

/// `NAME=DIR` arguments by name.
pub(crate) fn sources(arguments: &[String]) -> Result<BTreeMap<Layout, DataSpec>> {
    let mut sources = BTreeMap::new();
    for argument in arguments {
        let spec: DataSpec = argument.parse()?;
        if sources.insert(spec.layout, spec).is_some() {
            bail!("--data {argument}: this data set is named twice");
        }
    }
    Ok(sources)
}

/// The classes that `--classes` names: a count of 7 or 8, or a list of names.
pub(crate) fn classes(text: &str) -> Result<Classes> {
    Ok(match text {
        "7" => Classes::seven(),
        "8" => Classes::eight(),
        names => Classes::from_names(names.split(','))?,
    })
}
