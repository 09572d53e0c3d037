//! The losses of groups of channels against PyTorch, and what every step drops.

use burn::tensor::{Device, Tensor, TensorData};
use emoxide::labels::Classes;
use emoxide::models::Outputs;
use emoxide_testing::{Values, assert_close};
use emoxide_train::loss::{ChannelSeparation, ChannelSeparationConfig, Divisor, Groups, ObjectiveConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    batch: usize,
    classes: usize,
    channels: usize,
    drop: usize,
    logits: Vec<f32>,
    embedding: Vec<f32>,
    labels: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    separation: f64,
    diverse: f64,
    groups: Groups,
    divisor: Divisor,
    kept: Vec<f32>,
    loss: f32,
    logits: Vec<f32>,
    embedding: Vec<f32>,
}

/// The paper's sizes.
const CHANNELS: usize = 512;
const CLASSES: usize = 7;
const GROUP: usize = 73;

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor(values: &[f32], columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / columns, columns]), &device())
}

fn one_hot(labels: &[usize], classes: usize) -> Tensor<2> {
    let row = |label: &usize| (0..classes).map(|class| f32::from(u8::from(class == *label))).collect::<Vec<_>>();
    tensor(&labels.iter().flat_map(row).collect::<Vec<_>>(), classes)
}

fn paper() -> ChannelSeparation {
    ChannelSeparation::new(ChannelSeparationConfig::default(), CLASSES, &device())
}

#[test]
fn values_and_gradients_agree_with_pytorch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/loss/channel_separation.json")).unwrap();
    let Fixture { batch, classes, channels, drop, .. } = fixture;
    assert_eq!((fixture.labels.len(), fixture.cases.len()), (batch, 6));
    let mut largest = 0.0_f32;
    for case in &fixture.cases {
        let Case { separation, diverse, groups, divisor, .. } = *case;
        let drop_per_picture = case.kept.len() > channels;
        let config = ChannelSeparationConfig { separation, diverse, drop, drop_per_picture, groups, divisor };
        let loss = ChannelSeparation::new(config, classes, &device());
        let logits = tensor(&fixture.logits, classes).require_grad();
        let embedding = tensor(&fixture.embedding, channels).require_grad();
        let outputs = Outputs { logits: logits.clone(), embedding: embedding.clone(), attention: None, parallel: None };
        let value = loss.forward_kept(outputs, one_hot(&fixture.labels, classes), tensor(&case.kept, channels));
        largest = largest.max(assert_close(&case.name, value.clone(), vec![case.loss], 1e-6, 1e-6));
        let gradients = value.backward();
        for (gradient, expected) in
            [(logits.grad(&gradients).unwrap(), &case.logits), (embedding.grad(&gradients).unwrap(), &case.embedding)]
        {
            largest = largest.max(assert_close(&case.name, gradient, expected, 1e-5, 1e-7));
        }
    }
    println!("channel separation: largest difference from PyTorch {largest:e} over {} cases", fixture.cases.len());
}

/// Channel 511 is in no group.
#[test]
fn the_group_of_a_class_is_its_73_channels() {
    let loss = paper();
    let all = ChannelSeparation::new(
        ChannelSeparationConfig { groups: Groups::All, ..ChannelSeparationConfig::default() },
        CLASSES,
        &device(),
    );
    for channel in 0..CHANNELS {
        let row: Vec<f32> = (0..CHANNELS).map(|other| f32::from(u8::from(other == channel))).collect();
        let maxima = |loss: &ChannelSeparation| loss.maxima(&tensor(&row, CHANNELS)).inner().values();
        let expected = |class: usize| (0..CLASSES).map(|other| f32::from(u8::from(other == class))).collect::<Vec<_>>();
        assert_eq!(maxima(&loss), expected(channel / GROUP), "{channel}");
        assert_eq!(maxima(&all), expected((channel / GROUP).min(CLASSES - 1)), "{channel}");
    }
}

#[test]
fn ten_channels_of_every_group_are_dropped() {
    let rows = |config: ChannelSeparationConfig, rows: usize| -> Vec<Vec<f32>> {
        let kept = ChannelSeparation::new(config, CLASSES, &device()).kept(rows, CHANNELS, &device());
        kept.inner().values().chunks(CHANNELS).map(<[f32]>::to_vec).collect()
    };
    let rows = rows(ChannelSeparationConfig::default(), 400);
    let mut hits = vec![0; CHANNELS];
    for row in &rows {
        assert!(row.iter().all(|value| [0.0, 1.0].contains(value)));
        let blocks =
            (0..CLASSES).map(|class| if class == 6 { 438..CHANNELS } else { class * GROUP..(class + 1) * GROUP });
        for block in blocks {
            assert_eq!(row[block].iter().filter(|&&value| value == 0.0).count(), 10);
        }
        row.iter().zip(&mut hits).for_each(|(&value, hits)| *hits += usize::from(value == 0.0));
    }
    // 55 of 400 are expected, with a deviation of 7.
    assert!(hits.iter().all(|hits| (20..95).contains(hits)), "{hits:?}");
    assert_ne!(rows[0], rows[1]);
}

/// All pictures of a batch lose the same channels, unless each has its own.
#[test]
fn a_batch_shares_what_it_drops() {
    // The largest channel of every group is the only one that is not 0: a picture whose channel is dropped has z = 0.
    let row: Vec<f32> = (0..CHANNELS).map(|channel| if channel % GROUP == 0 { 1.0 } else { 0.0 }).collect();
    let alike = tensor(&row.repeat(64), CHANNELS);
    let spread = |drop_per_picture| {
        let config = ChannelSeparationConfig { drop_per_picture, ..ChannelSeparationConfig::default() };
        let loss = ChannelSeparation::new(config, CLASSES, &device());
        let mut differ = 0;
        for _ in 0..8 {
            let rows = if drop_per_picture { 64 } else { 1 };
            let z = loss.maxima(&(alike.clone() * loss.kept(rows, CHANNELS, &device()))).inner().values();
            differ += usize::from(z.chunks(CLASSES).any(|row| row != &z[..CLASSES]));
        }
        differ
    };
    assert_eq!((spread(false), spread(true)), (0, 8));
}

#[test]
fn the_diverse_loss_of_equal_channels_is_known() {
    for (divisor, groups) in [(Divisor::Code, 1.0), (Divisor::Paper, 7.0)] {
        let config = ChannelSeparationConfig { separation: 0.0, diverse: 1.0, divisor, ..Default::default() };
        let loss = ChannelSeparation::new(config, CLASSES, &device());
        for a in [0.3_f32, 2.0, 90.0] {
            let outputs = Outputs {
                logits: Tensor::zeros([3, CLASSES], &device()),
                embedding: Tensor::full([3, CHANNELS], a, &device()),
                attention: None,
                parallel: None,
            };
            let value = loss.forward(outputs, one_hot(&[0, 3, 6], CLASSES));
            // Nothing is clamped.
            let expected = (CLASSES as f32).ln() + 1.0 - groups * a / GROUP as f32;
            assert_close("loss", value, vec![expected], 1e-5, 1e-5);
        }
    }
}

#[test]
fn recipes_name_it_with_the_settings_of_the_paper() {
    let parse = |text: &str| toml::from_str::<ObjectiveConfig>(&format!("kind = 'channel-separation'\n{text}"));
    let config = parse("").unwrap();
    let expected = ChannelSeparationConfig {
        separation: 1.5,
        diverse: 5.0,
        drop: 10,
        drop_per_picture: false,
        groups: Groups::Equal,
        divisor: Divisor::Code,
    };
    assert_eq!(config, ObjectiveConfig::ChannelSeparation(expected));
    assert!(config.takes_votes());
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<ObjectiveConfig>(&text).unwrap(), config);
    assert!(parse("margin = 3.0").is_err());
    for (text, said) in [
        ("separation = -1", "objective.separation is -1"),
        ("diverse = inf", "objective.diverse is inf"),
        ("drop = 73", "objective.drop is 73: the group of a class has 73 channels"),
    ] {
        let error = parse(text).unwrap().init(&Classes::seven(), &[1; 7], CHANNELS, &device()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    let error = config.init(&Classes::seven(), &[1; 7], 6, &device()).unwrap_err().to_string();
    assert!(error.contains("which has 6, and there are 7 classes"), "{error}");
}
