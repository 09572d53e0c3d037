//! SFEW 2.0: frames of films.
//!
//! Dhall et al., "Video and image based emotion recognition challenges in the wild: `EmotiW` 2015"; version 1.0 (2011) is class
//! folders without splits, for which `folder` is the reader.

use std::path::{Path, PathBuf};

use emoxide::labels::{Classes, Expression};

use super::folder::{class_folders, samples};
use super::{DataError, DataSet, Sample, Source, Split};

const FRAMES: &str = "SFEW 2.0: expected Train/<class>/* and Val/<class>/*, or Train/imgs/<class>/* with \
                      Train/Annotations/Bboxs/<class>/*.txt as the CD-FER benchmark has them; its authors give it away on request \
                      (cs.anu.edu.au/few)";
const ALIGNED: &str = "the aligned faces of SFEW 2.0: expected Train_Aligned_Faces/<class>/* and Val_Aligned_Faces/<class>/*; the \
                       authors give them away on request (cs.anu.edu.au/few)";

/// Reads one split: whole frames, faces where a box stands beside a frame, or the official aligned faces. The labels of the
/// test split were never given away.
pub(super) fn read(path: &Path, split: Split, aligned: bool) -> Result<DataSet, DataError> {
    let name = if aligned { "sfew-aligned" } else { "sfew" };
    let parts: &[&str] = match split {
        Split::Train => &["Train"],
        Split::Valid => &["Val"],
        Split::All => &["Train", "Val"],
        _ => {
            let hint = "it has train and valid; the labels of its test split were not given away";
            return Err(DataError::NoSplit { data: name.into(), path: path.into(), split, hint });
        }
    };
    let classes = Classes::seven();
    let mut all = Vec::new();
    for part in parts {
        let (base, forms) = if aligned {
            (path.to_owned(), vec![path.join(format!("{part}_Aligned_Faces")), path.join("Aligned").join(part)])
        } else {
            (path.join(part), vec![path.join(part).join("imgs"), path.join(part)])
        };
        let wanted = if aligned { ALIGNED } else { FRAMES };
        let folder = forms.into_iter().find(|form| form.is_dir());
        let folder = folder.ok_or_else(|| DataError::Missing { path: path.into(), wanted })?;
        let found: Vec<(Expression, PathBuf)> = class_folders(&folder)?;
        for sample in samples(path, &found, &classes)? {
            all.push(if aligned { sample } else { boxed(&base, sample)? });
        }
    }
    Ok(DataSet { name: name.into(), split, classes, samples: all })
}

/// The face in a frame, if its box stands in `Annotations/Bboxs`: left, top, right, bottom.
fn boxed(base: &Path, sample: Sample) -> Result<Sample, DataError> {
    let Source::File(file) = &sample.source else { return Ok(sample) };
    let class = file.parent().and_then(Path::file_name).unwrap_or_default();
    let annotation =
        base.join("Annotations/Bboxs").join(class).join(file.with_extension("txt").file_name().unwrap_or_default());
    if !annotation.is_file() {
        return Ok(sample);
    }
    let bounds = super::words::only_bounds(&annotation)?;
    Ok(Sample { source: Source::Face { file: file.clone(), bounds }, ..sample })
}
