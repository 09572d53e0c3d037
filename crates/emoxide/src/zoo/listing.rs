//! What can be used, as a list: architectures, and models with weights.

use std::io;
use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;

use super::{DEFAULT, Entry, Model};
use crate::labels::Classes;
use crate::models::NetworkConfig;
use crate::preprocess::Preprocess;
use crate::weights::checkpoint::Measured;

/// The names of the embedded model and of the checkpoints in a folder, as [`open`](super::open) takes them.
pub fn names(folder: Option<&Path>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    if let Some(folder) = folder {
        for file in fs_err::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "safetensors") {
                names.push(path.display().to_string());
            }
        }
        names.sort();
    }
    names.insert(0, DEFAULT.to_owned());
    Ok(names)
}

/// One line of the list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed<'a> {
    /// Name of the architecture, or of the model by its card.
    pub name: &'a str,
    /// Number of values.
    pub parameters: usize,
    /// How many of them training changes: all but those of frozen parts.
    pub trained: usize,
    /// Absent for an architecture without weights, as is the file.
    pub classes: Option<&'a Classes>,
    /// Channels, rows, columns.
    pub input: [u32; 3],
    /// The name under which [`open`](super::open) finds the model.
    pub weights: Option<&'a str>,
    /// What was measured of it.
    pub results: &'a [Measured],
    /// Licence of the weights.
    pub licence: Option<&'a str>,
    /// Settings of the network.
    pub network: &'a NetworkConfig,
    /// Where an architecture comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<&'a str>,
}

fn input(preprocess: &Preprocess) -> [u32; 3] {
    [preprocess.channels.count() as u32, preprocess.height, preprocess.width]
}

impl<'a> Listed<'a> {
    /// A model, with the name under which it is found.
    pub fn model(model: &'a Model, file: &'a str) -> Self {
        let card = model.card();
        Self {
            name: &card.name,
            parameters: model.parameters(),
            trained: model.trained_parameters(),
            classes: Some(&card.classes),
            input: input(&card.preprocess),
            weights: Some(file),
            results: &card.results,
            licence: Some(&card.licence.weights),
            network: &card.network,
            paper: None,
        }
    }

    /// An architecture, its values counted with so many classes.
    pub fn architecture(architecture: &'a Entry, classes: usize, device: &Device) -> Self {
        Self {
            name: architecture.name,
            parameters: architecture.network.parameters(classes, device),
            trained: architecture.network.trained_parameters(classes, device),
            classes: None,
            input: input(&architecture.preprocess),
            weights: None,
            results: &[],
            licence: None,
            network: &architecture.network,
            paper: Some(architecture.paper),
        }
    }
}
