//! Weights under other people's names: what is written is what the import reads.

use burn::tensor::Device;
use emoxide::models::{Network, NetworkConfig};
use emoxide::weights::start::Start;
use emoxide::weights::{Head, KEY_MAPS, WeightsError, export, import, import_parts};

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
    let bytes = export(&network, config, keys, None, &[("format", "pt")])?;
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
                        "paddle" | "google" => &["no PyTorch's"],
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

/// CLIP in a file of its own, in both of its namings: parts of matrices are joined there, and others lie on their side.
#[test]
fn a_part_comes_back_equal() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let [main, tower] = ["main.safetensors", "clip.safetensors"].map(|name| folder.path().join(name));
    for case in cases().into_iter().filter(|case| ["cafe", "cafe-tuned"].contains(&case.name)) {
        let network = network(&case.config);
        let whole = export(&network, &case.config, "pytorch", None, &[]).unwrap();
        let whole = safetensors::SafeTensors::deserialize(&whole).unwrap();
        let rest: Vec<_> = whole.tensors().into_iter().filter(|(name, _)| !name.starts_with("clip.")).collect();
        fs_err::write(&main, safetensors::serialize(rest, None).unwrap()).unwrap();
        for (keys, expected) in [
            ("clip", "visual.transformer.resblocks.0.attn.in_proj_weight"),
            ("clip-hf", "vision_model.encoder.layers.0.self_attn.q_proj.weight"),
        ] {
            let bytes = export(&network, &case.config, keys, Some("clip"), &[]).unwrap();
            let names = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            assert!(names.names().contains(&expected), "{keys}: {expected} in {:?}", names.names());
            fs_err::write(&tower, &bytes).unwrap();
            let start = Start { part: Some("clip".to_owned()), keys: Some(keys.to_owned()), ..Start::new(&tower) };
            let parts = import_parts(&main, &case.config, CLASSES, None, Head::Keep, &[start], &device);
            let (back, _) = parts.unwrap_or_else(|error| panic!("{} as {keys}: {error}", case.name));
            assert_eq!(tensors(&back), tensors(&network), "{} as {keys}", case.name);
        }
        let error = export(&network, &case.config, "clip", Some("text"), &[]).unwrap_err();
        assert!(error.to_string().contains("the network has no part `text`"), "{error}");
    }
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
    let bytes = export(&network, &case.config, "pytorch", None, &[("format", "pt")]).unwrap();
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
    let error = export(&network(&case.config), &case.config, "keras", None, &[]).unwrap_err();
    assert!(error.to_string().contains("no key map `keras`"), "{error}");
}
