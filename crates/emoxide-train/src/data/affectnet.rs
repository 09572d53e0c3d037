//! `AffectNet`: faces from the web, eight expressions; pictures without one of them are passed over.
//!
//! Mollahosseini, Hasani, Mahoor, "AffectNet: a database for facial expression, valence, and arousal computing in the wild",
//! 2017.

use std::path::{Path, PathBuf};

use emoxide::labels::Classes;
use rayon::prelude::*;

use super::folder::{file_name, pictures};
use super::table::{Row, Table, bad_cell};
use super::{DataError, DataSet, Label, Sample, Source, Split, check_first};

const WANTED: &str = "AffectNet: expected train_set and val_set with images and annotations (the release of 2021), or training.csv, \
                      validation.csv and Manually_Annotated_Images (2017); its authors give it away on request \
                      (mohammadmahoor.com/affectnet)";
const PICTURES: &str = "expected the pictures in Manually_Annotated_Images, beside the tables";
/// Columns of the tables of 2017 that are read, and where they stand; some copies lack the header.
const COLUMNS: [(&str, usize); 6] = [
    ("subDirectory_filePath", 0),
    ("face_x", 1),
    ("face_y", 2),
    ("face_width", 3),
    ("face_height", 4),
    ("expression", 6),
];
/// Codes from 8 on: no expression of the eight, uncertain, no face.
const LAST_CODE: i64 = 10;

/// Place among [`Classes::eight`] of a code.
fn class_of(code: i64) -> Option<usize> {
    // anger 0, disgust 1, fear 2, happiness 3, sadness 4, surprise 5, neutral 6, contempt 7
    const PLACES: [usize; 8] = [6, 3, 4, 5, 2, 1, 0, 7];
    PLACES.get(usize::try_from(code).ok()?).copied()
}

/// Reads one split; the test split was never given away.
pub(super) fn read(path: &Path, split: Split) -> Result<DataSet, DataError> {
    let parts: &[(&str, &str)] = match split {
        Split::Train => &[("train_set", "training.csv")],
        Split::Valid => &[("val_set", "validation.csv")],
        Split::All => &[("train_set", "training.csv"), ("val_set", "validation.csv")],
        _ => {
            let hint = "it has train and valid, by which all papers measure; its test split was not given away";
            return Err(DataError::NoSplit { data: "affectnet".into(), path: path.into(), split, hint });
        }
    };
    let mut samples = Vec::new();
    for (folder, table) in parts {
        if path.join(folder).is_dir() {
            samples.extend(annotated(path, folder)?);
        } else if path.join(table).is_file() {
            samples.extend(listed(path, &path.join(table))?);
        } else {
            return Err(DataError::Missing { path: path.into(), wanted: WANTED });
        }
    }
    Ok(DataSet { name: "affectnet".into(), split, classes: Classes::eight(), samples })
}

/// The release of 2021: cropped faces, and for each a `NumPy` file with its code.
fn annotated(root: &Path, folder: &str) -> Result<Vec<Sample>, DataError> {
    let (images, annotations) = (root.join(folder).join("images"), root.join(folder).join("annotations"));
    for needed in [&images, &annotations] {
        if !needed.is_dir() {
            return Err(DataError::Missing { path: needed.clone(), wanted: WANTED });
        }
    }
    // Hundreds of thousands of small files.
    let samples = pictures(&images)?.into_par_iter().map(|image| {
        let name = file_name(&image);
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let code = code_in(&annotations.join(format!("{stem}_exp.npy")))?;
        let label = class_of(code).map(Label::Class);
        Ok(label.map(|label| Sample { name: format!("{folder}/images/{name}"), source: Source::File(image), label }))
    });
    samples.filter_map(Result::transpose).collect()
}

/// The code in a `NumPy` file of one text or one number.
fn code_in(path: &Path) -> Result<i64, DataError> {
    let bytes = fs_err::read(path)?;
    let code = text_of(&bytes).and_then(|text| text.parse::<f64>().ok());
    let code = code.filter(|code| code.fract() == 0.0 && (0.0..=LAST_CODE as f64).contains(code));
    code.map(|code| code as i64).ok_or_else(|| {
        let shown = String::from_utf8_lossy(&bytes);
        bad_cell(
            path,
            1,
            "expression",
            shown.rsplit('\n').next().unwrap_or_default(),
            "a NumPy array of one code, 0 to 10",
        )
    })
}

/// The only value of an `.npy` file as text: `<U1` is what the release has.
fn text_of(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (start, length) = match *rest.first()? {
        1 => (4, u32::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?))),
        _ => (6, u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?)),
    };
    let end = start + length as usize;
    let description = std::str::from_utf8(rest.get(start..end)?).ok()?;
    let kind = description.split("'descr':").nth(1)?.split('\'').nth(1)?;
    let value = rest.get(end..)?;
    let text = match kind.get(..2)? {
        "<U" => {
            value.chunks_exact(4).map_while(|unit| char::from_u32(u32::from_le_bytes(unit.try_into().ok()?))).collect()
        }
        "|S" => String::from_utf8(value.to_vec()).ok()?,
        "<i" | "|i" | "|u" | "<u" if value.len() <= 8 => {
            let mut number = [0; 8];
            number[..value.len()].copy_from_slice(value);
            u64::from_le_bytes(number).to_string()
        }
        "<f" if value.len() == 4 => f32::from_le_bytes(value.try_into().ok()?).to_string(),
        "<f" if value.len() == 8 => f64::from_le_bytes(value.try_into().ok()?).to_string(),
        _ => return None,
    };
    Some(text.trim_end_matches('\0').trim().to_owned())
}

/// The release of 2017: tables with a box for every face.
fn listed(root: &Path, path: &Path) -> Result<Vec<Sample>, DataError> {
    let mut table = Table::open(path)?;
    let columns = if table.find(COLUMNS[0].0).is_some() {
        let mut columns = [0; 6];
        for (place, (name, _)) in columns.iter_mut().zip(COLUMNS) {
            *place = table.column(name)?;
        }
        columns
    } else {
        table = Table::open_without_header(path)?;
        COLUMNS.map(|(_, place)| place)
    };
    let folders = ["Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images"];
    let images = folders.map(|folder| root.join(folder)).into_iter().find(|folder| folder.is_dir());
    let images = images.ok_or_else(|| DataError::Missing { path: root.into(), wanted: WANTED })?;
    let mut samples = Vec::new();
    while let Some(row) = table.next_row()? {
        samples.extend(face(&table, &row, columns, &images, samples.is_empty())?);
    }
    Ok(samples)
}

/// The face of a row, if it shows one of the expressions.
fn face(
    table: &Table,
    row: &Row,
    columns: [usize; 6],
    images: &Path,
    is_first: bool,
) -> Result<Option<Sample>, DataError> {
    let number = |index: usize, wanted: &'static str| {
        let cell = row.cell(columns[index]);
        let value = cell.parse::<f64>().ok().filter(|value| value.abs() < 1e6);
        value.map(|value| value as i32).ok_or_else(|| table.bad_cell(row, COLUMNS[index].0, cell, wanted))
    };
    let code = number(5, "a code from 0 to 10")?;
    if !(0..=LAST_CODE as i32).contains(&code) {
        return Err(table.bad_cell(row, COLUMNS[5].0, row.cell(columns[5]), "a code from 0 to 10"));
    }
    let Some(class) = class_of(code.into()) else { return Ok(None) };
    let pixels = "a number of pixels";
    let [left, top, width, height] = [number(1, pixels)?, number(2, pixels)?, number(3, pixels)?, number(4, pixels)?];
    let name = row.cell(columns[0]);
    let file: PathBuf = images.join(name);
    if is_first {
        check_first(&[], &file, PICTURES)?;
    }
    let source = Source::Face { file, bounds: [left, top, left + width, top + height] };
    Ok(Some(Sample { name: format!("Manually_Annotated_Images/{name}"), source, label: Label::Class(class) }))
}
