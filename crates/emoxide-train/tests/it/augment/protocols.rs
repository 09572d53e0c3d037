//! The transforms of the papers whose figures are repeated here.

use std::path::Path;

use emoxide::image::{Filter, RgbImage};
use emoxide::preprocess::Preprocess;
use emoxide_train::augment::crop::FiveCrop;
use emoxide_train::augment::erase::{Erasing, RatioDraw};
use emoxide_train::augment::policy::RandAugment;
use emoxide_train::augment::{AugmentConfig, AugmentError, ImageAugment, SampleKey, TensorAugment};
use emoxide_train::recipe::Recipe;
use image::Rgb;

use super::KEY;

fn config(text: &str) -> AugmentConfig {
    let config: AugmentConfig = toml::from_str(text).unwrap();
    config.check().unwrap();
    config
}

fn keys(count: u64) -> impl Iterator<Item = SampleKey> {
    (0..count).map(|index| SampleKey { seed: 0, epoch: 0, index })
}

fn recipe(path: &str) -> Recipe {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(path);
    Recipe::load(&path, &[]).unwrap()
}

/// The comparison of six networks on FER2013, for training and test alike.
fn comparison() -> (AugmentConfig, Preprocess) {
    let Recipe { data, augment, .. } = recipe("comparison/01-dacl-resnet18-adam.toml");
    assert_eq!(data.preprocess, Preprocess::comparison(), "recipes and imported weights see the same");
    (augment, data.preprocess)
}

#[test]
fn the_comparison_s_pictures_are_grey_and_of_the_right_size_and_range() {
    let (augment, preprocess) = comparison();
    assert!(augment.test && augment.sets_size());
    let face = RgbImage::from_fn(48, 48, |x, y| Rgb([(x * 3 + y * 2) as u8; 3]));
    for key in keys(8) {
        let changed = augment.apply(face.clone(), key).unwrap();
        assert_eq!(changed.dimensions(), (224, 224));
        assert!(changed.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]));
        assert_eq!(augment.apply(face.clone(), key).unwrap(), changed, "the same key, the same picture");
        let values = preprocess.values(&changed);
        assert!(values.len() == 224 * 224 && values.iter().all(|value| (0.0..=1.0).contains(value)));
    }
    let pictures: Vec<_> = keys(2).map(|key| augment.apply(face.clone(), key).unwrap()).collect();
    assert_ne!(pictures[0], pictures[1]);
}

#[test]
fn the_comparison_s_black_is_at_the_borders() {
    let (augment, _) = comparison();
    let white = RgbImage::from_pixel(48, 48, Rgb([255; 3]));
    let mut black = 0;
    for key in keys(16) {
        let changed = augment.apply(white.clone(), key).unwrap();
        let lit = |x: u32, y: u32| {
            let value = changed.get_pixel(x, y).0[0];
            assert!(value == 0 || value == 255, "{value}");
            value == 255
        };
        black += changed.pixels().filter(|pixel| pixel.0 == [0; 3]).count();
        // A turned square cut by another: what is lit lies together in every row and every column.
        let together = |line: Vec<bool>| line.chunk_by(|one, other| one == other).filter(|part| part[0]).count() <= 1;
        for at in 0..224 {
            assert!(
                together((0..224).map(|x| lit(x, at)).collect()) && together((0..224).map(|y| lit(at, y)).collect())
            );
        }
        assert!((60..164).all(|at| lit(at, at) && lit(at, 223 - at)));
    }
    assert!(black > 0);
}

#[test]
fn the_sets_of_transfer_give_its_size() {
    let face = RgbImage::from_fn(100, 100, |x, y| Rgb([(x * 2) as u8, (y * 2) as u8, 90]));
    for set in ["rafdb", "rafdb-augment-paper", "rafdb-augment-paddle"] {
        let augment = recipe(&format!("transfer/{set}.toml")).augment;
        assert!(augment.sets_size() && !augment.test);
        let tensor: Vec<&Erasing> = augment.tensor.iter().map(|TensorAugment::Erasing(erasing)| erasing).collect();
        let [erasing] = tensor.as_slice() else { panic!("{set}: {tensor:?}") };
        assert_eq!((erasing.probability, erasing.ratio_draw), (0.5, RatioDraw::Uniform), "{set}");
        let mut pictures = Vec::new();
        for key in keys(40) {
            let changed = augment.apply(face.clone(), key).unwrap();
            assert_eq!(changed.dimensions(), (112, 112), "{set}");
            pictures.push(changed);
        }
        let grey = |picture: &RgbImage| picture.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]);
        let greys = pictures.iter().filter(|picture| grey(picture)).count();
        // A fifth of 40 is expected of APViT's set, and none of the others.
        assert_eq!(greys > 0, set == "rafdb", "{set}: {greys}");
    }
}

#[test]
fn five_crops_are_the_corners_and_the_middle() {
    let image = RgbImage::from_fn(9, 7, |x, y| Rgb([x as u8, y as u8, 0]));
    let corner = |which| FiveCrop { size: 4 }.crop(&image, which).get_pixel(0, 0).0;
    // Half a pixel of the middle goes to the even side.
    assert_eq!([0, 1, 2, 3, 4].map(corner), [[0, 0, 0], [5, 0, 0], [0, 3, 0], [5, 3, 0], [2, 2, 0]]);
    let augment = config("image = [{ kind = 'five-crop', size = 4 }]");
    let mut found = [0; 5];
    for key in keys(1000) {
        let at = augment.apply(image.clone(), key).unwrap().get_pixel(0, 0).0;
        found[(0..5).find(|which| corner(*which) == at).unwrap()] += 1;
    }
    // 200 expected of each, standard deviation 13.
    assert!(found.iter().all(|count| (140..260).contains(count)), "{found:?}");
    let error = config("image = [{ kind = 'five-crop', size = 8 }]").apply(image, KEY).unwrap_err();
    assert!(matches!(error, AugmentError::TooSmall { kind: "five-crop", wanted: (8, 8), found: (9, 7) }), "{error}");
}

#[test]
fn rand_augment_keeps_the_size_and_takes_a_strength_up_to_30() {
    let face = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x + y) as u8]));
    let augment = config("image = [{ kind = 'rand-augment', ops = 3, magnitude = 30 }]");
    assert!(!augment.sets_size());
    let changed = keys(300).filter(|key| {
        let image = augment.apply(face.clone(), *key).unwrap();
        assert_eq!(image.dimensions(), face.dimensions());
        image != face
    });
    assert!(changed.count() > 250);
    let expected = ImageAugment::RandAugment(RandAugment { ops: 2, magnitude: 9 });
    assert_eq!(config("image = [{ kind = 'rand-augment' }]").image, [expected]);
    let strong: AugmentConfig = toml::from_str("image = [{ kind = 'rand-augment', magnitude = 31 }]").unwrap();
    assert!(strong.check().unwrap_err().to_string().contains("`magnitude = 31` is not a whole number from 0 to 30"));
    let nothing: AugmentConfig = toml::from_str("test = true").unwrap();
    assert_eq!(nothing.check(), Err(AugmentError::NothingToTest));
}

#[test]
fn whole_pictures_are_known_by_their_operations() {
    let whole = |text: &str| !config(text).sets_size();
    assert!(whole("image = [{ kind = 'horizontal-flip' }, { kind = 'rotation', degrees = 3 }]"));
    assert!(!whole(
        "image = [{ kind = 'random-apply', probability = 0.5, ops = [{ kind = 'center-crop', width = 3, height = 3 }] }]"
    ));
    assert_eq!(Preprocess::imagenet(8).filter, Filter::PillowBilinear, "as `resize` here");
}
