//! A checkpoint of an architecture with random weights, and statistics of norms that are not those of a fresh network, so that a
//! test of what reads it sees all of them: `random_checkpoint NAME FILE`, NAME as in `emoxide models list`.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Distribution, Tensor};
use emoxide::device;
use emoxide::labels::Classes;
use emoxide::models::Network;
use emoxide::preprocess::DetectorConfig;
use emoxide::weights::checkpoint::{Card, Licence, Provenance};
use emoxide::zoo::{self, Model};

/// Draws weights of the size that trained ones have, so that no layer's answers vanish or explode.
#[derive(Default)]
struct Draw {
    path: Vec<String>,
    containers: Vec<String>,
}

impl ModuleMapper for Draw {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let leaf = self.path.last().cloned().unwrap_or_default();
        let shape = param.lazy_shape().to_vec();
        let inside = |container: &str| self.containers.iter().any(|other| other == container);
        let inputs: usize = if inside("Struct:Linear") { shape[0] } else { shape[1..].iter().product() };
        // Kernels that are made of pixels, 49 numbers each, multiply pixels again.
        let gain = if inside("Struct:Involution") { 1.0 / 7.0 } else { 1.0 };
        let bound = gain * (3.0 / inputs as f64).sqrt();
        let distribution = match (leaf.as_str(), D) {
            ("running_var", _) => Distribution::Uniform(0.5, 1.5),
            ("running_mean", _) => Distribution::Uniform(-0.1, 0.1),
            (name, _) if name.ends_with("bias") => Distribution::Uniform(-0.1, 0.1),
            (_, 1) => Distribution::Uniform(0.5, 1.0),
            (name, _) if name.contains("weight") => Distribution::Uniform(-bound, bound),
            // Tokens and positions.
            _ => Distribution::Normal(0.0, 0.5),
        };
        param.map(|values| Tensor::random(values.shape(), distribution, &values.device()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, file] = arguments.as_slice() else { return Err("random_checkpoint NAME FILE".into()) };
    let architectures = zoo::architectures();
    let entry = architectures.into_iter().find(|entry| entry.name == name).ok_or("no such architecture")?;
    let device = device::open(device::default_name())?;
    device.seed(0);
    let card = Card {
        name: format!("{name}.random"),
        classes: Classes::seven(),
        preprocess: entry.preprocess,
        alignment: entry.alignment,
        detector: DetectorConfig::default(),
        mirror: false,
        temperature: 1.5,
        provenance: Provenance::default(),
        results: Vec::new(),
        licence: Licence { weights: "CC0-1.0".to_owned(), data: "none".to_owned() },
        network: entry.network,
    };
    let network: Network = card.network.init(card.classes.len(), &device).map(&mut Draw::default());
    Model::new(&network, card, device).save(Path::new(file))?;
    Ok(())
}
