//! FER+: ten votes for every picture of FER2013.
//!
//! Three forms: one table with a column `file` that names the pictures relative to a root; the official `fer2013new.csv`
//! with the exported folders or with `fer2013.csv` (same order of rows); the exported folders with their own `label.csv`.

use std::path::{Path, PathBuf};

use emoxide::labels::Classes;

use super::table::{Row, Table};
use super::votes::COLUMNS;
use super::{DataError, DataSet, Label, LabelRule, Sample, Source, Split, check_first, fer2013, folder};

const NAMES: [&str; COLUMNS] =
    ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"];
const WANTED: &str =
    "FER+: expected ferplus.csv (with a column `file`), fer2013new.csv, or a folder FER2013Train with label.csv";
const WANTED_IMAGES: &str = "the pictures of FER+: expected folders FER2013Train, FER2013Valid and FER2013Test, or fer2013.csv; \
                             name their place with ferplus=TABLE@IMAGES";
const WANTED_LIST: &str = "label.csv: expected one in each of FER2013Train, FER2013Valid and FER2013Test";
const PICTURES: &str = "name the root of the pictures with ferplus=TABLE@IMAGES";
/// Folder of the export for each part of FER2013.
const EXPORTS: [(&str, &str); 3] =
    [("Training", "FER2013Train"), ("PublicTest", "FER2013Valid"), ("PrivateTest", "FER2013Test")];

/// Reads one split under a label rule.
pub(super) fn read(path: &Path, images: Option<&Path>, split: Split, rule: LabelRule) -> Result<DataSet, DataError> {
    let mut reader = Reader { split, rule, samples: Vec::new() };
    let table = if path.is_file() {
        Some(path.to_owned())
    } else {
        ["ferplus.csv", "fer2013new.csv"].iter().map(|name| path.join(name)).find(|table| table.is_file())
    };
    match table {
        Some(path) => {
            let beside = path.parent().unwrap_or(Path::new(""));
            let root = images.unwrap_or(beside);
            let table = Table::open(&path)?;
            match table.find("file") {
                Some(file) => reader.named_files(table, file, root)?,
                None => reader.official(table, root)?,
            }
        }
        None if path.is_dir() => reader.label_files(&exported(path, WANTED)?)?,
        None => return Err(DataError::Missing { path: path.into(), wanted: WANTED }),
    }
    let classes = Classes::from_names(NAMES[..8].iter().copied())?;
    let data = DataSet { name: "ferplus".into(), split, classes, samples: reader.samples };
    data.reordered(&Classes::eight())
}

/// The folder that holds the exported folders: `root` or, as in the official repository, `root/data`.
fn exported(root: &Path, wanted: &'static str) -> Result<PathBuf, DataError> {
    [root.to_owned(), root.join("data")]
        .into_iter()
        .find(|place| EXPORTS.iter().any(|(_, folder)| place.join(folder).is_dir()))
        .ok_or(DataError::Missing { path: root.into(), wanted })
}

/// Collects the samples of one split.
struct Reader {
    split: Split,
    rule: LabelRule,
    samples: Vec<Sample>,
}

impl Reader {
    /// One table that names every picture.
    fn named_files(&mut self, mut table: Table, file: usize, root: &Path) -> Result<(), DataError> {
        let columns = Columns::find(&table)?;
        while let Some(row) = table.next_row()? {
            let Some(label) = self.label_of(&table, &row, &columns)? else { continue };
            let name = row.cell(file);
            if name.is_empty() {
                return Err(table.bad_cell(&row, "file", name, "a path relative to the root of the pictures"));
            }
            let path = root.join(name);
            check_first(&self.samples, &path, PICTURES)?;
            self.samples.push(Sample { name: name.replace('\\', "/"), source: Source::File(path), label });
        }
        Ok(())
    }

    /// The official table beside the exported folders, or beside the table of FER2013.
    fn official(&mut self, mut table: Table, root: &Path) -> Result<(), DataError> {
        let columns = Columns::find(&table)?;
        let name = table.column("Image name")?;
        let place = match exported(root, WANTED_IMAGES) {
            Ok(place) => place,
            Err(missing) => {
                let pixels = fer2013::find_table(root).ok_or(missing)?;
                return self.side_by_side(table, &columns, Table::open(&pixels)?);
            }
        };
        while let Some(row) = table.next_row()? {
            // A row without a name has no exported picture.
            if row.cell(name).is_empty() {
                continue;
            }
            let Some(label) = self.label_of(&table, &row, &columns)? else { continue };
            let usage = row.cell(columns.usage);
            let folder =
                EXPORTS.iter().find(|(part, _)| part.eq_ignore_ascii_case(usage)).map_or("", |(_, folder)| folder);
            let name = format!("{folder}/{}", row.cell(name));
            let path = place.join(&name);
            check_first(&self.samples, &path, PICTURES)?;
            self.samples.push(Sample { name, source: Source::File(path), label });
        }
        Ok(())
    }

    /// The official table and `fer2013.csv`, row by row.
    fn side_by_side(&mut self, mut votes: Table, columns: &Columns, mut pixels: Table) -> Result<(), DataError> {
        let grey = pixels.column("pixels")?;
        let file = folder::file_name(pixels.path());
        let (mut found, mut expected) = (0, 0);
        loop {
            let (vote_row, pixel_row) = (votes.next_row()?, pixels.next_row()?);
            found += usize::from(vote_row.is_some());
            expected += usize::from(pixel_row.is_some());
            let (Some(vote_row), Some(pixel_row)) = (vote_row, pixel_row) else {
                break;
            };
            if let Some(label) = self.label_of(&votes, &vote_row, columns)? {
                let source = Source::Pixels48(fer2013::grey_values(&pixels, &pixel_row, grey)?);
                self.samples.push(Sample { name: format!("{file}#{}", found - 1), source, label });
            }
        }
        if found != expected {
            let (votes, pixels) = (votes.path().into(), pixels.path().into());
            return Err(DataError::RowCount { votes, pixels, found, expected });
        }
        Ok(())
    }

    /// `FER2013Train/label.csv` and its like: a name, a box and ten votes a row, without a header.
    fn label_files(&mut self, root: &Path) -> Result<(), DataError> {
        for (usage, folder) in EXPORTS {
            if fer2013_part(usage, self.split) != Some(true) {
                continue;
            }
            let list = root.join(folder).join("label.csv");
            if !list.is_file() {
                return Err(DataError::Missing { path: root.join(folder), wanted: WANTED_LIST });
            }
            let mut table = Table::open_without_header(&list)?;
            let columns = Columns { usage: 0, votes: std::array::from_fn(|index| index + 2) };
            while let Some(row) = table.next_row()? {
                let Some(label) = self.rule.label(&columns.votes(&table, &row)?) else { continue };
                let name = format!("{folder}/{}", row.cell(0));
                self.samples.push(Sample { source: Source::File(root.join(&name)), name, label });
            }
        }
        Ok(())
    }

    /// The label of a row; `None` where it belongs to another split or the rule drops it.
    fn label_of(&self, table: &Table, row: &Row, columns: &Columns) -> Result<Option<Label>, DataError> {
        let usage = row.cell(columns.usage);
        match fer2013_part(usage, self.split) {
            Some(true) => Ok(self.rule.label(&columns.votes(table, row)?)),
            Some(false) => Ok(None),
            None => Err(table.bad_cell(row, "Usage", usage, "Training, PublicTest or PrivateTest")),
        }
    }
}

/// Unlike FER2013's, the test split of FER+ is `PrivateTest` alone.
pub(super) fn fer2013_part(usage: &str, split: Split) -> Option<bool> {
    fer2013::usage_in_split(usage, if split == Split::Test { Split::Private } else { split })
}

/// Where the cells stand.
struct Columns {
    usage: usize,
    votes: [usize; COLUMNS],
}

impl Columns {
    fn find(table: &Table) -> Result<Self, DataError> {
        let mut votes = [0; COLUMNS];
        for (place, name) in votes.iter_mut().zip(NAMES) {
            *place = table.column(name)?;
        }
        Ok(Self { usage: table.column("Usage")?, votes })
    }

    fn votes(&self, table: &Table, row: &Row) -> Result<[f32; COLUMNS], DataError> {
        let mut counts = [0.0; COLUMNS];
        for ((count, column), name) in counts.iter_mut().zip(self.votes).zip(NAMES) {
            let cell = row.cell(column);
            let votes: u8 = cell.parse().map_err(|_| table.bad_cell(row, name, cell, "a number of votes"))?;
            *count = f32::from(votes);
        }
        Ok(counts)
    }
}
