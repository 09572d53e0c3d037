//! Predictions as the rows of a table: one a face, and one of a picture or frame without a face. Every form of table has these
//! columns: CSV, Parquet, Arrow.

use super::{Face, Prediction};
use crate::labels::{Classes, Expression};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number from 0 on, without a fraction.
    Whole,
    /// Seconds, in 64 bits.
    Seconds,
    /// A number, in 32 bits.
    Number,
    /// Yes or no; never empty.
    Flag,
}

/// Name and kind of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
}

/// A value; `None` is an empty cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Of a column of texts.
    Text(Option<String>),
    /// Of a column of whole numbers.
    Whole(Option<u64>),
    /// Of a column of seconds.
    Seconds(Option<f64>),
    /// Of a column of numbers.
    Number(Option<f32>),
    /// Of a column of flags.
    Flag(bool),
}

/// Columns in front of the probabilities.
pub const FRONT: [(&str, Kind); 12] = [
    ("input", Kind::Text),
    ("frame", Kind::Whole),
    ("timestamp", Kind::Seconds),
    ("face_id", Kind::Whole),
    ("success", Kind::Flag),
    ("FaceScore", Kind::Number),
    ("FaceRectX", Kind::Number),
    ("FaceRectY", Kind::Number),
    ("FaceRectWidth", Kind::Number),
    ("FaceRectHeight", Kind::Number),
    ("FrameWidth", Kind::Whole),
    ("FrameHeight", Kind::Whole),
];

/// All columns in order: those of Py-Feat with OpenFace's `success`.
pub fn columns(classes: &Classes) -> Vec<Column> {
    let mut columns: Vec<Column> = FRONT.map(|(name, kind)| Column { name: name.to_owned(), kind }).to_vec();
    let mut add = |name: String, kind| columns.push(Column { name, kind });
    classes.iter().for_each(|name| add(name.to_string(), Kind::Number));
    add("dominant_emotion".to_owned(), Kind::Text);
    add("dominant_score".to_owned(), Kind::Number);
    for point in 0..5 {
        add(format!("lm_x_{point}"), Kind::Number);
        add(format!("lm_y_{point}"), Kind::Number);
    }
    columns
}

/// The rows of a prediction, each with a cell for every one of the [`columns`].
pub fn rows(prediction: &Prediction, classes: &Classes) -> Vec<Vec<Cell>> {
    if prediction.faces.is_empty() {
        return vec![row(prediction, None, classes)];
    }
    prediction.faces.iter().map(|face| row(prediction, Some(face), classes)).collect()
}

fn row(prediction: &Prediction, face: Option<&Face>, classes: &Classes) -> Vec<Cell> {
    let bbox = face.map(|face| face.bbox);
    let mut cells = vec![
        Cell::Text(Some(prediction.input.clone())),
        Cell::Whole(Some(prediction.frame as u64)),
        Cell::Seconds(prediction.timestamp),
        Cell::Whole(face.map(|face| face.face_id as u64)),
        Cell::Flag(face.is_some()),
        Cell::Number(face.and_then(|face| face.detection_score)),
        Cell::Number(bbox.map(|bbox| bbox.x)),
        Cell::Number(bbox.map(|bbox| bbox.y)),
        Cell::Number(bbox.map(|bbox| bbox.width)),
        Cell::Number(bbox.map(|bbox| bbox.height)),
        Cell::Whole(Some(prediction.width.into())),
        Cell::Whole(Some(prediction.height.into())),
    ];
    cells.extend(classes.iter().map(|name| Cell::Number(face.and_then(|face| face.probabilities.get(name)))));
    let dominant = face.map(|face| face.dominant_emotion.map_or(super::UNCERTAIN, Expression::name).to_owned());
    cells.push(Cell::Text(dominant));
    cells.push(Cell::Number(face.and_then(|face| face.probabilities.top()).map(|(_, score)| score)));
    for point in 0..5 {
        let landmark = face.and_then(|face| face.landmarks).map(|landmarks| landmarks[point]);
        cells.extend([Cell::Number(landmark.map(|[x, _]| x)), Cell::Number(landmark.map(|[_, y]| y))]);
    }
    cells
}
