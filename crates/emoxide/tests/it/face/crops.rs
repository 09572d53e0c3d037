//! How detections become crops.

use emoxide::face::{Detection, Detector, FER2013_TEMPLATE};
use emoxide::geometry::{ARCFACE_112, BoundingBox, Landmarks, Similarity};
use emoxide::image::{Filter, RgbImage, resize};
use emoxide::preprocess::{Alignment, Preprocess};
use image::Rgb;

use super::{detector, photo};

/// A square input, resized as Pillow's antialiased bilinear does.
fn input(side: u32) -> Preprocess {
    Preprocess::imagenet(side)
}

/// The photo of a face that fills much of it, and what was found.
fn portrait() -> (RgbImage, Detection) {
    let image = photo("hopper.jpg");
    let face = detector().detect(std::slice::from_ref(&image)).remove(0).remove(0);
    (image, face)
}

#[test]
fn five_points_end_on_the_template() {
    let (image, _) = portrait();
    let detector = detector();
    for alignment in [Alignment::arcface(), Alignment::fer2013()] {
        let Alignment::FivePoint { template } = alignment else { unreachable!() };
        // The face turned and shrunk is found and brought to the same place.
        for degrees in [-15.0, 0.0, 20.0] {
            let turn = Similarity::new(0.8, degrees, [60.0, 60.0]);
            let turned = emoxide::image::warp(&image, &turn, 520, 560);
            let face = detector.detect(std::slice::from_ref(&turned)).remove(0)[0];
            let crop = alignment.crop(&turned, Some(&face), &input(224));
            // On a border, because the detector wants surroundings.
            let mut framed = RgbImage::from_pixel(344, 344, Rgb([128; 3]));
            image::imageops::replace(&mut framed, &crop, 60, 60);
            let again = detector.detect(&[framed]).remove(0)[0];
            for (point, target) in again.landmarks.0.iter().zip(template) {
                let distance = (point[0] - 60.0 - target[0] * 224.0).hypot(point[1] - 60.0 - target[1] * 224.0);
                assert!(distance < 16.0, "{degrees} degrees: {point:?} should be near {target:?}");
            }
        }
    }
}

#[test]
fn the_crop_of_a_large_face_is_smooth() {
    // A face of several hundred pixels brought to 48: reducing first and warping then must give nearly the same.
    let (image, face) = portrait();
    let large = resize(&image, image.width() * 4, image.height() * 4, Filter::PillowBicubic);
    let scaled = |value: f32| (value + 0.5) * 4.0 - 0.5;
    let on_large = Detection { landmarks: Landmarks(face.landmarks.0.map(|point| point.map(scaled))), ..face };
    let alignment = Alignment::fer2013();
    let one = alignment.crop(&image, Some(&face), &input(48));
    let other = alignment.crop(&large, Some(&on_large), &input(48));
    let sum: f64 = one.as_raw().iter().zip(other.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    let mean = sum / one.as_raw().len() as f64;
    eprintln!("mean difference {mean}");
    assert!(mean < 4.0, "{mean}");
}

#[test]
fn the_square_box_is_black_outside_the_image() {
    let image = RgbImage::from_pixel(100, 60, Rgb([200, 100, 50]));
    let face =
        Detection { bbox: BoundingBox::new(-20.0, 10.0, 20.0, 30.0), score: 1.0, landmarks: Landmarks([[0.0; 2]; 5]) };
    // 40 wide, made square: x from -20 to 20, y from 0 to 40.
    let crop = Alignment::SquareBox { margin: 0.0 }.crop(&image, Some(&face), &input(40));
    assert!(crop.enumerate_pixels().all(|(x, _, pixel)| pixel.0 == if x < 20 { [0; 3] } else { [200, 100, 50] }));
    // Landmarks in one place determine no similarity: the box serves.
    assert_eq!(Alignment::arcface().crop(&image, Some(&face), &input(40)), crop);
    // Half of the side on each side: x from -40 to 40, y from -20 to 60.
    let wide = Alignment::SquareBox { margin: 0.5 }.crop(&image, Some(&face), &input(80));
    assert!(wide.enumerate_pixels().all(|(x, y, pixel)| (pixel.0 != [0; 3]) == (x >= 40 && y >= 20)));
    for bbox in [
        BoundingBox::new(f32::NAN, 0.0, 5.0, 5.0),
        BoundingBox::new(1e30, 1e30, -1e30, 2e30),
        BoundingBox::new(900.0, 900.0, 900.0, 900.0),
    ] {
        let crop = Alignment::SquareBox { margin: 0.1 }.crop(&image, Some(&Detection { bbox, ..face }), &input(8));
        assert_eq!(crop.dimensions(), (8, 8));
    }
}

#[test]
fn without_a_detection_the_image_is_the_face() {
    let image = photo("astronaut.jpg");
    let faces = Detector::WholeImage.detect(std::slice::from_ref(&image));
    assert_eq!(faces, [[None]]);
    for filter in [Filter::PillowBilinear, Filter::OpencvBilinear] {
        let input = Preprocess { filter, ..input(48) };
        let whole = resize(&image, 48, 48, filter);
        for alignment in [Alignment::arcface(), Alignment::SquareBox { margin: 0.2 }, Alignment::None {}] {
            assert_eq!(alignment.crop(&image, None, &input), whole);
        }
    }
}

#[test]
fn a_box_is_stretched_or_squared_and_resized_by_the_filter_of_the_input() {
    let image = photo("astronaut.jpg");
    // 60 wide and 40 high, within the image.
    let bbox = BoundingBox::new(100.0, 80.0, 160.0, 120.0);
    let face = Detection { bbox, score: 1.0, landmarks: Landmarks([[0.0; 2]; 5]) };
    let cut = |left, top, width, height| image::imageops::crop_imm(&image, left, top, width, height).to_image();
    for filter in [Filter::PillowBicubic, Filter::OpencvBilinear] {
        let input = Preprocess { filter, ..input(24) };
        let expected = |cut: &RgbImage| resize(cut, 24, 24, filter);
        assert_eq!(Alignment::None {}.crop(&image, Some(&face), &input), expected(&cut(100, 80, 60, 40)));
        let square = Alignment::SquareBox { margin: 0.0 };
        assert_eq!(square.crop(&image, Some(&face), &input), expected(&cut(100, 70, 60, 60)));
        // Landmarks in one place: as the square.
        assert_eq!(Alignment::arcface().crop(&image, Some(&face), &input), expected(&cut(100, 70, 60, 60)));
    }
}

#[test]
fn alignments_travel_as_json() {
    for alignment in [Alignment::arcface(), Alignment::SquareBox { margin: 0.1 }, Alignment::None {}] {
        let json = serde_json::to_string(&alignment).unwrap();
        assert_eq!(serde_json::from_str::<Alignment>(&json).unwrap(), alignment);
    }
    assert_eq!(serde_json::to_string(&Alignment::None {}).unwrap(), r#"{"kind":"none"}"#);
    assert!(serde_json::from_str::<Alignment>(r#"{"kind": "none", "margin": 0.1}"#).is_err());
    let json = serde_json::to_value(Alignment::fer2013()).unwrap();
    assert_eq!(json["kind"], "five-point");
    // Symmetric, as ArcFace's nearly is.
    for (left, right) in [(0, 1), (3, 4)] {
        assert!((FER2013_TEMPLATE[left][0] + FER2013_TEMPLATE[right][0] - 1.0).abs() < 1e-6);
        assert!((FER2013_TEMPLATE[left][1] - FER2013_TEMPLATE[right][1]).abs() < 1e-6);
        assert!((ARCFACE_112[left][0] + ARCFACE_112[right][0] - 112.0).abs() < 0.5);
    }
}
