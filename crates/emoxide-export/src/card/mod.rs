//! The card beside an exported model: Markdown with the front matter that Hugging Face reads.

mod front;
mod input;

use std::fmt::Write;

use emoxide::recognizer::NOTICES;
use emoxide::weights::checkpoint::{Card, Measured};

use crate::check::Difference;
use crate::onnx::{LOGITS, OPSET, PROBABILITIES, Precision};

/// What a card is about.
#[derive(Clone, Debug)]
pub enum Written {
    /// An ONNX model, and how it was checked.
    Onnx {
        /// Its numbers.
        precision: Precision,
        /// What other runtimes answered.
        checks: Vec<Difference>,
    },
    /// Weights under the names of a key map.
    Weights {
        /// The key map.
        keys: String,
        /// The part of the network that they are of; absent: all of it.
        part: Option<String>,
    },
}

impl Written {
    /// Whether it is all of the network.
    fn is_whole(&self) -> bool {
        !matches!(self, Self::Weights { part: Some(_), .. })
    }
}

/// A text of the checkpoint in a line of Markdown: in one line, and no end of a cell of a table.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ").replace('|', "\\|")
}

/// The card of the file `file`, whose SHA-256 is `sha256`, made of the model with this card.
pub fn markdown(card: &Card, file: &str, sha256: &str, written: &Written) -> String {
    let mut sections = vec![
        front::matter(card, written),
        format!("# {}\n", line(&card.name)),
        about(card, written),
        format!("> {}\n", NOTICES.join(" ")),
    ];
    // A part classifies nothing.
    if written.is_whole() {
        sections.extend([
            format!("## Classes\n\n{}\n", classes(card)),
            format!("## Input\n\n{}", input::words(card, written)),
            format!(
                "## {}\n\n{}",
                if matches!(written, Written::Onnx { .. }) { "Outputs" } else { "Tensors" },
                outputs(card, written)
            ),
            format!("## Results\n\n{}", results(&card.results)),
        ]);
    }
    sections.extend([
        format!("## Origin and licence\n\n{}", origin(card)),
        format!("## File\n\n{}", made(file, sha256, written)),
    ]);
    sections.join("\n")
}

/// Whether a text is such a card, which nobody has written on.
pub fn is_card(text: &str) -> bool {
    let last = text.lines().last().unwrap_or_default();
    text.starts_with("---\n") && text.contains("\nlibrary_name: emoxide\n") && last == LAST
}

/// The last line of every card.
const LAST: &str = "This card is written anew with its file; what is added to it keeps it from being replaced.";

fn about(card: &Card, written: &Written) -> String {
    let what = match written {
        Written::Onnx { precision, .. } => format!("an ONNX model (operator set {OPSET}, {})", precision.name()),
        Written::Weights { keys, part } => {
            let part = part.as_ref().map(|part| format!(" of its part `{part}` alone")).unwrap_or_default();
            format!(
                "weights{part} in PyTorch's layout (32-bit floats, linear layers `[outputs, inputs]`) under the names of the key map `{keys}`"
            )
        }
    };
    let (classes, network) = (card.classes.len(), serde_json::to_string(&card.network).unwrap_or_default());
    let kind = if written.is_whole() { "A" } else { "From a" };
    format!(
        "{kind} classifier of facial expressions with {classes} classes, as {what}. The network:\n\n```json\n{network}\n```\n"
    )
}

/// In the order of the outputs.
fn classes(card: &Card) -> String {
    let line = |(index, class): (usize, emoxide::labels::Expression)| format!("{index}. {}", class.name());
    let lines: Vec<String> = card.classes.iter().enumerate().map(line).collect();
    format!("In the order of the outputs, counted from 0:\n\n{}", lines.join("\n"))
}

fn outputs(card: &Card, written: &Written) -> String {
    let Card { temperature, mirror, .. } = card;
    match written {
        Written::Onnx { precision, .. } => {
            let half = if *precision == Precision::Float16 { " What lies between is in 16-bit floats." } else { "" };
            let mean = "; the mean over the picture and its mirror image, which the model makes itself";
            format!(
                "Both are `[batch, {}]`, 32-bit floats; the batch may have any size.{half}\n\n\
                 * `{LOGITS}`: uncalibrated scores{}.\n\
                 * `{PROBABILITIES}`: the softmax of the scores divided by {temperature}, the model's temperature; every row sums to 1.\n",
                card.classes.len(),
                if *mirror { mean } else { "" },
            )
        }
        Written::Weights { .. } => {
            let mean = "The model's scores are the mean of those of a picture and of its mirror image, which whoever uses the weights has to \
                        take. ";
            format!(
                "{}Probabilities are the softmax of the scores divided by {temperature}. The file's metadata say so too.\n",
                if *mirror { mean } else { "" },
            )
        }
    }
}

fn results(results: &[Measured]) -> String {
    if results.is_empty() {
        return "None were measured.\n".to_owned();
    }
    let mut text =
        "| data | split | pictures | accuracy | mean class accuracy | macro F1 | protocol | epoch chosen on |\n\
                    | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for Measured { data, split, protocol, selected_on, n, accuracy, mean_class_accuracy, macro_f1 } in results {
        let [data, split, protocol, selected_on] = [data, split, protocol, selected_on].map(|text| line(text));
        let [accuracy, mean] = [accuracy, mean_class_accuracy].map(|share| share * 100.0);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {data} | {split} | {n} | {accuracy:.2} % | {mean:.2} % | {macro_f1:.3} | {protocol} | {selected_on} |"
        );
    }
    text.push_str("\nMeasured by emoxide with the checkpoint that this file was made of.\n");
    text
}

fn origin(card: &Card) -> String {
    let provenance = &card.provenance;
    let mut text = match &provenance.imported_from {
        Some((file, hash)) => format!("* weights imported from `{}`, SHA-256 `{hash}`\n", line(file)),
        None if provenance.commit.is_empty() => "* weights: nothing is said of where they come from\n".to_owned(),
        None => format!("* trained by emoxide {}, epoch {}\n", line(&provenance.commit), provenance.epoch),
    };
    for started in &provenance.started_from {
        let _ = writeln!(
            text,
            "* training, or the import, took weights from `{}`, SHA-256 `{}`; its terms hold for them",
            line(&started.file),
            started.sha256
        );
    }
    for (name, hash) in &provenance.data {
        let _ = writeln!(text, "* data: {}, manifest SHA-256 `{hash}`", line(name));
    }
    let said = |text: &str| if text.is_empty() { "not said".to_owned() } else { line(text) };
    let _ = writeln!(text, "* licence of the weights: {}", said(&card.licence.weights));
    let _ = writeln!(text, "* licence of the data: {}", said(&card.licence.data));
    text
}

fn made(file: &str, sha256: &str, written: &Written) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("* `{file}`, SHA-256 `{sha256}`\n* written by emoxide {version}, `emoxide models export`\n");
    let checks = if let Written::Onnx { checks, .. } = written { checks.as_slice() } else { &[] };
    for Difference { runtime, version, batch, logits, probabilities, .. } in checks {
        let _ = writeln!(
            text,
            "* checked on random images with {} {version}, batch of {batch}: logits differ by {logits:.1e} at most, probabilities by \
             {probabilities:.1e}",
            runtime.name()
        );
    }
    let _ = writeln!(text, "\n{LAST}");
    text
}

#[cfg(test)]
mod tests {
    use emoxide::weights::start::Started;
    use emoxide::zoo;

    use super::{Written, is_card, markdown};
    use crate::onnx::Precision;

    #[test]
    fn a_card_says_how_to_use_the_file() {
        let card = zoo::card(zoo::DEFAULT).expect("the embedded model");
        let onnx = Written::Onnx { precision: Precision::Float16, checks: Vec::new() };
        let text = markdown(&card, "m.onnx", "abc", &onnx);
        let words = [
            "license: [mit, apache-2.0]",
            "pipeline_tag: image-classification",
            "library_name: emoxide",
            "48 x 48",
            "grey",
            "mirror image",
            "`m.onnx`",
        ];
        assert!(is_card(&text) && !is_card(&format!("{text}My notes.\n")));
        for said in words.into_iter().chain(["AI Act", "0. anger", "7. contempt", "model-index", "86.99 %", "float16"])
        {
            assert!(text.contains(said), "wanted {said:?} in:\n{text}");
        }
        let weights =
            markdown(&card, "m.safetensors", "abc", &Written::Weights { keys: "pytorch".to_owned(), part: None });
        assert!(weights.contains("key map `pytorch`") && !weights.contains("Outputs"), "{weights}");
        let part = Written::Weights { keys: "clip".to_owned(), part: Some("clip".to_owned()) };
        let text = markdown(&card, "m.safetensors", "abc", &part);
        for not_said in ["86.99 %", "pipeline_tag", "model-index", "## Classes", "## Input"] {
            assert!(!text.contains(not_said), "{not_said:?} in:\n{text}");
        }
    }

    #[test]
    fn odd_texts_break_neither_front_matter_nor_tables() {
        let mut card = zoo::card(zoo::DEFAULT).expect("the embedded model");
        card.name = "a\n# b \u{7f}\u{85}\u{fffe}: \"c\"".to_owned();
        card.results[0].data = "one|two".to_owned();
        card.provenance.started_from = vec![Started {
            file: "backbone.pth".to_owned(),
            sha256: "abc".to_owned(),
            part: None,
            tensors: 1,
            changes: Vec::new(),
        }];
        let onnx = Written::Onnx { precision: Precision::Float32, checks: Vec::new() };
        let text = markdown(&card, "m.onnx", "abc", &onnx);
        assert!(text.contains("\n# a # b   \u{fffe}: \"c\"\n"), "{text}");
        assert!(text.contains(r#"{"name":"a\n# b \u007f\u0085\ufffe: \"c\"","#), "{text}");
        assert!(text.contains("| one\\|two |") && text.contains("`backbone.pth`"), "{text}");
    }
}
