//! What a model is measured on: what `eval` is told, as a value.

use emoxide::labels::{Classes, Expression, LabelError};
use emoxide::zoo::Model;

use super::{Changes, TrainError, measure, subject};
use crate::data::{DataError, DataSet, DataSpec, LabelRule, Split};
use crate::evaluate::{Evaluation, Metrics, Predictions};
use crate::recipe::Part;

/// What a model is measured on.
#[derive(Clone, Debug)]
pub struct Question {
    /// The data set.
    pub source: DataSpec,
    /// Which part of it.
    pub split: Split,
    /// How votes become labels.
    pub labels: LabelRule,
    /// Whether red and blue change places in every picture.
    pub bgr: bool,
    /// Classes of model and data that are left out.
    pub drop: Vec<Expression>,
    /// The classes that stay; `None` for all that are not left out.
    pub classes: Option<Classes>,
}

/// A question and what a model can answer of it.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The part of the data set.
    pub part: Part,
    /// The classes that the figures are of, in the model's order.
    pub classes: Classes,
    /// The pictures, with labels among these classes.
    pub data: DataSet,
}

/// Why a model cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// A class that is to stay and that the model lacks.
    #[error("--classes: the model does not know {missing}; it knows {known}")]
    Unknown {
        /// The class.
        missing: Expression,
        /// The model's classes.
        known: Classes,
    },
    /// Classes of model and data that do not fit.
    #[error("{0}; leave a class out with --drop NAME, or name those to keep with --classes")]
    Classes(LabelError),
    /// Nothing is left.
    #[error(transparent)]
    Nothing(#[from] LabelError),
    /// The data set.
    #[error(transparent)]
    Data(DataError),
}

impl Question {
    /// Reads the labels and brings their classes and the model's together.
    pub fn ask(&self, model: &Model) -> Result<Examination, QuestionError> {
        let knows = |name: &Expression| model.classes().index_of(*name).is_some();
        let mut dropped = self.drop.clone();
        if let Some(kept) = &self.classes {
            if let Some(missing) = kept.iter().find(|name| !knows(name)) {
                return Err(QuestionError::Unknown { missing, known: model.classes().clone() });
            }
            dropped.extend(Expression::ALL.into_iter().filter(|name| kept.index_of(*name).is_none()));
        }
        let known: Vec<Expression> = dropped.iter().copied().filter(|name| knows(name)).collect();
        let classes = model.classes().without(&known)?;
        let Self { source, split, labels, bgr, .. } = self;
        let part = Part { set: source.layout, split: *split, labels: *labels, bgr: *bgr };
        let data = part.open(source, &classes, &dropped).map_err(|error| match error {
            DataError::Label(error) => QuestionError::Classes(error),
            error => QuestionError::Data(error),
        })?;
        Ok(Examination { part, classes, data })
    }
}

impl Examination {
    /// Measures a model with it; `changes` are made to every picture. `progress` as in [`measure`].
    pub fn measure(
        &self,
        model: &Model,
        changes: Option<Changes>,
        progress: &mut dyn FnMut(usize) -> std::ops::ControlFlow<()>,
    ) -> Result<(Evaluation, Predictions), TrainError> {
        let predictions = measure(model, &self.data, changes, progress)?;
        let metrics = Metrics::compute(&predictions)?;
        Ok((Evaluation::new(subject(&self.part, model, &self.classes, changes), &self.classes, &metrics), predictions))
    }
}
