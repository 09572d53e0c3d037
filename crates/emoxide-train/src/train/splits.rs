//! Which pictures a run trains on, is chosen by and is tested on.

use std::collections::{BTreeMap, HashSet};

use super::{Job, TrainError};
use crate::data::{DataError, DataSet};
use crate::recipe::{Part, Recipe, SelectBy, SelectOn};
use crate::run_dir::EpochRow;

/// The parts of the data that a run uses.
pub(super) struct Splits {
    pub(super) train: DataSet,
    pub(super) select: Option<DataSet>,
    pub(super) test: Vec<(Part, DataSet)>,
}

impl Splits {
    pub(super) fn read(job: &Job) -> Result<Self, TrainError> {
        let Recipe { data, run, .. } = &job.recipe;
        let read = |part: &Part| -> Result<DataSet, TrainError> {
            let spec = job.sources.iter().find(|spec| spec.layout == part.set).ok_or(TrainError::NoSource(part.set))?;
            part.open(spec, &data.classes, &data.drop).map_err(|error| match error {
                DataError::Label(error) => TrainError::Classes(error),
                error => error.into(),
            })
        };
        let used =
            |layout| [&data.train].into_iter().chain(&data.select).chain(&data.test).any(|part| part.set == layout);
        if let Some(spec) = job.sources.iter().find(|spec| !used(spec.layout)) {
            return Err(TrainError::UnusedSource(spec.layout));
        }
        let test =
            data.test.iter().map(|part| Ok((part.clone(), read(part)?))).collect::<Result<Vec<_>, TrainError>>()?;
        let all = read(&data.train)?;
        if job.recipe.augment.box_jitter && !all.has_boxes() {
            return Err(TrainError::NoBoxes(data.train.set));
        }
        for (part, set) in &test {
            refuse_overlap((&data.train, &all), (part, set))?;
        }
        let (train, select) = match (&data.select, run.select_on) {
            (_, SelectOn::Last) => (all, None),
            (_, SelectOn::Test) => (all, test.first().map(|(_, set)| set.clone())),
            (Some(part), SelectOn::Held) => {
                let select = read(part)?;
                refuse_overlap((&data.train, &all), (part, &select))?;
                for (tested, set) in &test {
                    refuse_overlap((part, &select), (tested, set))?;
                }
                (all, Some(select))
            }
            (None, SelectOn::Held) => {
                let (train, held) = all.hold_out(data.hold_out, run.seed)?;
                (train, Some(held))
            }
        };
        if train.len() < run.batch_size.min(2) {
            return Err(TrainError::Empty(data.train.set));
        }
        Ok(Self { train, select, test })
    }

    /// A hash of every part, by which a resumed run knows its data again.
    pub(super) fn hashes(&self) -> BTreeMap<String, String> {
        let tests = self.test.iter().map(|(part, set)| (format!("test {} {}", part.set, part.split), set));
        let chosen = self.select.iter().map(|set| ("select".to_owned(), set));
        let parts = [("train".to_owned(), &self.train)].into_iter().chain(chosen).chain(tests);
        parts.map(|(name, set)| (name, set.manifest_hash())).collect()
    }
}

/// Refuses two parts of the data that share pictures: of one data set by their names, of two that are of the same pictures,
/// such as FER2013 and FER+, by the parts that their splits hold. Copies in other data sets, such as class folders made
/// from FER2013, are not found.
fn refuse_overlap(first: (&Part, &DataSet), second: (&Part, &DataSet)) -> Result<(), TrainError> {
    let title = |part: &Part| format!("{} {}", part.set, part.split);
    let pictures = |part: &Part| part.set.pictures(part.split);
    if first.0.set != second.0.set {
        let held = pictures(second.0);
        return match pictures(first.0).into_iter().find(|part| held.contains(part)) {
            Some(part) => Err(TrainError::SamePictures { first: title(first.0), second: title(second.0), part }),
            None => Ok(()),
        };
    }
    let names: HashSet<&str> = first.1.samples.iter().map(|sample| sample.name.as_str()).collect();
    let mut shared = second.1.samples.iter().map(|sample| sample.name.as_str()).filter(|name| names.contains(name));
    let Some(example) = shared.next() else { return Ok(()) };
    Err(TrainError::Overlap {
        first: title(first.0),
        second: title(second.0),
        count: shared.count() + 1,
        example: example.to_owned(),
    })
}

/// The figure of an epoch by which it is chosen.
pub(super) fn deciding(recipe: &Recipe, row: &EpochRow) -> Option<f64> {
    match recipe.run.select_by {
        SelectBy::Accuracy => row.select_accuracy,
        SelectBy::MeanClassAccuracy => row.select_mean_class_accuracy,
    }
}

/// What chose the epoch, for the record.
pub(super) fn chosen_by(recipe: &Recipe) -> String {
    let split = match (recipe.run.select_on, &recipe.data.select) {
        (SelectOn::Last, _) => return "last epoch".to_owned(),
        (SelectOn::Test, _) => "the test split itself".to_owned(),
        (SelectOn::Held, Some(part)) => format!("{} {}", part.set, part.split),
        (SelectOn::Held, None) => format!("{:.0} % held out of train", recipe.data.hold_out * 100.0),
    };
    match recipe.run.select_by {
        SelectBy::Accuracy => split,
        SelectBy::MeanClassAccuracy => format!("{split}, by mean class accuracy"),
    }
}
