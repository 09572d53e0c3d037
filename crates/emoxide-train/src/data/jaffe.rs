//! JAFFE: ten Japanese women, seven expressions, in the laboratory.
//!
//! Lyons et al., "Coding facial expressions with Gabor wavelets", 1998.

use std::path::Path;

use emoxide::labels::{Classes, Expression};

use super::folder::{file_name, pictures};
use super::words::only_bounds;
use super::{DataError, DataSet, Label, Sample, Source, Split};

const WANTED: &str = "JAFFE: expected pictures such as KA.AN1.39.tiff, in it or in its folder jaffedbase, jaffe or images; the \
                      authors give it away at zenodo.org/records/3451524";

/// Reads all pictures, which `test` and `all` are: there are no splits.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    if !matches!(split, Split::Test | Split::All) {
        let hint = "it has no splits; `test` and `all` are all of it";
        return Err(DataError::NoSplit { data: "jaffe".into(), path: path.into(), split, hint });
    }
    let folders = ["jaffedbase", "jaffe", "images", ""].map(|folder| path.join(folder));
    let mut samples = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for file in pictures(folder)? {
            let name = file_name(&file);
            // Subject, expression and its number, number of the picture.
            let Some(expression) = name.split('.').nth(1).and_then(|code| expression(code.get(..2)?)) else { continue };
            let class = Classes::seven().index_of(expression).unwrap_or_default();
            // As the CD-FER benchmark has them: the name without its last four letters.
            let stem = name.get(..name.len().saturating_sub(4)).unwrap_or_default();
            let bounds = path.join("annos/bbox").join(format!("{stem}txt"));
            let source = if bounds.is_file() {
                Source::Face { bounds: only_bounds(&bounds)?, file }
            } else {
                Source::File(file)
            };
            samples.push(Sample { name, source, label: Label::Class(class) });
        }
        if !samples.is_empty() {
            return Ok(DataSet { name: "jaffe".into(), split, classes: Classes::seven(), samples });
        }
    }
    Err(DataError::Missing { path: path.into(), wanted: WANTED })
}

fn expression(code: &str) -> Option<Expression> {
    Some(match code {
        "AN" => Expression::Anger,
        "DI" => Expression::Disgust,
        "FE" => Expression::Fear,
        "HA" => Expression::Happiness,
        "NE" => Expression::Neutral,
        "SA" => Expression::Sadness,
        "SU" => Expression::Surprise,
        _ => return None,
    })
}
