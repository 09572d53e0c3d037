//! Weights under other people's names: what is written is what the import reads.

use burn::tensor::Device;
use emoxide::models::{Network, NetworkConfig};
use emoxide::weights::{Head, KEY_MAPS, WeightsError, export, import};

use crate::networks::cases;
use crate::support::{keys, tensors};

const CLASSES: usize = 5;

fn network(config: &NetworkConfig) -> Network {
    let device = Device::flex();
    device.seed(3);
    config.init(CLASSES, &device)
}

/// The network that comes back, and how many tensors the file has.
fn there_and_back(config: &NetworkConfig, keys: &str) -> Result<(Network, Network, Vec<String>), WeightsError> {
    let network = network(config);
    let bytes = export(&network, config, keys, &[("format", "pt")])?;
    let names =
        safetensors::SafeTensors::deserialize(&bytes).unwrap().names().iter().map(|&name| name.to_owned()).collect();
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().unwrap();
    fs_err::write(file.path(), &bytes).unwrap();
    let back = import(file.path(), config, CLASSES, Some(keys), Head::Keep, &Device::flex())?;
    Ok((network, back, names))
}

/// Small networks of all families under the names of every key map: equal to the last bit, or refused for a reason that is
/// written down here.
#[test]
fn what_is_exported_comes_back_equal() {
    let mut count = 0;
    for map in KEY_MAPS {
        for case in cases() {
            match there_and_back(&case.config, map.name) {
                Ok((network, back, _)) => {
                    assert_eq!(tensors(&back), tensors(&network), "{} as {}", case.name, map.name);
                    count += 1;
                }
                Err(error @ WeightsError::Export { .. }) => {
                    let text = error.to_string();
                    let known: &[&str] = match map.name {
                        "paddle" => &["no PyTorch's"],
                        "google" => &["does not say what"],
                        // Names of a text tower, which would be left out with it, and those that CLIP's own become.
                        "clip" | "clip-hf" => &["leaves out", "takes for"],
                        other => panic!("{} as {other}: {text}", case.name),
                    };
                    assert!(known.iter().any(|known| text.contains(known)), "{} as {}: {text}", case.name, map.name);
                }
                Err(error) => panic!("{} as {}: {error}", case.name, map.name),
            }
        }
    }
    println!("{count} networks came back");
}

#[test]
fn names_are_the_authors() {
    let names = |case: &str, keys: &str| {
        let case = cases().into_iter().find(|other| other.name == case).unwrap();
        there_and_back(&case.config, keys).unwrap().2
    };
    let cases = [
        ("resnet-bottleneck", "pytorch", "layer1.0.conv1.weight"),
        ("resnet-bottleneck", "backbone", "backbone.layer1.0.conv1.weight"),
        ("ir-pooled", "pytorch", "body.0.res_layer.0.weight"),
        ("ir-pooled", "agra", "layer1.1.res_layer.0.weight"),
        ("pcm", "agra", "layer2.0.res_layer.0.weight"),
        ("pcm", "pytorch", "output_layer.0.weight"),
    ];
    for (case, keys, wanted) in cases {
        let found = names(case, keys);
        assert!(found.iter().any(|name| name == wanted), "{case} as {keys}: {wanted} in {found:?}");
    }
}

/// A layer's weights lie as PyTorch has them.
#[test]
fn shapes_are_pytorchs() {
    let case = cases().into_iter().find(|case| case.name == "resnet-compact").unwrap();
    let network = network(&case.config);
    let bytes = export(&network, &case.config, "pytorch", &[("format", "pt")]).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, shape) in keys(&network) {
        assert_eq!(file.tensor(&name).unwrap().shape(), shape, "{name}");
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn a_naming_that_nobody_has_is_named() {
    let case = cases().into_iter().next().unwrap();
    let error = export(&network(&case.config), &case.config, "keras", &[]).unwrap_err();
    assert!(error.to_string().contains("no key map `keras`"), "{error}");
}
