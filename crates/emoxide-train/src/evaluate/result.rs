//! The machine form of an evaluation.

use std::collections::BTreeMap;

use emoxide::labels::{Classes, Expression};
use serde::{Deserialize, Serialize};

use super::metrics::{ClassMetrics, Metrics};

/// What a figure is a figure of; without it, it is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Name or path of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// Name of the split.
    pub split: String,
    /// What was counted how.
    pub protocol: String,
    /// What chose the model's epoch.
    pub selected_on: String,
}

/// What `eval --json` prints, one object per model and data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Model, data and protocol.
    #[serde(flatten)]
    pub subject: Subject,
    /// Number of images.
    pub n: usize,
    /// Share of images whose most probable class is the true one.
    pub accuracy: f64,
    /// Mean recall over the classes that have images.
    pub mean_class_accuracy: f64,
    /// Mean F1 over classes.
    pub macro_f1: f64,
    /// 95 % interval of the accuracy.
    pub interval: [f64; 2],
    /// Figures of each class, in canonical order.
    pub per_class: BTreeMap<Expression, ClassMetrics>,
    /// Mean precision over classes, each weighted by its images.
    pub weighted_precision: f64,
    /// Mean recall over classes, each weighted by its images, which is the accuracy.
    pub weighted_recall: f64,
    /// Mean F1 over classes, each weighted by its images.
    pub weighted_f1: f64,
    /// Mean one-vs-rest area under the curve; null where no class has both sides.
    pub auc: Option<f64>,
    /// The same of the scores before the softmax.
    pub logit_auc: Option<f64>,
    /// Expected calibration error, 15 bins.
    pub ece: f64,
    /// Mean negative log-likelihood.
    pub nll: f64,
    /// Order of the rows and columns of `confusion`.
    pub classes: Classes,
    /// `confusion[true][predicted]`, number of images.
    pub confusion: Vec<Vec<usize>>,
}

impl Evaluation {
    /// Joins the figures with what they are figures of.
    pub fn new(subject: Subject, classes: &Classes, metrics: &Metrics) -> Self {
        Self {
            subject,
            n: metrics.n,
            accuracy: metrics.accuracy,
            mean_class_accuracy: metrics.mean_class_accuracy,
            macro_f1: metrics.macro_average.f1,
            interval: metrics.interval,
            per_class: classes.iter().zip(metrics.per_class.iter().copied()).collect(),
            weighted_precision: metrics.weighted_average.precision,
            weighted_recall: metrics.weighted_average.recall,
            weighted_f1: metrics.weighted_average.f1,
            auc: metrics.auc,
            logit_auc: metrics.logit_auc,
            ece: metrics.ece,
            nll: metrics.nll,
            classes: classes.clone(),
            confusion: metrics.confusion.clone(),
        }
    }
}
