//! Faces as a table in Arrow's memory, which other libraries take over as it is.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Field, Fields};
use emoxide::labels::Classes;
use emoxide::recognizer::Prediction;
use emoxide::recognizer::rows::{Cell, Column, Kind, columns, rows};
use pyo3::types::PyCapsule;
use pyo3::{Bound, Py, PyAny, PyResult, Python, pyclass, pymethods};

use crate::error;

/// A column that grows.
enum Values {
    Text(StringBuilder),
    Whole(Int64Builder),
    Seconds(Float64Builder),
    Number(Float32Builder),
    Flag(BooleanBuilder),
}

impl Values {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Whole => Self::Whole(Int64Builder::new()),
            Kind::Seconds => Self::Seconds(Float64Builder::new()),
            Kind::Number => Self::Number(Float32Builder::new()),
            Kind::Flag => Self::Flag(BooleanBuilder::new()),
        }
    }

    /// A cell of the column's kind; any other one is empty here.
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Text(values), Cell::Text(value)) => values.append_option(value),
            (Self::Whole(values), Cell::Whole(value)) => values.append_option(value.map(|value| value as i64)),
            (Self::Seconds(values), Cell::Seconds(value)) => values.append_option(value),
            (Self::Number(values), Cell::Number(value)) => values.append_option(value),
            (Self::Flag(values), Cell::Flag(value)) => values.append_value(value),
            (values, _) => values.push_empty(),
        }
    }

    fn push_empty(&mut self) {
        match self {
            Self::Text(values) => values.append_null(),
            Self::Whole(values) => values.append_null(),
            Self::Seconds(values) => values.append_null(),
            Self::Number(values) => values.append_null(),
            Self::Flag(values) => values.append_value(false),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut values) => Arc::new(values.finish()),
            Self::Whole(mut values) => Arc::new(values.finish()),
            Self::Seconds(mut values) => Arc::new(values.finish()),
            Self::Number(mut values) => Arc::new(values.finish()),
            Self::Flag(mut values) => Arc::new(values.finish()),
        }
    }
}

/// A table that grows by predictions.
pub(crate) struct Rows {
    classes: Classes,
    columns: Vec<Column>,
    values: Vec<Values>,
    /// Why pictures have no faces to look for, where that is wanted.
    errors: Option<StringBuilder>,
}

impl Rows {
    pub(crate) fn new(classes: &Classes, errors: bool) -> Self {
        let columns = columns(classes);
        let values = columns.iter().map(|column| Values::new(column.kind)).collect();
        Self { classes: classes.clone(), columns, values, errors: errors.then(StringBuilder::new) }
    }

    /// The rows of a picture.
    pub(crate) fn add(&mut self, prediction: &Prediction) {
        for row in rows(prediction, &self.classes) {
            self.values.iter_mut().zip(row).for_each(|(values, cell)| values.push(cell));
            if let Some(errors) = &mut self.errors {
                errors.append_null();
            }
        }
    }

    /// The row of a picture, or of a frame, that cannot be read.
    pub(crate) fn add_error(&mut self, input: String, frame: Option<usize>, reason: &str) {
        let known = [Cell::Text(Some(input)), Cell::Whole(frame.map(|frame| frame as u64))];
        let (first, rest) = self.values.split_at_mut(known.len());
        first.iter_mut().zip(known).for_each(|(values, cell)| values.push(cell));
        rest.iter_mut().for_each(Values::push_empty);
        if let Some(errors) = &mut self.errors {
            errors.append_value(reason);
        }
    }

    pub(crate) fn finish(self) -> Table {
        let kinds = self.columns.into_iter().map(|column| (column.name, column.kind));
        let mut fields: Vec<Field> =
            kinds.map(|(name, kind)| Field::new(name, data_type(kind), kind != Kind::Flag)).collect();
        let mut arrays: Vec<ArrayRef> = self.values.into_iter().map(Values::finish).collect();
        if let Some(mut errors) = self.errors {
            fields.push(Field::new("error", DataType::Utf8, true));
            arrays.push(Arc::new(errors.finish()));
        }
        Table(StructArray::new(Fields::from(fields), arrays, None))
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Whole => DataType::Int64,
        Kind::Seconds => DataType::Float64,
        Kind::Number => DataType::Float32,
        Kind::Flag => DataType::Boolean,
    }
}

/// A finished table, for everything that knows Arrow's `PyCapsule` interface.
#[pyclass(frozen, module = "emoxide._emoxide")]
pub(crate) struct Table(StructArray);

#[pymethods]
impl Table {
    /// Number of rows.
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Schema and array of a record batch, in capsules that share the table's memory.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        // The interface lets a producer keep to its own schema.
        drop(requested_schema);
        let (array, schema): (FFI_ArrowArray, FFI_ArrowSchema) = to_ffi(&self.0.to_data()).map_err(error::other)?;
        Ok((
            PyCapsule::new_with_value(py, schema, c"arrow_schema")?,
            PyCapsule::new_with_value(py, array, c"arrow_array")?,
        ))
    }
}
