//! Files that training starts from: what is taken, what is adapted, what is refused.

use std::path::{Path, PathBuf};

use crate::support::{Gather, ir, keys, portable_network, tensors};
use crate::tiny::resnet;
use burn::tensor::{Device, Tensor};
use emoxide::labels::Classes;
use emoxide::models::{Classifier, IrConfig, Network, NetworkConfig, ResNetConfig};
use emoxide::preprocess::{Alignment, Channels, DetectorConfig, Preprocess};
use emoxide::weights::WeightsError;
use emoxide::weights::checkpoint::{self, Card, Licence, Provenance};
use emoxide::weights::start::{Start, Started, StemWeights, start};
use emoxide_testing::{Values, assert_close, fixture_path, portable};

fn classes(names: &[&str]) -> Classes {
    Classes::from_names(names.iter().copied()).unwrap()
}

fn three() -> Classes {
    classes(&["happiness", "sadness", "neutral"])
}

fn pth(name: &str) -> PathBuf {
    fixture_path("pth").join(name)
}

fn images(channels: usize) -> Tensor<4> {
    let shape = [2, channels, 16, 16];
    let values = portable::values("start", shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape(shape)
}

/// A network that is drawn from a fixed seed, before and after it starts from files.
fn begun(
    config: &NetworkConfig,
    classes: &Classes,
    files: &[Start],
) -> Result<(Network, Network, Vec<Started>), WeightsError> {
    let device = Device::flex();
    let fresh = config.init(classes.len(), &device);
    let (network, started) = start(fresh.clone(), config, classes, files)?;
    Ok((fresh, network, started))
}

/// One file, which must be taken.
fn from(config: &NetworkConfig, classes: &Classes, file: Start) -> (Network, Network, Started) {
    let (fresh, network, mut started) = begun(config, classes, &[file]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(started.len(), 1);
    (fresh, network, started.remove(0))
}

fn refused(config: &NetworkConfig, classes: &Classes, file: Start, expected: &str) {
    let error = begun(config, classes, &[file]).map(|_| ()).expect_err(expected).to_string();
    println!("{error}");
    assert!(error.contains(expected), "{error}");
}

/// A checkpoint of our own with the weights of `tools/reference/portable.py`.
fn own(config: &NetworkConfig, classes: &Classes, folder: &Path) -> (Network, PathBuf) {
    let channels = if config.channels() == 1 { Channels::Grey } else { Channels::Rgb };
    let statistics = |value| vec![value; config.channels()];
    let imagenet = Preprocess::imagenet(16);
    let card = Card {
        name: "tiny.own".to_owned(),
        network: config.clone(),
        classes: classes.clone(),
        preprocess: Preprocess { channels, mean: statistics(0.5), std: statistics(0.25), ..imagenet },
        alignment: Alignment::SquareBox { margin: 0.1 },
        detector: DetectorConfig::default(),
        mirror: false,
        temperature: 1.0,
        provenance: Provenance::default(),
        results: Vec::new(),
        licence: Licence::default(),
    };
    let network = portable_network(config, classes.len(), &Device::flex());
    let path = folder.join("own.safetensors");
    checkpoint::save(&network, &card, &path).unwrap();
    (network, path)
}

/// A safetensors file without a description, with the portable weights under other names.
fn foreign(config: &NetworkConfig, rename: impl Fn(&str) -> Option<String>, path: &Path) {
    let shapes = keys(&config.init(3, &Device::flex()));
    let values: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .iter()
        .filter_map(|(name, shape)| {
            let values = portable::weight(name, shape).into_iter().flat_map(f32::to_le_bytes).collect();
            Some((rename(name)?, shape.clone(), values))
        })
        .collect();
    let views = values.iter().map(|(name, shape, values)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), values);
        (name, view.unwrap())
    });
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn our_own_checkpoint_gives_its_head_to_the_same_classes_only() {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = own(&resnet(), &three(), folder.path());
    let (_, network, started) = from(&resnet(), &three(), Start::new(&path));
    assert_eq!(network.forward(images(1)).values(), file.forward(images(1)).values());
    assert_eq!((started.file.as_str(), started.sha256.len()), (path.to_str().unwrap(), 64));
    assert_eq!(started.tensors, tensors(&network).len());
    assert!(started.changes.is_empty(), "{:?}", started.changes);

    let turned = classes(&["sadness", "happiness", "neutral"]);
    let (fresh, network, started) = from(&resnet(), &turned, Start::new(&path));
    let embedding = file.embed(file.features(images(1)));
    assert_eq!(network.embed(network.features(images(1))).values(), (&embedding).values());
    assert_eq!(
        network.classify(embedding.clone()).values(),
        fresh.classify(embedding).values(),
        "the head is as drawn"
    );
    assert_eq!(started.changes, ["head drawn: the file's classes are happiness, sadness, neutral"]);

    let (fresh, network, _) = from(&resnet(), &turned, Start { part: Some("fc".to_owned()), ..Start::new(&path) });
    assert_eq!(tensors(&network)["fc.weight"], tensors(&file)["fc.weight"], "a part that names the head gets it");
    assert_eq!(tensors(&network)["conv1.weight"], tensors(&fresh)["conv1.weight"]);

    let keys = Some("pytorch".to_owned());
    refused(&resnet(), &three(), Start { keys, ..Start::new(&path) }, "has the network's own names; remove `keys`");
}

#[test]
fn a_foreign_trunk_takes_any_number_of_classes() {
    let file = portable_network(&resnet(), 3, &Device::flex());
    for name in ["zip.pth", "parallel-legacy.pth", "shape.pth", "torch-names.safetensors"] {
        let (fresh, network, started) = from(&resnet(), &Classes::eight(), Start::new(pth(name)));
        let embedding = network.embed(network.features(images(1)));
        assert_close(name, embedding.clone(), file.embed(file.features(images(1))), 1e-6, 1e-6);
        assert_eq!(network.classify(embedding.clone()).values(), fresh.classify(embedding).values(), "{name}");
        assert_eq!(started.changes, ["head drawn: the file does not say its classes"], "{name}");
    }
}

#[test]
fn a_colour_stem_of_a_grey_network_is_drawn_or_summed() {
    let colour =
        ResNetConfig { input_channels: 3, stem_width: 4, widths: vec![4], blocks: vec![1], ..ResNetConfig::resnet18() };
    let grey = NetworkConfig::Resnet(ResNetConfig { input_channels: 1, ..colour.clone() });
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = own(&NetworkConfig::Resnet(colour), &three(), folder.path());

    let (fresh, network, started) = from(&grey, &three(), Start::new(&path));
    let (fresh, network) = (tensors(&fresh), tensors(&network));
    assert_eq!(network["conv1.weight"], fresh["conv1.weight"]);
    assert_eq!(network["layer1.0.conv1.weight"], tensors(&file)["layer1.0.conv1.weight"]);
    assert_eq!(started.changes, ["`conv1.weight` drawn: the file's is for colour, the network's for grey"]);

    let summed = Start { stem_weights: StemWeights::SumRgb, ..Start::new(&path) };
    let (_, network, started) = from(&grey, &three(), summed);
    let expected = file.forward(images(1).repeat_dim(1, 3));
    assert_close("three equal channels", network.forward(images(1)), expected, 1e-5, 1e-5);
    assert_eq!(started.changes, ["`conv1.weight` summed over red, green and blue"]);

    // The other way round nothing is known of the colours.
    let (_, path) = own(&grey, &three(), folder.path());
    let colour =
        ResNetConfig { input_channels: 3, stem_width: 4, widths: vec![4], blocks: vec![1], ..ResNetConfig::resnet18() };
    refused(&NetworkConfig::Resnet(colour), &three(), Start::new(&path), "`conv1.weight` has the shape [4, 1, 7, 7]");
}

#[test]
fn a_trunk_may_end_at_an_earlier_stage_of_the_file() {
    let short = |widths: &[usize], units: &[usize]| {
        let (widths, units) = (widths.to_vec(), units.to_vec());
        NetworkConfig::Ir(IrConfig { stem_width: 4, widths, units, ..IrConfig::ir50() })
    };
    let two = short(&[4, 4], &[2, 1]);
    let paddle = fixture_path("paddle").join("v3-protocol-4.pdparams");
    for (file, naming, said) in [
        (pth("face.pth"), None, "from `body.3.res_layer.0.bias` on"),
        (pth("face-agra.pth"), Some("agra"), "from `layer3.0.res_layer.0.bias` on"),
        (pth("face-apvit.pth"), Some("apvit"), "from `extractor.body.2.0.res_layer.0.bias` on"),
        (paddle, None, "from `extractor.body.3.res_layer.0.bias` on"),
    ] {
        let (fresh, network, started) =
            from(&two, &three(), Start { keys: naming.map(str::to_owned), ..Start::new(&file) });
        let (fresh, found) = (tensors(&fresh), tensors(&network));
        for (name, shape) in keys(&network) {
            let expected = if name.starts_with("fc.") { fresh[&name].clone() } else { portable::weight(&name, &shape) };
            assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
        }
        let found = started.changes.iter().any(|change| change.starts_with("left out") && change.ends_with(said));
        assert!(found, "{}: {:?}", file.display(), started.changes);
    }
    // In the middle of a stage is no place to end.
    let cut = short(&[4, 4, 6], &[2, 1, 1]);
    refused(&cut, &three(), Start::new(pth("face.pth")), "no place for `body.4.res_layer.0.bias`");
    let agra = Some("agra".to_owned());
    refused(
        &cut,
        &three(),
        Start { keys: agra, ..Start::new(pth("face-agra.pth")) },
        "no place for `layer3.1.res_layer",
    );
}

#[test]
fn a_file_fills_the_part_that_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.safetensors");
    let part = |part: &str, path: &Path| Start { part: Some(part.to_owned()), ..Start::new(path) };
    let check = |file: Start| {
        let (fresh, network, started) = from(&ir(false), &three(), file);
        let (fresh, network, shapes) = (tensors(&fresh), tensors(&network), keys(&network));
        for (name, values) in &network {
            let expected =
                if name.starts_with("body.") { portable::weight(name, &shapes[name]) } else { fresh[name].clone() };
            assert_close(name, values, expected, 1e-6, 1e-6);
        }
        started
    };
    // Names without the part.
    foreign(&ir(false), |name| name.strip_prefix("body.").map(str::to_owned), &path);
    assert!(check(part("body", &path)).changes.is_empty());
    // A file of the whole network.
    let started = check(part("body", &pth("face.pth")));
    assert!(started.changes.iter().any(|change| change.contains("tensors of other parts")), "{:?}", started.changes);

    foreign(
        &ir(false),
        |name| name.strip_prefix("body.").filter(|name| *name != "2.res_layer.1.weight").map(str::to_owned),
        &path,
    );
    refused(&ir(false), &three(), part("body", &path), "no tensor for `body.2.res_layer.1.weight` (1 missing in all)");
    refused(
        &ir(false),
        &three(),
        part("trunk", &path),
        "no part `trunk`; its parameters' names start with body, fc, input_layer",
    );
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let refused = |name: &str, expected: &str| refused(&resnet(), &three(), Start::new(pth(name)), expected);
    refused("missing.pth", "no tensor for `layer2.0.bn1.bias` (1 missing in all)");
    refused("extra.pth", "no place for `layer3.0.conv1.weight` (2 such tensors in all)");
    refused("face.pth", "no place for `body.0.res_layer.0.bias`");
    refused("nowhere.pth", "nowhere.pth");
    refused("hostile.pth", "its pickle asks for `posix.system`");
}

#[test]
fn a_started_network_trains() {
    let device = Device::flex().autodiff();
    let (config, classes) = (resnet(), three());
    let network = config.init(3, &device);
    let (network, _) = start(network, &config, &classes, &[Start::new(pth("zip.pth"))]).unwrap();
    let images = Tensor::from_inner(images(1));
    let gradients = network.forward(images).powi_scalar(2).sum().backward();
    for (name, gradient) in Gather::from(&network, &gradients).gradient {
        assert!(gradient.is_some_and(|gradient| gradient.iter().any(|value| *value != 0.0)), "{name}");
    }
}
