//! A table of one's own: `path,label[,split]`.

use std::path::Path;

use emoxide::labels::{Classes, Expression};

use super::table::Table;
use super::{DataError, DataSet, Label, Sample, Source, Split, check_first};

const WANTED: &str = "a table: expected a CSV file with columns path, label and, if you like, split";
const PICTURES: &str = "paths are relative to the table, or to IMAGES in manifest=TABLE@IMAGES";

/// Reads one split. Without a column `split` everything is `train` and `all`.
pub(super) fn read(path: &Path, images: Option<&Path>, split: Split) -> Result<DataSet, DataError> {
    if !path.is_file() {
        return Err(DataError::Missing { path: path.into(), wanted: WANTED });
    }
    let root = images.or(path.parent()).unwrap_or(Path::new(""));
    let mut table = Table::open(path)?;
    let (file, label, part) = (table.column("path")?, table.column("label")?, table.find("split"));
    if part.is_none() && !matches!(split, Split::Train | Split::All) {
        let hint = "the table has no column `split`; add one, or ask for `all` to use everything";
        return Err(DataError::NoSplit { data: "manifest".into(), path: path.into(), split, hint });
    }
    let mut rows: Vec<(String, Expression, bool)> = Vec::new();
    while let Some(row) = table.next_row()? {
        let name = row.cell(file);
        if name.is_empty() {
            return Err(table.bad_cell(&row, "path", name, "a path"));
        }
        let cell = row.cell(label);
        let expression =
            cell.parse().map_err(|_| table.bad_cell(&row, "label", cell, "an expression (anger, happy, …)"))?;
        let wanted = match part.map(|column| row.cell(column)) {
            Some(cell) if split != Split::All => {
                let found: Split =
                    cell.parse().map_err(|_| table.bad_cell(&row, "split", cell, "train, valid or test"))?;
                found == split
            }
            _ => true,
        };
        rows.push((name.replace('\\', "/"), expression, wanted));
    }
    // The list of classes comes from all splits, so that train and test agree though one of them lacks a class.
    let present = Expression::ALL.into_iter().filter(|name| rows.iter().any(|(_, class, _)| class == name));
    let present: Vec<_> = present.collect();
    if present.is_empty() {
        return Err(DataError::Empty { data: "manifest".into(), path: path.into(), split });
    }
    let classes = Classes::new(present)?;
    let mut samples = Vec::new();
    for (name, expression, _) in rows.into_iter().filter(|(_, _, wanted)| *wanted) {
        let path = root.join(&name);
        check_first(&samples, &path, PICTURES)?;
        let class = classes.index_of(expression).unwrap_or_default();
        samples.push(Sample { name, source: Source::File(path), label: Label::Class(class) });
    }
    Ok(DataSet { name: "manifest".into(), split, classes, samples })
}
