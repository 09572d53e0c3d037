//! Losses against PyTorch.

use burn::tensor::{Device, Tensor, TensorData};
use emoxide::labels::{Classes, Expression};
use emoxide_train::loss::{ClassWeights, CrossEntropy, ObjectiveConfig, ObjectiveError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    batch: usize,
    classes: usize,
    logits: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    soft: bool,
    weights: Option<Vec<f32>>,
    label_smoothing: f64,
    targets: Vec<f32>,
    loss: f32,
    gradient: Vec<f32>,
}

fn device() -> Device {
    Device::flex().autodiff()
}

#[test]
fn cross_entropy_and_its_gradient_agree_with_pytorch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/loss/cross_entropy.json")).unwrap();
    let shape = [fixture.batch, fixture.classes];
    let tensor = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device());
    let mut largest = 0.0_f32;
    for case in &fixture.cases {
        let loss = CrossEntropy::new(case.label_smoothing, case.weights.as_deref(), case.soft, &device());
        let logits = tensor(&fixture.logits).require_grad();
        let value = loss.forward(logits.clone(), tensor(&case.targets));
        let found = value.clone().into_scalar::<f32>();
        assert!(
            (found - case.loss).abs() < 2e-6 * case.loss.abs().max(1.0),
            "{}: {found} for {}",
            case.name,
            case.loss
        );
        largest = largest.max((found - case.loss).abs());

        let gradient = logits.grad(&value.backward()).unwrap();
        for (found, wanted) in gradient.try_into_vec_as::<f32>().unwrap().into_iter().zip(&case.gradient) {
            assert!((found - wanted).abs() < 1e-6, "{}: gradient {found} for {wanted}", case.name);
            largest = largest.max((found - wanted).abs());
        }
    }
    println!("cross-entropy: largest difference from PyTorch {largest:e} over {} cases", fixture.cases.len());
    assert_eq!(fixture.cases.len(), 8);
}

#[test]
fn plain_tensors_work_without_autodiff() {
    let plain = Device::flex();
    let logits = Tensor::<2>::from_data([[0.0_f32, 0.0], [0.0, 0.0]], &plain);
    let targets = Tensor::<2>::from_data([[1.0_f32, 0.0], [0.3, 0.7]], &plain);
    let loss = CrossEntropy::new(0.0, None, false, &plain).forward(logits, targets).into_scalar::<f32>();
    assert!((loss - std::f32::consts::LN_2).abs() < 1e-6);
}

#[test]
fn weights_are_resolved_by_name_and_by_frequency() {
    let classes = Classes::from_names(["happy", "sad"]).unwrap();
    let named: ClassWeights =
        serde_json::from_str(r#"{"kind":"list","weights":{"sadness":2.0,"happiness":0.5}}"#).unwrap();
    assert_eq!(named.resolve(&classes, &[1, 1]).unwrap(), Some(vec![0.5, 2.0]));
    assert_eq!((ClassWeights::None {}).resolve(&classes, &[1, 1]).unwrap(), None);
    // 4 images, 2 classes: 4 / (2 · 3) and 4 / (2 · 1).
    let balanced = (ClassWeights::InverseFrequency {}).resolve(&classes, &[3, 1]).unwrap().unwrap();
    assert_eq!(balanced, vec![4.0 / 6.0, 2.0]);

    let incomplete: ClassWeights = serde_json::from_str(r#"{"kind":"list","weights":{"sadness":2.0}}"#).unwrap();
    let missing = ObjectiveError::MissingWeight { class: Expression::Happiness };
    assert_eq!(incomplete.resolve(&classes, &[1, 1]), Err(missing));
    let foreign: ClassWeights =
        serde_json::from_str(r#"{"kind":"list","weights":{"sadness":2.0,"happiness":1.0,"fear":1.0}}"#).unwrap();
    let unknown = ObjectiveError::UnknownClass { class: Expression::Fear };
    assert_eq!(foreign.resolve(&classes, &[1, 1]), Err(unknown));
}

#[test]
fn recipes_reject_what_they_do_not_know() {
    let good: ObjectiveConfig =
        toml::from_str("kind = 'cross-entropy'\nlabel_smoothing = 0.1\nclass_weights.kind = 'inverse-frequency'")
            .unwrap();
    let expected = ObjectiveConfig::CrossEntropy {
        label_smoothing: 0.1,
        class_weights: ClassWeights::InverseFrequency {},
        soft_labels: false,
    };
    assert_eq!(good, expected);
    assert!(toml::from_str::<ObjectiveConfig>("kind = 'cross-entropy'\nsmoothing = 0.1").is_err());
    assert!(toml::from_str::<ObjectiveConfig>("kind = 'hinge'").is_err());
    let config: ObjectiveConfig = toml::from_str("kind = 'cross-entropy'\nlabel_smoothing = 1.5").unwrap();
    let error = config.init(&Classes::seven(), &[1; 7], 64, &Device::flex()).unwrap_err();
    assert_eq!(error, ObjectiveError::BadSmoothing(1.5));
}
