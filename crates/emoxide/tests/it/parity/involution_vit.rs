//! Involution and vision transformer (`tools/reference/involution_vit.py`).

use emoxide::models::{
    Branches, FusionConfig, FusionGrid, FusionKind, HybridConfig, InvolutionVitConfig, NetworkConfig, Numerics,
    PatchEmbedding, RedNetConfig, VitConfig,
};

use super::agrees;

fn compare(case: &str, config: InvolutionVitConfig, classes: usize, shape: [usize; 4]) {
    agrees("involution_vit", case, &NetworkConfig::InvolutionVit(config), classes, shape);
}

/// A network of a few channels, for as many places as an image of 64x64 pixels has.
fn small() -> InvolutionVitConfig {
    InvolutionVitConfig {
        image_size: 64,
        rednet: RedNetConfig {
            stem_width: 16,
            widths: vec![8, 16, 16, 24],
            blocks: vec![1, 2, 1, 1],
            group: 8,
            ..RedNetConfig::default()
        },
        vit: VitConfig {
            hybrid: HybridConfig { root_width: 8, widths: [8, 12, 16], units: [1, 2, 1], groups: 4 },
            width: 24,
            depth: 2,
            heads: 3,
            hidden: 36,
            dropout: 0.0,
            ..VitConfig::default()
        },
        fusion: FusionConfig { projected: 20, width: 16, ..FusionConfig::default() },
        ..InvolutionVitConfig::default()
    }
}

#[test]
fn the_paper_s_network_agrees_with_its_twin() {
    let vit = VitConfig { dropout: 0.0, ..VitConfig::default() };
    compare("full", InvolutionVitConfig { image_size: 128, vit, ..InvolutionVitConfig::default() }, 7, [2, 3, 256, 64]);
    compare("both", small(), 7, [4, 3, 128, 32]);
}

#[test]
fn every_embedding_and_fusion_agrees() {
    let with = |embed, fusion| InvolutionVitConfig { vit: VitConfig { embed, ..small().vit }, fusion, ..small() };
    let direct = FusionConfig { kind: FusionKind::DirectConcat, grid: FusionGrid::Vit, norm: false, ..small().fusion };
    compare("direct", with(PatchEmbedding::Patch16, direct), 8, [4, 3, 64, 64]);
    let sum = FusionConfig { kind: FusionKind::Sum, rectified: false, ..small().fusion };
    compare("sum", with(PatchEmbedding::RednetHybrid, sum), 7, [4, 3, 32, 128]);
}

#[test]
fn branches_alone_agree_with_every_arithmetic() {
    let alone = |vit| InvolutionVitConfig { branches: Branches::Vit, vit, ..small() };
    let of = |numerics| VitConfig { numerics, ..small().vit };
    compare("serial", alone(VitConfig { embed: PatchEmbedding::RednetHybrid, ..small().vit }), 7, [4, 3, 64, 64]);
    compare("transunet", alone(of(Numerics::Transunet)), 7, [4, 3, 128, 32]);
    compare("token", alone(VitConfig { cls_token: true, ..of(Numerics::Timm) }), 7, [4, 3, 64, 64]);
    let rednet = RedNetConfig { kernel: 3, ..small().rednet };
    let rednet = InvolutionVitConfig { branches: Branches::Involution, rednet, ..small() };
    compare("rednet", rednet, 7, [4, 3, 96, 64]);
}
