//! Pictures that are drawn mark by mark, as SVG and as PNG.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{FONT, ReportError, draw_error, load_font};

/// Pixels of the PNG for one of the SVG. The plotting library sets letters on whole pixels, and crookedly so where the
/// size of the font is odd; twice the size is even and hides it.
const PNG_SCALE: i32 = 2;

/// What can be drawn.
pub(super) trait Figure {
    /// Width and height.
    fn size(&self) -> (i32, i32);

    /// Draws it on a white canvas of this size.
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<(), ReportError>;
}

/// The figure as SVG.
pub(super) fn svg(figure: &impl Figure) -> Result<String, ReportError> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, pixels(figure, 1)).into_drawing_area();
    Canvas { area: &area, scale: 1 }.show(figure)?;
    drop(area);
    Ok(text)
}

/// The figure as PNG, two pixels for one.
pub(super) fn png(figure: &impl Figure) -> Result<Vec<u8>, ReportError> {
    let (width, height) = pixels(figure, PNG_SCALE);
    let mut image = RgbImage::new(width, height);
    let area = BitMapBackend::with_buffer(&mut image, (width, height)).into_drawing_area();
    Canvas { area: &area, scale: PNG_SCALE }.show(figure)?;
    drop(area);
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

fn pixels(figure: &impl Figure, scale: i32) -> (u32, u32) {
    let (width, height) = figure.size();
    ((scale * width) as u32, (scale * height) as u32)
}

/// A drawing area whose unit is `scale` pixels.
pub(super) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: i32,
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    fn show(&self, figure: &impl Figure) -> Result<(), ReportError> {
        load_font();
        self.area.fill(&WHITE).map_err(draw_error)?;
        figure.draw(self)?;
        self.area.present().map_err(draw_error)
    }

    pub(super) fn text(
        &self,
        text: &str,
        at: (i32, i32),
        size: i32,
        ink: RGBColor,
        anchor: HPos,
    ) -> Result<(), ReportError> {
        self.turned_text(text, at, size, ink, anchor, FontTransform::None)
    }

    pub(super) fn turned_text(
        &self,
        text: &str,
        (x, y): (i32, i32),
        size: i32,
        ink: RGBColor,
        anchor: HPos,
        turn: FontTransform,
    ) -> Result<(), ReportError> {
        let font = (FONT, self.scale * size).into_font().transform(turn);
        let style = font.color(&ink).pos(Pos::new(anchor, VPos::Center));
        self.area.draw_text(text, &style, (self.scale * x, self.scale * y)).map_err(draw_error)
    }

    /// The text, or as much of its end as fits into `width` at this size, behind dots.
    pub(super) fn fitting(&self, text: &str, size: i32, width: i32) -> Result<String, ReportError> {
        let style = (FONT, self.scale * size).into_font().into_text_style(self.area);
        let mut shown = text.to_owned();
        for (start, _) in text.char_indices().skip(1) {
            let (wide, _) = self.area.estimate_text_size(&shown, &style).map_err(draw_error)?;
            if wide as i32 <= self.scale * width {
                break;
            }
            shown = format!("…{}", &text[start..]);
        }
        Ok(shown)
    }

    pub(super) fn rectangle(
        &self,
        (left, top): (i32, i32),
        (right, bottom): (i32, i32),
        fill: RGBColor,
    ) -> Result<(), ReportError> {
        self.area.draw(&Rectangle::new(self.scaled([(left, top), (right, bottom)]), fill.filled())).map_err(draw_error)
    }

    /// The edge of a rectangle.
    pub(super) fn frame(
        &self,
        top_left: (i32, i32),
        bottom_right: (i32, i32),
        ink: RGBColor,
    ) -> Result<(), ReportError> {
        let style = ink.stroke_width(self.scale as u32);
        self.area.draw(&Rectangle::new(self.scaled([top_left, bottom_right]), style)).map_err(draw_error)
    }

    /// A filled circle.
    pub(super) fn dot(&self, at: (i32, i32), radius: i32, ink: RGBColor) -> Result<(), ReportError> {
        let [at] = self.scaled([at]);
        self.area.draw(&Circle::new(at, self.scale * radius, ink.filled())).map_err(draw_error)
    }

    /// The edge of a circle.
    pub(super) fn ring(&self, at: (f64, f64), radius: f64, ink: RGBColor) -> Result<(), ReportError> {
        let radius = (f64::from(self.scale) * radius).round() as i32;
        self.area.draw(&Circle::new(self.fine(at), radius, ink.stroke_width(self.scale as u32))).map_err(draw_error)
    }

    /// Two strokes that cross, and end `reach` from their middle in rows and columns.
    pub(super) fn cross(&self, (x, y): (f64, f64), reach: f64, ink: RGBColor) -> Result<(), ReportError> {
        for [from, to] in [[(-reach, -reach), (reach, reach)], [(-reach, reach), (reach, -reach)]] {
            let ends = [from, to].map(|(right, down)| self.fine((x + right, y + down)));
            self.area.draw(&PathElement::new(ends, ink.stroke_width(self.scale as u32))).map_err(draw_error)?;
        }
        Ok(())
    }

    fn scaled<const N: usize>(&self, places: [(i32, i32); N]) -> [(i32, i32); N] {
        places.map(|(x, y)| (self.scale * x, self.scale * y))
    }

    /// The pixel of a place that is no whole number of units.
    fn fine(&self, (x, y): (f64, f64)) -> (i32, i32) {
        let scale = f64::from(self.scale);
        ((scale * x).round() as i32, (scale * y).round() as i32)
    }
}
