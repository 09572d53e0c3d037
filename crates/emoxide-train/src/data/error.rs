//! Why a data set could not be read.

use std::path::PathBuf;

use emoxide::labels::LabelError;

use super::{DataSpec, Split};

/// Why a data set, or a picture of it, could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// `--data` without `=`.
    #[error("`{0}` does not name a data set: write NAME=PATH, such as fer2013=datasets/fer2013 or folder=my/faces")]
    Spec(String),
    /// Two places for one data set.
    #[error("--data {spec}: {} is named twice", spec.layout)]
    Twice {
        /// The second one.
        spec: DataSpec,
    },
    /// The name before `=` chooses no reader.
    #[error(
        "`{0}` is not a known data set; known are fer2013, ferplus, rafdb, rafdb-original, affectnet, sfew, sfew-aligned, jaffe, expw, \
         afed, mma, ckplus, and for your own pictures folder=DIR (one folder a class) and manifest=FILE.csv (columns path, label and, if you like, split)"
    )]
    UnknownLayout(String),
    /// Not a split's name.
    #[error("`{0}` is not a split; known are train, valid, test, public, private and all")]
    UnknownSplit(String),
    /// Not a label rule's name.
    #[error("`{0}` is not a label rule; known are majority, argmax10, argmax8 and soft")]
    UnknownRule(String),
    /// Nothing usable stands at the path.
    #[error("{path} does not hold {wanted}", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What was expected there and what else would do.
        wanted: &'static str,
    },
    /// The first picture that a list names is not there, so the others will hardly be either.
    #[error("{path} is not there, the first picture of its list; {hint}", path = path.display())]
    NoPicture {
        /// The picture.
        path: PathBuf,
        /// Where pictures are looked for.
        hint: &'static str,
    },
    /// The data set has no such split.
    #[error("{data} at {path} has no split `{split}`: {hint}", path = path.display())]
    NoSplit {
        /// Name of the data set.
        data: String,
        /// Where it was read from.
        path: PathBuf,
        /// What was asked for.
        split: Split,
        /// What to ask for instead.
        hint: &'static str,
    },
    /// The split exists and holds nothing that the label rule keeps.
    #[error("{data} at {path} has no labelled picture in split `{split}`", path = path.display())]
    Empty {
        /// Name of the data set.
        data: String,
        /// Where it was read from.
        path: PathBuf,
        /// What was asked for.
        split: Split,
    },
    /// A folder whose name is no expression stands among the class folders.
    #[error("{path}: {source}; rename the folder or move it away", path = path.display())]
    ClassFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with its name.
        source: LabelError,
    },
    /// A table lacks a column.
    #[error("{path} has no column `{column}`; its columns are {found}", path = path.display())]
    Column {
        /// The table.
        path: PathBuf,
        /// The column that is needed.
        column: &'static str,
        /// The header as it stands.
        found: String,
    },
    /// A cell does not hold what its column means.
    #[error("{path} line {line}: `{value}` in column `{column}` is not {wanted}", path = path.display())]
    Cell {
        /// The table.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there, shortened.
        value: String,
        /// What should.
        wanted: &'static str,
    },
    /// Two tables that must run side by side do not.
    #[error("{votes} has {found} rows for the {expected} of {pixels}: both must be the files of the same release", votes = votes.display(), pixels = pixels.display())]
    RowCount {
        /// The table of votes.
        votes: PathBuf,
        /// The table of pixels.
        pixels: PathBuf,
        /// Rows of the votes.
        found: usize,
        /// Rows of the pixels.
        expected: usize,
    },
    /// Not a table that can be read.
    #[error("{path} is not a readable table: {source}", path = path.display())]
    Csv {
        /// The table.
        path: PathBuf,
        /// What the reader says, with the line.
        source: csv::Error,
    },
    /// The file is not a picture.
    #[error("{path}: {source}", path = path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: emoxide::image::ImageError,
    },
    /// A box that leaves nothing of its picture.
    #[error("{path}: the face's box {bounds:?} (left, top, right, bottom) holds no pixel of it", path = path.display())]
    Box {
        /// The picture.
        path: PathBuf,
        /// The box.
        bounds: [i32; 4],
    },
    /// A picture could not be written.
    #[error("{path} could not be written: {source}", path = path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        source: image::ImageError,
    },
    /// Grey values that are not 48x48.
    #[error("a picture in memory holds {0} values, not 48x48")]
    PixelCount(usize),
    /// The share to hold out leaves nothing on one side.
    #[error("{0} is not a share to hold out: it must lie between 0 and 1, both excluded")]
    Fraction(f64),
    /// A folder to write to that is not empty.
    #[error("{path} is not empty: name a new folder", path = .0.display())]
    NotEmpty(PathBuf),
    /// The classes do not fit.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
