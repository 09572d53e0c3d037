//! Training curves from a run's `metrics.csv`.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{FAINT, FONT, INK, ReportError, draw_error, load_font, table_error};
use crate::snapshot;

const SIZE: (u32, u32) = (900, 960);

/// Line colours that stay apart for colour-blind readers (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// What the panels show, from top to bottom: every column whose name ends so.
const PANELS: [&str; 3] = ["loss", "accuracy", "rate"];

/// One column of the table; empty cells are left out.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Reads `metrics.csv` and writes the curves of it as SVG.
pub fn write_curves(metrics: &Path, svg: &Path) -> Result<(), ReportError> {
    Ok(snapshot::write(svg, curves_svg(metrics)?.as_bytes())?)
}

/// The curves of a `metrics.csv` as SVG: a panel each for losses, accuracies and the learning rate.
///
/// The table has a column `epoch` and any of the columns `*loss`, `*accuracy` and `*rate`; others are left alone.
pub fn curves_svg(metrics: &Path) -> Result<String, ReportError> {
    let lines = read(metrics)?;
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), &lines)?;
    Ok(text)
}

fn read(path: &Path) -> Result<Vec<Line>, ReportError> {
    let mut reader = csv::Reader::from_reader(fs_err::File::open(path)?);
    let header = reader.headers().map_err(table_error(path))?.clone();
    let epoch = header
        .iter()
        .position(|name| name == "epoch")
        .ok_or(ReportError::Column { path: path.to_owned(), column: "epoch" })?;
    let mut lines: Vec<Line> =
        header.iter().map(|name| Line { name: name.replace('_', " "), points: Vec::new() }).collect();
    for record in reader.records() {
        let record = record.map_err(table_error(path))?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |cell: &str| {
            let cell = cell.trim();
            cell.parse::<f64>().map_err(|_| ReportError::Number { path: path.to_owned(), line, cell: cell.to_owned() })
        };
        let at = number(&record[epoch])?;
        for (column, cell) in lines.iter_mut().zip(record.iter()) {
            if cell.trim().is_empty() || !PANELS.iter().any(|panel| column.name.ends_with(panel)) {
                continue;
            }
            let value = number(cell)?;
            // A loss that blew up has no place on an axis.
            if value.is_finite() {
                column.points.push((at, value));
            }
        }
    }
    Ok(lines)
}

fn draw<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, lines: &[Line]) -> Result<(), ReportError> {
    load_font();
    area.fill(&WHITE).map_err(draw_error)?;
    for (area, panel) in area.split_evenly((PANELS.len(), 1)).iter().zip(PANELS) {
        let lines: Vec<&Line> =
            lines.iter().filter(|line| line.name.ends_with(panel) && !line.points.is_empty()).collect();
        draw_panel(area, panel, &lines)?;
    }
    area.present().map_err(draw_error)
}

fn draw_panel<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    panel: &str,
    lines: &[&Line],
) -> Result<(), ReportError> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (mut from, mut to) = span(points().map(|point| point.0));
    if to - from < 1e-9 {
        (from, to) = (from - 0.5, to + 0.5);
    }
    let (low, high) = span(points().map(|point| point.1));
    // A rate starts at 0, so that its fall is seen as what it is.
    let low = if panel == "rate" { 0.0 } else { low };
    let room = if high - low > 1e-12 { 0.06 * (high - low) } else { high.abs().max(1e-6) * 0.1 };

    let small = |colour: &RGBColor| (FONT, 13).into_font().color(colour);
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .margin_right(24)
        .caption(panel, (FONT, 18).into_font().color(&INK))
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(from..to, (if panel == "rate" { low } else { low - room })..(high + room))
        .map_err(draw_error)?;
    let value = move |value: &f64| if high < 0.01 { format!("{value:.1e}") } else { format!("{value:.3}") };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.25))
        .axis_style(FAINT)
        .x_label_style(small(&INK))
        .y_label_style(small(&INK))
        .x_labels(12)
        .y_labels(6)
        .x_label_formatter(&|epoch| if epoch.fract().abs() < 1e-9 { format!("{epoch:.0}") } else { String::new() })
        .y_label_formatter(&value)
        .x_desc("epoch")
        .axis_desc_style(small(&FAINT))
        .draw()
        .map_err(draw_error)?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series([PathElement::new(line.points.clone(), colour.stroke_width(2))])
            .map_err(draw_error)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        // A run of one epoch is a dot, not nothing.
        if let [point] = line.points[..] {
            chart.draw_series([Circle::new(point, 4, colour.filled())]).map_err(draw_error)?;
        }
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(if panel == "loss" { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::LowerRight })
            .background_style(WHITE.mix(0.85))
            .border_style(FAINT.mix(0.4))
            .label_font(small(&INK))
            .draw()
            .map_err(draw_error)?;
    }
    Ok(())
}

/// Smallest and largest value; 0 to 1 of nothing.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}
