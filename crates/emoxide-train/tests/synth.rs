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
            let each = if *split == Split::Train { 4 } else { 1 };
            let counts = data.class_counts();
            assert_eq!(counts[..7], [each; 7], "{layout} {split}");
            assert!(counts[7..].iter().all(|count| *count == 0), "{layout} {split}");
            let side = if layout == Layout::RafDb { 100 } else { 48 };
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
    assert!(data.samples.iter().any(|sample| sample.label.distribution(8).iter().filter(|share| **share > 0.0).count() > 1));
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

#[test]
fn expressions_can_be_learnt_but_not_trivially() {
    let faces = |seeds: std::ops::Range<u64>, expression: Expression| -> Vec<Vec<f32>> {
        seeds.map(|seed| features(&draw(expression, 48, seed))).collect()
    };
    let means: Vec<Vec<f32>> = Classes::seven()
        .iter()
        .map(|expression| {
            let faces = faces(0..60, expression);
            (0..faces[0].len()).map(|at| faces.iter().map(|face| face[at]).sum::<f32>() / faces.len() as f32).collect()
        })
        .collect();
    let mut right = 0;
    for (class, expression) in Classes::seven().iter().enumerate() {
        for face in faces(1000..1030, expression) {
            let distance = |mean: &Vec<f32>| mean.iter().zip(&face).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            let nearest = (0..7).min_by(|a, b| distance(&means[*a]).total_cmp(&distance(&means[*b]))).unwrap();
            right += usize::from(nearest == class);
        }
    }
    let accuracy = right as f64 / 210.0;
    println!("nearest mean: {accuracy:.3}");
    // Chance is 0.143. The nearest mean face is about the weakest classifier there is.
    assert!((0.25..0.85).contains(&accuracy), "{accuracy}");
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
