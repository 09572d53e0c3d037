//! Figures of an evaluation for people.

use std::io::Write;

use anyhow::Result;
use emoxide::weights::start::Started;
use emoxide_train::evaluate::{Evaluation, Subject};

/// The figures for people: overall first, then a line a class.
pub(crate) fn table(sink: &mut dyn Write, evaluation: &Evaluation) -> Result<()> {
    let Evaluation { subject, n, interval: [low, high], .. } = evaluation;
    let Subject { model, data, split, protocol, selected_on } = subject;
    writeln!(sink, "{model} on {data} {split}: {protocol}; epoch chosen on {selected_on}; n = {n}")?;
    writeln!(
        sink,
        "accuracy        {:6.2} %   95 % interval {:.2} to {:.2}",
        evaluation.accuracy * 100.0,
        low * 100.0,
        high * 100.0
    )?;
    writeln!(sink, "mean class      {:6.2} %", evaluation.mean_class_accuracy * 100.0)?;
    writeln!(sink, "macro F1        {:6.4}", evaluation.macro_f1)?;
    let Evaluation { weighted_precision, weighted_recall, weighted_f1, .. } = evaluation;
    writeln!(
        sink,
        "weighted        precision {weighted_precision:.4}   recall {weighted_recall:.4}   F1 {weighted_f1:.4}"
    )?;
    let area = |auc: Option<f64>| auc.map_or("-".to_owned(), |auc| format!("{auc:.4}"));
    let [auc, logit_auc] = [evaluation.auc, evaluation.logit_auc].map(area);
    writeln!(sink, "AUC {auc} (of logits {logit_auc})   ECE {:.4}   NLL {:.4}", evaluation.ece, evaluation.nll)?;
    writeln!(sink, "{:<12} {:>9} {:>9} {:>9} {:>9} {:>8}", "class", "precision", "recall", "F1", "AUC", "pictures")?;
    for class in evaluation.classes.iter() {
        let figures = &evaluation.per_class[&class];
        writeln!(
            sink,
            "{class:<12} {:>9.4} {:>9.4} {:>9.4} {:>9} {:>8}",
            figures.precision,
            figures.recall,
            figures.f1,
            area(figures.auc),
            figures.support
        )?;
    }
    Ok(())
}

/// A file that training started from, in one line.
pub(crate) fn started(started: &Started) -> String {
    let Started { file, sha256, part, tensors, changes } = started;
    let part = part.as_ref().map_or(String::new(), |part| format!(" for `{part}`"));
    let first = format!("{file}{part}: {tensors} tensors, SHA-256 {sha256}");
    [first].iter().chain(changes).map(String::as_str).collect::<Vec<_>>().join("; ")
}
