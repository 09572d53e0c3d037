//! The forms of a prediction: table, JSON, NDJSON, CSV.

use std::io::Write;

use anyhow::Result;
use emoxide::labels::Classes;
use emoxide::recognizer::{Face, Prediction};

use super::Format;
use crate::output::bar;

/// Cells of a probability bar.
const BAR: usize = 24;

/// Writes predictions one by one, so that memory does not grow with their number.
pub(super) struct Writer {
    format: Format,
    sink: Box<dyn Write>,
    classes: Classes,
    written: usize,
}

impl Writer {
    pub(super) fn new(format: Format, sink: Box<dyn Write>, classes: &Classes) -> Self {
        Self { format, sink, classes: classes.clone(), written: 0 }
    }

    pub(super) fn write(&mut self, prediction: &Prediction) -> Result<()> {
        match self.format {
            Format::Table => self.table(prediction)?,
            Format::Json => {
                self.sink.write_all(if self.written == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.sink, prediction).map_err(std::io::Error::from)?;
            }
            Format::Ndjson => {
                serde_json::to_writer(&mut self.sink, prediction).map_err(std::io::Error::from)?;
                self.sink.write_all(b"\n")?;
                self.sink.flush()?;
            }
            Format::Csv => self.csv(prediction)?,
        }
        self.written += 1;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        match self.format {
            Format::Json if self.written == 0 => self.sink.write_all(b"[]\n")?,
            Format::Json => self.sink.write_all(b"\n]\n")?,
            Format::Csv if self.written == 0 => self.csv_header()?,
            _ => {}
        }
        Ok(self.sink.flush()?)
    }

    fn table(&mut self, prediction: &Prediction) -> Result<()> {
        let Prediction { input, width, height, faces, .. } = prediction;
        let count = match faces.len() {
            0 => "no face".to_owned(),
            1 => "1 face".to_owned(),
            count => format!("{count} faces"),
        };
        writeln!(self.sink, "{input}  {width}x{height}  {count}")?;
        for face in faces {
            let verdict = face.dominant_emotion.map_or("uncertain", emoxide::labels::Expression::name);
            let bbox = face.bbox;
            let score = face.detection_score.map_or(String::new(), |score| format!("  detection {score:.3}"));
            writeln!(
                self.sink,
                "  face {}: {verdict}  box {:.0},{:.0} {:.0}x{:.0}{score}",
                face.face_id, bbox.x, bbox.y, bbox.width, bbox.height
            )?;
            for (name, probability) in &face.probabilities.0 {
                let line = format!("    {name:<10} {} {:5.1} %", bar(*probability, BAR), probability * 100.0);
                writeln!(self.sink, "{line}")?;
            }
        }
        Ok(self.sink.flush()?)
    }

    fn csv_header(&mut self) -> Result<()> {
        let mut header: Vec<String> = [
            "input",
            "frame",
            "timestamp",
            "face_id",
            "success",
            "FaceScore",
            "FaceRectX",
            "FaceRectY",
            "FaceRectWidth",
            "FaceRectHeight",
            "FrameWidth",
            "FrameHeight",
        ]
        .map(str::to_owned)
        .to_vec();
        header.extend(self.classes.iter().map(|name| name.to_string()));
        header.extend(["dominant_emotion", "dominant_score"].map(str::to_owned));
        for point in 0..5 {
            header.extend([format!("lm_x_{point}"), format!("lm_y_{point}")]);
        }
        self.row(&header)
    }

    fn csv(&mut self, prediction: &Prediction) -> Result<()> {
        if self.written == 0 {
            self.csv_header()?;
        }
        if prediction.faces.is_empty() {
            return self.csv_face(prediction, None);
        }
        prediction.faces.iter().try_for_each(|face| self.csv_face(prediction, Some(face)))
    }

    fn csv_face(&mut self, prediction: &Prediction, face: Option<&Face>) -> Result<()> {
        let number = |value: Option<f32>| value.map_or(String::new(), |value| value.to_string());
        let bbox = face.map(|face| face.bbox);
        let mut row = vec![
            prediction.input.clone(),
            prediction.frame.to_string(),
            String::new(), // a still picture has no time
            face.map_or(String::new(), |face| face.face_id.to_string()),
            u8::from(face.is_some()).to_string(),
            number(face.and_then(|face| face.detection_score)),
            number(bbox.map(|bbox| bbox.x)),
            number(bbox.map(|bbox| bbox.y)),
            number(bbox.map(|bbox| bbox.width)),
            number(bbox.map(|bbox| bbox.height)),
            prediction.width.to_string(),
            prediction.height.to_string(),
        ];
        let probability = |name| number(face.and_then(|face| face.probabilities.get(name)));
        row.extend(self.classes.iter().map(probability));
        row.push(face.map_or(String::new(), |face| {
            face.dominant_emotion.map_or("uncertain", emoxide::labels::Expression::name).to_owned()
        }));
        row.push(number(face.and_then(|face| face.probabilities.top()).map(|(_, score)| score)));
        for point in 0..5 {
            let landmark = face.and_then(|face| face.landmarks).map(|landmarks| landmarks[point]);
            row.extend([number(landmark.map(|[x, _]| x)), number(landmark.map(|[_, y]| y))]);
        }
        self.row(&row)
    }

    fn row(&mut self, cells: &[String]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.sink);
        writer.write_record(cells)?;
        Ok(writer.flush()?)
    }
}
