//! What an ONNX file says of itself.

use emoxide::recognizer::NOTICES;
use emoxide::weights::checkpoint::{Card, FORMAT};
use serde_json::{Value, json};

use super::proto::StringStringEntryProto;
use super::{OPSET, Precision};

/// Entries `emoxide.<key>`, each JSON as in a checkpoint's card.
pub(super) fn of(card: &Card, precision: Precision) -> Vec<StringStringEntryProto> {
    let entries: [(&str, Value); 14] = [
        ("format", json!(FORMAT)),
        ("name", json!(card.name)),
        ("classes", json!(card.classes)),
        ("preprocess", json!(card.preprocess)),
        ("alignment", json!(card.alignment)),
        ("detector", json!(card.detector)),
        ("mirror", json!(card.mirror)),
        ("temperature", json!(card.temperature)),
        ("network", json!(card.network)),
        ("results", json!(card.results)),
        ("licence", json!(card.licence)),
        ("precision", json!(precision.name())),
        ("opset", json!(OPSET)),
        ("notice", json!(NOTICES.join(" "))),
    ];
    let entry = |(key, value): (&str, Value)| StringStringEntryProto {
        key: Some(format!("emoxide.{key}")),
        value: Some(value.to_string()),
    };
    entries.into_iter().map(entry).collect()
}
