//! Files as PyTorch writes them, and files that must be refused (`tools/reference/pth_files.py`).

use std::path::{Path, PathBuf};

use crate::support::{ir, portable_network};
use crate::tiny::resnet;
use burn::tensor::{Device, Tensor};
use emoxide::models::{Classifier, Network, NetworkConfig, ResNetConfig};
use emoxide::weights::{Head, WeightsError, import};
use emoxide_testing::{Values, assert_close, fixture_path, portable};

const CLASSES: usize = 3;

fn file(name: &str) -> PathBuf {
    fixture_path("pth").join(name)
}

fn images(channels: usize) -> Tensor<4> {
    let shape = [2, channels, 16, 16];
    let values = portable::values("import", shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape(shape)
}

fn load(name: &str, config: &NetworkConfig, keys: Option<&str>, head: Head) -> Result<Network, WeightsError> {
    import(&file(name), config, CLASSES, keys, head, &Device::flex())
}

#[test]
fn every_container_gives_the_same_network() {
    let expected = portable_network(&resnet(), CLASSES, &Device::flex()).forward(images(1));
    let names = [
        ("zip.pth", 1e-6),
        ("legacy.pth", 1e-6),
        ("wrapped.pth", 1e-6),
        ("wrapped-model.pth", 1e-6),
        ("wrapped-model-state-dict.pth", 1e-6),
        ("parallel.pth", 1e-6),
        ("parallel-legacy.pth", 1e-6),
        ("parameters.pth", 1e-6),
        ("torch-names.safetensors", 1e-6),
        ("half.pth", 5e-3),
        ("bfloat16.pth", 5e-2),
    ];
    for (name, tolerance) in names {
        let network = load(name, &resnet(), None, Head::Keep).unwrap_or_else(|error| panic!("{error}"));
        let largest = assert_close(name, network.forward(images(1)), &expected, tolerance, tolerance);
        println!("{name}: {largest:.1e}");
    }
}

#[test]
fn every_naming_of_ir_networks_gives_the_same_trunk() {
    let network = portable_network(&ir(true), CLASSES, &Device::flex());
    let map = network.features(images(3)).map;
    let embedding = network.forward(images(3));
    for (name, keys) in
        [("face.pth", None), ("face-agra.pth", Some("agra")), ("face-paddle.safetensors", Some("paddle"))]
    {
        let network = load(name, &ir(true), keys, Head::Keep).unwrap_or_else(|error| panic!("{error}"));
        assert_close(name, network.forward(images(3)), &embedding, 1e-5, 1e-6);
    }
    for (name, keys) in [("face.pth", None), ("face-agra.pth", Some("agra")), ("face-apvit.pth", Some("apvit"))] {
        let network = load(name, &ir(false), keys, Head::Drop).unwrap_or_else(|error| panic!("{error}"));
        assert_close(name, network.features(images(3)).map, &map, 1e-5, 1e-6);
        assert_eq!(network.forward(images(3)).dims(), [2, CLASSES]);
    }
}

#[test]
fn a_backbone_takes_any_number_of_classes() {
    let expected = portable_network(&resnet(), CLASSES, &Device::flex());
    let expected = expected.embed(expected.features(images(1)));
    for (name, keys) in [("backbone.pth", Some("backbone")), ("zip.pth", None), ("shape.pth", None)] {
        let network = import(&file(name), &resnet(), 8, keys, Head::Drop, &Device::flex());
        let network = network.unwrap_or_else(|error| panic!("{error}"));
        let embedding = network.embed(network.features(images(1)));
        assert_close(name, embedding.clone(), &expected, 1e-6, 1e-6);
        assert_eq!(network.classify(embedding).dims(), [2, 8]);
    }
}

/// What the error must say, after the path.
fn refused(name: &str, config: &NetworkConfig, keys: Option<&str>, head: Head, expected: &str) {
    let error = load(name, config, keys, head).expect_err(name).to_string();
    println!("{error}");
    assert!(error.contains(expected), "{name}: {error}");
    assert!(keys == Some("unknown") || error.contains(name), "the file is named: {error}");
}

#[test]
fn code_in_a_pickle_is_refused_and_not_executed() {
    let system = "its pickle asks for `posix.system`";
    for (name, expected) in [
        ("hostile.pth", system),
        ("hostile-legacy.pth", system),
        ("hostile-plain.pth", system),
        ("hostile-protocol-4.pth", "a global in pickle protocol 4"),
        ("object.pth", "its pickle asks for `__main__.Recorder`"),
    ] {
        refused(name, &resnet(), None, Head::Keep, expected);
    }
    assert!(!Path::new("EXECUTED").exists());
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        import(&path, &resnet(), CLASSES, None, Head::Keep, &Device::flex()).expect_err(name).to_string()
    };
    refused("truncated-zip.pth", &resnet(), None, Head::Keep, "not a whole zip archive");
    refused("truncated-legacy.pth", &resnet(), None, Head::Keep, "truncated-legacy.pth: ");
    refused("no-tensors.pth", &resnet(), None, Head::Keep, "holds no tensors");
    assert!(write("empty.pth", b"").contains("empty.pth: the file is empty"));
    let photo = write("photo.pth", b"\xff\xd8\xff\xe0\0\x10JFIF");
    assert!(photo.contains("photo.pth: "), "{photo}");
    let text = write("text.safetensors", b"\x40\0\0\0\0\0\0\0{\"x\": ");
    assert!(text.contains("text.safetensors: "), "{text}");
    let missing = import(Path::new("nowhere.pth"), &resnet(), CLASSES, None, Head::Keep, &Device::flex());
    assert!(missing.expect_err("no file").to_string().contains("nowhere.pth"));

    // Whatever the length, a piece of a file is an error and nothing else.
    for name in ["zip.pth", "legacy.pth", "torch-names.safetensors"] {
        let whole = fs_err::read(file(name)).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 60) {
            write("piece.pth", &whole[..length]);
        }
    }
}

#[test]
fn incomplete_or_foreign_weights_are_refused_by_name() {
    let keep = Head::Keep;
    refused("missing.pth", &resnet(), None, keep, "no tensor for `fc.bias` (2 missing in all)");
    refused("missing.pth", &resnet(), None, Head::Drop, "no tensor for `layer2.0.bn1.bias` (1 missing in all)");
    refused("extra.pth", &resnet(), None, keep, "no place for `layer3.0.conv1.weight` (2 such tensors in all)");
    refused("shape.pth", &resnet(), None, keep, "`fc.weight` has the shape [3, 5], the network's has [3, 6]");
    refused("integers.pth", &resnet(), None, keep, "`fc.bias`: holds I64, floats are needed");
    refused("backbone.pth", &resnet(), None, keep, "no place for `backbone.bn1.bias`");
    refused("backbone.pth", &resnet(), Some("backbone"), keep, "no tensor for `fc.bias`");
    refused("face.pth", &ir(false), None, keep, "no place for `output_layer.0.bias`");
    refused("face-agra.pth", &ir(true), None, keep, "no place for `layer1.0.res_layer.0.bias`");
    refused("zip.pth", &resnet(), Some("unknown"), keep, "no key map `unknown`; there are pytorch, backbone");
}

/// A square weight looks the same in both layouts, so a wrong layout must show in the numbers.
#[test]
fn the_layout_of_linear_weights_comes_from_the_key_map() {
    let config = NetworkConfig::Resnet(ResNetConfig {
        input_channels: 1,
        stem_width: 4,
        widths: vec![CLASSES],
        blocks: vec![1],
        ..ResNetConfig::resnet18()
    });
    let network = portable_network(&config, CLASSES, &Device::flex());
    let embedding = Tensor::<2>::from_floats([[1.0, 0.0, 0.0]], &Device::flex());
    let logits = network.classify(embedding).values();
    let weight = portable::weight("fc.weight", &[CLASSES, CLASSES]);
    let bias = portable::weight("fc.bias", &[CLASSES]);
    let column: Vec<f32> = (0..CLASSES).map(|class| weight[class * CLASSES] + bias[class]).collect();
    assert_close("first column", logits, column, 1e-6, 1e-6);
}
