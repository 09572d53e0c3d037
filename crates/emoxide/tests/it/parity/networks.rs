//! Which networks are compared, and with which settings.

use emoxide::models::{
    AlexNetConfig, BlockKind, DaclAttentionConfig, DaclConfig, FaceHead, Grid, HeadDrop, IrConfig, LocalBase,
    LocalDropConfig, LocalDropKind, LocalTransformerConfig, MapDrop, MapHead, Mask, NetworkConfig, PlainConfig,
    ResNetConfig, Scale, Stem, TransferConfig, TrunkConfig, VggConfig,
};
use emoxide::nn::NormPlace;

use super::agrees;

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

#[test]
fn transfer_agrees_with_its_twin() {
    let still =
        TransferConfig { local_drop: MapDrop::None {}, head_drop: HeadDrop::None {}, ..TransferConfig::default() };
    let agrees = |case: &str, config, classes, side| {
        agrees(
            "transfer",
            case,
            &NetworkConfig::Transfer(config),
            classes,
            [if side > 100 { 2 } else { 4 }, 3, side, side],
        );
    };
    let small = TransferConfig {
        stem_width: 8,
        image_size: 32,
        lanet_ratio: 4,
        width: 24,
        depth: 2,
        heads: 3,
        hidden: 36,
        ..still.clone()
    };
    agrees("before", TransferConfig { widths: vec![8, 12, 16], units: vec![1, 2, 1], ..small.clone() }, 7, 32);
    let after = TransferConfig {
        stages: 2,
        widths: vec![8, 12],
        units: vec![2, 1],
        branches: 3,
        lanet_norm: false,
        mask: Mask::AfterProjection,
        qkv_bias: true,
        scale: Scale::Embedding,
        norm_epsilon: 1e-5,
        ..small.clone()
    };
    agrees("after", after, 8, 32);
    let none = TransferConfig {
        image_size: 48,
        stages: 4,
        widths: vec![8, 12, 16, 24],
        units: vec![1, 1, 2, 1],
        branches: 0,
        ..small
    };
    agrees("none", none, 7, 48);
    agrees("full", still, 7, 112);
}
