//! RAF-DB, basic expressions: the aligned pictures, or the faces in the original ones.
//!
//! Li, Deng, Du, "Reliable crowdsourcing and deep locality-preserving learning for expression recognition in the wild", 2017.

use std::path::Path;

use emoxide::labels::Classes;

use super::table::bad_cell;
use super::words::only_bounds;
use super::{DataError, DataSet, Label, Sample, Source, Split, check_first};

/// Codes 1 to 7 in this order.
const CODES: [&str; 7] = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"];
/// The file's real name, misspelling included.
const LABELS: &str = "EmoLabel/list_patition_label.txt";
const WANTED: &str = "RAF-DB: expected basic/EmoLabel/list_patition_label.txt and basic/Image/aligned (the package's folder, or \
                      its folder `basic`)";
const PICTURES: &str = "unpack Image/aligned.zip into basic/Image/aligned";
const ORIGINALS: &str = "unpack Image/original.zip into basic/Image/original";
const BOXES: &str = "RAF-DB's boxes: expected basic/Annotation/boundingbox/<picture>_boundingbox.txt, or <picture>.txt as the \
                     CD-FER benchmark has them";

/// Reads one split: the aligned pictures, or the boxes of the faces in the original ones.
pub(super) fn read(path: &Path, split: Split, original: bool) -> Result<DataSet, DataError> {
    let data = if original { "rafdb-original" } else { "rafdb" };
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "test",
        Split::All => "",
        _ => {
            let hint =
                "it has train and test; for a validation slice hold out a part of train (`data.hold_out` in a recipe)";
            return Err(DataError::NoSplit { data: data.into(), path: path.into(), split, hint });
        }
    };
    let root = [path.join("basic"), path.to_owned()]
        .into_iter()
        .find(|root| root.join(LABELS).is_file())
        .ok_or(DataError::Missing { path: path.into(), wanted: WANTED })?;
    let list = root.join(LABELS);
    let mut samples = Vec::new();
    for (index, line) in fs_err::read_to_string(&list)?.lines().enumerate() {
        let number = index as u64 + 1;
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        if !name.starts_with("train") && !name.starts_with("test") {
            return Err(bad_cell(&list, number, "name", name, "a name that begins with train or test"));
        }
        let code = words.next().unwrap_or_default();
        let Some(class) = code.parse::<usize>().ok().filter(|code| (1..=7).contains(code)) else {
            return Err(bad_cell(&list, number, "label", code, "a code from 1 to 7"));
        };
        if !name.starts_with(prefix) {
            continue;
        }
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).trim_end_matches("_aligned");
        let name =
            if original { format!("Image/original/{stem}.jpg") } else { format!("Image/aligned/{stem}_aligned.jpg") };
        let path = root.join(&name);
        check_first(&samples, &path, if original { ORIGINALS } else { PICTURES })?;
        let source =
            if original { Source::Face { bounds: bounds(&root, stem)?, file: path } } else { Source::File(path) };
        samples.push(Sample { name, source, label: Label::Class(class - 1) });
    }
    let data = DataSet { name: data.into(), split, classes: Classes::from_names(CODES)?, samples };
    data.reordered(&Classes::seven())
}

/// Left, top, right, bottom of the face in an original picture.
fn bounds(root: &Path, stem: &str) -> Result<[i32; 4], DataError> {
    let folder = root.join("Annotation/boundingbox");
    let files = [format!("{stem}_boundingbox.txt"), format!("{stem}.txt")].map(|name| folder.join(name));
    let file = files.into_iter().find(|file| file.is_file());
    only_bounds(&file.ok_or(DataError::Missing { path: folder, wanted: BOXES })?)
}
