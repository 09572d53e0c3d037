//! The confusion matrix as a table and as a picture.

use std::fmt::Write as _;
use std::path::Path;

use emoxide::labels::{Classes, Expression};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Canvas, Figure};
use super::{FAINT, INK, ReportError};
use crate::snapshot;

/// Side of a cell in pixels.
const CELL: i32 = 92;
/// Space left of the cells: the axis' name and the names of the classes.
const LEFT: i32 = 150;
/// Space above the cells: title and the names of the classes.
const TOP: i32 = 104;
/// Space right of the cells: the colour scale.
const RIGHT: i32 = 112;
/// Space below the cells.
const BOTTOM: i32 = 28;
/// Steps of the colour scale.
const SCALE_STEPS: i32 = 100;

/// The table `true,<class>,…`, one row per true class; cells are numbers of images.
pub fn confusion_csv(classes: &Classes, confusion: &[Vec<usize>]) -> String {
    let names: Vec<&str> = classes.iter().map(Expression::name).collect();
    let mut text = format!("true,{}\n", names.join(","));
    for (name, row) in names.iter().zip(confusion) {
        text.push_str(name);
        for count in row {
            // Writing to a string does not fail.
            let _ = write!(text, ",{count}");
        }
        text.push('\n');
    }
    text
}

/// The matrix as SVG: counts, percentages of the row, and a colour for the percentage.
pub fn confusion_svg(classes: &Classes, confusion: &[Vec<usize>], title: &str) -> Result<String, ReportError> {
    canvas::svg(&Matrix { classes, confusion, title })
}

/// The same picture as PNG, two pixels for one.
pub fn confusion_png(classes: &Classes, confusion: &[Vec<usize>], title: &str) -> Result<Vec<u8>, ReportError> {
    canvas::png(&Matrix { classes, confusion, title })
}

/// Writes `confusion.csv`, `confusion.svg` and `confusion.png` into `folder`.
pub fn write_confusion(
    folder: &Path,
    classes: &Classes,
    confusion: &[Vec<usize>],
    title: &str,
) -> Result<(), ReportError> {
    snapshot::write(&folder.join("confusion.csv"), confusion_csv(classes, confusion).as_bytes())?;
    snapshot::write(&folder.join("confusion.svg"), confusion_svg(classes, confusion, title)?.as_bytes())?;
    snapshot::write(&folder.join("confusion.png"), &confusion_png(classes, confusion, title)?)?;
    Ok(())
}

/// The picture of a matrix.
struct Matrix<'a> {
    classes: &'a Classes,
    confusion: &'a [Vec<usize>],
    title: &'a str,
}

/// A share of a row as a colour, from near white to dark blue.
fn colour(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 4] =
        [[247.0, 251.0, 255.0], [158.0, 202.0, 225.0], [49.0, 130.0, 189.0], [8.0, 48.0, 107.0]];
    let position = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let index = (position as usize).min(STOPS.len() - 2);
    let part = position - index as f64;
    let [red, green, blue] = std::array::from_fn(|channel| {
        let [from, to] = [STOPS[index][channel], STOPS[index + 1][channel]];
        (from + (to - from) * part).round() as u8
    });
    RGBColor(red, green, blue)
}

/// Relative luminance of WCAG 2, in 0..=1.
fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/// Dark or white, whichever contrasts more with `background`.
fn text_on(background: RGBColor) -> RGBColor {
    let contrast = |left: f64, right: f64| (left.max(right) + 0.05) / (left.min(right) + 0.05);
    let ground = luminance(background);
    if contrast(1.0, ground) > contrast(luminance(INK), ground) { WHITE } else { INK }
}

impl Figure for Matrix<'_> {
    fn size(&self) -> (i32, i32) {
        let side = CELL * self.classes.len() as i32;
        (LEFT + side + RIGHT, TOP + side + BOTTOM)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<(), ReportError> {
        let side = CELL * self.classes.len() as i32;
        canvas.text(self.title, (LEFT, 26), 20, INK, HPos::Left)?;
        canvas.text("predicted", (LEFT + side / 2, 60), 15, FAINT, HPos::Center)?;
        canvas.turned_text("true", (22, TOP + side / 2), 15, FAINT, HPos::Center, FontTransform::Rotate270)?;
        for (index, name) in self.classes.iter().enumerate() {
            let middle = CELL * index as i32 + CELL / 2;
            canvas.text(name.name(), (LEFT + middle, TOP - 18), 15, INK, HPos::Center)?;
            canvas.text(name.name(), (LEFT - 12, TOP + middle), 15, INK, HPos::Right)?;
        }
        for (row, counts) in self.confusion.iter().enumerate() {
            let total: usize = counts.iter().sum();
            for (col, count) in counts.iter().enumerate() {
                canvas.cell((LEFT + CELL * col as i32, TOP + CELL * row as i32), *count, total)?;
            }
        }
        canvas.colour_scale(LEFT + side + 28, side.min(4 * CELL))
    }
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    /// One cell: `count` images of the `total` of its row.
    fn cell(&self, (left, top): (i32, i32), count: usize, total: usize) -> Result<(), ReportError> {
        let share = if total == 0 { 0.0 } else { count as f64 / total as f64 };
        let (ground, middle) = (colour(share), left + CELL / 2);
        let ink = text_on(ground);
        // A line of white stays between cells.
        self.rectangle((left, top), (left + CELL - 1, top + CELL - 1), ground)?;
        self.text(&count.to_string(), (middle, top + CELL / 2 - 10), 20, ink, HPos::Center)?;
        let percent = if total == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * share) };
        self.text(&percent, (middle, top + CELL / 2 + 14), 13, ink, HPos::Center)
    }

    fn colour_scale(&self, left: i32, height: i32) -> Result<(), ReportError> {
        let at = |steps: i32| TOP + height - height * steps / SCALE_STEPS;
        for step in 0..SCALE_STEPS {
            let shade = colour((f64::from(step) + 0.5) / f64::from(SCALE_STEPS));
            self.rectangle((left, at(step + 1)), (left + 16, at(step)), shade)?;
        }
        for percent in [0, 50, 100] {
            self.text(&format!("{percent} %"), (left + 24, at(percent)), 13, FAINT, HPos::Left)?;
        }
        self.text("of row", (left, TOP + height + 18), 13, FAINT, HPos::Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_legible_on_every_shade() {
        let mut last = 1.1;
        for step in 0..=100 {
            let ground = colour(f64::from(step) / 100.0);
            let (ink, ground) = (luminance(text_on(ground)), luminance(ground));
            assert!((ink.max(ground) + 0.05) / (ink.min(ground) + 0.05) >= 3.9, "step {step}");
            assert!(ground < last, "a larger share is darker");
            last = ground;
        }
    }
}
