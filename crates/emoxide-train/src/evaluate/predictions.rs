//! What a model answered for every image of a split, and the table `predictions.csv`.

use std::path::{Path, PathBuf};

use emoxide::labels::{Classes, Expression, LabelError};

use crate::snapshot::{self, StateError};

/// Columns before the classes.
const LEADING: [&str; 3] = ["file", "true", "pred"];

/// A model's answers on labelled images; all lists run in step.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// What the columns of `probabilities` mean.
    pub classes: Classes,
    /// Names of the images.
    pub files: Vec<String>,
    /// Index of the true class of each image.
    pub labels: Vec<usize>,
    /// Probabilities of each image, one per class, summing to 1.
    pub probabilities: Vec<Vec<f32>>,
    /// Scores of each image before the softmax, one per class, where they are known: a table does not hold them.
    pub logits: Option<Vec<Vec<f32>>>,
}

/// An image whose most probable class is not the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// Index of the image.
    pub image: usize,
    /// Index of its true class.
    pub label: usize,
    /// Index of the class that was answered.
    pub predicted: usize,
    /// Probability of that class.
    pub probability: f32,
}

/// Why answers were refused, not written or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictionError {
    /// The file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file could not be replaced.
    #[error(transparent)]
    Write(#[from] StateError),
    /// Not a table.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What the reader says, with the line.
        source: csv::Error,
    },
    /// The first columns are not those of a table of predictions.
    #[error("{}: line 1 starts with `{found}`, a table of predictions starts with `file,true,pred`", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The first columns.
        found: String,
    },
    /// A class name that is none, or one that the header lacks.
    #[error("{}: line {line}: {source}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Why.
        source: LabelError,
    },
    /// A cell that is no probability.
    #[error("{}: line {line}: `{cell}` is not a probability", path.display())]
    Number {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What stands there.
        cell: String,
    },
    /// Lists of different lengths.
    #[error("{files} files, {labels} labels and {rows} rows of probabilities do not run in step")]
    Lengths {
        /// Number of files.
        files: usize,
        /// Number of labels.
        labels: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A row that does not fit the classes.
    #[error(
        "`{file}` (row {row}) has label {label} and {found} probabilities for {classes} classes, or one not finite"
    )]
    Row {
        /// Index of the row.
        row: usize,
        /// Name of the image.
        file: String,
        /// Index of its true class.
        label: usize,
        /// Number of probabilities.
        found: usize,
        /// Number of classes.
        classes: usize,
    },
    /// No image at all.
    #[error("no image was predicted: is the split empty, or was every image skipped?")]
    Empty,
}

/// Index of the largest value; the first of equals.
pub(crate) fn argmax(values: &[f32]) -> usize {
    values.iter().enumerate().fold(0, |best, (index, value)| if *value > values[best] { index } else { best })
}

impl Predictions {
    /// Checks that the lists run in step and that every row fits the classes.
    pub fn check(&self) -> Result<(), PredictionError> {
        let (files, labels, rows) = (self.files.len(), self.labels.len(), self.probabilities.len());
        let scored = self.logits.as_ref().is_none_or(|logits| logits.len() == rows);
        if files != labels || labels != rows || !scored {
            return Err(PredictionError::Lengths { files, labels, rows });
        }
        if rows == 0 {
            return Err(PredictionError::Empty);
        }
        let classes = self.classes.len();
        let sound = |values: &[f32]| values.len() == classes && values.iter().all(|value| value.is_finite());
        for (row, (label, values)) in self.labels.iter().zip(&self.probabilities).enumerate() {
            let scored = self.logits.as_ref().is_none_or(|logits| sound(&logits[row]));
            if *label >= classes || !sound(values) || !scored {
                let file = self.files[row].clone();
                return Err(PredictionError::Row { row, file, label: *label, found: values.len(), classes });
            }
        }
        Ok(())
    }

    /// Index of the most probable class of each image; the first of equals.
    pub fn predicted(&self) -> Vec<usize> {
        self.probabilities.iter().map(|values| argmax(values)).collect()
    }

    /// The images that were answered wrongly, the surest answers first; of equally sure ones in their order.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let answers = self.predicted().into_iter().zip(&self.labels).enumerate();
        let wrong = answers.filter(|(_, (predicted, label))| predicted != *label);
        let mut mistakes: Vec<Mistake> = wrong
            .map(|(image, (predicted, &label))| {
                let probability = self.probabilities[image][predicted];
                Mistake { image, label, predicted, probability }
            })
            .collect();
        mistakes.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        mistakes
    }

    /// Writes `file,true,pred` and one column per class; probabilities are read back bit for bit.
    pub fn write(&self, path: &Path) -> Result<(), PredictionError> {
        self.check()?;
        let table = |source| PredictionError::Table { path: path.to_owned(), source };
        let names: Vec<&str> = self.classes.iter().map(Expression::name).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(LEADING.iter().chain(&names)).map_err(table)?;
        for ((file, label), values) in self.files.iter().zip(&self.labels).zip(&self.probabilities) {
            let leading = [file.clone(), names[*label].to_owned(), names[argmax(values)].to_owned()];
            writer.write_record(leading.into_iter().chain(values.iter().map(f32::to_string))).map_err(table)?;
        }
        let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        Ok(snapshot::write(path, &bytes)?)
    }

    /// Reads what [`Predictions::write`] wrote. The column `pred` follows from the probabilities and is not read.
    pub fn read(path: &Path) -> Result<Self, PredictionError> {
        let table = |source| PredictionError::Table { path: path.to_owned(), source };
        let label = |line, source| PredictionError::Label { path: path.to_owned(), line, source };
        let mut reader = csv::Reader::from_reader(fs_err::File::open(path)?);
        let header = reader.headers().map_err(table)?.clone();
        if !header.iter().take(LEADING.len()).eq(LEADING) {
            let found = header.iter().take(LEADING.len()).collect::<Vec<_>>().join(",");
            return Err(PredictionError::Header { path: path.to_owned(), found });
        }
        let classes = Classes::from_names(header.iter().skip(LEADING.len())).map_err(|source| label(1, source))?;
        let mut found =
            Self { classes, files: Vec::new(), labels: Vec::new(), probabilities: Vec::new(), logits: None };
        for record in reader.records() {
            let record = record.map_err(table)?;
            let line = record.position().map_or(0, csv::Position::line);
            let name: Expression = record[1].parse().map_err(|source| label(line, source))?;
            let absent = || LabelError::Absent { missing: name, known: found.classes.clone() };
            let class = found.classes.index_of(name).ok_or_else(|| label(line, absent()))?;
            found.labels.push(class);
            found.files.push(record[0].to_owned());
            let number = |cell: &str| match cell.parse::<f32>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => Err(PredictionError::Number { path: path.to_owned(), line, cell: cell.to_owned() }),
            };
            found.probabilities.push(record.iter().skip(LEADING.len()).map(number).collect::<Result<_, _>>()?);
        }
        found.check()?;
        Ok(found)
    }
}
