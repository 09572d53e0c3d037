//! Independence from everything but the sample's key, probabilities, and what recipes may say.

use emoxide_train::augment::erase::{EraseFill, Erasing, RatioDraw};
use emoxide_train::augment::warp::{Interpolation, reflected};
use emoxide_train::augment::{AugmentConfig, SampleKey};
use image::{Rgb, RgbImage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::KEY;

/// Every operation once.
const EVERYTHING: &str = "
    image = [
        { kind = 'random-crop', width = 48, height = 48, padding = 4 },
        { kind = 'resized-crop', width = 48, height = 48, scale = [0.8, 1.0] },
        { kind = 'rotation', degrees = 6 },
        { kind = 'affine', degrees = 10, translate = [0.1, 0.1], scale = [0.9, 1.1], interpolation = 'bilinear' },
        { kind = 'horizontal-flip' },
        { kind = 'random-apply', probability = 0.8, ops = [
            { kind = 'colour-jitter', brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1 },
            { kind = 'rgb-shift' },
        ] },
        { kind = 'brightness-contrast' },
        { kind = 'greyscale', probability = 0.2 },
        { kind = 'gaussian-noise', deviation = 5.4772 },
        { kind = 'center-crop', width = 44, height = 44 },
        { kind = 'resize', width = 48, height = 48 },
    ]
    tensor = [{ kind = 'erasing', fill = 'normal' }]
";

fn config(text: &str) -> AugmentConfig {
    let config: AugmentConfig = toml::from_str(text).unwrap();
    config.check().unwrap();
    config
}

fn face(index: u64) -> RgbImage {
    RgbImage::from_fn(48, 48, |col, row| {
        let value = (u64::from(col * 5 + row * 3) + 7 * index) % 256;
        Rgb([value as u8, (value / 2) as u8, 255 - value as u8])
    })
}

#[test]
fn what_lies_outside_is_the_picture_in_a_mirror() {
    let image = RgbImage::from_fn(4, 3, |col, row| Rgb([(10 * col + 50 * row) as u8; 3]));
    let reds = |shift: f64| -> Vec<u8> {
        let matrix = [1.0, 0.0, shift, 0.0, 1.0, 0.0];
        reflected(&image, &matrix, Interpolation::Bilinear).rows().next().unwrap().map(|pixel| pixel[0]).collect()
    };
    assert_eq!(reds(0.0), [0, 10, 20, 30]);
    // The outer pixel is not repeated.
    assert_eq!(reds(2.0), [20, 30, 20, 10]);
    assert_eq!(reds(-3.0), [30, 20, 10, 0]);
    assert_eq!(reds(-0.5), [5, 5, 15, 25]);
    // A picture of one pixel is its own mirror image.
    let dot = RgbImage::from_pixel(1, 1, Rgb([7; 3]));
    assert_eq!(reflected(&dot, &[1.0, 0.0, 9.5, 0.0, 1.0, -4.0], Interpolation::Bilinear), dot);

    let text = "image = [{ kind = 'affine', degrees = 45, interpolation = 'bilinear', border = 'reflect' }]";
    let white = RgbImage::from_pixel(9, 7, Rgb([255; 3]));
    assert_eq!(config(text).apply(white.clone(), KEY).unwrap(), white, "no fill colour comes in");
}

#[test]
fn results_depend_on_the_key_alone() {
    let config = config(EVERYTHING);
    let key = |seed, epoch, index| SampleKey { seed, epoch, index };
    let result = |key| {
        let image = config.apply(face(0), key).unwrap();
        let mut values: Vec<f32> = image.iter().map(|value| f32::from(*value) / 255.0).collect();
        config.apply_to_tensor(&mut values, [3, 48, 48], key);
        (image, values)
    };
    let forwards: Vec<_> = (0..20).map(|index| result(key(1, 1, index))).collect();
    let backwards: Vec<_> = (0..20).rev().map(|index| result(key(1, 1, index))).collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
    for other in [key(2, 1, 0), key(1, 2, 0), key(1, 1, 1)] {
        assert_ne!(result(other).0, forwards[0].0, "{other:?}");
    }
}

#[test]
fn probabilities_are_kept() {
    let share = |text: &str| {
        let config = config(text);
        let changed = (0..4000).filter(|index| {
            let key = SampleKey { seed: 5, epoch: 0, index: *index };
            config.apply(face(0), key).unwrap() != face(0)
        });
        changed.count() as f64 / 4000.0
    };
    for (text, expected) in [
        ("image = [{ kind = 'horizontal-flip', probability = 0.3 }]", 0.3),
        ("image = [{ kind = 'greyscale', probability = 0.2 }]", 0.2),
        (
            "image = [{ kind = 'random-apply', probability = 0.7, ops = [{ kind = 'horizontal-flip', probability = 1 }] }]",
            0.7,
        ),
    ] {
        // Standard deviation below 0.008.
        let found = share(text);
        assert!((found - expected).abs() < 0.03, "{text}: {found}");
    }
    let config = config("tensor = [{ kind = 'erasing', probability = 0.4, fill = { constant = 9 } }]");
    let erased = (0..4000).filter(|index| {
        let mut values = vec![0.0; 3 * 20 * 30];
        config.apply_to_tensor(&mut values, [3, 20, 30], SampleKey { seed: 5, epoch: 0, index: *index });
        values.contains(&9.0)
    });
    assert!((erased.count() as f64 / 4000.0 - 0.4).abs() < 0.03);
}

#[test]
fn erasing_writes_one_rectangle_in_all_channels() {
    let (rows, cols) = (20, 30);
    for fill in [EraseFill::Constant(9.0), EraseFill::Normal] {
        let op = Erasing { probability: 1.0, fill, ..Erasing::default() };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut written = Vec::new();
        for _ in 0..200 {
            let mut values = vec![100.0_f32; 3 * rows * cols];
            op.apply(&mut values, [3, rows, cols], &mut random);
            let erased: Vec<bool> = values.iter().map(|value| *value < 50.0).collect();
            let channel = &erased[..rows * cols];
            assert!(erased.chunks(rows * cols).all(|other| other == channel));
            let at: Vec<_> = (0..rows * cols).filter(|at| channel[*at]).map(|at| (at / cols, at % cols)).collect();
            let span = |values: Vec<usize>| values.iter().max().unwrap() - values.iter().min().unwrap() + 1;
            let height = span(at.iter().map(|at| at.0).collect());
            let width = span(at.iter().map(|at| at.1).collect());
            assert_eq!(at.len(), height * width, "a full rectangle");
            written.extend(values.into_iter().filter(|value| *value < 50.0).map(f64::from));
        }
        let mean = written.iter().sum::<f64>() / written.len() as f64;
        let variance = written.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / written.len() as f64;
        match fill {
            EraseFill::Constant(value) => assert!((mean - f64::from(value)).abs() < 1e-9 && variance < 1e-9),
            EraseFill::Normal => assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}"),
        }
    }
}

#[test]
fn shapes_of_erased_rectangles_are_drawn_as_asked() {
    // Means of height over width from 0.3 to 3.3: the middle, and the integral of the exponential over the logarithms.
    for (ratio_draw, expected) in [(RatioDraw::Uniform, 1.8), (RatioDraw::LogUniform, 3.0 / 11.0_f64.ln())] {
        let op = Erasing { scale: [0.02, 0.06], ratio_draw, ..Erasing::default() };
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let shapes = (0..4000).map(|_| op.draw(600, 600, &mut random).unwrap());
        let mean = shapes.map(|place| f64::from(place.height) / f64::from(place.width)).sum::<f64>() / 4000.0;
        assert!((mean - expected).abs() < 0.05, "{ratio_draw:?}: {mean}, {expected} expected");
    }
}

#[test]
fn noise_has_the_stated_deviation() {
    let noisy = |text: &str| {
        let image = RgbImage::from_pixel(100, 100, Rgb([128; 3]));
        config(text).apply(image, KEY).unwrap()
    };
    let image = noisy("image = [{ kind = 'gaussian-noise', deviation = 10 }]");
    let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / 30_000.0;
    let variance = image.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / 30_000.0;
    // The cut fraction takes half a level off on average.
    assert!((mean - 127.5).abs() < 0.3 && (variance.sqrt() - 10.0).abs() < 0.2, "{mean} {variance}");
    assert!(image.pixels().any(|pixel| pixel.0[0] != pixel.0[1]));
    let image = noisy("image = [{ kind = 'gaussian-noise', deviation = 10, grey = true }]");
    assert!(image.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]));

    let image = noisy("image = [{ kind = 'rgb-shift', limits = [20, 0, 20] }]");
    let first = *image.get_pixel(0, 0);
    assert!(image.pixels().all(|pixel| *pixel == first) && first.0[1] == 128 && first.0[0].abs_diff(128) <= 20);
}

#[test]
fn mistakes_in_recipes_are_named() {
    let message = |text: &str| match toml::from_str::<AugmentConfig>(text) {
        Ok(config) => config.check().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    for (text, part) in [
        ("image = [{ kind = 'affine', degree = 3 }]", "unknown field `degree`"),
        ("image = [{ kind = 'horizontal-flip', probabilty = 0.1 }]", "unknown field `probabilty`"),
        ("image = [{ kind = 'flip' }]", "unknown variant `flip`"),
        ("images = []", "unknown field `images`"),
        (
            "image = [{ kind = 'horizontal-flip', probability = 1.5 }]",
            "`probability = 1.5` is not a number from 0 to 1",
        ),
        ("image = [{ kind = 'colour-jitter', hue = 0.6 }]", "`hue = [0.0, 0.6]` is not a number from 0 to 0.5"),
        ("image = [{ kind = 'affine', scale = [1.1, 0.9] }]", "augmentation `affine`: `scale = [1.1, 0.9]`"),
        (
            "image = [{ kind = 'random-apply', probability = 1, ops = [{ kind = 'rotation', degrees = -1 }] }]",
            "`rotation`",
        ),
        ("image = [{ kind = 'resize', width = 0, height = 3 }]", "`width, height = [0, 3]`"),
        ("tensor = [{ kind = 'erasing', scale = [0.1, 2] }]", "`scale = [0.1, 2.0]`"),
    ] {
        assert!(message(text).contains(part), "{text}: {}", message(text));
    }
    let error = config("image = [{ kind = 'random-crop', width = 60, height = 48, padding = 4 }]").apply(face(0), KEY);
    assert_eq!(
        error.unwrap_err().to_string(),
        "augmentation `random-crop` wants 60 by 48 pixels of a picture with 56 by 56: resize first, or pad"
    );
}

#[test]
fn recipes_survive_a_round_trip() {
    let config = config(EVERYTHING);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<AugmentConfig>(&text).unwrap(), config);
    assert!(AugmentConfig::default().is_empty() && !config.is_empty());
}
