//! Drawn data sets: every layout is read back, the same seed draws the same files, and the expressions can be learnt.

use std::collections::BTreeMap;
use std::path::Path;

use emoxide::labels::{Classes, Expression};
use emoxide_train::data::synth::{SynthConfig, contact_sheet, draw};
use emoxide_train::data::{DataError, DataOptions, LabelRule, Layout, Split};
use image::RgbImage;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn config(layout: Layout, out: &Path, seed: u64) -> SynthConfig {
    SynthConfig { layout, out: out.join(layout.name()), per_class: 4, seed }
}

/// Hash of every file below a folder.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, hash)| (format!("{name}/{below}"), hash)));
        } else {
            found.insert(name, Sha256::digest(fs_err::read(&path).unwrap()).to_vec());
        }
    }
    found
}

#[test]
fn every_layout_is_read_back() {
    let root = TempDir::new().unwrap();
    for layout in Layout::ALL {
        let spec = config(layout, root.path(), 1).write().unwrap();
        for split in layout.splits() {
            let data = spec.open(*split, &DataOptions::default()).unwrap();
            let each = match (layout, *split) {
                (Layout::ExpW, _) => 2, // a third of all
                (_, Split::Train) => 4,
                _ => 1,
            };
            for (class, count) in data.classes.iter().zip(data.class_counts()) {
                let expected = if class == Expression::Contempt { 0 } else { each };
                assert_eq!(count, expected, "{layout} {split} {class}");
            }
            let side = match layout {
                Layout::RafDb => 100,
                Layout::RafDbOriginal => 100 + 2 * 10,
                Layout::Jaffe => 256,
                Layout::ExpW | Layout::Afed => 48 + 2 * 4, // the box and a tenth of it on each side
                _ => 48,
            };
            for index in 0..data.len() {
                assert_eq!(data.load_image(index).unwrap().dimensions(), (side, side), "{layout}");
            }
        }
        let report = spec.check(&DataOptions::default(), true).unwrap();
        assert!(report.splits.iter().all(|split| split.missing + split.unreadable == 0));
    }
    // The votes are votes: not all ten for one class.
    let spec = config(Layout::FerPlus, &root.path().join("again"), 1).write().unwrap();
    let options = DataOptions { label_rule: LabelRule::Soft, ..DataOptions::default() };
    let data = spec.open(Split::Train, &options).unwrap();
    assert_eq!((data.len(), data.classes.clone()), (28, Classes::eight()));
    assert!(
        data.samples.iter().any(|sample| sample.label.distribution(8).iter().filter(|share| **share > 0.0).count() > 1)
    );
}

#[test]
fn the_seed_decides_every_file() {
    let root = TempDir::new().unwrap();
    let written = |name: &str, seed| {
        let config = config(Layout::RafDb, &root.path().join(name), seed);
        config.write().unwrap();
        files(&config.out)
    };
    let first = written("a", 7);
    assert_eq!(first.len(), 7 * 5 + 1);
    assert_eq!(written("b", 7), first);
    let other = written("c", 8);
    assert!(first.keys().eq(other.keys()) && first.iter().filter(|(name, hash)| other[*name] == **hash).count() <= 1);
    let distinct: std::collections::BTreeSet<_> = first.values().collect();
    assert_eq!(distinct.len(), first.len(), "no two pictures are alike");
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let root = TempDir::new().unwrap();
    fs_err::write(root.path().join("thesis.txt"), "mine").unwrap();
    let config = SynthConfig { layout: Layout::Folder, out: root.path().into(), per_class: 1, seed: 0 };
    let error = config.write().unwrap_err();
    assert!(matches!(error, DataError::NotEmpty(_)) && error.to_string().contains("is not empty"), "{error}");
    assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1);
}

/// Grey values less their mean, divided by their deviation.
fn features(image: &RgbImage) -> Vec<f32> {
    let small = image::imageops::resize(image, 24, 24, image::imageops::FilterType::Triangle);
    let grey: Vec<f32> = small.pixels().map(|pixel| pixel.0.iter().map(|part| f32::from(*part)).sum()).collect();
    let mean = grey.iter().sum::<f32>() / grey.len() as f32;
    let deviation = (grey.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / grey.len() as f32).sqrt();
    grey.into_iter().map(|value| (value - mean) / deviation).collect()
}

/// Multinomial logistic regression by plain gradient steps, one face at a time: about the weakest thing one would train.
fn accuracy_of_a_linear_model(train: &[(Vec<f32>, usize)], test: &[(Vec<f32>, usize)]) -> f64 {
    let mut weights = vec![vec![0.0_f32; train[0].0.len()]; 7];
    let scores = |weights: &[Vec<f32>], face: &[f32]| -> [f32; 7] {
        std::array::from_fn(|class| weights[class].iter().zip(face).map(|(weight, value)| weight * value).sum())
    };
    for epoch in 0..40 {
        let rate = 2e-3 / (1.0 + epoch as f32 / 5.0);
        for (face, class) in train {
            let scores = scores(&weights, face);
            let largest = scores.iter().copied().fold(f32::MIN, f32::max);
            let shares = scores.map(|score| (score - largest).exp());
            let total: f32 = shares.iter().sum();
            for (index, weights) in weights.iter_mut().enumerate() {
                let step = rate * (f32::from(u8::from(index == *class)) - shares[index] / total);
                weights.iter_mut().zip(face).for_each(|(weight, value)| *weight += step * value);
            }
        }
    }
    let right = test.iter().filter(|(face, class)| {
        let scores = scores(&weights, face);
        (0..7).all(|other| other == *class || scores[other] < scores[*class])
    });
    right.count() as f64 / test.len() as f64
}

#[test]
fn expressions_can_be_learnt_but_not_trivially() {
    let faces = |seeds: std::ops::Range<u64>| -> Vec<(Vec<f32>, usize)> {
        let drawn = seeds.flat_map(|seed| {
            Classes::seven()
                .iter()
                .enumerate()
                .map(|(class, name)| (features(&draw(name, 48, seed)), class))
                .collect::<Vec<_>>()
        });
        drawn.collect()
    };
    let accuracy = accuracy_of_a_linear_model(&faces(0..80), &faces(1000..1030));
    println!("linear model: {accuracy:.3}");
    // Chance is 0.143.
    assert!((0.3..0.9).contains(&accuracy), "{accuracy}");
}

#[test]
fn a_contact_sheet_has_a_row_for_every_expression() {
    let sheet = contact_sheet(5, 48, 2, 3);
    assert_eq!(sheet.dimensions(), (5 * 98, 7 * 98));
    // To look at the faces: EMOXIDE_SHEET=sheet.png cargo test -p emoxide-train --test synth
    if let Some(path) = std::env::var_os("EMOXIDE_SHEET") {
        contact_sheet(12, 48, 2, 0).save(path).unwrap();
    }
}
