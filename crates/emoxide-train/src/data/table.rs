//! A table in a text file whose columns are found by name and whose errors name the line.

use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::DataError;

/// An open table, read row by row.
pub(super) struct Table {
    path: PathBuf,
    reader: csv::Reader<fs_err::File>,
    header: Vec<String>,
}

/// One row and where it stands.
pub(super) struct Row {
    record: StringRecord,
    line: u64,
}

impl Row {
    /// The cell of a column, without blanks around it; empty where the row is short.
    pub(super) fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or("").trim()
    }

    /// Line in the file, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }
}

impl Table {
    /// Opens a comma-separated file whose first row names the columns.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let mut table = Self::open_without_header(path)?;
        if let Some(first) = table.next_row()? {
            // Spreadsheets write a byte-order mark, and one release of FER2013 puts a blank before each name.
            table.header =
                first.record.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        }
        Ok(table)
    }

    /// Opens a comma-separated file without names.
    pub(super) fn open_without_header(path: &Path) -> Result<Self, DataError> {
        let file = fs_err::File::open(path)?;
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
        Ok(Self { path: path.to_owned(), reader, header: Vec::new() })
    }

    /// Where the table is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Index of a column, whatever the case of its name, if the table has it.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Index of a column that must be there.
    pub(super) fn column(&self, name: &'static str) -> Result<usize, DataError> {
        self.find(name).ok_or_else(|| DataError::Column {
            path: self.path.clone(),
            column: name,
            found: self.header.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", "),
        })
    }

    /// The next row; `None` at the end.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, DataError> {
        let mut record = StringRecord::new();
        let more = self
            .reader
            .read_record(&mut record)
            .map_err(|source| DataError::Csv { path: self.path.clone(), source })?;
        let line = record.position().map_or(0, csv::Position::line);
        Ok(more.then_some(Row { record, line }))
    }

    /// The error for a cell that does not hold what it should.
    pub(super) fn bad_cell(&self, row: &Row, column: &'static str, value: &str, wanted: &'static str) -> DataError {
        bad_cell(&self.path, row.line(), column, value, wanted)
    }
}

/// The error for a cell that does not hold what it should; long cells are cut.
pub(super) fn bad_cell(path: &Path, line: u64, column: &'static str, value: &str, wanted: &'static str) -> DataError {
    let mut value: String = value.chars().take(40).collect();
    if value.chars().count() == 40 {
        value.push('…');
    }
    DataError::Cell { path: path.to_owned(), line, column, value, wanted }
}
