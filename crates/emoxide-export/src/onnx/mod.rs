//! ONNX models of networks.
//!
//! A model is made of the graph that Burn records of the network, with batches of three sizes: what differs between the recordings
//! by more than the batch is an error, and so is an operation without a counterpart. Operators are those of set 18.
//!
//! `burn-onnx` makes ONNX models of recorded graphs too. It records a forward pass by itself and has no seam for operations that it
//! lacks (0.22.0: permutations, softmax, layer and group norms, GELU, parametric rectifiers, means of an axis, attention, operators of
//! other crates), and its dynamic shapes exclude the division of tokens into heads, so that the recording is lowered here.

mod builder;
mod form;
mod lower;
pub mod proto;
mod record;

use emoxide::recognizer::NOTICES;
use emoxide::weights::checkpoint::{Card, FORMAT};
use emoxide::zoo::Model;
use prost::Message;

use crate::ExportError;
use crate::metadata::{entry, metadata};
use builder::{Builder, int};
use proto::{
    DimensionProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto, TensorTypeProto,
    TypeProto, ValueInfoProto,
};
use record::Recording;

/// Name of the input: preprocessed images, `[batch, channels, rows, cols]`, 32-bit floats.
pub const INPUT: &str = "images";
/// Name of the first output: uncalibrated scores, `[batch, classes]`, 32-bit floats.
pub const LOGITS: &str = "logits";
/// Name of the second output: calibrated probabilities, `[batch, classes]`, 32-bit floats.
pub const PROBABILITIES: &str = "probabilities";
/// Version of the set of operators.
pub const OPSET: i64 = 18;
/// Bytes that a file of protocol buffers holds at most.
pub const LARGEST: usize = i32::MAX as usize;

/// Version of the file format, the one that came with [`OPSET`].
const IR_VERSION: i64 = 8;
/// Name of the axis of images.
const BATCH: &str = "batch";

/// What constants and intermediate values are. Input and outputs are 32-bit floats in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats, as in training.
    #[default]
    Float32,
    /// 16-bit floats: half the size.
    Float16,
}

impl Precision {
    /// From here on a number rounds to infinity in half precision.
    const OVERFLOW: f32 = 65520.0;

    /// As metadata and cards name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
        }
    }

    /// `TensorProto.DataType`
    fn data_type(self) -> i32 {
        match self {
            Self::Float32 => 1,
            Self::Float16 => 10,
        }
    }
}

/// A model as ONNX, for batches of any size.
pub fn export(model: &Model, precision: Precision) -> Result<ModelProto, ExportError> {
    let recording = Recording::new(model)?;
    let mut builder = Builder::new(precision);
    let half = precision == Precision::Float16;
    let cast = |to: Precision| vec![int("to", to.data_type().into())];
    let input = if half { builder.node("Cast", &[INPUT], cast(precision)) } else { INPUT.to_owned() };
    let logits = lower::lower(recording, &input, &mut builder)?;
    // What stands behind the logits belongs to the card, and is computed in single precision.
    let (kind, settings) = if half { ("Cast", cast(Precision::Float32)) } else { ("Identity", Vec::new()) };
    builder.named_node(LOGITS, kind, &[&logits], settings);
    builder.precision = Precision::Float32;
    let temperature = builder.number(model.card().temperature.into())?;
    let scaled = builder.node("Div", &[LOGITS, &temperature], Vec::new());
    builder.named_node(PROBABILITIES, "Softmax", &[&scaled], vec![int("axis", 1)]);

    let mut graph = builder.finish();
    let [channels, rows, cols] = model.card().preprocess.input();
    let classes = model.classes().len();
    graph.name = Some(model.card().name.clone());
    graph.input = vec![value(INPUT, &[channels, rows, cols])];
    graph.output = vec![value(LOGITS, &[classes]), value(PROBABILITIES, &[classes])];
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("emoxide".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        doc_string: Some(NOTICES.join(" ")),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: properties(model.card(), precision),
    })
}

/// What the file says of itself.
fn properties(card: &Card, precision: Precision) -> Vec<StringStringEntryProto> {
    let own = [entry("format", &FORMAT), entry("precision", &precision.name()), entry("opset", &OPSET)];
    let property = |(key, value)| StringStringEntryProto { key: Some(key), value: Some(value) };
    own.into_iter().chain(metadata(card)).map(property).collect()
}

/// A model as the bytes of a file.
pub fn encode(model: &ModelProto) -> Result<Vec<u8>, ExportError> {
    let bytes = model.encoded_len();
    if bytes > LARGEST {
        return Err(ExportError::Size { bytes });
    }
    Ok(model.encode_to_vec())
}

/// An input or output for a batch of these.
fn value(name: &str, sizes: &[usize]) -> ValueInfoProto {
    let batch = DimensionProto { dim_param: Some(BATCH.to_owned()), dim_value: None };
    let fixed = |&size: &usize| DimensionProto { dim_value: Some(size as i64), dim_param: None };
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(sizes.iter().map(fixed)).collect() };
    let tensor = TensorTypeProto { elem_type: Some(Precision::Float32.data_type()), shape: Some(shape) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
