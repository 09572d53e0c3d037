//! Boxes, similarities and suppression.

use approx::assert_relative_eq;
use emoxide::geometry::{ARCFACE_112, BoundingBox, Overlap, Similarity, arcface, non_maximum_suppression};
use proptest::prelude::*;

fn similarity() -> impl Strategy<Value = Similarity> {
    (0.05..20.0_f64, -180.0..180.0_f64, -500.0..500.0_f64, -500.0..500.0_f64)
        .prop_map(|(scale, degrees, x, y)| Similarity::new(scale, degrees, [x, y]))
}

fn points() -> impl Strategy<Value = [[f32; 2]; 5]> {
    prop::array::uniform5(prop::array::uniform2(-400.0..400.0_f32))
}

fn boxes() -> impl Strategy<Value = Vec<(BoundingBox, f32)>> {
    let one = (0.0..100.0_f32, 0.0..100.0_f32, 1.0..60.0_f32, 1.0..60.0_f32, 0.0..1.0_f32)
        .prop_map(|(left, top, width, height, score)| (BoundingBox::new(left, top, left + width, top + height), score));
    prop::collection::vec(one, 0..40)
}

fn spread(points: &[[f32; 2]]) -> f32 {
    let first = points[0];
    points.iter().map(|point| (point[0] - first[0]).hypot(point[1] - first[1])).fold(0.0, f32::max)
}

/// Sum of squared distances after the transform.
fn residual(transform: &Similarity, source: &[[f32; 2]], target: &[[f32; 2]]) -> f64 {
    source
        .iter()
        .zip(target)
        .map(|(&p, &q)| {
            let [x, y] = transform.apply(p.map(f64::from));
            (x - f64::from(q[0])).powi(2) + (y - f64::from(q[1])).powi(2)
        })
        .sum()
}

proptest! {
    #[test]
    fn fitting_finds_the_transform_that_made_the_points(transform in similarity(), source in points()) {
        prop_assume!(spread(&source) > 10.0);
        let target = source.map(|point| transform.apply(point.map(f64::from)).map(|value| value as f32));
        let fitted = Similarity::from_points(&source, &target).unwrap();
        for (expected, actual) in [(transform.a, fitted.a), (transform.b, fitted.b)] {
            prop_assert!((expected - actual).abs() < 1e-4 * transform.scale().max(1.0), "{transform:?} {fitted:?}");
        }
        for point in source {
            let [x, y] = fitted.apply(point.map(f64::from));
            let [p, q] = transform.apply(point.map(f64::from));
            prop_assert!((x - p).hypot(y - q) < 0.02);
        }
    }

    #[test]
    fn no_other_similarity_fits_better(source in points(), target in points(), by in -0.01..0.01_f64) {
        prop_assume!(spread(&source) > 10.0);
        if let Some(fitted) = Similarity::from_points(&source, &target) {
            let best = residual(&fitted, &source, &target);
            for other in [
                Similarity { a: fitted.a + by, ..fitted },
                Similarity { b: fitted.b + by, ..fitted },
                Similarity { tx: fitted.tx + by, ..fitted },
                Similarity { ty: fitted.ty + by, ..fitted },
            ] {
                prop_assert!(residual(&other, &source, &target) >= best - 1e-6 * best);
            }
        }
    }

    #[test]
    fn there_and_back_is_nowhere(transform in similarity(), x in -1e3..1e3_f64, y in -1e3..1e3_f64) {
        let back = transform.inverse().unwrap();
        for [p, q] in [back.apply(transform.apply([x, y])), transform.apply(back.apply([x, y]))] {
            prop_assert!((p - x).hypot(q - y) < 1e-6);
        }
    }

    #[test]
    fn what_stays_is_apart_and_what_goes_is_covered(items in boxes(), threshold in 0.05..0.95_f32) {
        let (boxes, scores): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let kept = non_maximum_suppression(&boxes, &scores, threshold, Overlap::Union);
        prop_assert!(kept.is_sorted_by(|&one, &other| scores[one] >= scores[other]));
        for (place, &one) in kept.iter().enumerate() {
            for &other in &kept[..place] {
                prop_assert!(boxes[one].intersection_over_union(&boxes[other]) <= threshold + 1e-5);
            }
        }
        for gone in (0..boxes.len()).filter(|index| !kept.contains(index)) {
            prop_assert!(kept.iter().any(|&better| scores[better] >= scores[gone]
                && boxes[better].intersection_over_union(&boxes[gone]) > threshold - 1e-5));
        }
        // Suppressing again changes nothing.
        let rest: Vec<_> = kept.iter().map(|&index| boxes[index]).collect();
        let rest_scores: Vec<_> = kept.iter().map(|&index| scores[index]).collect();
        let again = non_maximum_suppression(&rest, &rest_scores, threshold, Overlap::Union);
        prop_assert_eq!(again, (0..rest.len()).collect::<Vec<_>>());
    }

    #[test]
    fn squares_keep_their_middle_and_hold_the_box(items in boxes(), margin in 0.0..0.5_f32) {
        for (bbox, _) in items {
            let square = bbox.squared();
            prop_assert!((square.width() - square.height()).abs() < 1e-3);
            let ([x, y], [p, q]) = (square.centre(), bbox.centre());
            prop_assert!((x - p).hypot(y - q) < 1e-3);
            prop_assert!((square.enlarged(margin).width() - square.width() * (1.0 + 2.0 * margin)).abs() < 1e-3);
            let inside = bbox.clamped(50, 70);
            prop_assert!(inside.left >= 0.0 && inside.top >= 0.0 && inside.right <= 50.0 && inside.bottom <= 70.0);
            prop_assert!(inside.width() >= 0.0 && inside.height() >= 0.0);
        }
    }
}

#[test]
fn a_reflection_is_not_fitted_by_a_reflection() {
    let mirrored = ARCFACE_112.map(|[x, y]| [112.0 - x, y]);
    let fitted = Similarity::from_points(&mirrored, &ARCFACE_112).unwrap();
    // Left and right have changed places: the best rotation is upside down or small, never a mirror.
    assert!(fitted.a * fitted.a + fitted.b * fitted.b > 0.0);
    assert!(residual(&fitted, &mirrored, &ARCFACE_112) > 100.0);
}

#[test]
fn what_determines_no_similarity_gives_none() {
    let one_place = [[3.0, 4.0]; 5];
    assert_eq!(Similarity::from_points(&one_place, &ARCFACE_112), None);
    assert_eq!(Similarity::from_points(&ARCFACE_112, &one_place), None);
    assert_eq!(Similarity::from_points(&ARCFACE_112[..1], &ARCFACE_112[..1]), None);
    assert_eq!(Similarity::from_points(&ARCFACE_112, &ARCFACE_112[..4]), None);
    let mut broken = ARCFACE_112;
    for value in [f32::NAN, f32::INFINITY] {
        broken[2][1] = value;
        assert_eq!(Similarity::from_points(&broken, &ARCFACE_112), None);
        assert_eq!(Similarity::from_points(&ARCFACE_112, &broken), None);
    }
    assert_eq!(Similarity { a: 0.0, b: 0.0, tx: 1.0, ty: 2.0 }.inverse(), None);
}

#[test]
fn a_quarter_turn_goes_from_x_to_y() {
    let [x, y] = Similarity::new(2.0, 90.0, [10.0, 20.0]).apply([1.0, 0.0]);
    assert_relative_eq!(x, 10.0, epsilon = 1e-12);
    assert_relative_eq!(y, 22.0, epsilon = 1e-12);
}

#[test]
fn templates_scale_with_the_crop() {
    for (scaled, stated) in arcface(112.0).as_flattened().iter().zip(ARCFACE_112.as_flattened()) {
        assert_relative_eq!(scaled, stated, epsilon = 1e-5);
    }
    assert_relative_eq!(arcface(224.0)[0][0], 76.589_2, epsilon = 1e-4);
}

#[test]
fn a_clamped_box_is_never_turned_inside_out() {
    let swapped = BoundingBox::new(30.0, -10.0, 20.0, 90.0).clamped(50, 70);
    assert_eq!(swapped, BoundingBox::new(30.0, 0.0, 30.0, 70.0));
    let beside = BoundingBox::new(60.0, 10.0, 80.0, 20.0).clamped(50, 70);
    assert_eq!(beside, BoundingBox::new(50.0, 10.0, 50.0, 20.0));
    let broken = BoundingBox::new(f32::NAN, 1.0, f32::NAN, 2.0).clamped(50, 70);
    assert_eq!(broken, BoundingBox::new(0.0, 1.0, 0.0, 2.0));
}

#[test]
fn a_box_inside_another_goes_only_by_the_smaller_area() {
    let boxes = [BoundingBox::new(0.0, 0.0, 100.0, 100.0), BoundingBox::new(10.0, 10.0, 40.0, 40.0)];
    let scores = [0.8, 0.9];
    assert_eq!(non_maximum_suppression(&boxes, &scores, 0.7, Overlap::Union), [1, 0]);
    assert_eq!(non_maximum_suppression(&boxes, &scores, 0.7, Overlap::Minimum), [1]);
    assert_eq!(boxes[0].intersection(&boxes[1]), Some(boxes[1]));
    assert_eq!(boxes[0].intersection(&BoundingBox::new(100.0, 0.0, 120.0, 9.0)), None);
}
