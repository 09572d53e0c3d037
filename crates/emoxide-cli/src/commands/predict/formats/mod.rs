//! The forms of a prediction: table, JSON, NDJSON, CSV, Parquet.

#[cfg(feature = "parquet")]
mod parquet;
pub(super) mod rows;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use emoxide::labels::Classes;
use emoxide::recognizer::Prediction;

use self::rows::Column;
use super::Format;
use crate::output;

#[cfg(feature = "parquet")]
pub(super) use self::parquet::{Parts, read as read_parts};

/// Writes predictions one by one, so that memory does not grow with their number.
pub(super) struct Writer {
    form: Form,
    classes: Classes,
    columns: Vec<Column>,
    written: usize,
}

enum Form {
    Lines(Format, Box<dyn Write>),
    #[cfg(feature = "parquet")]
    Parts(Parts),
}

impl Writer {
    /// To a file, or to standard output.
    pub(super) fn new(format: Format, path: Option<&Path>, classes: &Classes) -> Result<Self> {
        let form = match (format, path) {
            #[cfg(feature = "parquet")]
            (Format::Parquet, Some(path)) => Form::Parts(Parts::create(path, &rows::columns(classes))?),
            #[cfg(not(feature = "parquet"))]
            (Format::Parquet, _) => {
                bail!("--format parquet: this program was built without it; build with --features parquet")
            }
            #[cfg(feature = "parquet")]
            (Format::Parquet, None) => {
                bail!("--format parquet: its index stands at the end of the file; name one with --output")
            }
            (format, path) => Form::Lines(format, output::open(path)?),
        };
        Ok(Self { form, classes: classes.clone(), columns: rows::columns(classes), written: 0 })
    }

    /// Behind what a file holds already, in a format that can be continued.
    pub(super) fn behind(format: Format, path: &Path, classes: &Classes, begun: bool) -> Result<Self> {
        let columns = rows::columns(classes);
        let form = match format {
            #[cfg(feature = "parquet")]
            Format::Parquet => Form::Parts(Parts::reopen(path, &columns)?),
            format => Form::Lines(format, output::append(path)?),
        };
        Ok(Self { form, classes: classes.clone(), columns, written: usize::from(begun) })
    }

    pub(super) fn write(&mut self, prediction: &Prediction) -> Result<()> {
        let first = self.written == 0;
        self.written += 1;
        match &mut self.form {
            Form::Lines(Format::Table, sink) => table::write(sink, prediction),
            Form::Lines(Format::Json, sink) => {
                sink.write_all(if first { b"[\n" } else { b",\n" })?;
                Ok(serde_json::to_writer(sink, prediction).map_err(std::io::Error::from)?)
            }
            Form::Lines(Format::Ndjson, sink) => {
                serde_json::to_writer(&mut *sink, prediction).map_err(std::io::Error::from)?;
                sink.write_all(b"\n")?;
                Ok(sink.flush()?)
            }
            Form::Lines(_, sink) => {
                if first {
                    header(sink, &self.columns)?;
                }
                let mut rows = rows::rows(prediction, &self.classes).into_iter();
                rows.try_for_each(|cells| line(sink, &cells.iter().map(rows::text).collect::<Vec<_>>()))
            }
            #[cfg(feature = "parquet")]
            Form::Parts(parts) => {
                for cells in rows::rows(prediction, &self.classes) {
                    parts.add(cells);
                }
                Ok(())
            }
        }
    }

    /// Nothing that was written so far is lost if the program ends now.
    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.form {
            Form::Lines(_, sink) => Ok(sink.flush()?),
            #[cfg(feature = "parquet")]
            Form::Parts(parts) => parts.flush(),
        }
    }

    /// Keeps everything that was written, for a run that goes on with it.
    pub(super) fn pause(self) -> Result<()> {
        match self.form {
            Form::Lines(_, mut sink) => Ok(sink.flush()?),
            #[cfg(feature = "parquet")]
            Form::Parts(parts) => parts.pause(),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.form {
            Form::Lines(format, mut sink) => {
                match format {
                    Format::Json if self.written == 0 => sink.write_all(b"[]\n")?,
                    Format::Json => sink.write_all(b"\n]\n")?,
                    Format::Csv if self.written == 0 => header(&mut sink, &self.columns)?,
                    _ => {}
                }
                Ok(sink.flush()?)
            }
            #[cfg(feature = "parquet")]
            Form::Parts(parts) => parts.finish(),
        }
    }
}

/// Where the parts of a Parquet file lie until it is complete.
pub(super) fn parts_folder(output: &Path) -> PathBuf {
    let mut folder = output.as_os_str().to_owned();
    folder.push(".parts");
    folder.into()
}

fn header(sink: &mut Box<dyn Write>, columns: &[Column]) -> Result<()> {
    line(sink, &columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>())
}

fn line(sink: &mut Box<dyn Write>, cells: &[String]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(sink);
    writer.write_record(cells)?;
    Ok(writer.flush()?)
}
