//! The extended Cohn-Kanade set: sequences from neutral to the peak of an expression, in the laboratory.
//!
//! Lucey et al., "The extended Cohn-Kanade dataset (CK+)", 2010.

use std::path::{Path, PathBuf};

use emoxide::labels::{Classes, Expression};

use super::folder::{file_name, folders, pictures, relative_name};
use super::table::bad_cell;
use super::{DataError, DataSet, Label, Sample, Source, Split};

const LABELS: &str = "Emotion";
const PICTURES: &str = "cohn-kanade-images";
const WANTED: &str = "CK+: expected Emotion/<subject>/<sequence>/*_emotion.txt and cohn-kanade-images/<subject>/<sequence>/*; the \
                      authors give it away on request (jeffcohn.net)";

/// Reads the last frame of every labelled sequence, its peak, which `test` and `all` are: there are no splits.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    if !matches!(split, Split::Test | Split::All) {
        let hint = "it has no splits; `test` and `all` are all of it";
        return Err(DataError::NoSplit { data: "ckplus".into(), path: path.into(), split, hint });
    }
    let missing = || DataError::Missing { path: path.into(), wanted: WANTED };
    if !path.join(LABELS).is_dir() || !path.join(PICTURES).is_dir() {
        return Err(missing());
    }
    let classes = Classes::eight().without(&[Expression::Neutral])?;
    let mut samples = Vec::new();
    for subject in folders(&path.join(LABELS))? {
        for sequence in folders(&subject)? {
            let Some(expression) = label(&sequence)? else { continue };
            let frames = path.join(PICTURES).join(file_name(&subject)).join(file_name(&sequence));
            let frames = if frames.is_dir() { pictures(&frames)? } else { Vec::new() };
            let peak = frames.into_iter().next_back().ok_or_else(missing)?;
            let class = classes.index_of(expression).unwrap_or_default();
            let name = relative_name(path, &peak);
            samples.push(Sample { name, source: Source::File(peak), label: Label::Class(class) });
        }
    }
    if samples.is_empty() { Err(missing()) } else { Ok(DataSet { name: "ckplus".into(), split, classes, samples }) }
}

/// The expression of a sequence; most have none. A label is a file with one number.
fn label(sequence: &Path) -> Result<Option<Expression>, DataError> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(sequence)? {
        let path: PathBuf = entry?.path();
        if file_name(&path).ends_with("_emotion.txt") {
            files.push(path);
        }
    }
    let Some(file) = files.into_iter().min() else { return Ok(None) };
    let text = fs_err::read_to_string(&file)?;
    let code = text.trim();
    let wanted = || bad_cell(&file, 1, "emotion", code, "a code from 1 to 7");
    let expressions = [
        Expression::Anger,
        Expression::Contempt,
        Expression::Disgust,
        Expression::Fear,
        Expression::Happiness,
        Expression::Sadness,
        Expression::Surprise,
    ];
    let number = code.parse::<f64>().ok().filter(|code| code.fract() == 0.0 && (1.0..=7.0).contains(code));
    number.map(|number| Some(expressions[number as usize - 1])).ok_or_else(wanted)
}
