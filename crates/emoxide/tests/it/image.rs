//! Decoding, resizing and warping against Pillow, OpenCV and PyTorch, and what bad files get.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use emoxide::geometry::Similarity;
use emoxide::image::{Filter, ImageError, Limits, RgbImage, decode, resize, warp, warp_antialiased};
use image::{ImageFormat, Rgb};
use serde::Deserialize;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image")
}

fn read(path: impl AsRef<Path>) -> RgbImage {
    let bytes = fs_err::read(fixtures().join(path)).unwrap();
    decode(&bytes, &Limits::default()).unwrap()
}

/// Largest and mean absolute difference in grey levels.
fn differences(one: &RgbImage, other: &RgbImage) -> (u8, f64) {
    assert_eq!(one.dimensions(), other.dimensions());
    let differences: Vec<u8> = one.as_raw().iter().zip(other.as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: f64 = differences.iter().map(|&difference| f64::from(difference)).sum();
    (differences.iter().copied().max().unwrap(), sum / differences.len() as f64)
}

#[test]
fn resizing_agrees_with_pillow_opencv_and_pytorch() {
    let source = read("source.png");
    for (filter, name) in [
        (Filter::PillowBilinear, "pillow-bilinear"),
        (Filter::PillowBicubic, "pillow-bicubic"),
        (Filter::OpencvBilinear, "opencv-bilinear"),
        (Filter::Area, "area"),
    ] {
        for (width, height) in [(48, 48), (31, 17), (170, 140)] {
            let expected = read(format!("{name}-{width}x{height}.png"));
            let (largest, mean) = differences(&resize(&source, width, height, filter), &expected);
            println!("{name} {width}x{height}: largest {largest}, mean {mean:.4}");
            assert!(largest <= 1, "{name} {width}x{height} differs by {largest}");
        }
    }
}

#[test]
fn resizing_to_or_from_nothing_does_not_panic() {
    let some = RgbImage::from_pixel(3, 2, Rgb([9, 9, 9]));
    for filter in [Filter::PillowBilinear, Filter::PillowBicubic, Filter::OpencvBilinear, Filter::Area] {
        assert_eq!(resize(&some, 0, 5, filter).dimensions(), (0, 5));
        assert_eq!(resize(&RgbImage::new(0, 4), 2, 2, filter), RgbImage::new(2, 2));
        assert_eq!(resize(&some, 7, 1, filter), RgbImage::from_pixel(7, 1, Rgb([9, 9, 9])));
    }
}

#[test]
fn filter_names_are_kebab_case() {
    assert_eq!(serde_json::to_string(&Filter::PillowBilinear).unwrap(), "\"pillow-bilinear\"");
    assert_eq!(serde_json::from_str::<Filter>("\"opencv-bilinear\"").unwrap(), Filter::OpencvBilinear);
}

#[derive(Deserialize)]
struct Warp {
    name: String,
    size: (u32, u32),
    #[serde(flatten)]
    transform: Similarity,
}

#[test]
fn warping_agrees_with_opencv() {
    let source = read("source.png");
    let cases: Vec<Warp> = serde_json::from_slice(&fs_err::read(fixtures().join("warp.json")).unwrap()).unwrap();
    for Warp { name, size: (width, height), transform } in cases {
        let expected = read(format!("warp-{name}.png"));
        let (largest, mean) = differences(&warp(&source, &transform, width, height), &expected);
        println!("warp {name}: largest {largest}, mean {mean:.4}");
        // OpenCV rounds positions to 1/32 pixel, which shows on hard edges.
        assert!(largest <= 8 && mean <= 0.5, "warp {name} differs by {largest}, mean {mean}");
    }
}

#[test]
fn antialiased_warping_averages_and_keeps_centres() {
    // Stripes one pixel wide must become their mean, not one of the two colours.
    let stripes = RgbImage::from_fn(240, 240, |x, _| if x % 2 == 0 { Rgb([0; 3]) } else { Rgb([200; 3]) });
    // Scale about pixel edges, so that pixel centres go where area reduction puts them.
    let shrink = Similarity { a: 0.125, b: 0.0, tx: 0.125 / 2.0 - 0.5, ty: 0.125 / 2.0 - 0.5 };
    let small = warp_antialiased(&stripes, &shrink, 30, 30);
    assert!(small.pixels().all(|pixel| pixel.0 == [100; 3]));
    // Whole-numbered shrinking is area averaging.
    let source = read("source.png");
    let shrink = Similarity { a: 0.25, b: 0.0, tx: 0.125 - 0.5, ty: 0.125 - 0.5 };
    let even = image::imageops::crop_imm(&source, 0, 0, 128, 112).to_image();
    let (largest, _) = differences(&warp_antialiased(&even, &shrink, 32, 28), &resize(&even, 32, 28, Filter::Area));
    assert!(largest <= 1, "differs by {largest}");
    // Shrinking less than twice is the plain warp.
    let turned = Similarity::new(0.6, 10.0, [4.0, 1.0]);
    assert_eq!(warp_antialiased(&source, &turned, 50, 50), warp(&source, &turned, 50, 50));
}

#[test]
fn warping_without_inverse_is_black() {
    let source = RgbImage::from_pixel(4, 4, Rgb([50; 3]));
    let nowhere = Similarity { a: 0.0, b: 0.0, tx: 1.0, ty: 1.0 };
    let identity = Similarity::new(1.0, 0.0, [0.0; 2]);
    let nan = Similarity { a: f64::NAN, ..identity };
    for transform in [nowhere, nan] {
        assert_eq!(warp(&source, &transform, 3, 3), RgbImage::new(3, 3));
        assert_eq!(warp_antialiased(&source, &transform, 3, 3), RgbImage::new(3, 3));
    }
    assert_eq!(warp(&source, &identity, 4, 4), source);
}

#[test]
fn every_kind_of_file_is_read_as_pillow_reads_it() {
    let mut files = 0;
    for entry in fs_err::read_dir(fixtures().join("decode")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (largest, mean) = differences(&read(format!("decode/{name}")), &read(format!("decoded/{name}.png")));
        // Lossy decoders may differ in how they transform and how they enlarge the halved colour planes.
        let (most, average) = match name.as_str() {
            "subsampled.jpg" | "progressive.jpg" | "lossy.webp" => (24, 1.5),
            "cmyk.jpg" => (4, 1.0),
            name if Path::new(name).extension().is_some_and(|ending| ending == "jpg") => (4, 0.6),
            _ => (0, 0.0),
        };
        println!("{name}: largest {largest}, mean {mean:.3}");
        assert!(largest <= most && mean <= average, "{name} differs by {largest}, mean {mean}");
        files += 1;
    }
    assert_eq!(files, 31);
}

/// A picture that is large enough to be cut in the middle of its data, in each format.
fn encoded(format: ImageFormat) -> Vec<u8> {
    let image =
        RgbImage::from_fn(160, 120, |x, y| Rgb([(x * 7 + y * y) as u8, (x ^ (y * 3)) as u8, (x * x + y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const FORMATS: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Gif];

#[test]
fn cut_files_are_errors_in_every_format() {
    for format in FORMATS {
        let bytes = encoded(format);
        decode(&bytes, &Limits::default()).unwrap();
        for share in [0.3, 0.5, 0.9] {
            let cut = &bytes[..(bytes.len() as f64 * share) as usize];
            let error = decode(cut, &Limits::default()).unwrap_err();
            println!("{format:?} cut at {share}: {error}");
            assert!(matches!(error, ImageError::Truncated { .. }), "{format:?} cut at {share}: {error:?}");
        }
    }
}

/// Chunks of odd length are padded, and some writers forget the pad of the last one.
#[test]
fn a_webp_may_lack_its_last_pad_byte() {
    let lossless = (1..12).map(|side| {
        let mut bytes = Cursor::new(Vec::new());
        RgbImage::from_pixel(side, side, Rgb([side as u8, 7, 9])).write_to(&mut bytes, ImageFormat::WebP).unwrap();
        bytes.into_inner()
    });
    let odd = |bytes: &Vec<u8>| bytes[16] % 2 == 1;
    let bytes = lossless.into_iter().find(odd).expect("one of eleven pictures takes an odd number of bytes");
    let whole = decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(decode(&bytes[..bytes.len() - 1], &Limits::default()).unwrap(), whole);
    let cut = decode(&bytes[..bytes.len() - 2], &Limits::default());
    assert!(matches!(cut, Err(ImageError::Truncated { .. })), "{cut:?}");
}

#[test]
fn damaged_files_never_panic() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    for format in FORMATS {
        let bytes = encoded(format);
        for _ in 0..40 {
            let mut damaged = bytes.clone();
            for _ in 0..=random() % 12 {
                let at = random() % damaged.len();
                damaged[at] = random() as u8;
            }
            damaged.truncate(damaged.len() - random() % (bytes.len() / 2));
            // Any answer will do that is not a panic.
            let _ = decode(&damaged, &Limits { max_bytes: 1 << 20, max_pixels: 1 << 20, ..Limits::default() });
        }
    }
}

#[test]
fn limits_hold_before_memory_is_taken() {
    let png = encoded(ImageFormat::Png);
    let error = decode(&png, &Limits { max_bytes: 100, ..Limits::default() }).unwrap_err();
    assert_eq!(error, ImageError::FileTooLarge { bytes: png.len() as u64, limit: 100 });

    let error = decode(&png, &Limits { max_pixels: 160 * 120 - 1, ..Limits::default() }).unwrap_err();
    assert_eq!(error, ImageError::TooManyPixels { width: 160, height: 120, limit: 160 * 120 - 1 });

    let error = decode(&png, &Limits { max_side: 159, ..Limits::default() }).unwrap_err();
    assert_eq!(error, ImageError::SideTooLong { width: 160, height: 120, limit: 159 });
    let mut long = png;
    long[16..20].copy_from_slice(&70_000_u32.to_be_bytes());
    let error = decode(&long, &Limits::default()).unwrap_err();
    assert_eq!(error, ImageError::SideTooLong { width: 70_000, height: 120, limit: 65_535 });

    // A header of a few bytes that announces gigapixels.
    let mut bomb = encoded(ImageFormat::Bmp);
    bomb[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    bomb[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    let error = decode(&bomb, &Limits::default()).unwrap_err();
    assert!(matches!(error, ImageError::TooManyPixels { width: 60_000, height: 60_000, .. }), "{error:?}");
}

#[test]
fn what_surrounds_a_small_png_is_bounded() {
    let png = encoded(ImageFormat::Png);
    let text = [&b"tEXta\0"[..], &vec![b'x'; 20 << 20][..]].concat();
    let length = (text.len() as u32 - 4).to_be_bytes();
    // Between the first chunk, which ends at byte 33, and the pixels.
    let padded = [&png[..33], &length[..], &text[..], &[0; 4][..], &png[33..]].concat();
    let error = decode(&padded, &Limits::default()).unwrap_err();
    assert!(matches!(&error, ImageError::UnsupportedVariant { reason, .. } if reason.contains("memory")), "{error:?}");
}

#[test]
fn what_is_no_image_is_named() {
    let limits = Limits::default();
    let unsupported = |format: &str| ImageError::UnsupportedFormat { format: format.to_owned() };
    assert_eq!(decode(b"", &limits), Err(ImageError::Empty));
    assert_eq!(decode(b"PK\x03\x04 a zip file", &limits), Err(ImageError::NotAnImage));
    assert_eq!(decode(b"just words, longer than any magic", &limits), Err(ImageError::NotAnImage));
    assert_eq!(decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", &limits), Err(unsupported("HEIC")));
    assert_eq!(decode(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", &limits), Err(unsupported("AVIF")));
    assert_eq!(decode(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", &limits), Err(ImageError::NotAnImage));
    assert!(matches!(decode(b"\xFF\xD8\xFF", &limits), Err(ImageError::Truncated { .. })));
}
