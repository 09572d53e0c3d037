//! `TransFER`: counts, and what training drops. Parity stands in `parity`.

use burn::tensor::{Device, Tensor};
use emoxide::models::{Classifier, HeadDrop, MapDrop, Network, NetworkConfig, TransferConfig};
use emoxide::nn::{DropKind, DropMaps};
use emoxide_testing::{Values, portable};

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
    device.seed(3);
    NetworkConfig::Transfer(config).init(classes, device)
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
    use burn::module::Module;

    let (plain, training) = (Device::flex(), Device::flex().autodiff());
    let kinds = [
        (MapDrop::Mad { rate: 1.0 }, HeadDrop::Mad { rate: 1.0 }),
        (MapDrop::Dropout { rate: 0.5 }, HeadDrop::Token { rate: 1.0 }),
        (MapDrop::SpatialDropout { rate: 0.5 }, HeadDrop::SpatialDropout { rate: 0.5 }),
        (MapDrop::DropBlock { rate: 0.5, block: 2 }, HeadDrop::Dropout { rate: 0.5 }),
    ];
    let still = network(small(), 7, &plain).forward(images(2, 32, &plain)).values();
    for (local_drop, head_drop) in kinds {
        let config = TransferConfig { local_drop, head_drop, ..small() };
        assert_eq!(network(config.clone(), 7, &plain).forward(images(2, 32, &plain)).values(), still);
        let frozen = network(config, 7, &training).freeze();
        let logits = frozen.forward(images(2, 32, &training)).inner().values();
        assert!(logits.iter().zip(&still).all(|(one, other)| (one - other).abs() < 1e-5), "{local_drop:?}");
    }
}

/// Of two branches, one dropped leaves the other; of one, nothing is left but what the projection adds.
#[test]
fn the_branch_that_remains_is_what_the_map_is_multiplied_by() {
    let training = Device::flex().autodiff();
    let config = TransferConfig { local_drop: MapDrop::Mad { rate: 1.0 }, lanet_norm: false, ..small() };
    let map = |branches| {
        let network = network(TransferConfig { branches, ..config.clone() }, 7, &training);
        let images = images(3, 32, &training);
        let local = network.attention(images.clone()).remove(0).1;
        (network.features(images).map.inner().values(), local.inner().values())
    };
    let (features, local) = map(1);
    assert!(local.iter().chain(&features).all(|&value| value == 0.0));
    let (features, local) = map(2);
    let pixels = 4 * 4;
    for image in local.chunks(2 * pixels) {
        let zeros = image.chunks(pixels).filter(|map| map.iter().all(|&value| value == 0.0)).count();
        assert_eq!(zeros, 1, "one branch of every image");
    }
    assert!(
        features.chunks(pixels).all(|map| map.iter().any(|&value| value != 0.0)),
        "a dropped map is never the largest"
    );
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
