//! Bad inputs are named and skipped; the good ones beside them are answered.

use std::path::Path;

use crate::{err, out, photo, run};

/// Writes twenty files that are not what they should be; name, and a word of what has to be said of it.
fn bad_files(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let portrait = fs_err::read(photo("astronaut.jpg")).unwrap();
    let mut png = Vec::new();
    let grey = image::DynamicImage::new_luma8(64, 64);
    grey.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let mut huge = Vec::new();
    grey.to_rgb8().write_to(&mut std::io::Cursor::new(&mut huge), image::ImageFormat::Bmp).unwrap();
    huge[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    huge[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    let mut flipped = png.clone();
    let middle = flipped.len() / 2;
    flipped[middle..].iter_mut().for_each(|byte| *byte ^= 0xa5);
    let files: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty.jpg", Vec::new(), "empty"),
        ("truncated.jpg", portrait[..portrait.len() / 3].to_vec(), "truncated"),
        ("header-only.jpg", portrait[..4].to_vec(), "truncated"),
        ("text.jpg", b"this is no picture".to_vec(), "not an image"),
        ("zeros.png", vec![0; 4096], "not an image"),
        ("truncated.png", png[..png.len() / 2].to_vec(), "truncated"),
        ("huge.bmp", huge, "60000x60000 pixels"),
        ("flipped.png", flipped, "damaged"),
        ("signature.png", png[..8].to_vec(), "truncated"),
        ("signature.gif", b"GIF89a".to_vec(), "truncated"),
        ("short.bmp", b"BM\x00\x00".to_vec(), "truncated"),
        ("short.webp", b"RIFF\x10\x00\x00\x00WEBPVP8 ".to_vec(), "truncated"),
        ("short.tiff", b"II*\x00\x08\x00\x00\x00".to_vec(), "truncated"),
        ("pixel.png", one_pixel(), "no face"),
        ("plain.png", png, "no face"),
        ("archive.jpg", b"PK\x03\x04rest of an archive".to_vec(), "not an image"),
        ("page.jpg", b"<!doctype html><html></html>".to_vec(), "not an image"),
        ("clip.mp4", b"\x00\x00\x00\x18ftypmp42".to_vec(), "video"),
    ];
    for (name, bytes, _) in &files {
        fs_err::write(folder.join(name), bytes).unwrap();
    }
    fs_err::create_dir(folder.join("empty-folder")).unwrap();
    let mut named: Vec<_> = files.iter().map(|(name, _, word)| (*name, *word)).collect();
    named.extend([("missing.jpg", "No such file"), ("empty-folder", "no pictures")]);
    named
}

fn one_pixel() -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixel = image::DynamicImage::new_rgb8(1, 1);
    pixel.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

#[test]
fn twenty_bad_inputs_are_named_and_the_good_one_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let bad = bad_files(folder.path());
    assert_eq!(bad.len(), 20);
    let mut arguments = vec!["predict".to_owned(), photo("astronaut.jpg")];
    arguments.extend(bad.iter().map(|(name, _)| folder.path().join(name).display().to_string()));
    arguments.extend(["--format".to_owned(), "ndjson".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&arguments);
    let said = err(&output);
    println!("{}", said.replace(&folder.path().display().to_string(), ""));
    assert_eq!(output.status.code(), Some(3), "{said}");
    for (name, word) in &bad {
        let line =
            said.lines().find(|line| line.contains(&format!("/{name}:"))).unwrap_or_else(|| panic!("{name}: {said}"));
        assert!(line.starts_with("skipped ") && line.contains(word), "{line}");
    }
    assert!(said.contains("20 of 21 inputs skipped"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let answers = out(&output);
    let face = answers.lines().find(|line| line.contains("astronaut.jpg")).unwrap();
    assert!(face.contains("\"face_id\":0"), "{face}");
}

#[test]
fn one_bad_file_among_a_hundred_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let face = image::RgbImage::from_fn(48, 48, |x, y| image::Rgb([(x * 5) as u8, (y * 5) as u8, 90]));
    for index in 0..99 {
        face.save(folder.path().join(format!("{index:02}.png"))).unwrap();
    }
    fs_err::write(folder.path().join("broken.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let output = run(&["predict", &folder.path().display().to_string(), "--detector", "none", "--format", "ndjson"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(out(&output).lines().count(), 99);
    assert!(err(&output).contains("broken.png"), "{}", err(&output));
}
