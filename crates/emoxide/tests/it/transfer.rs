//! `TransFER`: counts, and what training drops. Parity stands in `parity`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emoxide::models::{Classifier, HeadDrop, MapDrop, Mask, Network, NetworkConfig, TransferConfig};
use emoxide::nn::{DropKind, DropMaps};
use emoxide_testing::{Values, assert_close, largest_difference, portable};

fn images(batch: usize, side: usize, device: &Device) -> Tensor<4> {
    let values = portable::values("images", batch * 3 * side * side);
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([batch, 3, side, side])
}

/// A network of a few channels for images of 32 pixels.
fn small() -> TransferConfig {
    TransferConfig {
        image_size: 32,
        stem_width: 4,
        widths: vec![6, 8, 12],
        units: vec![1, 1, 1],
        lanet_ratio: 4,
        width: 12,
        depth: 2,
        heads: 3,
        hidden: 18,
        zero_head: false,
        local_drop: MapDrop::None {},
        head_drop: HeadDrop::None {},
        ..TransferConfig::default()
    }
}

fn network(config: TransferConfig, classes: usize, device: &Device) -> Network {
    NetworkConfig::Transfer(config).init(classes, device)
}

/// A network with the weights of another one and settings that change none of them. Equal seeds would not do: tests that
/// run at the same time draw from the same generator.
fn alike(other: &Network, config: TransferConfig, device: &Device) -> Network {
    network(config, 7, device).load_record(other.clone().into_record())
}

#[test]
fn counts_of_parameters_are_those_of_the_paper() {
    let device = Device::flex();
    let count = |config: TransferConfig, classes| NetworkConfig::Transfer(config).parameters(classes, &device);
    let of = |branches, stages| TransferConfig { branches, stages, ..TransferConfig::default() };
    assert_eq!(count(of(2, 3), 7), 65_217_869, "RAF-DB");
    assert_eq!(count(of(4, 3), 7), 65_226_195, "AffectNet");
    assert_eq!(count(of(2, 3), 8), 65_218_638, "FER+");
    assert_eq!(count(of(0, 3), 7), 65_209_543, "no branch");
    assert_eq!(count(of(2, 2), 7), 49_293_837, "784 tokens");
    assert_eq!(count(of(2, 4), 7), 78_441_677, "49 tokens");
    let bare = TransferConfig { lanet_norm: false, ..TransferConfig::default() };
    assert_eq!(count(bare, 7), 65_217_869 - 2 * (4_163 - 4_129), "branches without norms");
}

#[test]
fn maps_and_tokens_have_the_sizes_of_the_paper() {
    let device = Device::flex();
    for (stages, [channels, side]) in [(2, [8, 28]), (3, [12, 14]), (4, [10, 7])] {
        let config = TransferConfig {
            image_size: 112,
            stages,
            widths: vec![6, 8, 12, 10],
            units: vec![1, 1, 1, 1],
            lanet_ratio: 2,
            ..small()
        };
        let network = network(config, 7, &device);
        let images = images(1, 112, &device);
        assert_eq!(network.features(images.clone()).map.dims(), [1, channels, side, side]);
        let tokens = 1 + side * side;
        let shapes: Vec<_> = network.attention(images).into_iter().map(|(name, maps)| (name, maps.dims())).collect();
        let expected =
            [("local", [1, 2, side, side]), ("blocks.0", [1, 3, tokens, tokens]), ("blocks.1", [1, 3, tokens, tokens])];
        assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape)));
    }
}

/// Ones after training's drop, an image a row.
fn dropped(kind: DropKind, shape: [usize; 4]) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let values = DropMaps::new(kind).forward(Tensor::ones(shape, &device)).values();
    values.chunks(shape[1] * shape[2] * shape[3]).map(<[f32]>::to_vec).collect()
}

#[test]
fn mad_drops_one_map_of_a_share_of_the_images_and_rescales_nothing() {
    const IMAGES: usize = 6000;
    for (rate, maps) in [(0.0, 3), (0.6, 2), (0.3, 8), (1.0, 5)] {
        let rows = dropped(DropKind::Mad { rate }, [IMAGES, maps, 2, 3]);
        let mut hits = vec![0; maps];
        for row in &rows {
            let zero: Vec<_> = row.chunks(6).map(|map| map == [0.0; 6]).collect();
            assert!(row.chunks(6).zip(&zero).all(|(map, &zero)| zero || map == [1.0; 6]), "whole maps, unscaled");
            assert!(zero.iter().filter(|&&zero| zero).count() <= 1, "one map at most");
            zero.iter().zip(&mut hits).for_each(|(&zero, hits)| *hits += usize::from(zero));
        }
        let share = |hits: usize| hits as f64 / IMAGES as f64;
        approx::assert_abs_diff_eq!(share(hits.iter().sum()), rate, epsilon = 0.025);
        for &hits in &hits {
            approx::assert_abs_diff_eq!(share(hits), rate / maps as f64, epsilon = 0.025);
        }
    }
}

#[test]
fn the_replacements_of_mad_keep_the_mean() {
    let rows = dropped(DropKind::Elements { rate: 0.25 }, [40, 4, 7, 7]).concat();
    assert!(rows.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-5));
    approx::assert_abs_diff_eq!(rows.iter().sum::<f32>() / rows.len() as f32, 1.0, epsilon = 0.05);

    let rows = dropped(DropKind::Maps { rate: 0.2 }, [400, 4, 2, 2]).concat();
    assert!(rows.chunks(4).all(|map| map == [0.0; 4] || map.iter().all(|&value| (value - 1.25).abs() < 1e-5)));
    approx::assert_abs_diff_eq!(rows.iter().sum::<f32>() / rows.len() as f32, 1.0, epsilon = 0.05);

    let rows = dropped(DropKind::Blocks { rate: 0.3, side: 3 }, [60, 4, 9, 9]).concat();
    approx::assert_abs_diff_eq!(rows.iter().sum::<f32>() / rows.len() as f32, 1.0, epsilon = 0.01);
    let zeros = rows.iter().filter(|&&value| value == 0.0).count() as f64 / rows.len() as f64;
    assert!((0.2..0.33).contains(&zeros), "{zeros}: squares overlap, so somewhat fewer than 0.3");
    // Every zero lies in a square of zeros.
    for map in rows.chunks(81) {
        let zero = |row: usize, col: usize| map[row * 9 + col] == 0.0;
        let square = |top: usize, left: usize| (0..9).all(|at| zero(top + at / 3, left + at % 3));
        for (row, col) in (0..81).map(|at| (at / 9, at % 9)).filter(|&(row, col)| zero(row, col)) {
            let near = |at: usize| at.saturating_sub(2)..=at.min(6);
            assert!(near(row).any(|top| near(col).any(|left| square(top, left))), "{row}, {col}");
        }
    }
}

#[test]
fn nothing_is_dropped_in_evaluation_or_from_frozen_networks() {
    let (plain, training) = (Device::flex(), Device::flex().autodiff());
    let kinds = [
        (MapDrop::Mad { rate: 1.0 }, HeadDrop::Mad { rate: 1.0 }),
        (MapDrop::Dropout { rate: 0.5 }, HeadDrop::Token { rate: 1.0 }),
        (MapDrop::SpatialDropout { rate: 0.5 }, HeadDrop::SpatialDropout { rate: 0.5 }),
        (MapDrop::DropBlock { rate: 0.5, block: 2 }, HeadDrop::Dropout { rate: 0.5 }),
    ];
    let network = network(small(), 7, &plain);
    let still = network.forward(images(2, 32, &plain)).values();
    for (local_drop, head_drop) in kinds {
        let config = TransferConfig { local_drop, head_drop, ..small() };
        let evaluated = alike(&network, config.clone(), &plain).forward(images(2, 32, &plain));
        assert_eq!(evaluated.values(), still, "{local_drop:?}");
        let frozen = alike(&network, config, &training).freeze().forward(images(2, 32, &training));
        assert_close(&format!("frozen, {local_drop:?}"), frozen.inner(), &still, 0.0, 1e-5);
    }
}

/// Of two branches, one dropped leaves the other.
#[test]
fn the_branch_that_remains_is_what_the_map_is_multiplied_by() {
    const IMAGES: usize = 8;
    let training = Device::flex().autodiff();
    let kept = network(TransferConfig { lanet_norm: false, ..small() }, 7, &training);
    let dropping = TransferConfig { local_drop: MapDrop::Mad { rate: 1.0 }, lanet_norm: false, ..small() };
    let images = images(IMAGES, 32, &training);
    let branches = kept.attention(images.clone()).remove(0).1;
    // Where the mask comes later, the features are the trunk's own.
    let bare = alike(&kept, TransferConfig { mask: Mask::AfterProjection, ..dropping.clone() }, &training);
    let bare = bare.features(images.clone()).map;
    let masked = [0, 1].map(|branch| (bare.clone() * branches.clone().narrow(1, branch, 1)).inner().values());
    let seen = alike(&kept, dropping, &training).features(images).map.inner().values();
    let size = seen.len() / IMAGES;
    for (image, seen) in seen.chunks(size).enumerate() {
        let off = [0, 1].map(|branch| largest_difference("map", seen, &masked[branch][image * size..][..size]));
        assert!(off.iter().filter(|&&off| off < 1e-5).count() == 1, "one branch of image {image}: {off:?}");
    }
}

/// Without any map, what remains are the projection's bias and the positions.
#[test]
fn the_only_branch_leaves_nothing_when_it_is_dropped() {
    let training = Device::flex().autodiff();
    let config = TransferConfig { branches: 1, local_drop: MapDrop::Mad { rate: 1.0 }, ..small() };
    let map = network(config, 7, &training).features(images(3, 32, &training)).map;
    assert!(map.inner().values().iter().all(|&value| value == 0.0));
}

/// How many different rows of attention the first tokens have when every image loses a token: a token without a query
/// attends to all alike.
#[test]
fn the_released_code_drops_one_of_the_first_tokens() {
    const HEADS: usize = 3;
    let training = Device::flex().autodiff();
    let network = network(TransferConfig { head_drop: HeadDrop::Token { rate: 1.0 }, ..small() }, 7, &training);
    let mut seen = [0; HEADS];
    for (_, shares) in network.attention(images(40, 32, &training)).into_iter().skip(1) {
        let [batch, heads, tokens, _] = shares.dims();
        let shares = shares.inner().values();
        for image in shares.chunks(heads * tokens * tokens).take(batch) {
            let uniform = |token: usize| {
                (0..heads).all(|head| {
                    let row = &image[(head * tokens + token) * tokens..][..tokens];
                    row.iter().all(|share| (share - 1.0 / tokens as f32).abs() < 1e-6)
                })
            };
            let dropped: Vec<usize> = (0..tokens).filter(|&token| uniform(token)).collect();
            assert_eq!(dropped.len(), 1, "{dropped:?}");
            seen[dropped[0]] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 10), "{seen:?}");
}

#[test]
fn a_fresh_classifier_finds_all_classes_equally_likely() {
    let device = Device::flex();
    let logits = network(TransferConfig { zero_head: true, ..small() }, 7, &device).forward(images(2, 32, &device));
    assert!((&logits).values().iter().all(|&value| value == 0.0));
    let loss = -burn::tensor::activation::log_softmax(logits, 1).mean().into_scalar::<f32>();
    approx::assert_abs_diff_eq!(loss, 1.9459, epsilon = 1e-4);
}

#[test]
fn settings_that_cannot_be_are_refused_by_key() {
    let parse = |keys: &str| serde_json::from_str::<NetworkConfig>(&format!(r#"{{"kind": "transfer"{keys}}}"#));
    assert_eq!(parse("").unwrap(), NetworkConfig::Transfer(TransferConfig::default()));
    let blocks = TransferConfig { local_drop: MapDrop::DropBlock { rate: 0.3, block: 7 }, ..TransferConfig::default() };
    let blocks = NetworkConfig::Transfer(blocks);
    assert_eq!(parse(r#", "local_drop": {"kind": "drop-block", "rate": 0.3}"#).unwrap(), blocks);
    assert_eq!(serde_json::from_str::<NetworkConfig>(&serde_json::to_string(&blocks).unwrap()).unwrap(), blocks);

    for (keys, expected) in [
        (r#", "stage": 2"#, "unknown field `stage`"),
        (r#", "local_drop": {"kind": "mad"}"#, "missing field `rate`"),
        (r#", "local_drop": {"kind": "none", "rate": 0.1}"#, "unknown field `rate`"),
        (r#", "head_drop": {"kind": "drop-block", "rate": 0.1}"#, "unknown variant `drop-block`"),
    ] {
        let error = parse(keys).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (keys, expected) in [
        (r#", "stages": 5"#, "network.stages: is 5, may be 1 to 4"),
        (r#", "widths": [64, 128]"#, "network.widths: 2 stages, but `stages` is 3"),
        (r#", "units": [3, 0, 14]"#, "network.units: is [3, 0, 14], a stage may have 1 to 100"),
        (r#", "image_size": 4"#, "network.image_size: is 4, may be 8 to 1024"),
        (r#", "branches": 9"#, "network.branches: is 9, may be 0 to 8"),
        (r#", "lanet_ratio": 257"#, "network.lanet_ratio: is 257, may be 1 to 256"),
        (r#", "heads": 7"#, "network.heads: is 7, must divide `width`, which is 768"),
        (r#", "norm_epsilon": 0.0"#, "network.norm_epsilon: is 0, may be above 0 and below 1"),
        (r#", "local_drop": {"kind": "mad", "rate": 1.5}"#, "network.local_drop.rate: is 1.5, may be 0 to 1"),
        (
            r#", "local_drop": {"kind": "drop-block", "rate": 0.3, "block": 15}"#,
            "network.local_drop.block: is 15, may be 1 to 14",
        ),
        (
            r#", "head_drop": {"kind": "dropout", "rate": 1.0}"#,
            "network.head_drop.rate: is 1, may be 0 up to but not 1",
        ),
    ] {
        assert_eq!(parse(keys).unwrap().validate().unwrap_err().to_string(), expected);
    }
}
