//! Networks against their PyTorch originals (`tools/reference/{resnet,ir,comparison}.py`): three depths in evaluation, then one
//! training step's logits, running statistics and gradients.

use crate::support::{Gather, portable_network};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emoxide::models::{
    AlexNetConfig, BlockKind, Classifier, DaclAttentionConfig, DaclConfig, FaceHead, Grid, IrConfig, LocalBase,
    LocalDropConfig, LocalDropKind, LocalTransformerConfig, MapHead, Network, NetworkConfig, Outputs, PlainConfig,
    ResNetConfig, Stem, TrunkConfig, VggConfig,
};
use emoxide::nn::NormPlace;
use emoxide_engine::{Engine, Precision};
use emoxide_kernels::Level;
use emoxide_testing::{Fixture, Values, assert_close, portable};

const REL: f32 = 1e-3;
const ABS: f32 = 1e-4;

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values = portable::values("images", shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

/// Logits, and behind them what DACL's loss sees beside them.
fn answer(network: &Network, images: Tensor<4>) -> Tensor<2> {
    let Outputs { logits, attention, .. } = network.outputs(images);
    Tensor::cat([logits].into_iter().chain(attention).collect(), 1)
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
    let logits = answer(&network, images(shape, &device));
    let engine = compiled(&network, shape, expected("logits"));
    let seams = [
        assert_close("features", map, expected("features"), REL, ABS),
        assert_close("embedding", embedding, expected("embedding"), REL, ABS),
        assert_close("logits", logits, expected("logits"), REL, ABS),
    ];

    let device = device.autodiff();
    let network = portable_network(config, classes, &device);
    let logits = answer(&network, images(shape, &device));
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
        // PyTorch's own gradient, which is all there is of one that is zero but for rounding. Where both are exactly zero,
        // ours must be.
        let size = expected[expected.len() - 1] / (actual.len() as f32).sqrt();
        let noise = fixture.values(&format!("{case}/noise/{name}"))[0];
        let unit = size.max(NOISE_SHARE * noise / GRADIENT_ABS).max(f32::MIN_POSITIVE);
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
        let forward = |device: &Device, image| answer(&network.clone().to_device(device), image);
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

#[test]
fn alexnet_agrees_with_torchvision() {
    let config = NetworkConfig::Alexnet(AlexNetConfig { dropout: 0.0, ..AlexNetConfig::default() });
    agrees("alexnet", "full", &config, 7, [2, 1, 64, 96]);
}

#[test]
fn vgg_agrees_whole_and_pooled() {
    let whole =
        VggConfig { image_size: 48, widths: vec![8, 12, 16, 24], hidden: 20, dropout: 0.0, ..VggConfig::default() };
    let pooled = VggConfig { input_channels: 3, pool: Some(2), ..whole.clone() };
    agrees("vgg", "whole", &NetworkConfig::Vgg(whole), 7, [4, 1, 48, 48]);
    agrees("vgg", "pooled", &NetworkConfig::Vgg(pooled), 8, [4, 3, 48, 80]);
}

/// One block a stage.
fn trunk(stem: Stem, widths: &[usize]) -> TrunkConfig {
    TrunkConfig {
        stem,
        stem_width: 8,
        widths: widths.to_vec(),
        blocks: vec![1; widths.len()],
        ..TrunkConfig::default()
    }
}

#[test]
fn local_transformers_agree_with_pytorch_s_encoder() {
    let after = LocalTransformerConfig {
        base: LocalBase::Resnet(trunk(Stem::Imagenet, &[8, 12, 16, 24])),
        local_width: 32,
        local_drop: LocalDropConfig { kind: LocalDropKind::None, ..LocalDropConfig::default() },
        depth: 3,
        heads: 4,
        hidden: 24,
        dropout: 0.0,
        ..LocalTransformerConfig::default()
    };
    let before = LocalTransformerConfig {
        input_channels: 3,
        base: LocalBase::Plain(PlainConfig { widths: vec![8, 12, 16] }),
        local_width: 20,
        depth: 2,
        heads: 2,
        hidden: 28,
        norm: NormPlace::Before,
        ..after.clone()
    };
    agrees("local_transformer", "resnet-after", &NetworkConfig::LocalTransformer(after), 7, [3, 1, 96, 64]);
    agrees("local_transformer", "plain-before", &NetworkConfig::LocalTransformer(before), 8, [3, 3, 32, 40]);
}

#[test]
fn dacl_of_the_comparison_agrees_on_torchvision_s_trunk() {
    let config = NetworkConfig::DaclAttention(DaclAttentionConfig::default());
    agrees("dacl_attention", "full", &config, 7, [2, 1, 64, 48]);
}

#[test]
fn dacl_of_the_comparison_agrees_on_every_grid() {
    let agrees = |case: &str, config, classes, shape| {
        agrees("dacl_attention", case, &NetworkConfig::DaclAttention(config), classes, shape);
    };
    let bottleneck = TrunkConfig { block: BlockKind::Bottleneck, ..trunk(Stem::Compact, &[6, 10]) };
    let pooled = DaclAttentionConfig { base: bottleneck, attention_width: 8, ..DaclAttentionConfig::default() };
    agrees("pooled", pooled, 7, [4, 1, 24, 32]);
    let flattened = DaclAttentionConfig {
        input_channels: 3,
        image_size: 32,
        base: TrunkConfig { first_stride: 2, ..trunk(Stem::Compact, &[8, 12, 16]) },
        attention_width: 8,
        grid: Grid::Map,
        head: MapHead::Flatten,
    };
    agrees("flattened", flattened, 8, [4, 3, 32, 32]);
    let mean = DaclAttentionConfig {
        base: trunk(Stem::Imagenet, &[8, 12, 16]),
        attention_width: 6,
        grid: Grid::Map,
        head: MapHead::Mean,
        ..DaclAttentionConfig::default()
    };
    agrees("mean", mean, 7, [4, 1, 64, 48]);
}

#[test]
fn the_official_dacl_agrees() {
    let config = DaclConfig {
        image_size: 32,
        base: TrunkConfig { first_stride: 2, ..trunk(Stem::Compact, &[8, 12, 16]) },
        attention_widths: [24, 16, 8],
        ..DaclConfig::default()
    };
    agrees("dacl", "small", &NetworkConfig::Dacl(config), 7, [6, 3, 32, 32]);
}
