//! A sheet of small pictures with captions, under a title. Everything is placed first and the paper cut to it, so that no
//! text is cut off.

use ab_glyph::{Font, FontRef, PxScale};
use emoxide::image::{Filter, RgbImage, resize};
use image::Rgb;
use image::imageops::replace;
use imageproc::drawing::{draw_filled_rect_mut, draw_text_mut, text_size};
use imageproc::rect::Rect;

use crate::annotate::{DARK, LIGHT, font};

const FAINT: Rgb<u8> = Rgb([96, 96, 96]);
/// Around the whole, in pixels.
const MARGIN: u32 = 20;
/// Between tiles.
const GAP: u32 = 12;
/// Height of the strip of colours below a picture.
const STRIP: u32 = 6;
/// Sizes of letters in pixels.
const TITLE: f32 = 22.0;
const NOTE: f32 = 16.0;
const CAPTION: f32 = 14.0;

/// Pictures in groups.
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// Lines below the title.
    pub(crate) notes: Vec<String>,
    /// What the colours mean: from, colours, to.
    pub(crate) legend: Option<(String, RgbImage, String)>,
    /// Stands alone on the left.
    pub(crate) lead: Option<Tile>,
    pub(crate) groups: Vec<Group>,
    /// Longest side of a picture.
    pub(crate) side: u32,
    /// Tiles in a row at most.
    pub(crate) columns: usize,
}

/// Tiles that start a row of their own.
pub(crate) struct Group {
    pub(crate) heading: Option<String>,
    pub(crate) tiles: Vec<Tile>,
}

/// A picture and what is said of it.
pub(crate) struct Tile {
    pub(crate) image: RgbImage,
    /// Colours of equal width below the picture.
    pub(crate) strip: Vec<Rgb<u8>>,
    pub(crate) captions: Vec<String>,
}

impl Sheet {
    pub(crate) fn draw(&self) -> RgbImage {
        let mut paper = Paper::new();
        let mut top = MARGIN;
        paper.text([MARGIN, top], &self.title, TITLE, DARK);
        top += line(TITLE) + 2;
        for note in &self.notes {
            paper.text([MARGIN, top], note, NOTE, FAINT);
            top += line(NOTE);
        }
        if let Some((from, colours, to)) = &self.legend {
            let left = MARGIN + paper.text([MARGIN, top], from, NOTE, FAINT) + GAP;
            paper.picture([left, top + 2], colours.clone());
            paper.text([left + colours.width() + GAP, top], to, NOTE, FAINT);
            top += line(NOTE);
        }
        top += GAP;

        let tiles = || self.lead.iter().chain(self.groups.iter().flat_map(|group| &group.tiles));
        let captions = tiles().flat_map(|tile| &tile.captions);
        let widest = captions.map(|text| paper.width(text, CAPTION)).max().unwrap_or(0);
        let lines = tiles().map(|tile| tile.captions.len()).max().unwrap_or(0) as u32;
        let strip = if tiles().all(|tile| tile.strip.is_empty()) { 0 } else { STRIP };
        let cell = [self.side.max(widest) + GAP, self.side + strip + 4 + lines * line(CAPTION) + GAP];

        let mut left = MARGIN;
        if let Some(lead) = &self.lead {
            self.tile(&mut paper, [left, top], lead);
            left += cell[0] + GAP;
        }
        for group in &self.groups {
            if let Some(heading) = &group.heading {
                paper.text([left, top], heading, NOTE, DARK);
                top += line(NOTE) + 4;
            }
            for row in group.tiles.chunks(self.columns) {
                for (column, tile) in row.iter().enumerate() {
                    self.tile(&mut paper, [left + column as u32 * cell[0], top], tile);
                }
                top += cell[1];
            }
        }
        paper.cut()
    }

    fn tile(&self, paper: &mut Paper, [left, top]: [u32; 2], tile: &Tile) {
        let image = scaled(&tile.image, self.side);
        let (width, mut below) = (image.width(), top + image.height());
        paper.picture([left, top], image);
        if !tile.strip.is_empty() {
            let count = tile.strip.len() as u32;
            for (index, colour) in (0_u32..).zip(&tile.strip) {
                let [from, to] = [index, index + 1].map(|part| part * width / count);
                paper.plate([left + from, below], [to - from, STRIP], *colour);
            }
            below += STRIP;
        }
        below += 4;
        for caption in &tile.captions {
            paper.text([left, below], caption, CAPTION, DARK);
            below += line(CAPTION);
        }
    }
}

/// A picture whose longest side is `side` pixels long.
pub(crate) fn scaled(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    let [width, height] = [width, height].map(|length| (length * side).div_ceil(longest));
    resize(image, width, height, Filter::PillowBicubic)
}

/// Height of a line of text.
fn line(scale: f32) -> u32 {
    (scale * 1.3).ceil() as u32
}

enum Mark {
    Text(String, f32, Rgb<u8>),
    Picture(RgbImage),
    Plate([u32; 2], Rgb<u8>),
}

/// What is to be drawn, from the left upper corner of each, and how far it reaches.
struct Paper {
    font: FontRef<'static>,
    marks: Vec<([u32; 2], Mark)>,
    size: [u32; 2],
}

impl Paper {
    fn new() -> Self {
        Self { font: font(), marks: Vec::new(), size: [0; 2] }
    }

    /// Letters that the font has; a question mark for the others.
    fn known(&self, text: &str) -> String {
        text.chars().map(|letter| if self.font.glyph_id(letter).0 == 0 { '?' } else { letter }).collect()
    }

    fn width(&self, text: &str, scale: f32) -> u32 {
        text_size(PxScale::from(scale), &self.font, &self.known(text)).0 + 1
    }

    fn mark(&mut self, [left, top]: [u32; 2], [width, height]: [u32; 2], mark: Mark) {
        self.size = [self.size[0].max(left + width), self.size[1].max(top + height)];
        self.marks.push(([left, top], mark));
    }

    /// The width of the text in pixels.
    fn text(&mut self, at: [u32; 2], text: &str, scale: f32, ink: Rgb<u8>) -> u32 {
        let width = self.width(text, scale);
        self.mark(at, [width, line(scale)], Mark::Text(self.known(text), scale, ink));
        width
    }

    fn picture(&mut self, at: [u32; 2], image: RgbImage) {
        self.mark(at, [image.width(), image.height()], Mark::Picture(image));
    }

    fn plate(&mut self, at: [u32; 2], size: [u32; 2], colour: Rgb<u8>) {
        self.mark(at, size, Mark::Plate(size, colour));
    }

    /// Everything on a white ground that leaves a margin around it.
    fn cut(self) -> RgbImage {
        let mut canvas = RgbImage::from_pixel(self.size[0] + MARGIN, self.size[1] + MARGIN, LIGHT);
        for ([left, top], mark) in self.marks {
            let (x, y) = (left as i32, top as i32);
            match mark {
                Mark::Text(text, scale, ink) => {
                    draw_text_mut(&mut canvas, ink, x, y, PxScale::from(scale), &self.font, &text);
                }
                Mark::Picture(image) => replace(&mut canvas, &image, i64::from(left), i64::from(top)),
                Mark::Plate([width, height], colour) if width > 0 => {
                    draw_filled_rect_mut(&mut canvas, Rect::at(x, y).of_size(width, height), colour);
                }
                Mark::Plate(..) => {}
            }
        }
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_edge() {
        let face = |width, height| RgbImage::from_pixel(width, height, Rgb([200, 60, 40]));
        let tile = |width, height| Tile {
            image: face(width, height),
            strip: vec![DARK, FAINT],
            captions: vec!["surprise -> happiness".to_owned(), "letters ≠ known".to_owned()],
        };
        let sheet = Sheet {
            title: "A title that is wider than all of the tiles below it, so that it says how wide the paper is"
                .to_owned(),
            notes: vec!["a note".to_owned()],
            legend: Some(("low".to_owned(), face(40, 10), "high".to_owned())),
            lead: Some(tile(30, 60)),
            groups: vec![Group { heading: Some("happiness".to_owned()), tiles: vec![tile(60, 30), tile(48, 48)] }],
            side: 96,
            columns: 1,
        };
        let image = sheet.draw();
        let (width, height) = image.dimensions();
        let inked = image.enumerate_pixels().filter(|(_, _, pixel)| **pixel != LIGHT);
        let reach = inked.fold([0, 0], |[right, bottom], (x, y, _)| [right.max(x), bottom.max(y)]);
        assert!(reach[0] + MARGIN <= width && reach[1] + MARGIN <= height, "{reach:?} of {width}x{height}");
        assert!(reach[0] + 2 * MARGIN > width, "the title is as wide as the paper");
        assert_eq!(scaled(&face(30, 60), 96).dimensions(), (48, 96));
    }
}
