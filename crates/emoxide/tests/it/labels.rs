//! Names, orders and the maps between them.

use approx::assert_relative_eq;
use emoxide::labels::{Classes, Expression, LabelError};
use proptest::prelude::*;

use Expression::{Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise};

/// The orders that other tools list their classes in (`source`, names as published, what they mean).
const PUBLISHED: &[(&str, &[&str], &[Expression])] = &[
    (
        "FER2013, DeepFace, fer",
        &["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        &[Anger, Disgust, Fear, Happiness, Sadness, Surprise, Neutral],
    ),
    (
        "FER+ without `unknown` and `NF`",
        &["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"],
        &[Neutral, Happiness, Surprise, Sadness, Anger, Disgust, Fear, Contempt],
    ),
    (
        "RAF-DB",
        &["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"],
        &[Surprise, Fear, Disgust, Happiness, Sadness, Anger, Neutral],
    ),
    (
        "AffectNet, OpenFace 3, DAN, DDAMFN",
        &["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"],
        &[Neutral, Happiness, Sadness, Surprise, Fear, Disgust, Anger, Contempt],
    ),
    (
        "Py-Feat v1",
        &["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"],
        &[Anger, Disgust, Fear, Happiness, Sadness, Surprise, Neutral],
    ),
    (
        "Py-Feat v2",
        &["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger"],
        &[Neutral, Happiness, Sadness, Surprise, Fear, Disgust, Anger],
    ),
    (
        "EmotiEffLib",
        &["Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"],
        &[Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise],
    ),
    (
        "folders of adjectives",
        &["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
        &[Anger, Disgust, Fear, Happiness, Neutral, Sadness, Surprise],
    ),
    (
        "opencv_zoo",
        &["angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"],
        &[Anger, Disgust, Fear, Happiness, Neutral, Sadness, Surprise],
    ),
    (
        "face-api.js",
        &["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"],
        &[Neutral, Happiness, Sadness, Anger, Fear, Disgust, Surprise],
    ),
    (
        "APViT",
        &["Anger", "Disgust", "Fear", "Sadness", "Happiness", "Surprise", "Neutral", "Contempt"],
        &[Anger, Disgust, Fear, Sadness, Happiness, Surprise, Neutral, Contempt],
    ),
];

#[test]
fn published_orders_are_read_and_kept() {
    for (source, names, expected) in PUBLISHED {
        let classes = Classes::from_names(names.iter().copied()).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(classes.as_slice(), *expected, "{source}");
        // Back to the canonical order, by name.
        let canonical = if expected.len() == 7 { Classes::seven() } else { Classes::eight() };
        for (name, place) in expected.iter().zip(classes.map_to(&canonical).unwrap()) {
            assert_eq!(canonical.as_slice()[place], *name, "{source}");
        }
    }
}

#[test]
fn aliases_mean_canonical_names() {
    let aliases: [(Expression, &[&str]); 8] = [
        (Anger, &["anger", "angry", "ANGRY"]),
        (Disgust, &["disgust", "disgusted"]),
        (Fear, &["fear", "fearful", "afraid", "scared"]),
        (Happiness, &["happiness", "happy", "joy", " Happy "]),
        (Sadness, &["sadness", "sad"]),
        (Surprise, &["surprise", "surprised"]),
        (Neutral, &["neutral", "calm"]),
        (Contempt, &["contempt", "contemptuous"]),
    ];
    for (expression, names) in aliases {
        for name in names {
            assert_eq!(name.parse::<Expression>(), Ok(expression), "{name}");
        }
        assert_eq!(expression.to_string(), expression.name());
        assert_eq!(expression.name().parse::<Expression>(), Ok(expression));
    }
    assert_eq!("glee".parse::<Expression>(), Err(LabelError::UnknownName("glee".to_owned())));
}

#[test]
fn lists_that_mean_nothing_are_refused() {
    assert_eq!(Classes::new(Vec::<Expression>::new()), Err(LabelError::Empty));
    assert_eq!(Classes::from_names(["happy", "sad", "joy"]), Err(LabelError::Duplicate(Happiness)));
    assert_eq!(Classes::seven().without(&Expression::ALL), Err(LabelError::Empty));
    assert!(serde_json::from_str::<Classes>(r#"["anger", "angry"]"#).is_err());
}

#[test]
fn what_does_not_fit_is_told_with_both_lists() {
    for (from, to) in [(Classes::eight(), Classes::seven()), (Classes::seven(), Classes::eight())] {
        let error = from.map_to(&to).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("{from} cannot be mapped to {to}: `contempt`")), "{text}");
        assert_eq!(error, LabelError::Irreconcilable { missing: Contempt, from, to });
    }
    let absent = LabelError::Absent { missing: Contempt, known: Classes::seven() };
    assert_eq!(Classes::seven().positions(&Classes::eight()), Err(absent.clone()));
    assert_eq!(Classes::seven().renormalise(&[0.0; 7], &Classes::eight()), Err(absent.clone()));
    assert!(absent.to_string().contains("`contempt` is none of the classes anger, disgust, fear"), "{absent}");
}

#[test]
fn what_is_no_probability_is_not_made_one() {
    let seven = Classes::seven();
    let mut row = [0.1; 8];
    row[3] = f32::NAN;
    assert!(Classes::eight().renormalise(&row, &seven).unwrap().iter().all(|value| value.is_nan()));
    // Nothing is left to share out in proportion.
    let mut contempt = [0.0; 8];
    contempt[7] = 1.0;
    for value in Classes::eight().renormalise(&contempt, &seven).unwrap() {
        assert_relative_eq!(value, 1.0 / 7.0);
    }
}

/// Some of a list, in any order.
fn some_of(list: &[Expression]) -> impl Strategy<Value = Classes> + use<> {
    let count = 1..=list.len();
    (Just(list.to_vec()).prop_shuffle(), count).prop_map(|(list, count)| Classes::new(&list[..count]).unwrap())
}

fn classes() -> impl Strategy<Value = Classes> {
    some_of(&Expression::ALL)
}

/// A list of classes and some of them.
fn with_subset() -> impl Strategy<Value = (Classes, Classes)> {
    classes().prop_flat_map(|all| {
        let subset = some_of(all.as_slice());
        (Just(all), subset)
    })
}

/// The same classes twice, in two orders.
fn reordered() -> impl Strategy<Value = (Classes, Classes)> {
    classes().prop_flat_map(|one| {
        let other = Just(one.as_slice().to_vec()).prop_shuffle().prop_map(|list| Classes::new(list).unwrap());
        (Just(one), other)
    })
}

proptest! {
    #[test]
    fn maps_lead_by_name_and_back((one, other) in reordered()) {
        let (there, back) = (one.map_to(&other).unwrap(), other.map_to(&one).unwrap());
        for (index, place) in there.iter().enumerate() {
            prop_assert_eq!(one.as_slice()[index], other.as_slice()[*place]);
            prop_assert_eq!(back[*place], index);
        }
        prop_assert_eq!(one.positions(&other).unwrap(), back);
    }

    #[test]
    fn renormalised_rows_are_probabilities_by_name(
        (all, subset) in with_subset(),
        weights in prop::collection::vec(0.0..1.0_f32, 8),
    ) {
        let row = &weights[..all.len()];
        let renormalised = all.renormalise(row, &subset).unwrap();
        prop_assert!((renormalised.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let kept: f32 = subset.iter().map(|name| row[all.index_of(name).unwrap()]).sum();
        prop_assume!(kept > 0.0);
        for (name, value) in subset.iter().zip(renormalised) {
            prop_assert!((value * kept - row[all.index_of(name).unwrap()]).abs() < 1e-5);
        }
    }

    #[test]
    fn leaving_classes_out_keeps_the_order_of_the_others(all in classes(), dropped in classes()) {
        let expected: Vec<_> = all.iter().filter(|name| dropped.index_of(*name).is_none()).collect();
        match all.without(dropped.as_slice()) {
            Ok(rest) => prop_assert_eq!(rest.as_slice(), expected),
            Err(error) => prop_assert!(error == LabelError::Empty && expected.is_empty()),
        }
    }

    #[test]
    fn lists_travel_as_names(list in classes()) {
        let names = serde_json::to_string(&list).unwrap();
        prop_assert_eq!(serde_json::from_str::<Classes>(&names).unwrap(), list.clone());
        prop_assert_eq!(Classes::from_names(list.to_string().split(", ")).unwrap(), list);
    }
}
