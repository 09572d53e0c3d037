//! A model measured on a data set.

use std::ops::ControlFlow;
use std::path::PathBuf;

use emoxide::labels::{Classes, Expression};
use emoxide_train::data::{DataSpec, LabelRule, Split};
use emoxide_train::recipe::Recipe;
use emoxide_train::train::{Changes, Question, TrainError};
use pyo3::exceptions::PyValueError;
use pyo3::{Bound, PyErr, PyResult, Python, pyfunction};

use crate::recognizer::{Recognizer, json};
use crate::{error, process};

/// What `emoxide eval --json` prints.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "they are those of the method in Python, which has names for them")]
#[expect(clippy::needless_pass_by_value, reason = "they come out of Python")]
pub(crate) fn evaluate(
    py: Python<'_>,
    recognizer: &Bound<'_, Recognizer>,
    data: &str,
    split: &str,
    labels: &str,
    bgr: bool,
    drop: Vec<String>,
    classes: Option<&str>,
    augment: Option<PathBuf>,
) -> PyResult<String> {
    process::check()?;
    let recognizer = recognizer.get().inner();
    let expression = |name: &String| name.parse::<Expression>().map_err(error::argument);
    let classes = match classes {
        Some(names) => Some(Classes::from_list(names).map_err(error::argument)?),
        None => recognizer.options().classes.clone(),
    };
    let question = Question {
        source: data.parse::<DataSpec>().map_err(error::argument)?,
        split: split.parse::<Split>().map_err(error::argument)?,
        labels: labels.parse::<LabelRule>().map_err(error::argument)?,
        bgr,
        drop: drop.iter().map(expression).collect::<PyResult<_>>()?,
        classes,
    };
    let recipe = augment.map(|path| Recipe::load(&path, &[]).map_err(error::training)).transpose()?;
    if recipe.as_ref().is_some_and(|recipe| recipe.augment.is_empty()) {
        return Err(PyValueError::new_err(
            "augment: the recipe changes nothing; its section `augment` lists no operation",
        ));
    }
    let changes = recipe.as_ref().map(|recipe| Changes { augment: &recipe.augment, seed: recipe.run.seed });
    let mut interrupt = None;
    let measured = py.detach(|| {
        let examination = question.ask(recognizer.model()).map_err(error::data)?;
        let measured = examination.measure(recognizer.model(), changes, &mut |_| listen(&mut interrupt));
        PyResult::Ok(measured.map(|(evaluation, _)| evaluation))
    })?;
    match (interrupt, measured) {
        (Some(interrupt), _) => Err(interrupt),
        (None, Ok(evaluation)) => json(&evaluation),
        (None, Err(TrainError::Data(data))) => Err(error::data(data)),
        (None, Err(other)) => Err(error::training(other)),
    }
}

/// Looks for Ctrl-C.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime, and any is wanted")]
fn listen(interrupt: &mut Option<PyErr>) -> ControlFlow<()> {
    *interrupt = Python::attach(|py| py.check_signals()).err();
    if interrupt.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
