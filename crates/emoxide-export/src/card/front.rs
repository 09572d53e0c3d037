//! What Hugging Face reads: YAML between two lines of dashes. Texts are quoted as in JSON, which is YAML too, where what YAML does not
//! want to see is written as a number.

use emoxide::weights::checkpoint::{Card, Measured};
use serde_json::{Value, json};

use super::Written;

/// Licences that Hugging Face knows by these names, among those that weights of emoxide have had.
const KNOWN: [&str; 6] = ["mit", "apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0", "bsd-3-clause"];

pub(super) fn matter(card: &Card, written: &Written) -> String {
    let licence = &card.licence.weights;
    let known = |name: &str| KNOWN.into_iter().find(|known| name.eq_ignore_ascii_case(known));
    // `MIT OR Apache-2.0` is a list there.
    let known: Option<Vec<&str>> = licence.split(" OR ").map(known).collect();
    let mut lines = vec!["---".to_owned()];
    lines.push(match known.as_deref() {
        Some([one]) => format!("license: {one}"),
        Some(several) => format!("license: [{}]", several.join(", ")),
        None => "license: other".to_owned(),
    });
    if known.is_none() {
        lines.push(format!("license_name: {}", quoted(&json!(if licence.is_empty() { "not said" } else { licence }))));
    }
    let form = if matches!(written, Written::Onnx { .. }) { "onnx" } else { "safetensors" };
    let kind = json!(card.network)["kind"].as_str().unwrap_or_default().to_owned();
    lines.push("library_name: emoxide".to_owned());
    if written.is_whole() {
        lines.push("pipeline_tag: image-classification".to_owned());
    }
    lines.extend([
        "tags:".to_owned(),
        "- facial-expression-recognition".to_owned(),
        format!("- {form}"),
        format!("- {kind}"),
    ]);
    if !card.provenance.data.is_empty() {
        lines.push("datasets:".to_owned());
        lines.extend(card.provenance.data.iter().map(|(name, _)| format!("- {}", quoted(&json!(name)))));
    }
    if !card.results.is_empty() && written.is_whole() {
        lines.extend(["metrics:", "- accuracy", "- f1", "model-index:"].map(str::to_owned));
        // JSON on one line.
        let results: Vec<Value> = card.results.iter().map(result).collect();
        lines.push(format!("- {}", quoted(&json!({ "name": card.name, "results": results }))));
    }
    lines.push("---\n".to_owned());
    lines.join("\n")
}

/// JSON in which characters that YAML refuses are written as numbers.
fn quoted(value: &Value) -> String {
    let written = |character: char| match character {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            format!("\\u{:04x}", u32::from(character))
        }
        other => other.to_string(),
    };
    value.to_string().chars().map(written).collect()
}

fn result(Measured { data, split, protocol, n, accuracy, mean_class_accuracy, macro_f1, .. }: &Measured) -> Value {
    json!({
        "task": { "type": "image-classification", "name": "facial expression recognition" },
        "dataset": { "name": data, "type": data, "split": split },
        "metrics": [
            { "type": "accuracy", "value": accuracy, "name": format!("accuracy, n = {n}, {protocol}") },
            { "type": "accuracy", "value": mean_class_accuracy, "name": "mean class accuracy" },
            { "type": "f1", "value": macro_f1, "name": "macro F1" },
        ],
    })
}
