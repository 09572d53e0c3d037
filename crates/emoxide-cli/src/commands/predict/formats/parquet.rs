//! Parquet. A file of this format has its index at its end, so rows are written to parts, each of them a complete file, and
//! these are joined when all is done. A crash costs the rows of the part that was being filled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use emoxide::labels::Classes;
use emoxide::recognizer::Prediction;
use fs_err::File;
use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};

use super::parts_folder as folder;
use super::rows::{self, Cell, Column, Kind};

/// Rows of a part, from which on it is written.
const ROWS: usize = 4096;

/// A file that is written in parts.
pub(in super::super) struct Parts {
    path: PathBuf,
    columns: Vec<Column>,
    schema: TypePtr,
    rows: Vec<Vec<Cell>>,
    count: usize,
}

impl Parts {
    /// For a new file; parts that a run before has left are removed.
    pub(super) fn create(path: &Path, columns: &[Column]) -> Result<Self> {
        let folder = folder(path);
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        Self::reopen(path, columns)
    }

    /// Behind the parts that are there.
    pub(super) fn reopen(path: &Path, columns: &[Column]) -> Result<Self> {
        fs_err::create_dir_all(folder(path))?;
        let count = parts(path)?.len();
        Ok(Self { path: path.to_owned(), columns: columns.to_vec(), schema: schema(columns)?, rows: Vec::new(), count })
    }

    pub(super) fn add(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Writes a part if there is enough for one.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.rows.len() >= ROWS { self.part() } else { Ok(()) }
    }

    /// Writes the rest as a part.
    pub(super) fn pause(mut self) -> Result<()> {
        if self.rows.is_empty() { Ok(()) } else { self.part() }
    }

    fn part(&mut self) -> Result<()> {
        let path = folder(&self.path).join(format!("{:06}.parquet", self.count));
        let beside = path.with_extension("part");
        let mut writer = self.writer(&beside)?;
        let mut group = writer.next_row_group()?;
        let mut index = 0;
        while let Some(column) = group.next_column()? {
            write_column(column, self.columns[index].kind, self.rows.iter().map(|row| &row[index]))?;
            index += 1;
        }
        group.close()?;
        writer.into_inner()?.sync_all()?;
        fs_err::rename(beside, path)?;
        self.rows.clear();
        self.count += 1;
        Ok(())
    }

    fn writer(&self, path: &Path) -> Result<SerializedFileWriter<File>> {
        let properties = WriterProperties::builder()
            .set_created_by(format!("emoxide {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY);
        let properties = Arc::new(properties.build());
        Ok(SerializedFileWriter::new(File::create(path)?, Arc::clone(&self.schema), properties)?)
    }

    /// Joins the parts: their columns are copied as they are.
    pub(super) fn finish(mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.part()?;
        }
        let mut beside = self.path.clone().into_os_string();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let mut writer = self.writer(&beside)?;
        for part in parts(&self.path)? {
            append(&mut writer, &part).with_context(|| part.display().to_string())?;
        }
        writer.into_inner()?.sync_all()?;
        fs_err::rename(beside, &self.path)?;
        Ok(fs_err::remove_dir_all(folder(&self.path))?)
    }
}

fn append(writer: &mut SerializedFileWriter<File>, part: &Path) -> Result<()> {
    let source = open(part)?;
    let metadata = SerializedFileReader::new(open(part)?)?.metadata().clone();
    ensure!(metadata.file_metadata().schema() == writer.schema_descr().root_schema(), "it has other columns");
    for group in metadata.row_groups() {
        let mut target = writer.next_row_group()?;
        for column in group.columns() {
            let copied = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            target.append_column(&source, copied)?;
        }
        target.close()?;
    }
    Ok(())
}

/// The reader takes files of the standard library.
fn open(path: &Path) -> Result<std::fs::File> {
    Ok(File::open(path)?.into_parts().0)
}

/// The complete parts in order.
fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder(path);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs_err::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    paths.sort();
    Ok(paths)
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let field = |column: &Column| {
        let (physical, converted) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
            Kind::Whole => (Physical::INT64, ConvertedType::NONE),
            Kind::Seconds => (Physical::DOUBLE, ConvertedType::NONE),
            Kind::Number => (Physical::FLOAT, ConvertedType::NONE),
            Kind::Flag => (Physical::BOOLEAN, ConvertedType::NONE),
        };
        let builder = Type::primitive_type_builder(&column.name, physical).with_converted_type(converted);
        let repetition = if column.kind == Kind::Flag { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        Ok(Arc::new(builder.with_repetition(repetition).build()?))
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Type::group_type_builder("faces").with_fields(fields).build()?))
}

fn write_column<'a>(
    mut writer: SerializedColumnWriter<'_>,
    kind: Kind,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<()> {
    fn batch<T: DataType>(writer: &mut SerializedColumnWriter<'_>, values: &[Option<T::T>]) -> Result<()> {
        let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
        let present: Vec<T::T> = values.iter().flatten().cloned().collect();
        writer.typed::<T>().write_batch(&present, Some(&levels), None)?;
        Ok(())
    }
    match kind {
        Kind::Text => {
            let text = |cell: &Cell| if let Cell::Text(Some(text)) = cell { Some(text.as_str().into()) } else { None };
            batch::<ByteArrayType>(&mut writer, &cells.map(text).collect::<Vec<Option<ByteArray>>>())?;
        }
        Kind::Whole => {
            let whole = |cell: &Cell| if let Cell::Whole(Some(value)) = cell { Some(*value as i64) } else { None };
            batch::<Int64Type>(&mut writer, &cells.map(whole).collect::<Vec<_>>())?;
        }
        Kind::Seconds => {
            let seconds = |cell: &Cell| if let Cell::Seconds(value) = cell { *value } else { None };
            batch::<DoubleType>(&mut writer, &cells.map(seconds).collect::<Vec<_>>())?;
        }
        Kind::Number => {
            let number = |cell: &Cell| if let Cell::Number(value) = cell { *value } else { None };
            batch::<FloatType>(&mut writer, &cells.map(number).collect::<Vec<_>>())?;
        }
        Kind::Flag => {
            let flags: Vec<bool> = cells.map(|cell| *cell == Cell::Flag(true)).collect();
            writer.typed::<BoolType>().write_batch(&flags, None, None)?;
        }
    }
    Ok(writer.close()?)
}

/// The rows of the parts that a run before has left, as predictions of one face each.
pub(in super::super) fn read(path: &Path, classes: &Classes) -> Result<impl Iterator<Item = Result<Prediction>>> {
    let columns = rows::columns(classes);
    let mut readers = Vec::new();
    for part in parts(path)? {
        let named = || part.display().to_string();
        readers.push(SerializedFileReader::new(open(&part)?).with_context(named)?);
    }
    let classes = classes.clone();
    Ok(readers
        .into_iter()
        .flat_map(SerializedFileReader::into_iter)
        .map(move |row| rows::prediction(&cells(&row?, &columns)?, &classes)))
}

fn cells(row: &Row, columns: &[Column]) -> Result<Vec<Cell>> {
    let fields: Vec<_> = row.get_column_iter().collect();
    ensure!(fields.len() == columns.len(), "{} columns where {} belong", fields.len(), columns.len());
    let cell = |((name, field), column): (&(&String, &Field), &Column)| {
        ensure!(**name == column.name, "`{name}` stands where `{}` belongs", column.name);
        Ok(match (column.kind, field) {
            (Kind::Text, Field::Null) => Cell::Text(None),
            (Kind::Text, Field::Str(text)) => Cell::Text(Some(text.clone())),
            (Kind::Whole, Field::Null) => Cell::Whole(None),
            (Kind::Whole, Field::Long(value)) => Cell::Whole(Some(*value as u64)),
            (Kind::Seconds, Field::Null) => Cell::Seconds(None),
            (Kind::Seconds, Field::Double(value)) => Cell::Seconds(Some(*value)),
            (Kind::Number, Field::Null) => Cell::Number(None),
            (Kind::Number, Field::Float(value)) => Cell::Number(Some(*value)),
            (Kind::Flag, Field::Bool(flag)) => Cell::Flag(*flag),
            (_, other) => bail!("`{other}` is no value of `{name}`"),
        })
    };
    fields.iter().zip(columns).map(cell).collect()
}
