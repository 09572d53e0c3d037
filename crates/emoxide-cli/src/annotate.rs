//! Boxes and labels on a picture, readable on light and dark ground: every line has a dark edge and every text a plate.

use ab_glyph::{FontRef, PxScale};
use emoxide::image::RgbImage;
use emoxide::labels::Expression;
use emoxide::recognizer::Face;
use image::Rgb;
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut, draw_text_mut, text_size};
use imageproc::rect::Rect;

/// Latin letters, digits and punctuation of DejaVu Sans; `tools/subset_font.sh` cuts it, its licence lies beside it.
static FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-subset.ttf");

pub(crate) const DARK: Rgb<u8> = Rgb([16, 16, 16]);
pub(crate) const LIGHT: Rgb<u8> = Rgb([255, 255, 255]);

/// A colour of its own for every expression; chosen to stay apart for colour-blind readers as far as eight colours can.
pub(crate) fn colour(expression: Option<Expression>) -> Rgb<u8> {
    match expression {
        Some(Expression::Anger) => Rgb([213, 60, 50]),
        Some(Expression::Disgust) => Rgb([0, 150, 90]),
        Some(Expression::Fear) => Rgb([150, 90, 200]),
        Some(Expression::Happiness) => Rgb([240, 190, 40]),
        Some(Expression::Sadness) => Rgb([60, 120, 210]),
        Some(Expression::Surprise) => Rgb([235, 130, 40]),
        Some(Expression::Neutral) => Rgb([190, 190, 190]),
        Some(Expression::Contempt) => Rgb([200, 110, 160]),
        None => Rgb([120, 120, 120]),
    }
}

/// The font of everything that is drawn.
pub(crate) fn font() -> FontRef<'static> {
    FontRef::try_from_slice(FONT).expect("the embedded font is sound")
}

/// What stands on a face's plate beside its expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plate {
    /// Nothing.
    Expression,
    /// Its number, which in a clip is more than its place in a list.
    Numbered,
}

/// A copy of the picture with every face boxed and named.
pub(crate) fn draw(image: &RgbImage, faces: &[Face], plate: Plate) -> RgbImage {
    let mut canvas = image.clone();
    let font = font();
    let short = image.width().min(image.height()) as f32;
    for face in faces {
        let [x, y, width, height] =
            [face.bbox.x, face.bbox.y, face.bbox.width, face.bbox.height].map(|v| v.round() as i32);
        let colour = colour(face.dominant_emotion);
        let line = ((short / 300.0).round() as i32).clamp(1, 6);
        frame(&mut canvas, [x, y, width, height], line + 1, DARK);
        frame(&mut canvas, [x, y, width, height], line, colour);
        for [x, y] in face.landmarks.into_iter().flatten() {
            draw_filled_circle_mut(&mut canvas, (x.round() as i32, y.round() as i32), line + 1, DARK);
            draw_filled_circle_mut(&mut canvas, (x.round() as i32, y.round() as i32), line, colour);
        }
        label(&mut canvas, face, plate, &font, [x, y, width, height]);
    }
    canvas
}

/// Name and probability on a plate above the box; inside it where there is no room above.
fn label(canvas: &mut RgbImage, face: &Face, plate: Plate, font: &FontRef<'_>, [x, y, width, height]: [i32; 4]) {
    let colour = colour(face.dominant_emotion);
    let number = if plate == Plate::Numbered { format!("{}: ", face.face_id) } else { String::new() };
    let name = face.dominant_emotion.map_or("uncertain", Expression::name);
    let probability = face.probabilities.top().map_or(0.0, |(_, probability)| probability);
    let text = format!("{number}{name} {:.0} %", probability * 100.0);
    let scale = PxScale::from((width as f32 / 7.0).clamp(12.0, 48.0));
    let (text_width, text_height) = text_size(scale, font, &text);
    let pad = (scale.y / 5.0).ceil() as i32;
    let (plate_width, plate_height) = (text_width as i32 + 2 * pad, text_height as i32 + 2 * pad);
    let left = x.min(canvas.width() as i32 - plate_width).max(0);
    let above = y - plate_height;
    let top = if above >= 0 { above } else { (y + height).min(canvas.height() as i32 - plate_height).max(0) };
    draw_filled_rect_mut(canvas, Rect::at(left, top).of_size(plate_width as u32, plate_height as u32), colour);
    let brightness = colour.0.iter().map(|value| u32::from(*value)).sum::<u32>() / 3;
    let ink = if brightness > 130 { DARK } else { LIGHT };
    draw_text_mut(canvas, ink, left + pad, top + pad / 2, scale, font, &text);
}

/// The outline of a rectangle, `thickness` pixels to either side of its edge.
fn frame(canvas: &mut RgbImage, [x, y, width, height]: [i32; 4], thickness: i32, colour: Rgb<u8>) {
    let long = |length: i32| (length + 2 * thickness).max(1) as u32;
    let wide = (2 * thickness) as u32;
    for top in [y, y + height] {
        draw_filled_rect_mut(canvas, Rect::at(x - thickness, top - thickness).of_size(long(width), wide), colour);
    }
    for left in [x, x + width] {
        draw_filled_rect_mut(canvas, Rect::at(left - thickness, y - thickness).of_size(wide, long(height)), colour);
    }
}
