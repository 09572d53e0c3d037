//! Networks against their PyTorch originals (`tools/reference/{resnet,ir}.py`): three depths in evaluation, then one
//! training step's logits, running statistics and gradients.

use crate::support::{Gather, portable_network};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emoxide::models::{BlockKind, Classifier, FaceHead, IrConfig, Network, NetworkConfig, ResNetConfig, Stem};
use emoxide_engine::{Engine, Precision};
use emoxide_kernels::Level;
use emoxide_testing::{Fixture, Values, assert_close, portable};

const REL: f32 = 1e-3;
const ABS: f32 = 1e-4;

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values = portable::values("images", shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

/// Compares one case of a fixture and prints the largest differences.
fn agrees(topic: &str, case: &str, config: &NetworkConfig, classes: usize, shape: [usize; 4]) {
    let fixture = Fixture::open(topic);
    let expected = |what: &str| fixture.values(&format!("{case}/{what}"));
    let device = Device::flex();

    let network = portable_network(config, classes, &device);
    let features = network.features(images(shape, &device));
    let map = (&features.map).values();
    let map = if map.len() <= 8192 { map } else { portable::samples(&map, 4096) };
    let embedding = network.embed(features);
    let logits = network.classify(embedding.clone());
    let engine = compiled(&network, shape, expected("logits"));
    let seams = [
        assert_close("features", map, expected("features"), REL, ABS),
        assert_close("embedding", embedding, expected("embedding"), REL, ABS),
        assert_close("logits", logits, expected("logits"), REL, ABS),
    ];

    let device = device.autodiff();
    let network = portable_network(config, classes, &device);
    let logits = network.forward(images(shape, &device));
    let train = assert_close("logits in training", &logits, expected("train"), REL, ABS);
    let cotangent = portable::values("cotangent", logits.shape().num_elements());
    let cotangent = Tensor::<1>::from_floats(cotangent.as_slice(), &device).reshape(logits.dims());
    let gradients = (logits * cotangent).sum().backward();
    let gather = Gather::from(&network, &gradients);

    let prefix = format!("{case}/stat/");
    let names: Vec<_> = fixture.names_below(&prefix).collect();
    assert_eq!(names, gather.statistic.keys().collect::<Vec<_>>(), "statistics");
    let mut statistic: f32 = 0.0;
    for name in names {
        let actual = portable::samples(&gather.statistic[name], 8);
        statistic = statistic.max(assert_close(name, actual, expected(&format!("stat/{name}")), REL, ABS));
    }

    let prefix = format!("{case}/grad/");
    let names: Vec<_> = fixture.names_below(&prefix).collect();
    assert_eq!(names, gather.gradient.keys().collect::<Vec<_>>(), "parameters");
    let mut gradient: f32 = 0.0;
    for name in names {
        let actual = gather.gradient[name].as_ref().unwrap_or_else(|| panic!("{name}: no gradient"));
        let expected = expected(&format!("grad/{name}"));
        // Relative to the gradient's own size, as its entries may be of any magnitude; or to what single precision does to
        // PyTorch's own gradient, which is all there is of one that is zero but for rounding.
        let size = expected[expected.len() - 1] / (actual.len() as f32).sqrt();
        let noise = fixture.values(&format!("{case}/noise/{name}"))[0];
        let unit = size.max(NOISE_SHARE * noise / GRADIENT_ABS);
        let scaled = |values: &[f32]| values[..values.len() - 1].iter().map(|value| value / unit).collect::<Vec<_>>();
        let actual = portable::samples(actual, 8);
        gradient = gradient.max(assert_close(name, scaled(&actual), scaled(expected), REL, GRADIENT_ABS));
    }
    println!(
        "{topic}/{case}: features {:.1e}, embedding {:.1e}, logits {:.1e}, compiled {engine:.1e}, in training: logits {train:.1e}, \
         statistics {statistic:.1e}, gradients {gradient:.1e} of their size",
        seams[0], seams[1], seams[2]
    );
}

/// Compares the compiled network, with all instructions that this machine has.
fn compiled(network: &Network, [batch, channels, rows, cols]: [usize; 4], expected: &[f32]) -> f32 {
    let images = portable::values("images", batch * channels * rows * cols);
    let compare = |level: Level| {
        let forward = |device: &Device, image| network.clone().to_device(device).forward(image);
        let engine = Engine::compile(level, Precision::F32, [channels, rows, cols], forward);
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        assert_close(level.name(), engine.run(batch, &images), expected, REL, ABS)
    };
    Level::available().into_iter().map(compare).fold(0.0, f32::max)
}

/// Of a gradient's root mean square. Single precision moves a few activations across the kink of a rectifier, whose share of
/// the gradient then comes or goes.
const GRADIENT_ABS: f32 = 1e-3;

/// How many times PyTorch's own single-precision error a gradient may be off: two independent roundings and their tails.
const NOISE_SHARE: f32 = 4.0;

fn resnet(case: &str, config: ResNetConfig, classes: usize, shape: [usize; 4]) {
    agrees("resnet", case, &NetworkConfig::Resnet(config), classes, shape);
}

fn ir(case: &str, config: IrConfig, classes: usize, shape: [usize; 4]) {
    agrees("ir", case, &NetworkConfig::Ir(config), classes, shape);
}

#[test]
fn resnet18_agrees_with_torchvision() {
    resnet("resnet18", ResNetConfig::resnet18(), 7, [2, 3, 64, 48]);
}

#[test]
fn resnet34_agrees_with_torchvision() {
    resnet("resnet34", ResNetConfig::resnet34(), 7, [2, 3, 64, 48]);
}

#[test]
fn resnet50_agrees_with_torchvision() {
    resnet("resnet50", ResNetConfig::resnet50(), 7, [2, 3, 64, 48]);
}

#[test]
fn compact_networks_agree_with_torchvision_s_parts() {
    let basic = ResNetConfig {
        input_channels: 1,
        stem: Stem::Compact,
        stem_width: 8,
        widths: vec![12, 16, 24],
        blocks: vec![2, 1, 2],
        first_stride: 2,
        ..ResNetConfig::resnet18()
    };
    resnet("compact-basic", basic, 8, [3, 1, 48, 40]);
    let bottleneck = ResNetConfig {
        stem: Stem::Compact,
        stem_width: 8,
        block: BlockKind::Bottleneck,
        widths: vec![6, 10],
        blocks: vec![2, 1],
        ..ResNetConfig::resnet50()
    };
    resnet("compact-bottleneck", bottleneck, 8, [3, 3, 24, 32]);
}

#[test]
fn ir18_agrees_with_face_evolve() {
    ir("ir18", IrConfig::ir18(), 7, [2, 3, 64, 48]);
}

#[test]
fn ir50_agrees_with_face_evolve() {
    ir("ir50", IrConfig::ir50(), 7, [2, 3, 64, 48]);
}

#[test]
fn heads_agree_with_face_evolve() {
    let tiny = |widths: Vec<usize>, units: Vec<usize>, image_size| {
        IrConfig { stem_width: 8, widths, units, ..IrConfig::ir50() }.with_face_head(FaceHead {
            image_size,
            embedding: 20,
            dropout: 0.0,
        })
    };
    let face = tiny(vec![8, 12, 16, 24], vec![2, 1, 2, 1], 64).with_classifier(false);
    ir("tiny-face", face, 0, [4, 3, 64, 64]);
    ir("tiny-both", tiny(vec![8, 12, 16], vec![1, 2, 1], 32), 8, [4, 3, 32, 32]);
}
