//! Whole pictures brought to the size of the input, against torchvision. Fixtures: `tools/reference/fit.py`.

use emoxide::image::{Limits, RgbImage, decode, window};
use emoxide::preprocess::{Preprocess, Resize};
use emoxide_testing::fixture_path;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    /// Width and height of the part of the source.
    part: (u32, u32),
    resize: Resize,
    width: u32,
    height: u32,
    expected: String,
}

fn read(path: &str) -> RgbImage {
    decode(&fs_err::read(fixture_path(path)).unwrap(), &Limits::default()).unwrap()
}

fn input(width: u32, height: u32, resize: Option<Resize>) -> Preprocess {
    Preprocess { width, height, resize, ..Preprocess::imagenet(1) }
}

#[test]
fn whole_pictures_are_resized_and_cut_as_torchvision_does() {
    let source = read("image/source.png");
    let cases: Vec<Case> =
        serde_json::from_slice(&fs_err::read(fixture_path("preprocess/cases.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 8);
    for Case { part: (columns, rows), resize, width, height, expected } in cases {
        let preprocess = input(width, height, Some(resize));
        assert_eq!(preprocess.validate(), Ok(()));
        let part = window(&source, 0, 0, columns, rows, [0; 3]);
        let (found, wanted) = (preprocess.fit(&part), read(&format!("preprocess/{expected}")));
        assert_eq!(found.dimensions(), wanted.dimensions(), "{expected}");
        let largest = found.iter().zip(wanted.iter()).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
        println!("{columns}x{rows} by {resize} to {width}x{height}: largest difference {largest}");
        assert!(largest <= 1, "{expected} differs by {largest}");
    }
}

#[test]
fn what_was_cut_out_already_is_taken_as_it_is() {
    let source = read("image/source.png");
    let whole = window(&source, 0, 0, 56, 56, [0; 3]);
    let (plain, resizing) = (input(56, 56, None), input(56, 56, Some(Resize::Shorter(64))));
    assert_eq!(*plain.fit(&whole), whole);
    assert_ne!(*resizing.fit(&whole), whole, "a whole picture of the input's size loses its border");
    assert_eq!(resizing.values(&whole), plain.values(&whole));
    // Any other size is a whole picture.
    assert_eq!(resizing.values(&source), plain.values(&resizing.fit(&source)));
}

#[test]
fn settings_without_the_key_read_as_before() {
    let old = r#"{"width":8,"height":8,"channels":"grey","filter":"pillow-bilinear","mean":[0.5],"std":[0.5]}"#;
    let preprocess: Preprocess = serde_json::from_str(old).unwrap();
    assert_eq!(preprocess.resize, None);
    assert_eq!(serde_json::to_string(&preprocess).unwrap(), old, "and are written as before");
}
