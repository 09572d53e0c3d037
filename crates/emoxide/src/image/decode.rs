//! Bytes to an RGB image, with limits that hold before memory is taken.

use std::error::Error;
use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::{DecodingError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::ImageError;

/// Endings of the names of picture files, in small letters: what is taken for a picture where a folder is read.
pub const ENDINGS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "jfif"];

/// What [`decode`] refuses to take on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the encoded file.
    pub max_bytes: u64,
    /// Pixels of the decoded image.
    pub max_pixels: u64,
    /// Pixels of each of its sides.
    pub max_side: u32,
}

impl Default for Limits {
    /// 64 MiB of file, 100 megapixels of image, sides as long as JPEG can have them.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 100_000_000, max_side: 65_535 }
    }
}

impl Limits {
    /// Refuses an image whose header announces such a size.
    pub(crate) fn check(&self, width: u32, height: u32) -> Result<(), ImageError> {
        if width.max(height) > self.max_side {
            return Err(ImageError::SideTooLong { width, height, limit: self.max_side });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(ImageError::TooManyPixels { width, height, limit: self.max_pixels });
        }
        Ok(())
    }
}

/// Bytes of one pixel in the widest layout that a decoder hands out: four channels of 32 bits.
const WIDEST_PIXEL: u64 = 16;

/// Bytes that what is no pixel of a PNG may take: profiles, texts.
const PNG_METADATA: u64 = 16 << 20;

/// Reads a JPEG, PNG, WebP, BMP, TIFF or GIF (the first frame of an animation) and turns it upright by its EXIF orientation.
///
/// Grey becomes RGB. 16-bit values are rounded to 8 bits; floating point values are taken from 0 to 1. CMYK and YCCK
/// JPEGs are converted without a colour profile. Alpha is dropped, as Pillow's `convert("RGB")` does: a transparent pixel
/// shows the colour stored beneath. A JPEG without its end marker counts as truncated, although a decoder could guess.
///
/// Size limits are checked against the header before pixels are allocated, and a decoder that panics is an error. What is
/// read before that is bounded too: a PNG's profiles and texts by 16 MiB and the pixels' share, a TIFF's tags by its
/// decoder's own 256 MiB.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let size = bytes.len() as u64;
    if size > limits.max_bytes {
        return Err(ImageError::FileTooLarge { bytes: size, limit: limits.max_bytes });
    }
    let format = recognise(bytes)?;
    if (format == ImageFormat::Jpeg && !jpeg_has_end(bytes)) || (format == ImageFormat::WebP && webp_is_cut(bytes)) {
        return Err(ImageError::Truncated { format: name(format) });
    }
    catch_unwind(AssertUnwindSafe(|| decode_as(bytes, format, limits)))
        .unwrap_or_else(|_| Err(malformed(format, "the decoder panicked".to_owned())))
}

fn decode_as(bytes: &[u8], format: ImageFormat, limits: &Limits) -> Result<RgbImage, ImageError> {
    let refused = |error| translate(error, format);
    let mut allocation = image::Limits::default();
    allocation.max_alloc = Some(if format == ImageFormat::Png {
        // A PNG's profile is inflated before its decoder says how large the image is.
        let [width, height] = png_size(bytes).unwrap_or_default();
        limits.check(width, height)?;
        (u64::from(width) * u64::from(height)).saturating_mul(WIDEST_PIXEL).saturating_add(PNG_METADATA)
    } else {
        limits.max_pixels.saturating_mul(WIDEST_PIXEL).saturating_add(limits.max_bytes)
    });
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(allocation);
    let mut decoder = reader.into_decoder().map_err(refused)?;

    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    if width == 0 || height == 0 {
        return Err(malformed(format, format!("{width}x{height} pixels")));
    }
    // A broken EXIF block does not spoil the picture.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(image.into_rgb8())
}

/// Width and height by the first chunk. A file in which this is another than IHDR is refused by the decoder.
fn png_size(bytes: &[u8]) -> Option<[u32; 2]> {
    let header = bytes.get(12..24)?.strip_prefix(b"IHDR")?;
    let [width, height] = header.as_chunks::<4>().0 else { return None };
    Some([*width, *height].map(u32::from_be_bytes))
}

/// Whether the file ends before its last chunk does. The byte that pads an odd chunk may be missing: some writers forget
/// it, and no pixel is lost.
fn webp_is_cut(bytes: &[u8]) -> bool {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let Some(end) = number(4).map(|length| length.saturating_add(8)) else { return true };
    let mut at = 12;
    while at < end {
        let Some(size) = number(at + 4) else { return true };
        let data_end = at.saturating_add(8).saturating_add(size);
        if data_end > bytes.len() {
            return true;
        }
        at = data_end + size % 2;
    }
    false
}

/// The format by the first bytes, if it is one that is read.
fn recognise(bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    // ISO media boxes are not in every version of the crate's table, and phones write HEIC by default.
    if let Some(brand) = bytes.get(4..12).and_then(|head| head.strip_prefix(b"ftyp")) {
        let format = match brand {
            b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" => "HEIC",
            b"avif" | b"avis" => "AVIF",
            _ => return Err(ImageError::NotAnImage),
        };
        return Err(ImageError::UnsupportedFormat { format: format.to_owned() });
    }
    match image::guess_format(bytes) {
        Err(_) => Err(ImageError::NotAnImage),
        Ok(format) if READ.contains(&format) => Ok(format),
        Ok(format) => Err(ImageError::UnsupportedFormat { format: name(format) }),
    }
}

const READ: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Gif];

fn name(format: ImageFormat) -> String {
    match format {
        ImageFormat::WebP => "WebP".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

fn malformed(format: ImageFormat, reason: String) -> ImageError {
    ImageError::Malformed { format: name(format), reason }
}

fn translate(error: image::ImageError, format: ImageFormat) -> ImageError {
    if ends_early(&error) {
        return ImageError::Truncated { format: name(format) };
    }
    match error {
        image::ImageError::Unsupported(unsupported) => {
            ImageError::UnsupportedVariant { format: name(format), reason: unsupported.to_string() }
        }
        image::ImageError::Limits(limit) if !matches!(limit.kind(), LimitErrorKind::Unsupported { .. }) => {
            ImageError::UnsupportedVariant { format: name(format), reason: "it needs too much memory".to_owned() }
        }
        other => malformed(format, other.to_string()),
    }
}

/// Whether the reader ran out of bytes, however deep the decoder hides it.
fn ends_early(error: &image::ImageError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        let io = current.downcast_ref::<io::Error>().or(match current.downcast_ref() {
            Some(image::ImageError::IoError(io)) => Some(io),
            _ => None,
        });
        if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
            return true;
        }
        // Some decoders wrap the cause without naming it as their source; their words are all there is.
        if current.downcast_ref::<DecodingError>().is_some() || current.source().is_none() {
            let words = current.to_string().to_lowercase();
            if ["unexpected end", "unexpected eof", "failed to fill whole buffer", "premature end"]
                .iter()
                .any(|sign| words.contains(sign))
            {
                return true;
            }
        }
        cause = current.source();
    }
    false
}

/// Whether an end-of-image marker follows the first scan.
///
/// The decoder fills what is missing with grey, so a cut file would pass as a face with half its features. Segments before
/// the scan are skipped by their length because an EXIF thumbnail has an end marker of its own; within a scan `FF D9`
/// can be nothing else.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    loop {
        match bytes.get(at..at + 4) {
            // Fill bytes may precede a marker.
            Some([0xFF, 0xFF, ..]) => at += 1,
            Some([0xFF, START_OF_SCAN, ..]) => {
                return bytes[at..].windows(2).rev().any(|pair| pair == [0xFF, 0xD9]);
            }
            // Markers without a length.
            Some([0xFF, 0x01 | 0xD0..=0xD8, ..]) => at += 2,
            Some([0xFF, _, high, low]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            // Stray bytes between segments: the decoder skips them too.
            Some(_) => at += 1,
            None => return false,
        }
    }
}
