//! What an operation is, apart from the tensors that it reads and writes.

use burn_ir::{BaseOperationIr, OperationIr, TensorIr};
use serde_json::Value;

/// `BaseFloat(Reshape(ShapeOpIr { .. }))` is called `Reshape`.
pub(super) fn name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let names: Vec<&str> = text.split('(').map(str::trim).collect();
    let inner = names.get(1).copied().unwrap_or_default();
    let inner = inner.split(", ").last().unwrap_or(inner);
    if inner.contains('{') || inner.is_empty() { names[0].to_owned() } else { inner.to_owned() }
}

/// All that it reads and writes.
pub(super) fn tensors(operation: &OperationIr) -> Vec<&TensorIr> {
    operation.inputs().chain(operation.outputs()).collect()
}

/// Its kind and settings, without tensors, and without the settings that may follow the batch: what is cut out along an axis,
/// and how often something is repeated.
pub(super) fn form(operation: &OperationIr) -> Value {
    let mut operation = operation.clone();
    if let OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) = &mut operation {
        match base {
            BaseOperationIr::Slice(slice) => slice.ranges.clear(),
            BaseOperationIr::RepeatDim(repeat) => repeat.times = 0,
            _ => (),
        }
    }
    let mut form = serde_json::to_value(&operation).unwrap_or_default();
    forget_tensors(&mut form);
    form
}

fn forget_tensors(value: &mut Value) {
    match value {
        Value::Object(fields) if fields.contains_key("status") => *value = Value::Null,
        Value::Object(fields) => fields.values_mut().for_each(forget_tensors),
        Value::Array(values) => values.iter_mut().for_each(forget_tensors),
        _ => (),
    }
}
