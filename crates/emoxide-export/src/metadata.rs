use emoxide::recognizer::NOTICES;
use emoxide::weights::checkpoint::Card;
use serde::Serialize;

/// What an exported file says of itself: entries `emoxide.<key>`, each JSON as in a checkpoint's card. The entry by which checkpoints
/// are known is none of them.
pub fn metadata(card: &Card) -> Vec<(String, String)> {
    vec![
        entry("name", &card.name),
        entry("classes", &card.classes),
        entry("preprocess", &card.preprocess),
        entry("alignment", &card.alignment),
        entry("detector", &card.detector),
        entry("mirror", &card.mirror),
        entry("temperature", &card.temperature),
        entry("network", &card.network),
        entry("results", &card.results),
        entry("provenance", &card.provenance),
        entry("licence", &card.licence),
        entry("notice", &NOTICES.join(" ")),
    ]
}

/// An entry of this key.
pub(crate) fn entry(key: &str, value: &impl Serialize) -> (String, String) {
    let value = serde_json::to_string(value).expect("parts of a card are plain data");
    (format!("emoxide.{key}"), value)
}
