//! The networks of the comparison on FER2013 and the official DACL: counts, shapes, and what sets them apart.

use crate::support::{Gather, named_network, portable_network};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_store::{ModuleSnapshot, bridge};
use emoxide::face::DetectorConfig;
use emoxide::labels::Classes;
use emoxide::models::{
    AlexNetConfig, Classifier, DaclAttentionConfig, DaclConfig, Grid, LocalBase, LocalDropConfig, LocalDropKind,
    LocalTransformerConfig, MapHead, Network, NetworkConfig, PlainConfig, ResNetConfig, Stem, TrunkConfig, VggConfig,
};
use emoxide::weights::checkpoint::{Card, Licence, Provenance};
use emoxide::zoo;
use emoxide_testing::{Values, assert_close, portable};

const CLASSES: usize = 7;

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values = portable::values("images", shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

fn small_trunk() -> TrunkConfig {
    TrunkConfig {
        stem: Stem::Compact,
        stem_width: 6,
        widths: vec![8, 12],
        blocks: vec![1, 1],
        ..TrunkConfig::default()
    }
}

fn small_transformer() -> LocalTransformerConfig {
    LocalTransformerConfig {
        base: LocalBase::Resnet(small_trunk()),
        local_width: 16,
        depth: 2,
        heads: 4,
        hidden: 12,
        ..LocalTransformerConfig::default()
    }
}

#[test]
fn counts_of_parameters_are_those_of_the_papers() {
    let device = Device::flex();
    let architectures = zoo::architectures();
    let known = [
        ("alexnet", 57_017_031),
        ("vgg", 432_543_943),
        ("vgg-pooled", 124_262_599),
        ("resnet50-grey", 23_516_103),
        ("transfer-resnet18", 231_553_479),
        ("transfer-plain", 224_294_343),
        ("dacl-resnet18", 11_469_319),
        ("dacl", 103_042_311),
    ];
    for (name, expected) in known {
        let entry = architectures.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!(entry.network.parameters(CLASSES, &device), expected, "{name}");
    }
    let on_the_map = |head| DaclAttentionConfig { grid: Grid::Map, head, ..DaclAttentionConfig::default() };
    let count = |config| NetworkConfig::DaclAttention(config).parameters(CLASSES, &device);
    assert_eq!(count(on_the_map(MapHead::Flatten)), 11_641_351);
    assert_eq!(count(on_the_map(MapHead::Mean)), 11_469_319);
}

#[test]
fn every_architecture_and_its_input_fit() {
    for entry in zoo::architectures() {
        let card = Card {
            name: entry.name.to_owned(),
            network: entry.network,
            classes: Classes::from_names(["anger", "disgust", "fear"]).unwrap(),
            preprocess: entry.preprocess,
            alignment: entry.alignment,
            detector: DetectorConfig::default(),
            mirror: false,
            temperature: 1.0,
            provenance: Provenance::default(),
            results: Vec::new(),
            licence: Licence::default(),
        };
        assert_eq!(card.validate(), Ok(()), "{}", entry.name);
    }
}

/// Shapes of map and embedding, then names and shapes of what is attended to.
type Shapes = ([usize; 4], [usize; 2], Vec<(String, [usize; 4])>);

/// Those of one image of 224x224.
fn shapes(config: &NetworkConfig) -> Shapes {
    let device = Device::flex();
    let network = config.init(CLASSES, &device);
    let images = images([1, config.channels(), 224, 224], &device);
    let features = network.features(images.clone());
    let map = features.map.dims();
    let attention = network.attention(images).into_iter().map(|(name, maps)| (name, maps.dims()));
    (map, network.embed(features).dims(), attention.collect())
}

#[test]
fn maps_and_tokens_have_the_sizes_of_the_papers() {
    let alexnet = NetworkConfig::Alexnet(AlexNetConfig { hidden: 32, ..AlexNetConfig::default() });
    assert_eq!(shapes(&alexnet), ([1, 256, 6, 6], [1, 32], vec![]));

    let vgg = VggConfig { widths: vec![8, 16, 32, 64], hidden: 32, ..VggConfig::default() };
    let pooled = VggConfig { pool: Some(7), ..vgg.clone() };
    for config in [vgg, pooled] {
        assert_eq!(shapes(&NetworkConfig::Vgg(config)), ([1, 64, 14, 14], [1, 32], vec![]));
    }

    let resnet = ResNetConfig { input_channels: 1, ..ResNetConfig::resnet50() };
    assert_eq!(shapes(&NetworkConfig::Resnet(resnet)), ([1, 2048, 7, 7], [1, 2048], vec![]));

    let small = LocalTransformerConfig { base: LocalBase::Resnet(TrunkConfig::default()), ..small_transformer() };
    let plain = LocalTransformerConfig { base: LocalBase::Plain(PlainConfig::default()), ..small.clone() };
    let layers = ["layers.0", "layers.1"].map(|name| (name.to_owned(), [1, 4, 98, 98])).to_vec();
    for config in [small, plain] {
        let found = shapes(&NetworkConfig::LocalTransformer(config));
        assert_eq!(found, ([1, 512, 7, 7], [1, 16], layers.clone()));
    }

    let named = |name: &str, shape| vec![(name.to_owned(), shape)];
    let dacl = |grid, head| {
        shapes(&NetworkConfig::DaclAttention(DaclAttentionConfig { grid, head, ..DaclAttentionConfig::default() }))
    };
    let pooled = dacl(Grid::Pooled, MapHead::Flatten);
    assert_eq!(pooled, ([1, 512, 7, 7], [1, 512], named("map", [1, 1, 1, 1])));
    let flattened = dacl(Grid::Map, MapHead::Flatten);
    assert_eq!(flattened, ([1, 512, 7, 7], [1, 25_088], named("map", [1, 49, 7, 7])));
    let mean = dacl(Grid::Map, MapHead::Mean);
    assert_eq!(mean, ([1, 512, 7, 7], [1, 512], named("map", [1, 49, 7, 7])));

    let official = NetworkConfig::Dacl(DaclConfig { attention_widths: [24, 16, 8], ..DaclConfig::default() });
    assert_eq!(shapes(&official), ([1, 512, 7, 7], [1, 512], named("features", [1, 1, 1, 512])));
}

/// With the two local convolutions exchanged, the second half of the tokens comes first.
#[test]
fn the_order_of_the_tokens_has_no_effect() {
    let device = Device::flex();
    let config = NetworkConfig::LocalTransformer(small_transformer());
    let exchanged = |name: &str| match name.split_once('.') {
        Some(("local_cnn1", rest)) => format!("local_cnn2.{rest}"),
        Some(("local_cnn2", rest)) => format!("local_cnn1.{rest}"),
        _ => name.to_owned(),
    };
    let images = images([2, 1, 10, 12], &device);
    let network = portable_network(&config, CLASSES, &device);
    let other = named_network(&config, CLASSES, exchanged, &device);
    let attention = |network: &Network| network.attention(images.clone()).remove(0).1;
    let (seen, moved) = (attention(&network), attention(&other));
    let [.., tokens, _] = seen.dims();
    let half = tokens / 2;
    let rolled = |x: Tensor<4>, dim| Tensor::cat(vec![x.clone().narrow(dim, half, half), x.narrow(dim, 0, half)], dim);
    assert_close("attention", moved, rolled(rolled(seen.clone(), 2), 3), 1e-4, 1e-5);
    assert_ne!((&seen).values(), rolled(seen, 2).values(), "the halves differ");
    assert_close("logits", other.forward(images.clone()), network.forward(images), 1e-4, 1e-5);
}

#[test]
fn layers_of_the_encoder_start_alike_and_learn_apart() {
    let device = Device::flex().autodiff();
    let network = NetworkConfig::LocalTransformer(small_transformer()).init(CLASSES, &device);
    let layer = |index: usize| {
        let prefix = format!("transformer_encoder.layers.{index}.");
        let tensors = network.valid().collect(None, None, true).into_iter();
        let tensors = tensors.filter_map(move |tensor| {
            let name = tensor.name.strip_prefix(&prefix)?.to_owned();
            Some((name, bridge::into_data(tensor).unwrap().try_to_vec::<f32>().unwrap()))
        });
        tensors.collect::<Vec<_>>()
    };
    assert_eq!(layer(0).len(), 12);
    assert_eq!(layer(0), layer(1));

    let logits = network.forward(images([2, 1, 10, 12], &device));
    let gradients = logits.slice([0..2, 0..1]).sum().backward();
    let gather = Gather::from(&network, &gradients);
    let gradient = |index: usize| {
        let name = format!("transformer_encoder.layers.{index}.linear1.weight");
        gather.gradient[&name].clone().unwrap()
    };
    assert_ne!(gradient(0), gradient(1));
}

#[test]
fn attention_to_the_pooled_map_is_a_linear_layer() {
    let config = DaclAttentionConfig { base: small_trunk(), ..DaclAttentionConfig::default() };
    let config = NetworkConfig::DaclAttention(config);
    let device = Device::flex();
    let network = portable_network(&config, CLASSES, &device);
    let parameter = |wanted: &str| {
        let tensors = network.collect(None, None, true);
        let tensor = tensors.into_iter().find(|tensor| tensor.name == wanted).unwrap();
        bridge::into_data(tensor).unwrap().try_to_vec::<f32>().unwrap()
    };
    let features = network.features(images([3, 1, 10, 12], &device));
    let x: Tensor<2> = features.map.clone().mean_dim(3).mean_dim(2).flatten(1, 3);
    let weight = Tensor::<2>::from_data(TensorData::new(parameter("attention.conv2.weight"), [12, 12]), &device);
    let bias = Tensor::<2>::from_data(TensorData::new(parameter("attention.conv2.bias"), [1, 12]), &device);
    assert_close("x + conv2(x)", network.embed(features), x.clone() + x.matmul(weight.transpose()) + bias, 1e-5, 1e-6);

    let device = device.autodiff();
    let network = portable_network(&config, CLASSES, &device);
    let gradients = network.forward(images([3, 1, 10, 12], &device)).slice([0..3, 0..1]).sum().backward();
    let gather = Gather::from(&network, &gradients);
    for name in ["attention.conv1.weight", "attention.conv1.bias"] {
        assert!(gather.gradient[name].clone().unwrap().iter().all(|&value| value == 0.0), "{name}");
    }
    assert!(gather.gradient["attention.conv2.weight"].clone().unwrap().iter().any(|&value| value != 0.0));
}

/// Two maps of ones after training's drop.
fn dropped(kind: LocalDropKind, shape: [usize; 4]) -> [Vec<f32>; 2] {
    let device = Device::flex().autodiff();
    let ones = || Tensor::<4>::ones(shape, &device);
    LocalDropConfig { kind, ..LocalDropConfig::default() }.init().forward([ones(), ones()]).map(Values::values)
}

fn share(values: &[f32], wanted: impl Fn(f32) -> bool) -> f64 {
    values.iter().filter(|&&value| wanted(value)).count() as f64 / values.len() as f64
}

#[test]
fn elements_are_dropped_without_rescaling_and_channels_as_a_whole() {
    let shape = [16, 20, 8, 8];
    for map in dropped(LocalDropKind::Elements, shape) {
        assert!(map.iter().all(|&value| [0.0, 1.0].contains(&value)));
        approx::assert_abs_diff_eq!(share(&map, |value| value > 0.0), 0.4, epsilon = 0.02);
    }
    let [first, second] = dropped(LocalDropKind::Elements, shape);
    assert_ne!(first, second, "each map has its own draws");
    for map in dropped(LocalDropKind::ScaledElements, shape) {
        assert!(map.iter().all(|&value| value == 0.0 || (value - 2.5).abs() < 1e-5));
        approx::assert_abs_diff_eq!(share(&map, |value| value > 0.0), 0.4, epsilon = 0.02);
    }
    for map in dropped(LocalDropKind::Channels, [40, 50, 2, 2]) {
        assert!(map.chunks(4).all(|channel| channel == [0.0; 4] || channel == [1.0; 4]));
        approx::assert_abs_diff_eq!(share(&map, |value| value > 0.0), 0.4, epsilon = 0.06);
    }
}

#[test]
fn of_an_image_one_map_at_most_is_dropped() {
    let [first, second] = dropped(LocalDropKind::Map, [3000, 3, 1, 2]);
    for map in [&first, &second] {
        assert!(map.chunks(6).all(|image| image == [0.0; 6] || image == [1.0; 6]));
        approx::assert_abs_diff_eq!(share(map, |value| value == 0.0), 0.3, epsilon = 0.05);
    }
    assert!(first.iter().zip(&second).all(|(one, other)| one + other > 0.0));
}

#[test]
fn nothing_is_dropped_in_evaluation_or_from_frozen_layers() {
    let plain = Device::flex();
    let training = plain.clone().autodiff();
    let kinds = [
        LocalDropKind::Elements,
        LocalDropKind::ScaledElements,
        LocalDropKind::Map,
        LocalDropKind::Channels,
        LocalDropKind::None,
    ];
    for kind in kinds {
        let layer = LocalDropConfig { kind, ..LocalDropConfig::default() }.init();
        let kept = |layer: &emoxide::models::LocalDrop, device: &Device| {
            let map = images([40, 3, 2, 2], device);
            let values = (&map).values();
            layer.forward([map.clone(), map]).into_iter().all(|map| map.values() == values)
        };
        assert!(kept(&layer, &plain), "{kind:?}");
        assert!(kept(&layer.clone().freeze(), &training), "{kind:?}");
        assert_eq!(kept(&layer, &training), kind == LocalDropKind::None, "{kind:?}");
    }
}
