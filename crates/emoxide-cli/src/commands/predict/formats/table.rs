//! A bar for every class, for people.

use std::io::Write;

use anyhow::Result;
use emoxide::labels::Expression;
use emoxide::recognizer::Prediction;

use crate::output::bar;

/// Cells of a probability bar.
const BAR: usize = 24;

pub(super) fn write(sink: &mut dyn Write, prediction: &Prediction) -> Result<()> {
    let Prediction { input, frame, timestamp, width, height, faces } = prediction;
    let count = match faces.len() {
        0 => "no face".to_owned(),
        1 => "1 face".to_owned(),
        count => format!("{count} faces"),
    };
    let when = timestamp.map_or(String::new(), |timestamp| format!("  frame {frame} at {timestamp:.3} s"));
    writeln!(sink, "{input}{when}  {width}x{height}  {count}")?;
    for face in faces {
        let verdict = face.dominant_emotion.map_or("uncertain", Expression::name);
        let bbox = face.bbox;
        let score = face.detection_score.map_or(String::new(), |score| format!("  detection {score:.3}"));
        writeln!(
            sink,
            "  face {}: {verdict}  box {:.0},{:.0} {:.0}x{:.0}{score}",
            face.face_id, bbox.x, bbox.y, bbox.width, bbox.height
        )?;
        for (name, probability) in &face.probabilities.0 {
            let line = format!("    {name:<10} {} {:5.1} %", bar(*probability, BAR), probability * 100.0);
            writeln!(sink, "{line}")?;
        }
    }
    Ok(sink.flush()?)
}
