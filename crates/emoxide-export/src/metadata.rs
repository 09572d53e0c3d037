use emoxide::recognizer::NOTICES;
use emoxide::weights::checkpoint::Card;
use serde_json::{Value, json};

/// What an exported file says of itself: entries `emoxide.<key>`, each JSON as in a checkpoint's card. The entry by which checkpoints
/// are known is none of them.
pub fn metadata(card: &Card) -> Vec<(String, String)> {
    let entries: [(&str, Value); 12] = [
        ("name", json!(card.name)),
        ("classes", json!(card.classes)),
        ("preprocess", json!(card.preprocess)),
        ("alignment", json!(card.alignment)),
        ("detector", json!(card.detector)),
        ("mirror", json!(card.mirror)),
        ("temperature", json!(card.temperature)),
        ("network", json!(card.network)),
        ("results", json!(card.results)),
        ("provenance", json!(card.provenance)),
        ("licence", json!(card.licence)),
        ("notice", json!(NOTICES.join(" "))),
    ];
    entries.into_iter().map(|(key, value)| (format!("emoxide.{key}"), value.to_string())).collect()
}
