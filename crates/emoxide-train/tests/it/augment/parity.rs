//! Parity with torchvision where parameters are given, agreement of distributions where they are drawn, and independence
//! from everything but the sample's key. Fixtures: `tools/reference/augment.py`.

use std::path::{Path, PathBuf};

use emoxide::image::{Filter, window};
use emoxide_train::augment::AugmentConfig;
use emoxide_train::augment::colour::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, luminance};
use emoxide_train::augment::crop::{CenterCrop, FiveCrop, ResizedCrop};
use emoxide_train::augment::erase::Erasing;
use emoxide_train::augment::policy::Operation;
use emoxide_train::augment::warp::{Affine, AffineDraw, Interpolation, affine_matrix, rotation_matrix, warp};
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::Value;

use super::KEY;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/augment").join(name)
}

fn json(name: &str) -> Vec<Value> {
    serde_json::from_str(&fs_err::read_to_string(fixture(name)).unwrap()).unwrap()
}

fn picture(tensors: &SafeTensors, name: &str) -> RgbImage {
    let tensor = tensors.tensor(name).unwrap();
    let [rows, cols, 3] = tensor.shape() else { panic!("{name} is not a picture") };
    RgbImage::from_raw(*cols as u32, *rows as u32, tensor.data().to_vec()).unwrap()
}

fn numbers<const N: usize>(case: &Value, field: &str) -> [f64; N] {
    std::array::from_fn(|index| case[field][index].as_f64().unwrap())
}

/// One case of the fixture by our own functions.
fn run(input: &RgbImage, case: &Value) -> RgbImage {
    let number = |field: &str| case[field].as_f64().unwrap();
    let pixels = |field: &str| case[field].as_u64().unwrap() as u32;
    let fill = || numbers::<3>(case, "fill").map(|value| value as u8);
    let interpolation = || serde_json::from_value::<Interpolation>(case["interpolation"].clone()).unwrap();
    let (width, height) = input.dimensions();
    let mut image = input.clone();
    match case["kind"].as_str().unwrap() {
        "rotation" => warp(input, &rotation_matrix(width, height, number("degrees")), interpolation(), fill()),
        "affine" => {
            let draw = AffineDraw {
                angle: number("angle"),
                translate: numbers(case, "translate"),
                scale: number("scale"),
                shear: numbers(case, "shear"),
            };
            warp(input, &affine_matrix(width, height, &draw), interpolation(), fill())
        }
        "brightness" => {
            adjust_brightness(&mut image, number("factor"));
            image
        }
        "contrast" => {
            adjust_contrast(&mut image, number("factor"));
            image
        }
        "saturation" => {
            adjust_saturation(&mut image, number("factor"));
            image
        }
        "hue" => {
            adjust_hue(&mut image, number("factor"));
            image
        }
        "greyscale" => {
            image.pixels_mut().for_each(|pixel| pixel.0 = [luminance(pixel.0); 3]);
            image
        }
        "resized-crop" => {
            let cut =
                window(input, number("left") as i64, number("top") as i64, pixels("width"), pixels("height"), [0; 3]);
            let filter: Filter = serde_json::from_value(case["filter"].clone()).unwrap();
            let (width, height) = (pixels("out_width"), pixels("out_height"));
            let text = format!(
                "[[image]]\nkind = 'resize'\nwidth = {width}\nheight = {height}\nfilter = {}",
                serde_json::to_string(&filter).unwrap()
            );
            toml::from_str::<AugmentConfig>(&text).unwrap().apply(cut, KEY).unwrap()
        }
        "center-crop" => CenterCrop { width: pixels("width"), height: pixels("height") }.apply(input),
        "random-crop" => {
            let (left, top) = (number("left") - number("padding"), number("top") - number("padding"));
            window(input, left as i64, top as i64, pixels("width"), pixels("height"), fill())
        }
        "five-crop" => FiveCrop { size: pixels("size") }.crop(input, number("which") as usize),
        "rand-augment" => operation(case).apply(image, number("amount")),
        other => panic!("unknown case {other}"),
    }
}

fn operation(case: &Value) -> Operation {
    serde_json::from_value(case["operation"].clone()).unwrap()
}

#[test]
fn operations_agree_with_torchvision() {
    let bytes = fs_err::read(fixture("cases.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let input = picture(&tensors, "input");
    for (index, case) in json("cases.json").iter().enumerate() {
        let expected = picture(&tensors, &format!("case{index:03}"));
        let found = run(&input, case);
        assert_eq!(found.dimensions(), expected.dimensions(), "{case}");
        let differences: Vec<u8> = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).collect();
        let largest = differences.iter().copied().max().unwrap();
        let differing =
            differences.iter().filter(|difference| **difference > 0).count() as f64 / differences.len() as f64;
        println!("{largest:>3} {:>7.3} %  {case}", 100.0 * differing);
        // A position on a pixel's border may fall to either side; values before the cut may differ in the last bit.
        match case["interpolation"].as_str() {
            Some("nearest") => assert!(differing < 0.005, "{case}: {differing}"),
            None if case["kind"] == "rand-augment" => assert!(differing < 0.005, "{case}: {differing}"),
            _ => assert!(largest <= 1, "{case}: {largest}"),
        }
    }
}

#[test]
fn strengths_agree_with_torchvision() {
    let cases = json("policy.json");
    assert!(cases.len() >= 3 * Operation::ALL.len());
    for case in &cases {
        let size = (case["width"].as_u64().unwrap() as u32, case["height"].as_u64().unwrap() as u32);
        for (magnitude, wanted) in case["amounts"].as_array().unwrap().iter().enumerate() {
            let (found, signed) = operation(case).amount(magnitude, size);
            assert_eq!(signed, case["signed"].as_bool().unwrap(), "{case}");
            // To the last bit of torchvision's floats, which decides on the whole pixel that a shift is cut to.
            assert_eq!((found as f32).to_bits(), (wanted.as_f64().unwrap() as f32).to_bits(), "{case}");
        }
    }
}

#[test]
fn draws_agree_with_torchvision() {
    const DRAWS: usize = 20_000;
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for reference in json("draws.json") {
        let rows: Vec<Vec<f64>> = (0..DRAWS)
            .map(|_| match reference["kind"].as_str().unwrap() {
                "resized-crop" => {
                    let op = ResizedCrop {
                        width: 1,
                        height: 1,
                        scale: numbers(&reference, "scale"),
                        ratio: numbers(&reference, "ratio"),
                        filter: Filter::PillowBilinear,
                    };
                    let place = op.draw(60, 48, &mut random);
                    vec![place.top.into(), place.left.into(), place.height.into(), place.width.into()]
                }
                "erasing" => {
                    let (scale, ratio) = (numbers(&reference, "scale"), numbers(&reference, "ratio"));
                    let op = Erasing { scale, ratio, ..Erasing::default() };
                    // torchvision names the whole input where no rectangle was found and leaves it alone.
                    op.draw(48, 60, &mut random).map_or(vec![0.0, 0.0, 48.0, 60.0], |place| {
                        vec![place.top.into(), place.left.into(), place.height.into(), place.width.into()]
                    })
                }
                "affine" => {
                    let op = Affine {
                        degrees: 9.0,
                        translate: [0.1, 0.05],
                        scale: [0.9, 1.2],
                        shear: [4.0, 2.0],
                        ..Affine::default()
                    };
                    let draw = op.draw(60, 48, &mut random);
                    let ([shift_x, shift_y], [shear_x, shear_y]) = (draw.translate, draw.shear);
                    vec![draw.angle, shift_x, shift_y, draw.scale, shear_x, shear_y]
                }
                other => panic!("unknown draw {other}"),
            })
            .collect();
        for (column, name) in reference["columns"].as_str().unwrap().split(' ').enumerate() {
            let mean = rows.iter().map(|row| row[column]).sum::<f64>() / DRAWS as f64;
            let deviation = (rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / DRAWS as f64).sqrt();
            let (their_mean, theirs) =
                (reference["mean"][column].as_f64().unwrap(), reference["deviation"][column].as_f64().unwrap());
            // Two means of 20,000 draws: one hundredth of a deviation apart is common, five are not.
            let kind = &reference["kind"];
            println!("{kind} {name}: {mean:.3} ± {deviation:.3}, torchvision {their_mean:.3} ± {theirs:.3}");
            assert!((mean - their_mean).abs() <= 0.05 * theirs + 1e-9, "{kind} {name}: {mean} and {their_mean}");
            assert!((deviation - theirs).abs() <= 0.05 * theirs + 1e-9, "{kind} {name}: {deviation} and {theirs}");
        }
    }
}
