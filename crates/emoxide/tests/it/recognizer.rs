//! The pipeline.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use emoxide::face::mtcnn::FaceOrder;
use emoxide::face::{Detector, DetectorConfig, MtcnnConfig};
use emoxide::image::{ImageError, Limits, RgbImage, decode};
use emoxide::labels::{Classes, Expression, LabelError};
use emoxide::recognizer::{Face, Options, OptionsError, Recognizer, Search, Wanted};
use emoxide::weights::checkpoint;
use emoxide::zoo::{self, Executor, Model, Why};

pub(crate) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

fn file(name: &str) -> Vec<u8> {
    fs_err::read(assets().join("photos").join(name)).unwrap()
}

pub(crate) fn photo(name: &str) -> RgbImage {
    decode(&file(name), &Limits::default()).unwrap()
}

pub(crate) fn model() -> Model {
    zoo::open(zoo::DEFAULT, &Device::flex()).unwrap()
}

/// A model behind the detector of its card.
pub(crate) fn recognizer(model: Model) -> Recognizer {
    let detector = Detector::new(&model.card().detector, &Device::flex()).unwrap();
    Recognizer::new(detector, model, Options::default()).unwrap()
}

/// The embedded model on whole pictures: no rounding of the detector reaches the network.
pub(crate) fn whole_pictures() -> Recognizer {
    Recognizer::new(Detector::WholeImage, model(), Options::default()).unwrap()
}

/// The same face with the same answer, but for the rounding of another batch.
pub(crate) fn assert_same(actual: &[Face], expected: &[Face]) {
    let ([one], [other]) = (actual, expected) else { panic!("one face each: {actual:?} {expected:?}") };
    assert_eq!((one.face_id, one.bbox), (other.face_id, other.bbox));
    for ((name, value), (wanted_name, wanted)) in one.probabilities.0.iter().zip(&other.probabilities.0) {
        assert!(name == wanted_name && (value - wanted).abs() < 1e-5, "{one:?} {other:?}");
    }
}

#[test]
fn files_are_answered_one_by_one_and_a_bad_one_costs_only_itself() {
    let recognizer = recognizer(model());
    let named = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    let files = [
        named("none", file("none.jpg")),
        named("text", b"no picture, but words".to_vec()),
        named("portrait", file("astronaut.jpg")),
        named("empty", Vec::new()),
    ];
    let answers = recognizer.recognise_bytes(&files, &Limits::default());
    assert_eq!(answers.len(), files.len());
    assert_eq!(answers[1], Err(ImageError::NotAnImage));
    assert_eq!(answers[3], Err(ImageError::Empty));
    let (none, portrait) = (answers[0].as_ref().unwrap(), answers[2].as_ref().unwrap());
    assert_eq!((none.input.as_str(), none.width, none.height, none.faces.len()), ("none", 600, 400, 0));
    assert_eq!((portrait.input.as_str(), portrait.width, portrait.height), ("portrait", 512, 512));
    assert_eq!(portrait.faces, recognizer.recognise(&[photo("none.jpg"), photo("astronaut.jpg")])[1]);
    let [face] = portrait.faces.as_slice() else { panic!("one face: {:?}", portrait.faces) };
    assert_eq!(face.dominant_emotion, Some(Expression::Happiness));
    let total: f32 = face.probabilities.0.iter().map(|(_, probability)| probability).sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");
}

#[test]
fn faces_come_in_the_detector_s_order_and_lie_in_the_picture() {
    let images = [photo("several.jpg")];
    for order in [FaceOrder::Largest, FaceOrder::Best] {
        let config = DetectorConfig::Mtcnn(MtcnnConfig { order, ..MtcnnConfig::default() });
        let detector = || Detector::new(&config, &Device::flex()).unwrap();
        let found = detector().detect(&images).remove(0);
        let faces = Recognizer::new(detector(), model(), Options::default()).unwrap().recognise(&images).remove(0);
        assert_eq!(faces.len(), 3);
        assert!(faces.iter().map(|face| face.face_id).eq(0..3));
        for (face, found) in faces.iter().zip(found) {
            assert_eq!(face.detection_score, found.map(|found| found.score), "{order:?}");
            let bbox = face.bbox;
            assert!(bbox.x >= 0.0 && bbox.y >= 0.0 && bbox.width > 0.0 && bbox.height > 0.0, "{bbox:?}");
            assert!(bbox.x + bbox.width < 960.01 && bbox.y + bbox.height < 480.01, "{bbox:?}");
        }
    }
}

#[test]
fn options_that_no_answer_can_meet_are_refused() {
    let new = |options| Recognizer::new(Detector::WholeImage, model(), options).map(|_| ());
    for min_confidence in [-0.1, 1.5, f32::NAN] {
        let refused = new(Options { min_confidence, ..Options::default() }).unwrap_err();
        assert!(matches!(refused, OptionsError::MinConfidence(_)), "{refused}");
    }
    let few = Classes::from_names(["sad", "happy"]).unwrap();
    assert_eq!(new(Options { min_confidence: 1.0, classes: Some(few) }), Ok(()));

    let (network, mut card) = checkpoint::load(&assets().join("default.safetensors"), &Device::flex()).unwrap();
    card.classes = Classes::seven();
    let seven = Model::new(&network, card, Device::flex());
    let options = Options { classes: Some(Classes::eight()), ..Options::default() };
    let refused = Recognizer::new(Detector::WholeImage, seven, options).unwrap_err();
    let reason = LabelError::Absent { missing: Expression::Contempt, known: Classes::seven() };
    assert_eq!(refused, OptionsError::Classes { wanted: Classes::eight(), reason });
}

#[test]
fn a_subset_of_classes_is_answered_in_its_own_order() {
    let few = Classes::from_names(["sad", "happy"]).unwrap();
    let detector = Detector::new(&DetectorConfig::WholeImage {}, &Device::flex()).unwrap();
    let options = Options { min_confidence: 0.0, classes: Some(few.clone()) };
    let recognizer = Recognizer::new(detector, model(), options).unwrap();
    assert_eq!(recognizer.classes(), &few);
    let face = recognizer.recognise(&[photo("hopper.jpg")]).remove(0).remove(0);
    let [(Expression::Sadness, sad), (Expression::Happiness, happy)] = face.probabilities.0[..] else {
        panic!("{:?}", face.probabilities)
    };
    assert!((sad + happy - 1.0).abs() < 1e-5);
    assert_eq!((face.detection_score, face.landmarks), (None, None));
    assert_eq!((face.bbox.width, face.bbox.height), (512.0, 600.0));
}

#[test]
fn of_each_picture_is_given_what_is_wanted_of_it() {
    let recognizer = recognizer(model());
    let images = ["several.jpg", "none.jpg", "none.jpg", "astronaut.jpg"].map(photo);
    let wanted = [
        Wanted { faces: 2, ..Wanted::default() },
        Wanted::default(),
        Wanted { search: Search::DetectorOrWhole, ..Wanted::default() },
        Wanted { search: Search::Whole, ..Wanted::default() },
    ];
    let seen = recognizer.see(&images, &wanted);
    let counts: Vec<_> = seen.iter().map(|seen| (seen.faces.len(), seen.left_out)).collect();
    assert_eq!(counts, [(2, 1), (0, 0), (1, 0), (1, 0)]);
    let all = recognizer.recognise(&images[..1]).remove(0);
    assert_eq!(seen[0].faces[1].bbox, all[1].bbox);
    for whole in &seen[2..] {
        assert_eq!((whole.faces[0].detection_score, whole.faces[0].bbox.x), (None, 0.0));
    }
    assert_same(&seen[3].faces, &whole_pictures().recognise(&images[3..]).remove(0));
}

#[test]
fn a_tracker_is_also_given_what_the_detector_is_unsure_of() {
    const HIDDEN: f32 = 0.54;
    let model = model();
    let DetectorConfig::Mtcnn(mut config) = model.card().detector.clone() else { panic!("an MTCNN") };
    config.thresholds[2] = 0.998;
    let detector = Detector::new(&DetectorConfig::Mtcnn(config), &Device::flex()).unwrap();
    let recognizer = Recognizer::new(detector, model, Options::default()).unwrap();
    // A face with the nose, mouth and chin hidden.
    let mut hidden = photo("astronaut.jpg");
    let face = recognizer.recognise(std::slice::from_ref(&hidden)).remove(0).remove(0).bbox;
    let chin = image::RgbImage::from_pixel(face.width as u32, (face.height * HIDDEN) as u32, image::Rgb([90, 90, 90]));
    let top = (face.y + face.height * (1.0 - HIDDEN)) as i64;
    image::imageops::replace(&mut hidden, &chin, face.x as i64, top);
    let images = [photo("several.jpg"), hidden.clone(), hidden];
    let unsure = Wanted { search: Search::Unsure, ..Wanted::default() };
    let seen = recognizer.see(&images, &[unsure, unsure, Wanted::default()]);
    let [several, one, none] = &seen[..] else { panic!("{seen:?}") };
    assert!(none.faces.is_empty(), "{none:?}");
    let score = one.faces[0].detection_score.unwrap();
    assert!(one.faces.len() == 1 && (0.4..0.998).contains(&score), "{one:?}");
    // What it is sure of comes first where not all are wanted.
    let sure = recognizer.recognise(&images[..1]).remove(0);
    let few = recognizer.see(&images[..1], &[Wanted { faces: sure.len(), ..unsure }]).remove(0);
    assert_eq!(few.left_out, several.faces.len() - sure.len());
    for (one, other) in few.faces.iter().zip(&sure) {
        assert_eq!(one.bbox, other.bbox);
    }
}

#[test]
fn the_compiled_model_answers_as_burn_does() {
    let (compiled, burn) = (model(), model().uncompiled());
    assert!(matches!(compiled.executor(), Executor::Compiled(_)));
    assert!(matches!(burn.executor(), Executor::Burn(Why::Asked)));
    let faces = ["astronaut.jpg", "none.jpg"].map(photo);
    let (compiled, burn) = (compiled.probabilities(&faces), burn.probabilities(&faces));
    for (one, other) in compiled.concat().into_iter().zip(burn.concat()) {
        assert!((one - other).abs() < 1e-5, "{compiled:?} {burn:?}");
    }
}
