//! The filter against whole matrices (`tools/reference/kalman.py`).

use emoxide::recognizer::FaceBox;
use emoxide::video::Motion;
use emoxide_testing::Fixture;

#[test]
fn four_small_filters_are_the_one_of_eight_states() {
    let fixture = Fixture::open("kalman");
    for case in ["even", "uneven"] {
        let values = |name: &str| fixture.values(&format!("{case}.{name}"));
        let boxes = values("boxes").as_chunks::<4>().0;
        let bbox = |[x, y, width, height]: [f32; 4]| FaceBox { x, y, width, height };
        let mut motion = Motion::new(&bbox(boxes[0]));
        let mut worst = 0.0_f64;
        for (index, seen) in boxes.iter().enumerate() {
            if index > 0 {
                motion.predict(values("steps")[index - 1].into());
                // A negative x stands for a frame without the face.
                if seen[0] >= 0.0 {
                    motion.update(&bbox(*seen));
                }
            }
            let expected = [values("mean"), values("variances")];
            for (actual, expected) in [motion.mean(), motion.variances()].iter().zip(expected) {
                for (actual, expected) in actual.iter().zip(&expected[8 * index..]) {
                    let expected = f64::from(*expected);
                    worst = worst.max((actual - expected).abs() / (expected.abs() + 1e-3));
                }
            }
        }
        println!("{case}: largest relative difference {worst:.1e}");
        assert!(worst < 1e-6, "{case}: {worst}");
    }
}
