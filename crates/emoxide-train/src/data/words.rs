//! Lists whose lines are words with blanks between them, as many papers pass their labels on.

use std::path::{Path, PathBuf};

use super::DataError;
use super::table::bad_cell;

/// One line of a list and where it stands.
pub(super) struct Line<'a> {
    list: &'a Path,
    number: u64,
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The word at `index`, which must be there.
    pub(super) fn word(&self, index: usize, column: &'static str) -> Result<&'a str, DataError> {
        let whole = || self.bad(column, &self.words.join(" "), "there: the line ends before it");
        self.words.get(index).copied().ok_or_else(whole)
    }

    /// The whole number at `index`, such as a code of a label.
    pub(super) fn number(&self, index: usize, column: &'static str) -> Result<i64, DataError> {
        let word = self.word(index, column)?;
        word.parse().map_err(|_| self.bad(column, word, "a whole number"))
    }

    /// Four numbers from `index` on, whose fractions are cut off: a box in pixels, in the order that stands there.
    pub(super) fn bounds(&self, index: usize) -> Result<[i32; 4], DataError> {
        let side = |index| {
            let word = self.word(index, "box")?;
            let number = word.parse::<f64>().ok().filter(|number| number.abs() < 1e6);
            number.map(|number| number as i32).ok_or_else(|| self.bad("box", word, "a number of pixels"))
        };
        Ok([side(index)?, side(index + 1)?, side(index + 2)?, side(index + 3)?])
    }

    /// The error for a word that is not what it should be.
    pub(super) fn bad(&self, column: &'static str, value: &str, wanted: &'static str) -> DataError {
        bad_cell(self.list, self.number, column, value, wanted)
    }
}

/// Calls `each` for every line that is not empty.
pub(super) fn each_line(
    list: &Path,
    mut each: impl FnMut(&Line<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let text = fs_err::read_to_string(list)?;
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !words.is_empty() {
            each(&Line { list, number: index as u64 + 1, words })?;
        }
    }
    Ok(())
}

/// The first of `folders` below `root`, or `root` itself, in which `file` stands.
pub(super) fn root_with(root: &Path, folders: &[&str], file: &str, wanted: &'static str) -> Result<PathBuf, DataError> {
    let found = folders.iter().map(|folder| root.join(folder)).chain([root.to_owned()]);
    let holds = |root: &PathBuf| root.join(file).exists();
    found.into_iter().find(holds).ok_or_else(|| DataError::Missing { path: root.into(), wanted })
}

/// The box in a file that holds nothing else, its four numbers on one line or on several.
pub(super) fn only_bounds(file: &Path) -> Result<[i32; 4], DataError> {
    let text = fs_err::read_to_string(file)?;
    Line { list: file, number: 1, words: text.split_whitespace().collect() }.bounds(0)
}
