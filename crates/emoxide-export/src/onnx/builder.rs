//! A graph on its way to a file.

use std::collections::HashMap;

use burn::tensor::{DType, TensorData};

use super::Precision;
use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::ExportError;

/// `TensorProto.DataType` of 64-bit integers.
const INT64: i32 = 7;

/// Nodes and constants so far. Every node has one output, which has the node's name.
pub(super) struct Builder {
    pub(super) precision: Precision,
    graph: GraphProto,
    /// Names of the small constants that were made here.
    shared: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
    /// How many nodes there are of each kind.
    counts: HashMap<&'static str, usize>,
}

impl Builder {
    pub(super) fn new(precision: Precision) -> Self {
        Self { precision, graph: GraphProto::default(), shared: HashMap::new(), counts: HashMap::new() }
    }

    pub(super) fn finish(self) -> GraphProto {
        self.graph
    }

    /// Adds a node; the name of what it computes.
    pub(super) fn node(&mut self, kind: &'static str, inputs: &[&str], settings: Vec<AttributeProto>) -> String {
        let count = self.counts.entry(kind).or_default();
        let name = format!("{kind}_{count}");
        *count += 1;
        self.named_node(&name, kind, inputs, settings);
        name
    }

    /// Adds a node of this name.
    pub(super) fn named_node(&mut self, name: &str, kind: &str, inputs: &[&str], settings: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: Some(name.to_owned()),
            op_type: Some(kind.to_owned()),
            attribute: settings,
        });
    }

    /// A list of whole numbers, as shapes and axes are given.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.shared(INT64, vec![values.len() as i64], bytes, "ints")
    }

    /// A single number in the model's precision.
    pub(super) fn number(&mut self, value: f64) -> Result<String, ExportError> {
        self.floats(vec![value as f32], &[])
    }

    /// Numbers in the model's precision that no parameter holds.
    pub(super) fn floats(&mut self, values: Vec<f32>, shape: &[usize]) -> Result<String, ExportError> {
        self.unnamed(TensorData::new(values, shape))
    }

    /// A constant that is no parameter.
    pub(super) fn unnamed(&mut self, values: TensorData) -> Result<String, ExportError> {
        let dims = values.shape().iter().map(|&size| size as i64).collect();
        let bytes = self.encoded("a constant", values)?;
        Ok(self.shared(self.precision.data_type(), dims, bytes, "constant"))
    }

    /// Adds a constant of this name, in the model's precision.
    pub(super) fn constant(&mut self, name: &str, values: TensorData) -> Result<(), ExportError> {
        let dims = values.shape().iter().map(|&size| size as i64).collect();
        let raw_data = Some(self.encoded(name, values)?);
        let data_type = Some(self.precision.data_type());
        self.graph.initializer.push(TensorProto { dims, data_type, name: Some(name.to_owned()), raw_data });
        Ok(())
    }

    fn shared(&mut self, data_type: i32, dims: Vec<i64>, bytes: Vec<u8>, kind: &str) -> String {
        let next = format!("{kind}_{}", self.shared.len());
        let name = self.shared.entry((data_type, dims.clone(), bytes.clone())).or_insert_with(|| next.clone()).clone();
        if name == next {
            let data_type = Some(data_type);
            self.graph.initializer.push(TensorProto { dims, data_type, name: Some(next), raw_data: Some(bytes) });
        }
        name
    }

    fn encoded(&self, name: &str, values: TensorData) -> Result<Vec<u8>, ExportError> {
        let dtype = values.dtype();
        if dtype != DType::F32 {
            return Err(ExportError::unsupported(name, format!("of {dtype:?}; only 32-bit floats")));
        }
        match self.precision {
            Precision::Float32 => Ok(values.as_bytes().to_vec()),
            Precision::Float16 => {
                let largest = values.iter::<f32>().fold(0.0, |largest: f32, value| largest.max(value.abs()));
                if largest >= Precision::OVERFLOW {
                    return Err(ExportError::Overflow { name: name.to_owned(), value: largest });
                }
                Ok(values.convert_dtype(DType::F16).as_bytes().to_vec())
            }
        }
    }
}

/// A whole number as a setting.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), i: Some(value), kind: Some(2), ..AttributeProto::default() }
}

/// A number with a fraction as a setting.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), f: Some(value), kind: Some(1), ..AttributeProto::default() }
}

/// Whole numbers as a setting.
pub(super) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    let ints = values.into_iter().map(|value| value as i64).collect();
    AttributeProto { name: Some(name.to_owned()), ints, kind: Some(7), ..AttributeProto::default() }
}
