//! The sparse centre loss against PyTorch, finite differences and a sum by hand.

use burn::tensor::{Device, Tensor, TensorData};
use emoxide::labels::Classes;
use emoxide::models::{NetworkConfig, Outputs, ResNetConfig, Stem};
use emoxide_testing::assert_close;
use emoxide_train::loss::{CrossEntropy, Objective, ObjectiveConfig, ObjectiveError, SparseCentre};
use emoxide_train::snapshot::StateError;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    batch: usize,
    classes: usize,
    width: usize,
    weight: f64,
    rate: f64,
    label_smoothing: f64,
    logits: Vec<f32>,
    embedding: Vec<f32>,
    attention: Vec<f32>,
    centres: Vec<f32>,
    labels: Vec<usize>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f32,
    logits: Vec<f32>,
    embedding: Vec<f32>,
    attention: Vec<f32>,
    centres: Vec<f32>,
}

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

fn loss(weight: f64, rate: f64, smoothing: f64, centres: Tensor<2>) -> SparseCentre {
    let entropy = CrossEntropy::new(smoothing, None, false, &device());
    SparseCentre::new(entropy, [weight, rate], centres.dims(), &device()).with_centres(centres)
}

#[test]
fn value_gradients_and_centres_agree_with_pytorch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/loss/sparse_centre.json")).unwrap();
    let Fixture { batch, classes, width, .. } = fixture;
    assert_eq!((fixture.labels.len(), fixture.steps.len()), (batch, 3));
    let centres = tensor(&fixture.centres, width);
    let mut loss = loss(fixture.weight, fixture.rate, fixture.label_smoothing, centres);
    // The same batch again and again: the centres of the step before stand in the next.
    for step in &fixture.steps {
        let logits = tensor(&fixture.logits, classes).require_grad();
        let embedding = tensor(&fixture.embedding, width).require_grad();
        let attention = tensor(&fixture.attention, width).require_grad();
        let outputs = Outputs {
            logits: logits.clone(),
            embedding: embedding.clone(),
            attention: Some(attention.clone()),
            parallel: None,
        };
        let value = loss.forward(outputs, one_hot(&fixture.labels, classes));
        assert_close("loss", value.clone(), vec![step.loss], 1e-6, 1e-6);
        let gradients = value.backward();
        assert_close("logits", logits.grad(&gradients).unwrap(), &step.logits, 1e-5, 1e-7);
        assert_close("embedding", embedding.grad(&gradients).unwrap(), &step.embedding, 1e-5, 1e-7);
        assert_close("attention", attention.grad(&gradients).unwrap(), &step.attention, 1e-5, 1e-7);
        assert_close("centres", loss.centres(), &step.centres, 1e-5, 1e-6);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let (labels, width) = ([1, 0, 1], 2);
    let embedding = [0.4_f32, -1.2, 0.9, 2.0, -0.3, 0.7];
    let attention = [0.2_f32, 0.9, 0.5, 0.1, 0.8, 0.6];
    let centres = || tensor(&[0.5, 0.1, -0.6, 1.1], width);
    let value = |embedding: &[f32], attention: &[f32]| {
        let logits = tensor(&[0.3, -0.2, 1.0, 0.5, 0.0, 0.1], 2);
        let (embedding, attention) = (tensor(embedding, width).require_grad(), tensor(attention, width).require_grad());
        let outputs =
            Outputs { logits, embedding: embedding.clone(), attention: Some(attention.clone()), parallel: None };
        let value = loss(0.7, 0.5, 0.0, centres()).forward(outputs, one_hot(&labels, 2));
        (value, embedding, attention)
    };
    let (whole, by_embedding, by_attention) = value(&embedding, &attention);
    let gradients = whole.backward();
    let step = 0.125; // The loss is a square in one and a line in the other: no step is too large.
    let slopes = |of: &dyn Fn(&[f32]) -> f32, at: &[f32]| -> Vec<f32> {
        let moved = |index: usize, by: f32| {
            let mut at = at.to_vec();
            at[index] += by;
            of(&at)
        };
        (0..at.len()).map(|index| (moved(index, step) - moved(index, -step)) / (2.0 * step)).collect()
    };
    let of_embedding = slopes(&|at| value(at, &attention).0.into_scalar::<f32>(), &embedding);
    assert_close("embedding", by_embedding.grad(&gradients).unwrap(), of_embedding, 1e-4, 1e-5);
    let of_attention = slopes(&|at| value(&embedding, at).0.into_scalar::<f32>(), &attention);
    assert_close("attention", by_attention.grad(&gradients).unwrap(), of_attention, 1e-4, 1e-5);
}

#[test]
fn two_pictures_of_one_class_by_hand() {
    let outputs = |device: &Device| Outputs {
        logits: Tensor::zeros([2, 2], device),
        embedding: Tensor::from_data([[1.0_f32, 2.0], [3.0, -2.0]], device),
        attention: Some(Tensor::from_data([[1.0_f32, 0.5], [0.5, 1.0]], device)),
        parallel: None,
    };
    // Without gradients too.
    for device in [device(), Device::flex()] {
        let mut loss = loss(1.0, 0.5, 0.0, tensor(&[0.0, 0.0, 5.0, 5.0], 2));
        let value = loss.forward(outputs(&device), Tensor::from_data([[1.0_f32, 0.0], [1.0, 0.0]], &device));
        // Halves of (1·1 + 0.5·4 + 0.5·9 + 1·4) over two pictures, and the cross-entropy of no idea.
        assert_close("loss", value, vec![11.5 / 4.0 + std::f32::consts::LN_2], 1e-6, 0.0);
        // (1 + 1.5, 1 - 2) / (2 + 1), half of it; the other class has no picture and stays.
        assert_close("centres", loss.centres(), vec![2.5 / 6.0, -1.0 / 6.0, 5.0, 5.0], 1e-6, 0.0);
    }
}

#[test]
fn without_attention_it_is_centre_loss() {
    let device = device();
    let embedding = Tensor::<2>::from_data([[1.0_f32, 2.0], [3.0, -2.0]], &device).require_grad();
    let outputs = Outputs {
        logits: Tensor::zeros([2, 2], &device),
        embedding: embedding.clone(),
        attention: None,
        parallel: None,
    };
    let mut loss = loss(1.0, 0.5, 0.0, tensor(&[0.0, 0.0, 5.0, 5.0], 2)).without_attention();
    let value = loss.forward(outputs, Tensor::from_data([[1.0_f32, 0.0], [1.0, 0.0]], &device));
    // Halves of (1 + 4 + 9 + 4) over two pictures, and the cross-entropy of no idea.
    assert_close("loss", value.clone(), vec![4.5 + std::f32::consts::LN_2], 1e-6, 0.0);
    // (1 + 3, 2 - 2) / (2 + 1), half of it.
    assert_close("centres", loss.centres(), vec![2.0 / 3.0, 0.0, 5.0, 5.0], 1e-6, 0.0);
    assert_close("gradient", embedding.grad(&value.backward()).unwrap(), vec![0.5, 1.0, 1.5, -1.0], 1e-6, 0.0);
}

fn objective(text: &str) -> Result<Objective, ObjectiveError> {
    let config: ObjectiveConfig = toml::from_str(text).unwrap();
    config.init(&Classes::seven(), &[1; 7], 64, &device())
}

#[test]
fn centres_are_drawn_wide_and_travel_with_the_state() {
    let drawn = |seed| {
        device().seed(seed);
        objective("kind = 'sparse-centre'").unwrap()
    };
    let (first, second) = (drawn(3), drawn(4));
    let state = first.state();
    assert_eq!(state.keys().collect::<Vec<_>>(), ["centres"]);
    assert_ne!(state, second.state());
    assert_eq!(second.restored(state.clone()).unwrap().state(), state);
    let values = state["centres"].clone().try_into_vec::<f32>().unwrap();
    assert_eq!(values.len(), 7 * 64);
    let deviation = (values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
    // 448 draws: the deviation of the deviation is a thirtieth of it.
    assert!((deviation / (2.0_f64 / 7.0).sqrt() - 1.0).abs() < 0.15, "{deviation}");

    let missing = drawn(3).restored(snapshot_of("other", &state)).unwrap_err();
    assert!(matches!(missing, StateError::Missing { .. }), "{missing}");
    let plain = objective("kind = 'cross-entropy'").unwrap();
    assert!(plain.state().is_empty());
    assert!(matches!(plain.restored(state), Err(StateError::Unused { .. })));
}

fn snapshot_of(name: &str, state: &emoxide_train::snapshot::Tensors) -> emoxide_train::snapshot::Tensors {
    state.values().map(|tensor| (name.to_owned(), tensor.clone())).collect()
}

#[test]
fn what_cannot_work_is_refused() {
    let config: ObjectiveConfig = toml::from_str("kind = 'sparse-centre'").unwrap();
    let expected =
        ObjectiveConfig::SparseCentre { weight: 0.01, centre_rate: 0.5, label_smoothing: 0.0, attentive: true };
    assert_eq!(config, expected);
    assert!(!config.takes_votes() && ObjectiveConfig::default().takes_votes());
    assert!(toml::from_str::<ObjectiveConfig>("kind = 'sparse-centre'\nsoft_labels = true").is_err());
    for (text, said) in [
        ("weight = -1", "objective.weight is -1"),
        ("weight = inf", "objective.weight is inf"),
        ("centre_rate = 1.5", "objective.centre_rate is 1.5"),
        ("label_smoothing = 2", "objective.label_smoothing is 2"),
    ] {
        let error = objective(&format!("kind = 'sparse-centre'\n{text}")).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    let compact = ResNetConfig { stem: Stem::Compact, widths: vec![8], blocks: vec![1], ..ResNetConfig::resnet18() };
    let network = NetworkConfig::Resnet(compact).init(7, &device());
    let weighs = objective("kind = 'sparse-centre'").unwrap();
    assert_eq!(weighs.check(&network, [3, 16, 16], &device()), Err(ObjectiveError::NoAttention));
    let plain = objective("kind = 'sparse-centre'\nattentive = false").unwrap();
    assert_eq!(plain.check(&network, [3, 16, 16], &device()), Ok(()));
    assert_eq!(objective("kind = 'cross-entropy'").unwrap().check(&network, [3, 16, 16], &device()), Ok(()));
}
