//! Where a network looks in a face: those of its maps of attention that lie as the picture does, laid over the face.

mod colour;
mod maps;

pub use colour::colour;
pub use maps::{LeftOut, Map, Reason, maps};

use crate::image::RgbImage;
use crate::zoo::Model;

/// Kinds of networks that have maps which lie as the picture does, with the setting on which it depends.
pub const KINDS: [(&str, &str); 5] = [
    ("pcm", "branches above 0"),
    ("transfer", ""),
    ("dacl-attention", "grid = \"map\""),
    ("cafe", "a mask over CLIP's features, or its probe"),
    ("involution-vit", "vit.cls_token = true"),
];

/// How much of an overlay is the map; the rest is the brightness of the face.
const OPACITY: f32 = 0.55;

/// The maps of a face that was cut out for the model, those of a name together, and what has no place in it.
pub fn looked_at(model: &Model, face: &RgbImage) -> (Vec<Vec<Map>>, Vec<LeftOut>) {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for attention in model.attention(std::slice::from_ref(face)) {
        match maps(&attention, 0) {
            Ok(maps) => found.push(maps),
            Err(reason) => left_out.push(reason),
        }
    }
    (found, left_out)
}

/// The face in grey with the map over it, in the size of the face: the colour of every place is where its value lies between
/// the map's lowest and its highest.
pub fn overlay(face: &RgbImage, map: &Map) -> RgbImage {
    let (low, high) = map.range();
    let span = (high - low).max(f32::MIN_POSITIVE);
    let (width, height) = face.dimensions();
    let values = map.enlarged(width as usize, height as usize);
    let mut image = face.clone();
    for (pixel, value) in image.pixels_mut().zip(values) {
        let [red, green, blue] = pixel.0.map(f32::from);
        // Luma of ITU-R BT.601.
        let grey = 0.299 * red + 0.587 * green + 0.114 * blue;
        let tint = colour((value - low) / span);
        pixel.0 = tint.map(|level| (OPACITY * f32::from(level) + (1.0 - OPACITY) * grey).round() as u8);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_goes_from_the_darkest_to_the_brightest_colour() {
        let face = RgbImage::from_pixel(4, 2, image::Rgb([200, 200, 200]));
        let map = Map { name: "local".to_owned(), rows: 1, cols: 2, values: vec![0.25, 0.5] };
        let image = overlay(&face, &map);
        let mixed = |level: u8| (OPACITY * f32::from(level) + (1.0 - OPACITY) * 200.0).round() as u8;
        assert_eq!(image.dimensions(), (4, 2));
        assert_eq!(image.get_pixel(0, 0).0, colour(0.0).map(mixed));
        assert_eq!(image.get_pixel(3, 1).0, colour(1.0).map(mixed));

        let even = Map { values: vec![0.5; 2], ..map };
        assert!(overlay(&face, &even).pixels().all(|pixel| pixel.0 == colour(0.0).map(mixed)));
    }
}
