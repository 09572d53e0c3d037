//! CAFE against its twin in PyTorch (`tools/reference/cafe.py`).

use burn::tensor::Device;
use emoxide::models::{
    BlockKind, CafeConfig, Classifier, ClipConfig, ClipNorm, ClipPrecision, FeatureMask, InvertedStage, MaskBackbone,
    MobileNetConfig, NetworkConfig, Stem, TrunkConfig,
};
use emoxide_testing::{Fixture, Values, assert_close, largest_difference};

use super::{ABS, REL, agrees, images};
use crate::support::portable_network;

fn cafe(case: &str, config: CafeConfig, classes: usize, shape: [usize; 4]) {
    agrees("cafe", case, &NetworkConfig::Cafe(config), classes, shape);
}

/// One block a stage.
fn trunk(stem: Stem, widths: &[usize]) -> TrunkConfig {
    let (widths, blocks) = (widths.to_vec(), vec![1; widths.len()]);
    TrunkConfig { stem, stem_width: 8, widths, blocks, ..TrunkConfig::default() }
}

fn small(backbone: MaskBackbone) -> CafeConfig {
    let clip =
        ClipConfig { patch: 16, width: 24, depth: 2, heads: 3, hidden: 36, embedding: 30, ..ClipConfig::default() };
    CafeConfig { image_size: 48, backbone, clip, ..CafeConfig::default() }
}

fn resnet18() -> MaskBackbone {
    MaskBackbone::Resnet(trunk(Stem::Imagenet, &[8, 12, 16, 30]))
}

#[test]
fn cafe_agrees_at_full_size() {
    cafe("full", CafeConfig::default(), 7, [2, 3, 224, 224]);
}

#[test]
fn cafe_agrees_with_every_mask() {
    cafe("sigmoid", small(resnet18()), 7, [4, 3, 48, 48]);
    let bottleneck = TrunkConfig { block: BlockKind::Bottleneck, first_stride: 2, ..trunk(Stem::Compact, &[6, 10]) };
    cafe("wider", small(MaskBackbone::Resnet(bottleneck)), 8, [4, 3, 48, 48]);
    let grey = small(MaskBackbone::Resnet(trunk(Stem::Compact, &[8, 12])));
    cafe("grey-raw", CafeConfig { input_channels: 1, mask: FeatureMask::Raw, ..grey }, 7, [4, 1, 48, 48]);
    let stage = |[expansion, width, blocks, stride]: [usize; 4]| InvertedStage { expansion, width, blocks, stride };
    let stages = [[1, 6, 1, 1], [3, 8, 2, 2], [2, 10, 1, 1]].map(stage).to_vec();
    let mobilenet = MaskBackbone::MobilenetV2(MobileNetConfig { stem_width: 8, stages, width: 20 });
    cafe("mobilenet", small(mobilenet), 7, [4, 3, 48, 48]);
}

#[test]
fn cafe_agrees_without_either_network() {
    cafe("none", CafeConfig { mask: FeatureMask::None, ..small(resnet18()) }, 7, [4, 3, 48, 64]);
    cafe("probe", CafeConfig { mask: FeatureMask::Probe, ..small(resnet18()) }, 7, [4, 3, 48, 48]);
}

#[test]
fn cafe_agrees_with_a_tower_that_is_trained() {
    let mut tuned = small(MaskBackbone::Resnet(trunk(Stem::Compact, &[8, 30])));
    tuned.clip = ClipConfig { trainable: true, norm: ClipNorm::Clip, ..tuned.clip };
    cafe("tuned", tuned, 7, [4, 3, 48, 48]);
}

/// In half precision, ours is far nearer to PyTorch's half precision than that is to single precision.
#[test]
fn the_fixed_features_agree_in_both_precisions() {
    let fixture = Fixture::open("cafe");
    let device = Device::flex();
    let token = |precision| {
        let clip = ClipConfig { precision, ..ClipConfig::default() };
        let config = NetworkConfig::Cafe(CafeConfig { mask: FeatureMask::Probe, clip, ..CafeConfig::default() });
        let network = portable_network(&config, 7, &device);
        network.features(images([2, 3, 224, 224], &device)).token.expect("the fixed features").values()
    };
    let (single, half) = (token(ClipPrecision::F32), token(ClipPrecision::F16Emulated));
    let (exact, rounded) = (fixture.values("features/exact"), fixture.values("features/half"));
    let close = assert_close("features", &single, exact, REL, ABS);
    let moved = largest_difference("features", rounded, exact);
    let off = largest_difference("features in half precision", &half, rounded);
    println!("fixed features: single precision {close:.1e}, half precision {off:.1e}, between the two {moved:.1e}");
    assert!(off < 0.5 * moved && moved > 1e-3, "{off} for {moved}");
    let steps = half.iter().filter(|value| (**value * 2048.0).fract() != 0.0 && value.abs() >= 1.0).count();
    assert_eq!(steps, 0, "numbers of half precision from 1 on have at most 10 bits behind the point");
}
