//! FER2013: the table of the contest, or the folder form.
//!
//! Goodfellow et al., "Challenges in representation learning: a report on three machine learning contests", 2013.

use std::path::{Path, PathBuf};

use emoxide::labels::Classes;

use super::table::{Row, Table};
use super::{DataError, DataSet, FER_SIDE, Label, Sample, Source, Split, folder};

const WANTED: &str =
    "FER2013: expected fer2013.csv (columns emotion, pixels, Usage), or folders train/<class> and test/<class>";
const TABLES: [&str; 2] = ["fer2013.csv", "icml_face_data.csv"];

/// Reads one split from a table or a folder.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    let samples = match find_table(path) {
        Some(table) => from_table(&table, split)?,
        None if path.is_dir() => from_folders(path, split)?,
        None => return Err(DataError::Missing { path: path.into(), wanted: WANTED }),
    };
    Ok(DataSet { name: "fer2013".into(), split, classes: Classes::seven(), samples })
}

/// The table at `path` or directly below it.
pub(super) fn find_table(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.into());
    }
    TABLES.iter().map(|name| path.join(name)).find(|table| table.is_file())
}

/// Whether a part of FER2013, as its table and file names call it, belongs to a split.
pub(super) fn usage_in_split(usage: &str, split: Split) -> Option<bool> {
    let part = match usage.to_lowercase().as_str() {
        "training" => Split::Train,
        "publictest" => Split::Public,
        "privatetest" => Split::Private,
        _ => return None,
    };
    Some(match split {
        Split::All => true,
        Split::Test => part != Split::Train,
        Split::Valid => part == Split::Public,
        wanted => part == wanted,
    })
}

/// The code of the table is the index in the canonical list of seven: angry, disgust, fear, happy, sad, surprise, neutral.
fn from_table(path: &Path, split: Split) -> Result<Vec<Sample>, DataError> {
    let mut table = Table::open(path)?;
    let (emotion, usage, pixels) = (table.column("emotion")?, table.column("Usage")?, table.column("pixels")?);
    let file = folder::file_name(path);
    let mut samples = Vec::new();
    let mut index = 0;
    while let Some(row) = table.next_row()? {
        let cell = row.cell(usage);
        let Some(wanted) = usage_in_split(cell, split) else {
            return Err(table.bad_cell(&row, "Usage", cell, "Training, PublicTest or PrivateTest"));
        };
        if wanted {
            let cell = row.cell(emotion);
            let Some(class) = cell.parse::<usize>().ok().filter(|class| *class < 7) else {
                return Err(table.bad_cell(&row, "emotion", cell, "a code from 0 to 6"));
            };
            let grey = grey_values(&table, &row, pixels)?;
            samples.push(Sample {
                name: format!("{file}#{index}"),
                source: Source::Pixels48(grey),
                label: Label::Class(class),
            });
        }
        index += 1;
    }
    Ok(samples)
}

/// The 48x48 grey values of a row of `fer2013.csv`.
pub(super) fn grey_values(table: &Table, row: &Row, column: usize) -> Result<Box<[u8]>, DataError> {
    let cell = row.cell(column);
    let values: Result<Vec<u8>, _> = cell.split_ascii_whitespace().map(str::parse).collect();
    match values {
        Ok(values) if values.len() == (FER_SIDE * FER_SIDE) as usize => Ok(values.into()),
        _ => Err(table.bad_cell(row, "pixels", cell, "2304 blank-separated values from 0 to 255")),
    }
}

/// `train/<class>/Training_*` and `test/<class>/{PublicTest,PrivateTest}_*`.
fn from_folders(root: &Path, split: Split) -> Result<Vec<Sample>, DataError> {
    let classes = Classes::seven();
    let parts: &[&str] = match split {
        Split::Train => &["train"],
        Split::All => &["train", "test"],
        _ => &["test"],
    };
    let mut samples = Vec::new();
    for part in parts {
        let path = root.join(part);
        if !path.is_dir() {
            return Err(DataError::Missing { path: root.into(), wanted: WANTED });
        }
        samples.extend(folder::samples(root, &folder::class_folders(&path)?, &classes)?);
    }
    if matches!(split, Split::Public | Split::Private | Split::Valid) {
        // The folder form joins both parts; the file names still tell them apart.
        samples.retain(|sample| {
            let name = sample.name.rsplit('/').next().unwrap_or_default();
            let usage = name.split('_').next().unwrap_or_default();
            usage_in_split(usage, split) == Some(true)
        });
        if samples.is_empty() {
            let hint =
                "no file below test/ begins with PublicTest_ or PrivateTest_, so only `test` as a whole can be used";
            return Err(DataError::NoSplit { data: "fer2013".into(), path: root.into(), split, hint });
        }
    }
    Ok(samples)
}
