//! Numbers of faces, on boxes that are made up.

use std::collections::HashMap;

use emoxide::preprocess::{DetectorConfig, MtcnnConfig};
use emoxide::recognizer::FaceBox;
use emoxide::video::{Tracker, TrackerConfig};
use proptest::prelude::*;

const RATE: f64 = 30.0;

fn tracker() -> Tracker {
    Tracker::new(TrackerConfig::default()).unwrap()
}

/// A face of 80 x 100 pixels around this point.
fn face(x: f32, y: f32) -> FaceBox {
    FaceBox { x: x - 40.0, y: y - 50.0, width: 80.0, height: 100.0 }
}

fn seconds(frame: usize) -> f64 {
    frame as f64 / RATE
}

#[test]
fn two_faces_cross_and_keep_their_numbers() {
    let mut tracker = tracker();
    for frame in 0..120 {
        let (one, other) = (face(100.0 + 4.0 * frame as f32, 200.0), face(580.0 - 4.0 * frame as f32, 210.0));
        // While they overlap by more than half, the detector sees the one in front alone, and before that it trembles.
        let hidden = (one.x - other.x).abs() < 40.0;
        let faces = if hidden { vec![(other, 0.99)] } else { vec![(other, 0.99), (one, 0.95)] };
        let ids = tracker.update(seconds(frame), &faces);
        let expected = if frame == 0 || !hidden { vec![Some(0), Some(1)] } else { vec![Some(0)] };
        assert_eq!(ids, expected, "frame {frame}");
    }
}

#[test]
fn what_is_left_of_a_face_that_is_being_hidden_does_not_mislead() {
    // As MTCNN finds the one behind in `tools/video/make_clips.py crossing`: less and less of it, then nothing for 0.7 s, then
    // half of it further on.
    let mut tracker = tracker();
    let behind = |frame: usize| {
        let x = 62.0 + 3.7 * frame as f32;
        Some(match frame {
            0..=44 => FaceBox { x, y: 129.0, width: 74.0, height: 95.0 },
            45 => FaceBox { x: 225.0, y: 128.0, width: 65.0, height: 95.0 },
            46 => FaceBox { x: 227.0, y: 133.0, width: 60.0, height: 88.0 },
            47 => FaceBox { x: 233.0, y: 136.0, width: 49.0, height: 79.0 },
            49 => FaceBox { x: 228.0, y: 118.0, width: 36.0, height: 55.0 },
            71 => FaceBox { x: 355.0, y: 134.0, width: 55.0, height: 85.0 },
            72.. => FaceBox { x: x + 20.0, y: 129.0, width: 65.0, height: 90.0 },
            _ => return None,
        })
    };
    for frame in 0..80 {
        let front = FaceBox { x: 484.0 - 3.7 * frame as f32, y: 113.0, width: 120.0, height: 151.0 };
        let faces: Vec<(FaceBox, f32)> =
            [Some(front), behind(frame)].into_iter().flatten().map(|face| (face, 0.9)).collect();
        let ids = tracker.update(seconds(frame), &faces);
        assert_eq!(ids, [Some(0), Some(1)][..faces.len()], "frame {frame}");
    }
}

#[test]
fn a_face_that_leaves_at_an_edge_comes_back_as_the_same() {
    let mut tracker = tracker();
    let mut last = None;
    for frame in 0..150 {
        let x = match frame {
            0..50 => 400.0 + 5.0 * frame as f32,
            50..90 => f32::NAN,
            _ => 645.0 - 5.0 * (frame - 90) as f32,
        };
        let mut faces = vec![(face(100.0, 200.0), 0.99)];
        if !x.is_nan() {
            faces.push((face(x, 200.0), 0.98));
        }
        let ids = tracker.update(seconds(frame), &faces);
        assert_eq!(ids[0], Some(0), "frame {frame}");
        assert!(ids.get(1).is_none_or(|id| *id == Some(1)), "frame {frame}: {ids:?}");
        last = ids.get(1).copied();
    }
    assert_eq!(last, Some(Some(1)));
}

#[test]
fn who_stays_away_too_long_or_comes_elsewhere_is_somebody_new() {
    for (away, x, expected) in [(2.5, 110.0, 0), (3.5, 110.0, 1), (0.5, 400.0, 1)] {
        let mut tracker = tracker();
        for frame in 0..10 {
            assert_eq!(tracker.update(seconds(frame), &[(face(100.0, 200.0), 0.99)]), [Some(0)]);
        }
        let back = seconds(9) + away;
        assert_eq!(tracker.update(back - 0.1, &[]), []);
        assert_eq!(tracker.update(back, &[(face(x, 200.0), 0.99)]), [Some(expected)], "{away} s, at {x}");
    }
    // The same place, but a face of another size.
    let mut tracker = tracker();
    tracker.update(0.0, &[(face(100.0, 200.0), 0.99)]);
    tracker.update(0.1, &[]);
    let small = FaceBox { x: 83.0, y: 179.0, width: 34.0, height: 42.0 };
    assert_eq!(tracker.update(0.2, &[(small, 0.99)]), [Some(1)]);
}

#[test]
fn unsure_faces_go_on_with_tracks_and_begin_none() {
    let mut tracker = tracker();
    let (known, unknown) = (face(100.0, 200.0), face(400.0, 200.0));
    tracker.update(0.0, &[(known, 0.99)]);
    assert_eq!(tracker.update(seconds(1), &[(unknown, 0.5), (known, 0.45)]), [None, Some(0)]);
    // Below the lowest score there is no face at all.
    assert_eq!(tracker.update(seconds(2), &[(known, 0.3)]), [None]);
    // Nor is a track found again by an unsure face.
    assert_eq!(tracker.update(seconds(3), &[(known, 0.5)]), [None]);
    assert_eq!(tracker.update(seconds(4), &[(known, 0.9)]), [Some(0)]);
}

#[test]
fn the_best_assignment_as_a_whole_wins() {
    let mut tracker = tracker();
    tracker.update(0.0, &[(face(100.0, 200.0), 0.9), (face(150.0, 200.0), 0.9)]);
    // The first new box overlaps most with the second track, but the second box fits to that one alone.
    let ids = tracker.update(seconds(1), &[(face(126.0, 200.0), 0.9), (face(190.0, 200.0), 0.9)]);
    assert_eq!(ids, [Some(0), Some(1)]);
}

#[test]
fn frames_that_are_left_out_do_not_lose_a_moving_face() {
    let mut tracker = tracker();
    for step in 0..12 {
        let frame = step * 6;
        let ids = tracker.update(seconds(frame), &[(face(100.0 + 5.0 * frame as f32, 200.0), 0.99)]);
        assert_eq!(ids, [Some(0)], "frame {frame}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |config| Tracker::new(config).unwrap_err().to_string();
    let config = TrackerConfig::default();
    assert!(refused(TrackerConfig { low: 0.9, ..config }).contains("`low` is 0.9"));
    assert!(refused(TrackerConfig { overlap: f32::NAN, ..config }).contains("`overlap`"));
    assert!(refused(TrackerConfig { max_lost: -1.0, ..config }).contains("`max_lost`"));
    assert!(refused(TrackerConfig { growth: 0.5, ..config }).contains("`growth`"));
}

#[test]
fn tracks_begin_with_what_the_detector_is_sure_of() {
    let following = TrackerConfig::following(&DetectorConfig::Mtcnn(MtcnnConfig::face_evolve()));
    assert!((following.high - 0.8).abs() < 1e-6 && (following.low - 0.4).abs() < 1e-6);
    let bold = MtcnnConfig { thresholds: [0.6, 0.7, 0.3], ..MtcnnConfig::default() };
    let following = TrackerConfig::following(&DetectorConfig::Mtcnn(bold));
    assert!((following.high - 0.3).abs() < 1e-6 && (following.low - 0.3).abs() < 1e-6);
}

/// Frames of up to four boxes anywhere, with any score, at uneven times.
fn clips() -> impl Strategy<Value = Vec<(f64, Vec<(FaceBox, f32)>)>> {
    let boxes = (0.0..300.0_f32, 0.0..200.0_f32, 20.0..90.0_f32, 20.0..90.0_f32, 0.0..1.0_f32);
    let boxes = boxes.prop_map(|(x, y, width, height, score)| (FaceBox { x, y, width, height }, score));
    let frame = (0.001..0.9_f64, prop::collection::vec(boxes, 0..4));
    prop::collection::vec(frame, 1..60).prop_map(|frames| {
        let mut timestamp = 0.0;
        let mut at = |passed: f64| {
            timestamp += passed;
            timestamp
        };
        frames.into_iter().map(|(passed, boxes)| (at(passed), boxes)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_number_is_given_twice(clip in clips()) {
        let mut tracker = tracker();
        let (mut last, mut frames): (HashMap<usize, usize>, Vec<f64>) = (HashMap::new(), Vec::new());
        for (timestamp, faces) in clip {
            let given = tracker.update(timestamp, &faces);
            let mut ids: Vec<usize> = given.iter().flatten().copied().collect();
            for (id, (_, score)) in given.iter().zip(&faces) {
                prop_assert_eq!(id.is_some(), *score >= 0.7 || (*score >= 0.4 && id.is_some()));
            }
            ids.sort_unstable();
            for pair in ids.windows(2) {
                prop_assert!(pair[0] != pair[1], "{ids:?}");
            }
            for id in ids {
                if let Some(frame) = last.get(&id) {
                    // Seen in the frame before, or away no longer than allowed.
                    prop_assert!(*frame + 1 == frames.len() || timestamp - frames[*frame] <= 3.0);
                } else {
                    prop_assert_eq!(id, last.len(), "numbers are given in order");
                }
                last.insert(id, frames.len());
            }
            frames.push(timestamp);
        }
    }

    #[test]
    fn a_replayed_tracker_goes_on_as_the_first_one(clip in clips(), cut in 0..60_usize) {
        let mut whole = tracker();
        let mut again = tracker();
        for (frame, (timestamp, faces)) in clip.iter().enumerate() {
            let expected = whole.update(*timestamp, faces);
            if frame < cut {
                let numbered = faces.iter().zip(&expected).filter_map(|((bbox, _), id)| Some(((*id)?, *bbox)));
                again.replay(*timestamp, &numbered.collect::<Vec<_>>());
            } else {
                prop_assert_eq!(again.update(*timestamp, faces), expected);
            }
        }
    }
}
