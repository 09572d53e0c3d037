//! Embeddings of pictures on a plane, a panel a model: how source and target come together over the epochs of a run.

use emoxide::labels::{Classes, Expression};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Canvas, Figure};
use super::{FAINT, INK, Plane, ReportError};

/// Side of a panel in pixels.
const PANEL: i32 = 340;
/// Space between the points and the panel's edge.
const INSET: i32 = 14;
/// Space between panels, and around the whole.
const GAP: i32 = 20;
/// Space above all panels: the title.
const TOP: i32 = 76;
/// Space above each panel: its own title.
const HEADING: i32 = 30;
/// Width of the legend, and the height of a line of it.
const LEGEND: i32 = 236;
const LINE: i32 = 24;
/// Panels side by side.
const MOST_COLS: usize = 4;
/// Half the size of a marker.
const MARKER: f64 = 3.5;

/// Colours of the classes, in the order of [`Expression::ALL`]: the same in every figure.
const COLOURS: [RGBColor; Expression::ALL.len()] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(136, 34, 85),
    RGBColor(230, 159, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
    RGBColor(33, 37, 41),
    RGBColor(86, 180, 233),
];

/// What pictures are to a model that learns on one data set and is used on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Drawn as circles.
    Source,
    /// Drawn as crosses.
    Target,
}

impl Role {
    /// Its name in tables and figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// Pictures of one split.
#[derive(Clone, Debug)]
pub struct Group {
    /// Which marker they have.
    pub role: Role,
    /// What they are called, such as `rafdb test`.
    pub name: String,
    /// The pictures' names.
    pub files: Vec<String>,
    /// Their classes, indices into those of the figure.
    pub labels: Vec<usize>,
}

/// What one model makes of the pictures.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The model, as the user calls it.
    pub model: String,
    /// What stands above the panel.
    pub title: String,
    /// The pictures of all groups, one group after the other.
    pub plane: Plane,
}

/// A figure of embeddings on planes.
#[derive(Clone, Debug)]
pub struct Embeddings {
    /// The title.
    pub title: String,
    /// What stands below the title.
    pub subtitle: String,
    /// What the labels mean.
    pub classes: Classes,
    /// The pictures.
    pub groups: Vec<Group>,
    /// One a model.
    pub panels: Vec<Panel>,
}

impl Embeddings {
    /// The figure as SVG.
    pub fn svg(&self) -> Result<String, ReportError> {
        canvas::svg(self)
    }

    /// The same picture as PNG, two pixels for one.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        canvas::png(self)
    }

    /// The table `role,set,file,class,model,x,y`, a row a picture and model.
    pub fn csv(&self) -> Result<Vec<u8>, ReportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| std::io::Error::other(error);
        writer.write_record(["role", "set", "file", "class", "model", "x", "y"]).map_err(failed)?;
        for panel in &self.panels {
            for ((group, index), [x, y]) in self.pictures().zip(&panel.plane.points) {
                let class = self.class(group, index).name();
                let [x, y] = [x, y].map(|value| format!("{value:.4}"));
                let cells = [group.role.name(), &group.name, &group.files[index], class, &panel.model, &x, &y];
                writer.write_record(cells).map_err(failed)?;
            }
        }
        Ok(writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?)
    }

    /// Every picture: its group and its place in it.
    fn pictures(&self) -> impl Iterator<Item = (&Group, usize)> {
        self.groups.iter().flat_map(|group| (0..group.files.len()).map(move |index| (group, index)))
    }

    fn class(&self, group: &Group, index: usize) -> Expression {
        self.classes.as_slice()[group.labels[index]]
    }

    fn cols(&self) -> i32 {
        self.panels.len().clamp(1, MOST_COLS) as i32
    }

    fn draw_panel<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        panel: &Panel,
        (left, top): (i32, i32),
    ) -> Result<(), ReportError> {
        let divergence = format!("KL {:.2}", panel.plane.divergence);
        canvas.text(&divergence, (left + PANEL, top - 14), 13, FAINT, HPos::Right)?;
        let title = canvas.fitting(&panel.title, 15, PANEL - 80)?;
        canvas.text(&title, (left, top - 14), 15, INK, HPos::Left)?;
        canvas.frame((left, top), (left + PANEL, top + PANEL), FAINT)?;
        let span = |axis: usize| {
            let values = panel.plane.points.iter().map(|point| point[axis]);
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
            (low.midpoint(high), high - low)
        };
        let ((middle_x, wide), (middle_y, tall)) = (span(0), span(1));
        // One scale for both axes: distances are what is shown.
        let scale = f64::from(PANEL - 2 * INSET) / wide.max(tall).max(f64::MIN_POSITIVE);
        let half = f64::from(PANEL) / 2.0;
        // The groups take turns, so that none covers another.
        let mut marks: Vec<_> = self.pictures().zip(&panel.plane.points).collect();
        marks.sort_by_key(|((_, index), _)| *index);
        for ((group, index), [x, y]) in marks {
            let at = (f64::from(left) + half + scale * (x - middle_x), f64::from(top) + half - scale * (y - middle_y));
            mark(canvas, group.role, at, colour(self.class(group, index)))?;
        }
        Ok(())
    }

    fn draw_legend<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, left: i32) -> Result<(), ReportError> {
        let mut line = TOP + HEADING + LINE / 2;
        for class in self.classes.iter() {
            canvas.dot((left + 6, line), 6, colour(class))?;
            canvas.text(class.name(), (left + 24, line), 15, INK, HPos::Left)?;
            line += LINE;
        }
        line += LINE / 2;
        for group in &self.groups {
            mark(canvas, group.role, (f64::from(left + 6), f64::from(line)), INK)?;
            canvas.text(group.role.name(), (left + 24, line), 15, INK, HPos::Left)?;
            let name = format!("{}, {} pictures", group.name, group.files.len());
            let name = canvas.fitting(&name, 13, LEGEND - 24)?;
            canvas.text(&name, (left + 24, line + LINE - 4), 13, FAINT, HPos::Left)?;
            line += 2 * LINE;
        }
        Ok(())
    }
}

impl Figure for Embeddings {
    fn size(&self) -> (i32, i32) {
        let rows = self.panels.len().div_ceil(MOST_COLS) as i32;
        let panels = rows * (HEADING + PANEL + GAP);
        let legend = HEADING + LINE * (self.classes.len() + 2 * self.groups.len() + 1) as i32 + GAP;
        (GAP + self.cols() * (PANEL + GAP) + LEGEND + GAP, TOP + panels.max(legend))
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<(), ReportError> {
        let (width, _) = self.size();
        let title = canvas.fitting(&self.title, 20, width - 2 * GAP)?;
        canvas.text(&title, (GAP, 26), 20, INK, HPos::Left)?;
        canvas.text(&self.subtitle, (GAP, 52), 13, FAINT, HPos::Left)?;
        for (index, panel) in self.panels.iter().enumerate() {
            let (row, col) = (index as i32 / self.cols(), index as i32 % self.cols());
            let left = GAP + col * (PANEL + GAP);
            let top = TOP + HEADING + row * (HEADING + PANEL + GAP);
            self.draw_panel(canvas, panel, (left, top))?;
        }
        self.draw_legend(canvas, GAP + self.cols() * (PANEL + GAP))
    }
}

fn mark<DB: DrawingBackend>(canvas: &Canvas<DB>, role: Role, at: (f64, f64), ink: RGBColor) -> Result<(), ReportError> {
    match role {
        Role::Source => canvas.ring(at, MARKER, ink),
        Role::Target => canvas.cross(at, MARKER - 0.5, ink),
    }
}

fn colour(class: Expression) -> RGBColor {
    COLOURS[class as usize]
}
