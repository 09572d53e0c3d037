//! AFED, Asian faces in films, in the layout of the CD-FER benchmark, which calls it AFE.
//!
//! Chen et al., "Cross-domain facial expression recognition: a unified evaluation benchmark and adversarial graph learning",
//! 2022.

use std::path::Path;

use emoxide::labels::Classes;

use super::words::{each_line, root_with};
use super::{DataError, DataSet, Label, Sample, Source, Split, check_first};

const WANTED: &str = "AFED: expected list/train_list.txt, list/val_list.txt and images, as the authors of the CD-FER benchmark \
                      give them on request";
const PICTURES: &str = "expected the pictures in `images`, beside `list`";

/// Place among [`Classes::seven`] of a code; others are not of the seven and are passed over.
fn class_of(code: i64) -> Option<usize> {
    // anger 0, disgust 1, fear 2, happiness 3, sadness 4, surprise 5, neutral 6
    Some(match code {
        0 => 6,
        1 => 3,
        3 => 5,
        4 => 4,
        5 => 1,
        6 => 2,
        9 => 0,
        _ => return None,
    })
}

/// Reads one split. A line of a list is a picture, a box as left, top, right, bottom, and, last, the code.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    let lists: &[&str] = match split {
        Split::Train => &["list/train_list.txt"],
        Split::Valid => &["list/val_list.txt"],
        Split::All => &["list/train_list.txt", "list/val_list.txt"],
        _ => {
            let hint = "it has train and valid";
            return Err(DataError::NoSplit { data: "afed".into(), path: path.into(), split, hint });
        }
    };
    let folders = ["AsianMovie_0725_0730", "Asian_Facial_Expression/AsianMovie_0725_0730"];
    let root = root_with(path, &folders, lists[0], WANTED)?;
    let mut samples = Vec::new();
    for list in lists {
        each_line(&root.join(list), |line| {
            let name = line.word(0, "image")?;
            let bounds = line.bounds(1)?;
            let Some(class) = class_of(line.number((line.len() - 1).max(5), "label")?) else { return Ok(()) };
            let file = root.join("images").join(name);
            check_first(&samples, &file, PICTURES)?;
            let [left, top, ..] = bounds;
            let source = Source::Face { file, bounds };
            samples.push(Sample { name: format!("images/{name}#{left},{top}"), source, label: Label::Class(class) });
            Ok(())
        })?;
    }
    Ok(DataSet { name: "afed".into(), split, classes: Classes::seven(), samples })
}
