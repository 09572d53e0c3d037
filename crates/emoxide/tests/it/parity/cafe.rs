//! CAFE against its twin in PyTorch (`tools/reference/cafe.py`).

use burn::tensor::Device;
use emoxide::models::{
    BlockKind, CafeConfig, Classifier, ClipConfig, ClipNorm, ClipPrecision, FeatureMask, InvertedStage, MaskBackbone,
    MobileNetConfig, NetworkConfig, Stem, TrunkConfig,
};
use emoxide_testing::{Fixture, Values, assert_close};

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

/// Features of a portable tower, `[batch, embedding]`.
fn features(config: &CafeConfig, precision: ClipPrecision, batch: usize) -> Vec<f32> {
    let clip = ClipConfig { precision, ..config.clip.clone() };
    let (device, side) = (Device::flex(), config.image_size);
    let config = NetworkConfig::Cafe(CafeConfig { mask: FeatureMask::Probe, clip, ..config.clone() });
    let network = portable_network(&config, 7, &device);
    network.features(images([batch, 3, side, side], &device)).token.expect("the fixed features").values()
}

fn deviation(one: &[f32], other: &[f32]) -> f32 {
    let squares: f32 = one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum();
    (squares / one.len() as f32).sqrt()
}

/// Two computations in half precision round differently here and there. Behind the twelve blocks of the full tower that is
/// noise as large as half precision itself; a small tower's features are the same numbers, but for a few.
#[test]
fn the_fixed_features_agree_in_both_precisions() {
    let fixture = Fixture::open("cafe");
    let tower = |name: &str, config: &CafeConfig, batch| {
        let [exact, rounded] = ["exact", "half"].map(|kind| fixture.values(&format!("features/{name}-{kind}")));
        let single = features(config, ClipPrecision::F32, batch);
        let close = assert_close("features", &single, exact, REL, ABS);
        let half = features(config, ClipPrecision::F16Emulated, batch);
        let (moved, ours, apart) = (deviation(rounded, exact), deviation(&half, exact), deviation(&half, rounded));
        let same = half.iter().zip(rounded).filter(|(one, other)| one.to_bits() == other.to_bits()).count();
        println!(
            "{name} features: single precision {close:.1e}; half precision moves ours by {ours:.1e} and PyTorch's by \
             {moved:.1e}, {apart:.1e} apart, {same} of {} the same",
            half.len()
        );
        // From 1 on, numbers of half precision are multiples of 1024ths.
        assert!(half.iter().all(|value| value.abs() < 1.0 || (value * 1024.0).fract() == 0.0), "half precision");
        (ours / moved, apart / moved, same as f32 / half.len() as f32)
    };
    let (ours, apart, _) = tower("full", &CafeConfig::default(), 2);
    assert!((0.7..1.4).contains(&ours) && apart < 1.5, "{ours}, {apart}");
    let (ours, apart, same) = tower("small", &small(resnet18()), 4);
    assert!((0.8..1.25).contains(&ours) && apart < 0.6 && same > 0.7, "{ours}, {apart}, {same}");
}
