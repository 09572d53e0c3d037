//! Smoothing, following and summing up.

use emoxide::labels::{Classes, Expression};
use emoxide::recognizer::{Face, FaceBox, Prediction, Probabilities};
use emoxide::video::{
    Analysis, FollowError, FollowOptions, Follower, Frame, Smoother, Summary, TrackerConfig, VideoError,
};
use proptest::prelude::*;

fn probabilities(happiness: f32) -> Probabilities {
    let rest = (1.0 - happiness) / 6.0;
    let value = |name| if name == Expression::Happiness { happiness } else { rest };
    Probabilities(Classes::seven().iter().map(|name| (name, value(name))).collect())
}

fn face(x: f32, happiness: f32) -> Face {
    let probabilities = probabilities(happiness);
    Face {
        face_id: 9,
        bbox: FaceBox { x, y: 10.0, width: 50.0, height: 60.0 },
        detection_score: Some(0.99),
        landmarks: None,
        dominant_emotion: probabilities.dominant(0.0),
        probabilities,
    }
}

fn following(smooth: Option<f64>) -> FollowOptions {
    FollowOptions { tracker: Some(TrackerConfig::default()), smooth, min_confidence: 0.0 }
}

#[test]
fn a_change_is_63_percent_over_after_the_time_constant_at_any_rate() {
    for rate in [10.0, 20.0, 120.0] {
        let mut smoother = Smoother::new(0.5);
        smoother.smooth(0, 0.0, &probabilities(0.0));
        let mut last = 0.0;
        for frame in 1..=(0.5 * rate) as usize {
            last = smoother.smooth(0, frame as f64 / rate, &probabilities(1.0)).get(Expression::Happiness).unwrap();
        }
        assert!((last - 0.632).abs() < 1e-3, "{rate} a second: {last}");
    }
    let mut plain = Smoother::new(0.0);
    plain.smooth(0, 0.0, &probabilities(0.0));
    assert_eq!(plain.smooth(0, 0.1, &probabilities(0.7)), probabilities(0.7));
}

proptest! {
    #[test]
    fn smoothed_probabilities_sum_to_one(values in prop::collection::vec((0.0..1.0_f32, 0.0..2.0_f64), 1..200)) {
        let mut smoother = Smoother::new(0.3);
        let mut timestamp = 0.0;
        for (happiness, passed) in values {
            timestamp += passed;
            let total: f32 = smoother.smooth(4, timestamp, &probabilities(happiness)).0.iter().map(|(_, value)| value).sum();
            prop_assert!((total - 1.0).abs() < 1e-5, "{total}");
        }
    }
}

#[test]
fn a_follower_numbers_smooths_and_decides_anew() {
    let mut follower = Follower::new(&FollowOptions { min_confidence: 0.5, ..following(Some(1.0)) }).unwrap();
    let first = follower.follow(0.0, vec![face(300.0, 0.9), face(10.0, 0.1)]);
    assert_eq!(first.iter().map(|face| face.face_id).collect::<Vec<_>>(), [0, 1]);
    // The detector's order changes, the faces' order does not; the happiness of the first one fades slowly.
    let second = follower.follow(0.1, vec![face(12.0, 0.1), face(298.0, 0.0)]);
    assert_eq!(second.iter().map(|face| face.bbox.x).collect::<Vec<_>>(), [298.0, 12.0]);
    let happiness = second[0].probabilities.get(Expression::Happiness).unwrap();
    assert!((0.75..0.9).contains(&happiness), "{happiness}");
    assert_eq!(second[0].dominant_emotion, Some(Expression::Happiness));
    assert_eq!(second[1].dominant_emotion, None);

    let mut again = Follower::new(&FollowOptions { min_confidence: 0.5, ..following(Some(1.0)) }).unwrap();
    again.replay(0.0, &first);
    again.replay(0.1, &second);
    let third = vec![face(295.0, 0.3), face(14.0, 0.2)];
    assert_eq!(again.follow(0.2, third.clone()), follower.follow(0.2, third));
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let untracked = FollowOptions { tracker: None, ..following(Some(1.0)) };
    assert_eq!(Follower::new(&untracked).unwrap_err(), FollowError::Untracked);
    assert!(matches!(Follower::new(&following(Some(-1.0))), Err(FollowError::Smooth(_))));
}

#[test]
fn an_analysis_answers_every_frame_in_order_and_passes_errors_on() {
    let frame = |index: usize| Ok(Frame { index, timestamp: index as f64, image: image::RgbImage::new(4, 3) });
    let damaged = || Err(VideoError::FrameRate(0.0));
    // The second frame of a batch, so that one before and one behind it share the batch.
    let frames = [frame(0), damaged()].into_iter().chain((1..5).map(frame)).chain([Err(VideoError::NoVideoStream)]);
    let mut batches = Vec::new();
    let recognise = |images: &[image::RgbImage]| {
        batches.push(images.len());
        Ok::<_, std::convert::Infallible>(images.iter().map(|_| vec![face(10.0, 0.5)]).collect())
    };
    let follower = Follower::new(&following(None)).unwrap();
    let mut answers: Vec<_> =
        Analysis::new("clip".to_owned(), frames, recognise, follower, 2).map(Result::unwrap).collect();
    assert!(matches!(answers.remove(1), Err(VideoError::FrameRate(_))));
    let (last, shown) = answers.split_last().unwrap();
    assert!(matches!(last, Err(VideoError::NoVideoStream)));
    for (index, shown) in shown.iter().enumerate() {
        let Prediction { input, frame, timestamp, width, faces, .. } = &shown.as_ref().unwrap().prediction;
        assert_eq!((input.as_str(), *frame, *timestamp, *width), ("clip", index, Some(index as f64), 4));
        assert_eq!(faces[0].face_id, 0);
    }
    assert_eq!(batches, [2, 2, 1]);
}

#[test]
fn a_summary_knows_when_and_how_long() {
    let mut summary = Summary::default();
    let shown = |frame: usize, faces: Vec<Face>| Prediction {
        input: "clip".to_owned(),
        frame,
        timestamp: Some(frame as f64 * 0.5),
        width: 640,
        height: 360,
        faces,
    };
    let numbered = |face_id, happiness| Face { face_id, ..face(0.0, happiness) };
    summary.add(&shown(0, vec![numbered(0, 0.9)]));
    summary.add(&shown(1, vec![numbered(0, 0.7), numbered(1, 0.8)]));
    summary.add(&shown(2, vec![]));
    summary.add(&shown(3, vec![numbered(0, 0.0)]));
    assert_eq!(summary.frames(), (4, 3));
    let faces = summary.finish();
    assert_eq!((faces[0].first, faces[0].last, faces[0].frames), (0.0, 1.5, 3));
    assert!((faces[0].seconds - 1.5).abs() < 1e-9 && (faces[0].seconds_of["happiness"] - 1.0).abs() < 1e-9);
    assert_eq!(faces[0].timeline.len(), 2, "a gap ends a run: {:?}", faces[0].timeline);
    assert!((faces[0].mean.get(Expression::Happiness).unwrap() - 1.6 / 3.0).abs() < 1e-6);
    assert_eq!((faces[1].face_id, faces[1].frames), (1, 1));
    let json = serde_json::to_value(&faces).unwrap();
    assert_eq!(json[0]["timeline"][0]["expression"], "happiness");
}

#[test]
fn predictions_come_back_from_json() {
    let uncertain = Face { dominant_emotion: None, ..face(1.0, 0.3) };
    let prediction = Prediction {
        input: "clip".to_owned(),
        frame: 3,
        timestamp: Some(0.1),
        width: 0,
        height: 0,
        faces: vec![uncertain, face(2.0, 0.9)],
    };
    let text = serde_json::to_string(&prediction).unwrap();
    assert_eq!(serde_json::from_str::<Prediction>(&text).unwrap(), prediction);
    let picture = serde_json::to_string(&Prediction { timestamp: None, ..prediction }).unwrap();
    assert!(!picture.contains("timestamp"));
}
