//! Which pictures a run trains on, is chosen by and is tested on.

use super::{Job, TrainError};
use crate::data::DataSet;
use crate::recipe::{Part, Recipe, SelectOn};

/// The parts of the data that a run uses.
pub(super) struct Splits {
    pub(super) train: DataSet,
    pub(super) select: Option<DataSet>,
    pub(super) test: Vec<(Part, DataSet)>,
}

impl Splits {
    pub(super) fn read(job: &Job) -> Result<Self, TrainError> {
        let recipe = &job.recipe;
        let read = |part: &Part| -> Result<DataSet, TrainError> {
            let spec = job.sources.iter().find(|spec| spec.layout == part.set).ok_or(TrainError::NoSource(part.set))?;
            Ok(part.open(spec, &recipe.data.classes, &recipe.data.drop)?)
        };
        let test = recipe
            .data
            .test
            .iter()
            .map(|part| Ok((part.clone(), read(part)?)))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let all = read(&recipe.data.train)?;
        let (train, select) = match (&recipe.data.select, recipe.run.select_on) {
            (_, SelectOn::Last) => (all, None),
            (_, SelectOn::Test) => (all, test.first().map(|(_, data)| data.clone())),
            (Some(part), SelectOn::Held) => (all, Some(read(part)?)),
            (None, SelectOn::Held) => {
                let (train, held) = all.hold_out(recipe.data.hold_out, recipe.run.seed)?;
                (train, Some(held))
            }
        };
        if train.len() < recipe.run.batch_size.min(2) {
            return Err(TrainError::Empty(recipe.data.train.set));
        }
        Ok(Self { train, select, test })
    }
}

/// What chose the epoch, for the record.
pub(super) fn chosen_by(recipe: &Recipe) -> String {
    match (recipe.run.select_on, &recipe.data.select) {
        (SelectOn::Last, _) => "last epoch".to_owned(),
        (SelectOn::Test, _) => "the test split itself".to_owned(),
        (SelectOn::Held, Some(part)) => format!("{} {}", part.set, part.split),
        (SelectOn::Held, None) => format!("{:.0} % held out of train", recipe.data.hold_out * 100.0),
    }
}
