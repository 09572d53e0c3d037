//! What a clip's faces show, in files.

use std::path::Path;

use anyhow::Result;
use emoxide::labels::{Classes, Expression};
use emoxide::video::{FaceSummary, Summary};
use emoxide_train::report::Timeline;
use emoxide_train::snapshot;
use serde::Serialize;

use crate::annotate;

/// `STEM.json`.
#[derive(Serialize)]
struct Sheet<'a> {
    input: &'a str,
    /// Frames that were looked at.
    frames: usize,
    frames_with_faces: usize,
    faces: &'a [FaceSummary],
}

/// Writes `STEM.json`, `STEM.csv` with a row a face, and the timeline as `STEM.svg` and `STEM.png`.
pub(super) fn write(folder: &Path, stem: &str, input: &str, classes: &Classes, summary: Summary) -> Result<()> {
    let (frames, frames_with_faces) = summary.frames();
    let faces = summary.finish();
    let file = |ending: &str| folder.join(format!("{stem}.{ending}"));
    let sheet = Sheet { input, frames, frames_with_faces, faces: &faces };
    snapshot::write(&file("json"), &serde_json::to_vec_pretty(&sheet)?)?;
    snapshot::write(&file("csv"), &table(input, classes, &faces)?)?;
    let colour = |expression| annotate::colour(expression).0;
    let timeline = Timeline { title: stem, classes, faces: &faces, colour };
    snapshot::write(&file("svg"), timeline.svg()?.as_bytes())?;
    Ok(snapshot::write(&file("png"), &timeline.png()?)?)
}

/// A row a face: seconds in each dominant expression, then mean probabilities.
fn table(input: &str, classes: &Classes, faces: &[FaceSummary]) -> Result<Vec<u8>> {
    let names: Vec<&str> = classes.iter().map(Expression::name).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> =
        ["input", "face_id", "first", "last", "frames", "seconds"].map(str::to_owned).to_vec();
    header.extend(names.iter().chain(&["uncertain"]).map(|name| format!("seconds_{name}")));
    header.extend(names.iter().map(|name| format!("mean_{name}")));
    writer.write_record(&header)?;
    for face in faces {
        let FaceSummary { face_id, first, last, frames, seconds, seconds_of, mean, .. } = face;
        let mut row = vec![input.to_owned(), face_id.to_string(), first.to_string(), last.to_string()];
        row.extend([frames.to_string(), format!("{seconds:.3}")]);
        let spent = |name| format!("{:.3}", seconds_of.get(name).copied().unwrap_or_default());
        row.extend(names.iter().copied().chain(["uncertain"]).map(spent));
        row.extend(classes.iter().map(|name| format!("{:.4}", mean.get(name).unwrap_or_default())));
        writer.write_record(&row)?;
    }
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}
