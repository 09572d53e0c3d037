//! Models of small networks.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor};
use emoxide::labels::Classes;
use emoxide::models::NetworkConfig;
use emoxide::preprocess::{Alignment, DetectorConfig, Preprocess};
use emoxide::weights::checkpoint::{Card, Licence, Provenance};
use emoxide::zoo::Model;

use crate::networks::Case;

/// Running statistics and single numbers of channels that are not those of a fresh network.
#[derive(Default)]
struct Disturb {
    leaf: String,
}

impl ModuleMapper for Disturb {
    fn enter_module(&mut self, name: &str, _container: &str) {
        name.clone_into(&mut self.leaf);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let distribution = match self.leaf.as_str() {
            "running_mean" | "bias" => Distribution::Uniform(-0.3, 0.3),
            _ if D == 1 => Distribution::Uniform(0.5, 1.5),
            _ => return param,
        };
        param.map(|values| Tensor::random(values.shape(), distribution, &values.device()))
    }
}

/// A model of a small network with weights that are drawn.
pub(crate) fn model(case: &Case) -> Model {
    let device = Device::flex();
    let [rows, cols] = case.size;
    let plain = if case.config.channels() == 1 { Preprocess::comparison() } else { Preprocess::imagenet(1) };
    let preprocess = Preprocess { width: cols as u32, height: rows as u32, resize: None, ..plain };
    let without_classifier = matches!(&case.config, NetworkConfig::Ir(config) if !config.classifier);
    assert!(!without_classifier, "{}: an embedding is no model", case.name);
    let card = Card {
        name: format!("{}.small", case.name),
        network: case.config.clone(),
        classes: Classes::seven(),
        preprocess,
        alignment: Alignment::None {},
        detector: DetectorConfig::WholeImage {},
        mirror: true,
        temperature: 1.5,
        provenance: Provenance::default(),
        results: Vec::new(),
        licence: Licence { weights: "MIT".to_owned(), data: "none".to_owned() },
    };
    device.seed(1);
    let network = case.config.init(7, &device).map(&mut Disturb::default());
    Model::new(&network, card, device)
}
