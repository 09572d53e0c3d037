//! Metrics against scikit-learn, and the files they travel in.

use emoxide::labels::Classes;
use emoxide_train::evaluate::{
    Averages, ClassMetrics, Evaluation, Metrics, Mistake, PredictionError, Predictions, Subject, fit_temperature,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    temperature: Scaling,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    classes: Classes,
    labels: Vec<usize>,
    probabilities: Vec<Vec<f32>>,
    logits: Option<Vec<Vec<f32>>>,
    accuracy: f64,
    mean_class_accuracy: f64,
    macro_average: Averages,
    weighted_average: Averages,
    per_class: Vec<ClassMetrics>,
    confusion: Vec<Vec<usize>>,
    auc: Option<f64>,
    logit_auc: Option<f64>,
    ece: f64,
    nll: f64,
    interval: [f64; 2],
}

#[derive(Deserialize)]
struct Scaling {
    logits: Vec<Vec<f32>>,
    labels: Vec<usize>,
    temperature: f32,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/metrics/sklearn.json")).expect("a whole fixture")
}

impl Case {
    fn predictions(&self) -> Predictions {
        Predictions {
            classes: self.classes.clone(),
            files: (0..self.labels.len()).map(|index| format!("{}/{index:04}.png", self.name)).collect(),
            labels: self.labels.clone(),
            probabilities: self.probabilities.clone(),
            logits: self.logits.clone(),
        }
    }
}

#[test]
fn mistakes_are_those_of_the_confusion_matrix_and_the_surest_come_first() {
    for case in fixture().cases {
        let mistakes = case.predictions().mistakes();
        let wrong = |(label, row): (usize, &Vec<usize>)| row.iter().sum::<usize>() - row[label];
        assert_eq!(mistakes.len(), case.confusion.iter().enumerate().map(wrong).sum::<usize>(), "{}", case.name);
        assert!(mistakes.windows(2).all(|pair| pair[0].probability >= pair[1].probability), "{}", case.name);
        for Mistake { image, label, predicted, probability } in mistakes {
            assert_eq!((case.labels[image], case.probabilities[image][predicted]), (label, probability));
            assert!(label != predicted, "{}", case.name);
        }
    }
}

#[test]
fn metrics_agree_with_scikit_learn() {
    let fixture = fixture();
    let mut largest = 0.0_f64;
    for case in &fixture.cases {
        let found = Metrics::compute(&case.predictions()).unwrap();
        assert_eq!(found.confusion, case.confusion, "{}", case.name);
        assert_eq!(found.auc.is_some(), case.auc.is_some(), "{}", case.name);
        assert_eq!(found.logit_auc.is_some(), case.logit_auc.is_some(), "{}", case.name);
        let triple = |averages: &Averages| [averages.precision, averages.recall, averages.f1];
        let mut pairs = vec![
            (found.accuracy, case.accuracy),
            (found.mean_class_accuracy, case.mean_class_accuracy),
            (found.auc.unwrap_or(0.0), case.auc.unwrap_or(0.0)),
            (found.logit_auc.unwrap_or(0.0), case.logit_auc.unwrap_or(0.0)),
            (found.ece, case.ece),
            (found.nll, case.nll),
        ];
        pairs.extend(triple(&found.macro_average).into_iter().zip(triple(&case.macro_average)));
        pairs.extend(triple(&found.weighted_average).into_iter().zip(triple(&case.weighted_average)));
        assert_eq!(found.per_class.len(), case.per_class.len());
        for (found, wanted) in found.per_class.iter().zip(&case.per_class) {
            assert_eq!(found.support, wanted.support);
            for (found, wanted) in [(found.auc, wanted.auc), (found.logit_auc, wanted.logit_auc)] {
                assert_eq!(found.is_some(), wanted.is_some(), "{}", case.name);
                pairs.extend(found.zip(wanted));
            }
            pairs.extend([(found.precision, wanted.precision), (found.recall, wanted.recall), (found.f1, wanted.f1)]);
        }
        for (index, (found, wanted)) in pairs.iter().enumerate() {
            assert!((found - wanted).abs() < 1e-9, "{}, figure {index}: {found} for {wanted}", case.name);
            largest = largest.max((found - wanted).abs());
        }
        // Other random numbers, the same interval but for the noise of 2,000 draws.
        let noise = 3.0 / case.labels.len() as f64;
        for (found, wanted) in found.interval.iter().zip(case.interval) {
            assert!((found - wanted).abs() < noise + 1e-12, "{}: {found} for {wanted}", case.name);
        }
    }
    println!("metrics: largest difference from scikit-learn {largest:e} over {} cases", fixture.cases.len());
    assert_eq!(fixture.cases.len(), 7);
}

#[test]
fn the_interval_is_that_of_a_binomial() {
    let n = 2_000;
    let predictions = Predictions {
        classes: Classes::from_names(["happy", "sad"]).unwrap(),
        files: vec![String::new(); n],
        labels: vec![0; n],
        probabilities: (0..n).map(|index| if index % 5 == 0 { vec![0.1, 0.9] } else { vec![0.9, 0.1] }).collect(),
        logits: None,
    };
    let metrics = Metrics::compute(&predictions).unwrap();
    let half = 1.959_964 * (0.8_f64 * 0.2 / n as f64).sqrt();
    assert!((metrics.interval[0] - (0.8 - half)).abs() < 2e-3, "{:?}", metrics.interval);
    assert!((metrics.interval[1] - (0.8 + half)).abs() < 2e-3, "{:?}", metrics.interval);
    assert_eq!(metrics, Metrics::compute(&predictions).unwrap(), "the seed is fixed");
    assert_eq!(metrics.auc, None, "one class only");
}

#[test]
fn always_saying_happy_is_right_on_every_fourth_picture_of_fer2013() {
    // The folder `test`: angry, disgust, fear, happy, neutral, sad, surprise.
    let counts = [958, 111, 1024, 1774, 1233, 1247, 831];
    let labels: Vec<usize> = counts.iter().enumerate().flat_map(|(class, count)| vec![class; *count]).collect();
    let happy = vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    let predictions = Predictions {
        classes: Classes::from_names(["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]).unwrap(),
        files: vec![String::new(); labels.len()],
        probabilities: vec![happy; labels.len()],
        labels,
        logits: None,
    };
    let metrics = Metrics::compute(&predictions).unwrap();
    assert_eq!(metrics.n, 7178);
    assert!((metrics.accuracy - 1774.0 / 7178.0).abs() < 1e-12);
    assert!((metrics.accuracy * 100.0 - 24.71).abs() < 0.005);
    assert!(metrics.per_class.iter().all(|class| class.auc == Some(0.5) && class.logit_auc.is_none()));
}

#[test]
fn the_temperature_agrees_with_scipy() {
    let Scaling { logits, labels, temperature } = fixture().temperature;
    let classes = logits[0].len();
    let targets: Vec<Vec<f32>> =
        labels.iter().map(|label| (0..classes).map(|class| f32::from(u8::from(class == *label))).collect()).collect();
    let found = fit_temperature(&logits, &targets);
    println!("temperature {found}, scipy {temperature}");
    assert!((found - temperature).abs() < 1e-5, "{found} for {temperature}");

    // Calibrated logits of twice the size ask for twice the temperature.
    let doubled: Vec<Vec<f32>> = logits.iter().map(|row| row.iter().map(|value| value * 2.0).collect()).collect();
    assert!((fit_temperature(&doubled, &targets) / found - 2.0).abs() < 1e-5);
    // The targets' own distribution needs none.
    let soft: Vec<Vec<f32>> = logits
        .iter()
        .map(|row| {
            let values: Vec<f32> = row.iter().map(|value| value.exp()).collect();
            values.iter().map(|value| value / values.iter().sum::<f32>()).collect()
        })
        .collect();
    assert!((fit_temperature(&logits, &soft) - 1.0).abs() < 1e-5);
    assert_eq!(fit_temperature(&[], &[]).to_bits(), 1.0_f32.to_bits());
    // Never wrong: as cold as it goes, not zero and not NaN.
    assert!((fit_temperature(&[vec![2.0, 1.0]], &[vec![1.0, 0.0]]) - 0.02).abs() < 1e-4);
}

#[test]
fn predictions_survive_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.csv");
    for case in fixture().cases {
        let predictions = case.predictions();
        predictions.write(&path).unwrap();
        let unscored = Predictions { logits: None, ..predictions };
        assert_eq!(Predictions::read(&path).unwrap(), unscored, "{}", case.name);
    }
    let text = fs_err::read_to_string(&path).unwrap();
    assert_eq!(text, "file,true,pred,neutral,happiness\none image/0000.png,happiness,happiness,0.2,0.8\n");

    let read = |text: &str| {
        fs_err::write(&path, text).unwrap();
        Predictions::read(&path).unwrap_err()
    };
    let expect = [
        ("a,b,c\n", "starts with `a,b,c`"),
        ("file,true,pred,joyful\n", "line 1: `joyful` is not an expression"),
        ("file,true,pred,sad\nx,happy,sad,1\n", "line 2: `happiness` is none of the classes sadness"),
        ("file,true,pred,sad\nx,sad,sad,NaN\n", "line 2: `NaN` is not a probability"),
        ("file,true,pred,sad\nx,sad\n", "found record with 2 fields"),
        ("file,true,pred,sad\n", "no image was predicted"),
    ];
    for (text, message) in expect {
        let error = read(text).to_string();
        assert!(error.contains(message), "{error} for {text}");
    }
}

#[test]
fn misfits_are_refused() {
    let good = Predictions {
        classes: Classes::from_names(["happy", "sad"]).unwrap(),
        files: vec!["a".into(), "b".into()],
        labels: vec![0, 1],
        probabilities: vec![vec![0.5, 0.5], vec![0.1, 0.9]],
        logits: Some(vec![vec![0.0, 0.0], vec![0.0, 2.2]]),
    };
    assert!(Metrics::compute(&good).is_ok());
    let short = Predictions { labels: vec![0], ..good.clone() };
    assert!(matches!(Metrics::compute(&short), Err(PredictionError::Lengths { files: 2, labels: 1, rows: 2 })));
    let foreign = Predictions { labels: vec![0, 2], ..good.clone() };
    assert!(matches!(Metrics::compute(&foreign), Err(PredictionError::Row { row: 1, .. })));
    let broken = Predictions { probabilities: vec![vec![0.5, f32::NAN], vec![0.1, 0.9]], ..good.clone() };
    assert!(matches!(Metrics::compute(&broken), Err(PredictionError::Row { row: 0, .. })));
    let unscored = Predictions { logits: Some(Vec::new()), ..good.clone() };
    assert!(matches!(Metrics::compute(&unscored), Err(PredictionError::Lengths { .. })));
    let narrow = Predictions { logits: Some(vec![vec![0.0, 0.0], vec![0.0]]), ..good };
    assert!(matches!(Metrics::compute(&narrow), Err(PredictionError::Row { row: 1, .. })));
}

#[test]
fn the_json_has_the_agreed_keys() {
    let case = &fixture().cases[0];
    let metrics = Metrics::compute(&case.predictions()).unwrap();
    let subject = Subject {
        model: "default".to_owned(),
        data: "ferplus".to_owned(),
        split: "test".to_owned(),
        protocol: "majority, 8 classes".to_owned(),
        selected_on: "ferplus valid".to_owned(),
    };
    let evaluation = Evaluation::new(subject, &case.classes, &metrics);
    let json = serde_json::to_value(&evaluation).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "model",
            "data",
            "split",
            "protocol",
            "selected_on",
            "n",
            "accuracy",
            "mean_class_accuracy",
            "macro_f1",
            "interval",
            "per_class",
            "weighted_precision",
            "weighted_recall",
            "weighted_f1",
            "auc",
            "logit_auc",
            "ece",
            "nll",
            "classes",
            "confusion",
        ]
    );
    let classes: Vec<&String> = json["per_class"].as_object().unwrap().keys().collect();
    assert_eq!(classes, ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt"]);
    assert_eq!(json["per_class"]["happiness"]["support"], case.per_class[1].support);
    assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), evaluation);
}

proptest! {
    #[test]
    fn figures_stay_in_their_ranges(
        rows in prop::collection::vec((0_usize..3, prop::collection::vec(0.001_f32..1.0, 3)), 1..40),
    ) {
        let (labels, weights): (Vec<usize>, Vec<Vec<f32>>) = rows.into_iter().unzip();
        let predictions = Predictions {
            classes: Classes::from_names(["happy", "sad", "fear"]).unwrap(),
            files: vec![String::new(); labels.len()],
            labels,
            probabilities: weights
                .iter()
                .map(|row| row.iter().map(|value| value / row.iter().sum::<f32>()).collect())
                .collect(),
            logits: None,
        };
        let metrics = Metrics::compute(&predictions).unwrap();
        let unit = 0.0..=1.0;
        for value in [metrics.accuracy, metrics.mean_class_accuracy, metrics.macro_average.f1, metrics.ece] {
            prop_assert!(unit.contains(&value));
        }
        prop_assert!(metrics.auc.is_none_or(|auc| unit.contains(&auc)));
        prop_assert!(metrics.interval[0] <= metrics.accuracy && metrics.accuracy <= metrics.interval[1]);
        prop_assert!(metrics.nll >= 0.0);
        prop_assert_eq!(metrics.confusion.iter().flatten().sum::<usize>(), metrics.n);
        // Support-weighted recall is the accuracy.
        prop_assert!((metrics.weighted_average.recall - metrics.accuracy).abs() < 1e-12);
    }
}
