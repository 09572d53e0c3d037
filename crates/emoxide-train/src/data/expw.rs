//! `ExpW`: faces in pictures from the web.
//!
//! Zhang, Luo, Loy, Tang, "From facial expression recognition to interpersonal relation prediction", 2018.

use std::path::Path;

use emoxide::labels::Classes;

use super::words::{each_line, root_with};
use super::{DataError, DataSet, Label, Sample, Source, Split, check_first};

/// Codes 0 to 6 in this order, which is the canonical one.
const CODES: [&str; 7] = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"];
const LABELS: &str = "label/label.lst";
const WANTED: &str = "ExpW: expected label/label.lst and image/origin; the authors give it away at \
                      mmlab.ie.cuhk.edu.hk/projects/socialrelation";
const PICTURES: &str = "unpack origin.7z into image/origin";
/// The set has no splits of its own. The split of the CD-FER benchmark into random thirds of every class is lost; these
/// are others, always the same.
const SEED: u64 = 0;

/// Reads one of three random thirds of every class, or all faces. A line of the list is a picture, the number of the face
/// in it, a box as top, left, right, bottom (in this order), the detector's confidence, and the code.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    let root = root_with(path, &["ExpW", "data"], LABELS, WANTED)?;
    let mut samples = Vec::new();
    each_line(&root.join(LABELS), |line| {
        let name = line.word(0, "image_name")?;
        let face = line.word(1, "face_id_in_image")?;
        let [top, left, right, bottom] = line.bounds(2)?;
        let code = line.number(7, "expression_label")?;
        let class = usize::try_from(code).ok().filter(|class| *class < CODES.len());
        let class = class.ok_or_else(|| line.bad("expression_label", &code.to_string(), "a code from 0 to 6"))?;
        let file = root.join("image/origin").join(name);
        check_first(&samples, &file, PICTURES)?;
        let source = Source::Face { file, bounds: [left, top, right, bottom] };
        samples.push(Sample { name: format!("image/origin/{name}#{face}"), source, label: Label::Class(class) });
        Ok(())
    })?;
    let all = DataSet { name: "expw".into(), split: Split::All, classes: Classes::from_names(CODES)?, samples };
    let thirds = |all: &DataSet| {
        let (rest, valid) = all.hold_out(1.0 / 3.0, SEED)?;
        let (train, test) = rest.hold_out(0.5, SEED)?;
        Ok::<_, DataError>([train, valid, test])
    };
    match split {
        Split::All => Ok(all),
        Split::Train | Split::Valid | Split::Test => {
            let [train, valid, test] = thirds(&all)?;
            let chosen = match split {
                Split::Train => train,
                Split::Valid => valid,
                _ => test,
            };
            Ok(DataSet { split, ..chosen })
        }
        Split::Public | Split::Private => {
            let hint = "it has no splits of its own; train, valid and test are random thirds of every class";
            Err(DataError::NoSplit { data: "expw".into(), path: path.into(), split, hint })
        }
    }
}
