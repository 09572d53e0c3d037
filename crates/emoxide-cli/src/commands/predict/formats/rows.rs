//! The rows of CSV and Parquet: one a face, and one of a picture or frame without a face.

use anyhow::{Context, Result, ensure};
use emoxide::labels::{Classes, Expression};
use emoxide::recognizer::{Face, FaceBox, Prediction, Probabilities};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Text,
    Whole,
    /// 64 bits.
    Seconds,
    /// 32 bits.
    Number,
    Flag,
}

/// Name and kind of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Column {
    pub(in super::super) name: String,
    pub(in super::super) kind: Kind,
}

/// A value; `None` is an empty cell.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Cell {
    Text(Option<String>),
    Whole(Option<u64>),
    Seconds(Option<f64>),
    Number(Option<f32>),
    Flag(bool),
}

impl Cell {
    /// As CSV has it. Numbers are as short as gives the same number back.
    pub(super) fn text(&self) -> String {
        fn shown<T: ToString>(value: Option<&T>) -> String {
            value.map_or(String::new(), ToString::to_string)
        }
        match self {
            Self::Text(text) => shown(text.as_ref()),
            Self::Whole(value) => shown(value.as_ref()),
            Self::Seconds(value) => shown(value.as_ref()),
            Self::Number(value) => shown(value.as_ref()),
            Self::Flag(flag) => u8::from(*flag).to_string(),
        }
    }

    /// From CSV.
    pub(in super::super) fn parse(kind: Kind, text: &str) -> Result<Self> {
        fn value<T: std::str::FromStr>(text: &str) -> Result<Option<T>> {
            let odd = || format!("`{text}` is no value of its column");
            if text.is_empty() { Ok(None) } else { text.parse().ok().map(Some).with_context(odd) }
        }
        Ok(match kind {
            Kind::Text => Self::Text(value(text)?),
            Kind::Whole => Self::Whole(value(text)?),
            Kind::Seconds => Self::Seconds(value(text)?),
            Kind::Number => Self::Number(value(text)?),
            Kind::Flag => Self::Flag(text == "1"),
        })
    }
}

/// Columns in front of the probabilities.
const FRONT: [(&str, Kind); 12] = [
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
pub(in super::super) fn columns(classes: &Classes) -> Vec<Column> {
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

/// Calls `take` with every row of a prediction.
pub(super) fn each(
    prediction: &Prediction,
    classes: &Classes,
    mut take: impl FnMut(Vec<Cell>) -> Result<()>,
) -> Result<()> {
    if prediction.faces.is_empty() {
        return take(row(prediction, None, classes));
    }
    prediction.faces.iter().try_for_each(|face| take(row(prediction, Some(face), classes)))
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
    let dominant = face.map(|face| face.dominant_emotion.map_or("uncertain", Expression::name).to_owned());
    cells.push(Cell::Text(dominant));
    cells.push(Cell::Number(face.and_then(|face| face.probabilities.top()).map(|(_, score)| score)));
    for point in 0..5 {
        let landmark = face.and_then(|face| face.landmarks).map(|landmarks| landmarks[point]);
        cells.extend([Cell::Number(landmark.map(|[x, _]| x)), Cell::Number(landmark.map(|[_, y]| y))]);
    }
    cells
}

/// A row as a prediction with its one face, or without any: what [`each`] made it of.
pub(in super::super) fn prediction(cells: &[Cell], classes: &Classes) -> Result<Prediction> {
    ensure!(cells.len() == columns(classes).len(), "{} cells where {} belong", cells.len(), columns(classes).len());
    let whole = |at: usize| if let Cell::Whole(value) = cells[at] { value } else { None };
    let number = |at: usize| if let Cell::Number(value) = cells[at] { value } else { None };
    let text = |at: usize| if let Cell::Text(Some(text)) = &cells[at] { Some(text.clone()) } else { None };
    let timestamp = if let Cell::Seconds(value) = cells[2] { value } else { None };
    let behind = FRONT.len() + classes.len();
    let face = if cells[4] == Cell::Flag(true) {
        let side = |at| number(at).with_context(|| format!("no `{}`", FRONT[at].0));
        let bbox = FaceBox { x: side(6)?, y: side(7)?, width: side(8)?, height: side(9)? };
        let probability = |(index, name)| Some((name, number(FRONT.len() + index)?));
        let probabilities: Option<Vec<_>> = classes.iter().enumerate().map(probability).collect();
        let landmark = |point: usize| Some([number(behind + 2 + 2 * point)?, number(behind + 3 + 2 * point)?]);
        let landmarks: Option<Vec<[f32; 2]>> = (0..5).map(landmark).collect();
        let dominant = text(behind).context("no `dominant_emotion`")?;
        Some(Face {
            face_id: whole(3).context("no `face_id`")? as usize,
            bbox,
            detection_score: number(5),
            landmarks: landmarks.and_then(|points| points.try_into().ok()),
            dominant_emotion: if dominant == "uncertain" { None } else { Some(dominant.parse()?) },
            probabilities: Probabilities(probabilities.context("a probability is missing")?),
        })
    } else {
        None
    };
    Ok(Prediction {
        input: text(0).context("no `input`")?,
        frame: whole(1).context("no `frame`")? as usize,
        timestamp,
        width: whole(10).unwrap_or_default() as u32,
        height: whole(11).unwrap_or_default() as u32,
        faces: face.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_back_what_they_were_made_of() {
        let classes = Classes::seven();
        let face = Face {
            face_id: 3,
            bbox: FaceBox { x: 0.1, y: 2.0, width: 30.3, height: 40.7 },
            detection_score: Some(0.987_654_3),
            landmarks: Some([[1.5, 2.5]; 5]),
            dominant_emotion: None,
            probabilities: Probabilities(classes.iter().map(|name| (name, 1.0 / 7.0)).collect()),
        };
        let input = "a, \"b\".mp4".to_owned();
        let some =
            Prediction { input, frame: 7, timestamp: Some(7.0 / 30.0), width: 640, height: 480, faces: vec![face] };
        let none = Prediction { faces: Vec::new(), timestamp: None, ..some.clone() };
        for expected in [some, none] {
            each(&expected, &classes, |cells| {
                let texts = cells.iter().map(Cell::text);
                let again =
                    columns(&classes).into_iter().zip(texts).map(|(column, text)| Cell::parse(column.kind, &text));
                assert_eq!(prediction(&again.collect::<Result<Vec<_>>>()?, &classes)?, expected);
                Ok(())
            })
            .unwrap();
        }
        assert!(Cell::parse(Kind::Whole, "many").is_err());
    }
}
