//! Involution and vision transformer: counts, sizes, what is dropped and what is refused. Parity stands in `parity`.

use burn::tensor::{Device, Tensor};
use emoxide::models::{
    Branches, Classifier, FusionConfig, FusionGrid, FusionKind, HybridConfig, InvolutionVitConfig, NetworkConfig,
    Numerics, PatchEmbedding, RedNetConfig, VitConfig,
};
use emoxide_testing::{Values, portable};

fn images(side: usize, device: &Device) -> Tensor<4> {
    let values = portable::values("images", 3 * side * side);
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([1, 3, side, side])
}

fn alone(branches: Branches, config: InvolutionVitConfig) -> InvolutionVitConfig {
    InvolutionVitConfig { branches, ..config }
}

#[test]
fn counts_of_parameters_are_those_of_the_paper_and_of_its_parts() {
    let device = Device::flex();
    let count =
        |config: InvolutionVitConfig, classes| NetworkConfig::InvolutionVit(config).parameters(classes, &device);
    let paper = InvolutionVitConfig::default;
    let with = InvolutionVitConfig::with_embedding;
    assert_eq!(count(paper(), 7), 115_544_997, "on a residual network");
    assert_eq!(count(with(PatchEmbedding::Patch16), 7), 103_453_541, "on patches");
    assert_eq!(count(with(PatchEmbedding::RednetHybrid), 7), 105_750_373, "on the RedNet");
    let direct = FusionConfig { kind: FusionKind::DirectConcat, ..FusionConfig::default() };
    assert_eq!(count(InvolutionVitConfig { fusion: direct, ..paper() }, 7), 113_048_485, "without projections");

    assert_eq!(count(alone(Branches::Involution, paper()), 7), 13_506_149, "RedNet alone");
    assert_eq!(count(alone(Branches::Vit, paper()), 7), 98_115_143, "transformer alone");
    assert_eq!(count(alone(Branches::Vit, with(PatchEmbedding::Patch16)), 7), 86_023_687, "on patches alone");
    // Without classes: the bodies.
    assert_eq!(count(alone(Branches::Involution, paper()), 0), 13_491_806);
    assert_eq!(count(alone(Branches::Vit, paper()), 0), 98_109_760);
    assert_eq!(count(alone(Branches::Vit, with(PatchEmbedding::Patch16)), 0), 86_018_304);
    assert_eq!(count(alone(Branches::Vit, with(PatchEmbedding::RednetHybrid)), 0), 101_806_942);

    assert_eq!(count(InvolutionVitConfig::rednet(RedNetConfig::rednet50()), 1000), 15_540_806, "RedNet-50");
    // In millions, as published.
    for ((depth, config), published) in depths().into_iter().zip([9.2, 12.4, 15.5, 25.6, 34.0]) {
        let millions = count(InvolutionVitConfig::rednet(config), 1000) as f64 / 1e6;
        assert!((millions - published).abs() < 0.06, "RedNet-{depth}: {millions}");
    }
    let token = |embed, image_size| {
        let vit = VitConfig { embed, cls_token: true, ..VitConfig::default() };
        InvolutionVitConfig { branches: Branches::Vit, image_size, vit, ..paper() }
    };
    assert_eq!(count(token(PatchEmbedding::R50, 384), 1000), 98_950_952, "timm's hybrid");
    assert_eq!(count(token(PatchEmbedding::Patch16, 224), 1000), 86_567_656, "ViT-B/16");
}

fn depths() -> [(usize, RedNetConfig); 5] {
    [
        (26, RedNetConfig::rednet26()),
        (38, RedNetConfig::rednet38()),
        (50, RedNetConfig::rednet50()),
        (101, RedNetConfig::rednet101()),
        (152, RedNetConfig::rednet152()),
    ]
}

#[test]
fn depths_count_the_layers() {
    for (depth, config) in depths() {
        // A block has three layers, the stem and the classifier make two.
        assert_eq!(3 * config.blocks.iter().sum::<usize>() + 2, depth);
    }
}

/// A network of a few channels for images of so many pixels.
fn small(image_size: usize) -> InvolutionVitConfig {
    let rednet = RedNetConfig {
        stem_width: 8,
        widths: vec![4, 8, 12, 16],
        blocks: vec![1, 1, 1, 1],
        group: 4,
        ..RedNetConfig::default()
    };
    let hybrid = HybridConfig { root_width: 4, widths: [4, 8, 12], units: [1, 1, 1], groups: 2 };
    let vit = VitConfig { hybrid, width: 8, depth: 1, heads: 2, hidden: 8, ..VitConfig::default() };
    let fusion = FusionConfig { projected: 6, width: 5, ..FusionConfig::default() };
    InvolutionVitConfig { image_size, rednet, vit, fusion, ..InvolutionVitConfig::default() }
}

#[test]
fn maps_and_tokens_have_the_sizes_of_the_paper() {
    let device = Device::flex();
    for (side, rednet, grid) in [(352, 11, 22), (224, 7, 14)] {
        let map = |config: InvolutionVitConfig| {
            NetworkConfig::InvolutionVit(config).init(7, &device).features(images(side, &device)).map.dims()
        };
        assert_eq!(map(small(side)), [1, 5, rednet, rednet]);
        let fusion = FusionConfig { grid: FusionGrid::Vit, ..small(side).fusion };
        assert_eq!(map(InvolutionVitConfig { fusion, ..small(side) }), [1, 5, grid, grid]);
        assert_eq!(map(alone(Branches::Involution, small(side))), [1, 64, rednet, rednet]);
        let embeddings = [PatchEmbedding::R50, PatchEmbedding::Patch16, PatchEmbedding::RednetHybrid];
        for (embed, numerics) in
            embeddings.into_iter().flat_map(|embed| [(embed, Numerics::JaxSame), (embed, Numerics::Transunet)])
        {
            let vit = VitConfig { embed, numerics, ..small(side).vit };
            let config = InvolutionVitConfig { vit, ..small(side) };
            assert_eq!(map(alone(Branches::Vit, config.clone())), [1, 8, grid, grid], "{embed:?}, {numerics:?}");
            let network = NetworkConfig::InvolutionVit(config).init(7, &device);
            let [(name, shares)] = &network.attention(images(side, &device))[..] else { panic!("one block") };
            assert_eq!((name.as_str(), shares.dims()), ("blocks.0", [1, 2, grid * grid, grid * grid]));
        }
    }
}

#[test]
fn fresh_blocks_of_the_rednet_change_nothing() {
    let device = Device::flex();
    let config = alone(Branches::Involution, small(64));
    let network = |zero_blocks| {
        let rednet = RedNetConfig { zero_blocks, ..config.rednet.clone() };
        NetworkConfig::InvolutionVit(InvolutionVitConfig { rednet, ..config.clone() }).init(7, &device)
    };
    let varied = |network: emoxide::models::Network| {
        let scales = crate::support::tensors(&network);
        scales.iter().filter(|(name, _)| name.ends_with("bn3.weight")).all(|(_, scale)| scale.iter().all(|&s| s == 0.0))
    };
    assert!(varied(network(true)) && !varied(network(false)));
}

#[test]
fn settings_that_cannot_be_are_refused_by_key() {
    let parse = |keys: &str| serde_json::from_str::<NetworkConfig>(&format!(r#"{{"kind": "involution-vit"{keys}}}"#));
    assert_eq!(parse("").unwrap(), NetworkConfig::InvolutionVit(InvolutionVitConfig::default()));
    let other = NetworkConfig::InvolutionVit(InvolutionVitConfig::with_embedding(PatchEmbedding::RednetHybrid));
    assert_eq!(parse(r#", "vit": {"embed": "rednet-hybrid"}"#).unwrap(), other);
    assert_eq!(serde_json::from_str::<NetworkConfig>(&serde_json::to_string(&other).unwrap()).unwrap(), other);

    for (keys, expected) in [
        (r#", "branch": "vit""#, "unknown field `branch`"),
        (r#", "vit": {"embed": "r101"}"#, "unknown variant `r101`"),
        (r#", "vit": {"hybrid": {"widths": [4, 8]}}"#, "invalid length 2"),
        (r#", "fusion": {"kind": "product"}"#, "unknown variant `product`"),
    ] {
        let error = parse(keys).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (keys, expected) in [
        (r#", "image_size": 16"#, "network.image_size: is 16, may be 32 to 1024"),
        (r#", "image_size": 336"#, "network.image_size: is 336, must be a multiple of 32"),
        (r#", "rednet": {"kernel": 4}"#, "network.rednet.kernel: is 4, may be 1, 3, 5 up to 15"),
        (r#", "rednet": {"blocks": [1]}"#, "network.rednet.blocks: 1 stages, but `widths` has 4"),
        (
            r#", "rednet": {"group": 48}"#,
            "network.rednet.group: is 48, must divide [64, 128, 256, 512] and half of `stem_width`, which is 64",
        ),
        (
            r#", "vit": {"hybrid": {"groups": 48}}"#,
            "network.vit.hybrid.groups: is 48, must divide [64, 128, 256] and `root_width`, which is 64",
        ),
        (r#", "vit": {"heads": 7}"#, "network.vit.heads: is 7, must divide `vit.width`, which is 768"),
        (r#", "vit": {"cls_token": true}"#, "network.vit.cls_token: is true, which only `branches = \"vit\"` reads"),
        (r#", "vit": {"dropout": 1.0}"#, "network.vit.dropout: is 1, may be 0 up to but not 1"),
        (
            r#", "rednet": {"widths": [64], "blocks": [1]}, "vit": {"embed": "rednet-hybrid"}"#,
            "network.vit.embed: is rednet-hybrid, for which `rednet.widths` must have 4 stages, and has 1",
        ),
    ] {
        assert_eq!(parse(keys).unwrap().validate().unwrap_err().to_string(), expected);
    }
}

#[test]
fn training_drops_parts_of_tokens_and_evaluation_nothing() {
    let config = NetworkConfig::InvolutionVit(alone(Branches::Vit, small(64)));
    let (plain, training) = (Device::flex(), Device::flex().autodiff());
    let network = config.init(7, &training);
    let answer = || network.forward(images(64, &training)).inner().values();
    assert_ne!(answer(), answer());
    let network = burn::module::Module::valid(&network);
    let answer = || network.forward(images(64, &plain)).values();
    assert_eq!(answer(), answer());
}
