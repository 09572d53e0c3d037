//! What stands in an output that was not finished.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use emoxide::labels::Classes;
use emoxide::recognizer::Prediction;

use super::super::Format;
use super::super::formats::rows::{columns, parse, prediction};

/// Rows or frames, each with the byte that it begins at.
type Found<'a> = Box<dyn Iterator<Item = Result<(u64, Prediction)>> + 'a>;

/// How much of an output is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes that are kept.
    pub(super) offset: u64,
    /// The last clip in it.
    pub(super) input: Option<String>,
    /// Frames of that clip that are kept.
    pub(super) frames: usize,
}

/// Finds the end of the last batch of which every row is there. The last frame may lack a face, so it never counts.
pub(super) fn cut(output: &Path, format: Format, classes: &Classes, batch: usize) -> Result<Cut> {
    if format != Format::Parquet {
        drop_torn_line(output)?;
    }
    let mut cut = Cut::default();
    let mut frames = 0;
    let mut input = None;
    for found in frames_of(rows(output, format, classes)?) {
        let (offset, prediction) = found?;
        if input.as_ref() != Some(&prediction.input) {
            // What stands before another clip is complete.
            cut = Cut { offset, input: Some(prediction.input.clone()), frames: 0 };
            (frames, input) = (0, Some(prediction.input));
        } else if frames % batch == 0 {
            (cut.offset, cut.frames) = (offset, frames);
        }
        frames += 1;
    }
    if format == Format::Parquet {
        // Parts are complete.
        cut.frames = frames;
    } else if cut.input.is_none() {
        // A header, if anything.
        cut.offset = fs_err::metadata(output)?.len();
    }
    Ok(cut)
}

/// The frames of an output, row by row of the same frame joined.
pub(super) fn frames<'a>(output: &'a Path, format: Format, classes: &'a Classes) -> Result<Found<'a>> {
    Ok(Box::new(frames_of(rows(output, format, classes)?)))
}

fn frames_of(rows: Found<'_>) -> impl Iterator<Item = Result<(u64, Prediction)>> + '_ {
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let (offset, mut frame) = match rows.next()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let same = |next: &Prediction, frame: &Prediction| next.input == frame.input && next.frame == frame.frame;
        while let Some(Ok((_, next))) = rows.next_if(|next| next.as_ref().is_ok_and(|(_, next)| same(next, &frame))) {
            frame.faces.extend(next.faces);
        }
        Some(Ok((offset, frame)))
    })
}

/// The rows of CSV and Parquet, the lines of NDJSON.
fn rows<'a>(output: &'a Path, format: Format, classes: &'a Classes) -> Result<Found<'a>> {
    let named = move || output.display().to_string();
    match format {
        Format::Csv => csv_rows(output, classes),
        Format::Ndjson => {
            let mut offset = 0;
            let lines = BufReader::new(fs_err::File::open(output)?).lines();
            Ok(Box::new(lines.map(move |line| {
                let line = line?;
                let start = offset;
                offset += line.len() as u64 + 1;
                Ok((start, serde_json::from_str(&line).with_context(named)?))
            })))
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => {
            let rows = super::super::formats::read_parts(output, classes)?;
            Ok(Box::new(rows.map(|row| Ok((0, row?)))))
        }
        _ => bail!("results can be continued as csv, ndjson and parquet"),
    }
}

fn csv_rows<'a>(output: &'a Path, classes: &'a Classes) -> Result<Found<'a>> {
    let columns = columns(classes);
    let mut reader = csv::Reader::from_reader(fs_err::File::open(output)?);
    let header = reader.headers()?;
    if header.is_empty() {
        return Ok(Box::new(std::iter::empty()));
    }
    let same = header.iter().eq(columns.iter().map(|column| column.name.as_str()));
    ensure!(same, "{}: its columns are others", output.display());
    Ok(Box::new(reader.into_records().map(move |record| {
        let record = record?;
        let (offset, line) = record.position().map_or((0, 0), |position| (position.byte(), position.line()));
        let named = || format!("{}: line {line}", output.display());
        let cells = columns.iter().zip(record.iter()).map(|(column, text)| parse(column.kind, text));
        let cells = cells.collect::<Result<Vec<_>>>().with_context(named)?;
        Ok((offset, prediction(&cells, classes).with_context(named)?))
    })))
}

/// Cuts off what stands behind the last line break.
fn drop_torn_line(output: &Path) -> Result<()> {
    const STEP: u64 = 4096;
    let mut file = fs_err::OpenOptions::new().read(true).write(true).open(output)?;
    let mut end = file.metadata()?.len();
    loop {
        let start = end.saturating_sub(STEP);
        let mut bytes = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(file.set_len(start + at as u64 + 1)?);
        }
        if start == 0 {
            return Ok(file.set_len(0)?);
        }
        end = start;
    }
}
