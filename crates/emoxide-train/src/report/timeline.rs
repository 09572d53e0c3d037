//! What the faces of a clip show, over time: a lane for every expression, so that the picture is read by place and not by
//! colour alone.

use emoxide::labels::{Classes, Expression};
use emoxide::video::FaceSummary;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Canvas, Figure};
use super::{FAINT, INK, ReportError};

/// Width of the time axis in pixels.
const WIDTH: i32 = 900;
/// Height of a lane.
const LANE: i32 = 15;
/// Space left of the lanes: the names of the expressions.
const LEFT: i32 = 104;
const RIGHT: i32 = 28;
/// Space above the first face: the title.
const TOP: i32 = 44;
/// Space above the lanes of each face: its own line.
const HEADING: i32 = 28;
/// Space below the last face: the axis.
const BOTTOM: i32 = 48;
/// Faces that are drawn at most.
const FACES: usize = 20;
/// Labels of the axis at most.
const LABELS: f64 = 12.0;

const GROUND: RGBColor = RGBColor(248, 249, 250);
const GRID: RGBColor = RGBColor(222, 226, 230);

/// A picture of a clip's faces.
pub struct Timeline<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The model's classes: the lanes.
    pub classes: &'a Classes,
    /// The faces. The longest seen are drawn, in the order of their numbers.
    pub faces: &'a [FaceSummary],
    /// Red, green and blue of an expression, and of none.
    pub colour: fn(Option<Expression>) -> [u8; 3],
}

impl Timeline<'_> {
    /// The picture as SVG.
    pub fn svg(&self) -> Result<String, ReportError> {
        canvas::svg(&self.layout())
    }

    /// The same picture as PNG, two pixels for one.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        canvas::png(&self.layout())
    }

    fn layout(&self) -> Layout<'_> {
        let mut faces: Vec<&FaceSummary> = self.faces.iter().collect();
        faces.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        faces.truncate(FACES);
        faces.sort_by_key(|face| face.face_id);
        let mut lanes: Vec<Option<Expression>> = self.classes.iter().map(Some).collect();
        if faces.iter().any(|face| face.timeline.iter().any(|run| run.expression.is_none())) {
            lanes.push(None);
        }
        let runs = || faces.iter().flat_map(|face| &face.timeline);
        let from = runs().map(|run| run.start).fold(f64::INFINITY, f64::min);
        let to = runs().map(|run| run.end).fold(0.0, f64::max);
        let (from, to) = if from < to { (from, to) } else { (0.0, 1.0) };
        Layout { timeline: self, faces, lanes, from, to }
    }
}

struct Layout<'a> {
    timeline: &'a Timeline<'a>,
    faces: Vec<&'a FaceSummary>,
    lanes: Vec<Option<Expression>>,
    /// First and last second of the axis.
    from: f64,
    to: f64,
}

impl Layout<'_> {
    fn block(&self) -> i32 {
        HEADING + LANE * self.lanes.len() as i32
    }

    fn bottom(&self) -> i32 {
        TOP + self.block() * self.faces.len() as i32
    }

    fn x(&self, second: f64) -> i32 {
        LEFT + ((second - self.from) / (self.to - self.from) * f64::from(WIDTH)).round() as i32
    }

    fn face<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, top: i32, face: &FaceSummary) -> Result<(), ReportError> {
        let FaceSummary { face_id, frames, first, last, .. } = face;
        let heading = format!("face {face_id}: {frames} frames, {first:.1} s to {last:.1} s");
        canvas.text(&heading, (LEFT, top + HEADING - 11), 13, INK, HPos::Left)?;
        for (index, lane) in self.lanes.iter().enumerate() {
            let high = top + HEADING + LANE * index as i32;
            let name = lane.map_or("uncertain", Expression::name);
            canvas.text(name, (LEFT - 8, high + LANE / 2), 11, INK, HPos::Right)?;
            canvas.rectangle((LEFT, high), (LEFT + WIDTH, high + LANE - 2), GROUND)?;
            let [red, green, blue] = (self.timeline.colour)(*lane);
            for run in face.timeline.iter().filter(|run| run.expression == *lane) {
                // A run of one frame is still to be seen.
                let (left, right) = (self.x(run.start), self.x(run.end).max(self.x(run.start) + 1));
                canvas.rectangle((left, high), (right, high + LANE - 2), RGBColor(red, green, blue))?;
            }
        }
        Ok(())
    }

    fn axis<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<(), ReportError> {
        let bottom = self.bottom();
        let step = step((self.to - self.from) / LABELS);
        let mut second = (self.from / step).ceil() * step;
        canvas.rectangle((LEFT, bottom + 4), (LEFT + WIDTH, bottom + 5), FAINT)?;
        while second <= self.to {
            let x = self.x(second);
            canvas.rectangle((x, bottom + 4), (x + 1, bottom + 10), FAINT)?;
            canvas.text(&label(second, step), (x, bottom + 20), 12, INK, HPos::Center)?;
            second += step;
        }
        canvas.text("time", (LEFT + WIDTH / 2, bottom + 36), 13, FAINT, HPos::Center)
    }
}

impl Figure for Layout<'_> {
    fn size(&self) -> (i32, i32) {
        (LEFT + WIDTH + RIGHT, self.bottom() + BOTTOM)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<(), ReportError> {
        let shown = match (self.faces.len(), self.timeline.faces.len()) {
            (0, _) => ": no face".to_owned(),
            (shown, all) if shown < all => format!(": the {shown} faces seen longest, of {all}"),
            _ => String::new(),
        };
        let title = canvas.fitting(&format!("{}{shown}", self.timeline.title), 17, WIDTH)?;
        canvas.text(&title, (LEFT, 24), 17, INK, HPos::Left)?;
        for (index, face) in self.faces.iter().enumerate() {
            let top = TOP + self.block() * index as i32;
            canvas.rectangle((LEFT - 96, top + 2), (LEFT + WIDTH, top + 3), GRID)?;
            self.face(canvas, top, face)?;
        }
        self.axis(canvas)
    }
}

/// The next larger of the steps at which times are read easily.
fn step(least: f64) -> f64 {
    const STEPS: [f64; 18] =
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    STEPS.into_iter().find(|step| *step >= least).unwrap_or_else(|| (least / 3600.0).ceil() * 3600.0)
}

/// A time as short as the step allows: `0.25 s`, `12 s`, `2:30`, `1:02:00`.
fn label(second: f64, step: f64) -> String {
    if step < 0.1 {
        return format!("{second:.2} s");
    }
    if step < 1.0 {
        return format!("{second:.1} s");
    }
    let whole = second.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emoxide::recognizer::Probabilities;
    use emoxide::video::Run;

    fn face(face_id: usize) -> FaceSummary {
        let run = |start, end, expression| Run { start, end, expression };
        FaceSummary {
            face_id,
            first: 0.0,
            last: 9.0,
            frames: 90,
            seconds: 9.0 + face_id as f64,
            seconds_of: std::collections::BTreeMap::new(),
            mean: Probabilities(Vec::new()),
            timeline: vec![run(0.0, 4.0, Some(Expression::Anger)), run(4.0, 9.0, None)],
        }
    }

    #[test]
    fn every_expression_has_a_lane_and_many_faces_are_cut_to_the_longest() {
        let faces: Vec<FaceSummary> = (0..25).map(face).collect();
        let colour = |_| [10, 20, 30];
        let timeline = Timeline { title: "clip", classes: &Classes::seven(), faces: &faces, colour };
        let svg = timeline.svg().unwrap();
        assert!(svg.contains("the 20 faces seen longest, of 25") && svg.contains("uncertain"));
        assert!(svg.contains("face 24:") && !svg.contains("face 4:"));
        assert!(!timeline.png().unwrap().is_empty());
        let empty = Timeline { title: "clip", classes: &Classes::seven(), faces: &[], colour };
        assert!(empty.svg().unwrap().contains("no face"));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(
            [label(0.25, 0.05), label(12.0, 1.0), label(150.0, 30.0), label(3720.0, 60.0)],
            ["0.25 s", "12 s", "2:30", "1:02:00"]
        );
        assert!((step(0.3) - 0.5).abs() < 1e-9 && (step(5000.0) - 7200.0).abs() < 1e-9);
    }
}
