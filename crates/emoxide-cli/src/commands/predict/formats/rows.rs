//! The rows of CSV and Parquet, written and read back.

use anyhow::{Context, Result, ensure};
use emoxide::labels::Classes;
use emoxide::recognizer::rows::FRONT;
pub(in super::super) use emoxide::recognizer::rows::{Cell, Column, Kind, columns, rows};
use emoxide::recognizer::{Face, FaceBox, Prediction, Probabilities};

/// A cell as CSV has it. Numbers are as short as gives the same number back.
pub(super) fn text(cell: &Cell) -> String {
    fn shown<T: ToString>(value: Option<&T>) -> String {
        value.map_or(String::new(), ToString::to_string)
    }
    match cell {
        Cell::Text(text) => shown(text.as_ref()),
        Cell::Whole(value) => shown(value.as_ref()),
        Cell::Seconds(value) => shown(value.as_ref()),
        Cell::Number(value) => shown(value.as_ref()),
        Cell::Flag(flag) => u8::from(*flag).to_string(),
    }
}

/// A cell from CSV.
pub(in super::super) fn parse(kind: Kind, text: &str) -> Result<Cell> {
    fn value<T: std::str::FromStr>(text: &str) -> Result<Option<T>> {
        let odd = || format!("`{text}` is no value of its column");
        if text.is_empty() { Ok(None) } else { text.parse().ok().map(Some).with_context(odd) }
    }
    Ok(match kind {
        Kind::Text => Cell::Text(value(text)?),
        Kind::Whole => Cell::Whole(value(text)?),
        Kind::Seconds => Cell::Seconds(value(text)?),
        Kind::Number => Cell::Number(value(text)?),
        Kind::Flag => Cell::Flag(text == "1"),
    })
}

/// A row as a prediction with its one face, or without any: what [`rows`] made it of.
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
            let texts = rows(&expected, &classes).remove(0).iter().map(text).collect::<Vec<_>>();
            let again = columns(&classes).into_iter().zip(texts).map(|(column, text)| parse(column.kind, &text));
            assert_eq!(prediction(&again.collect::<Result<Vec<_>>>().unwrap(), &classes).unwrap(), expected);
        }
        assert!(parse(Kind::Whole, "many").is_err());
    }
}
