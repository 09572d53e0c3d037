//! What a run was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Result, bail, ensure};
use emoxide::video::Source;
use emoxide::{weights, zoo};
use serde::{Deserialize, Serialize};

use super::super::{Arguments, Format};
use crate::inputs::Input;

/// A run, as far as its results depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Version and commit.
    program: String,
    /// Each input with what shows that it has changed.
    inputs: Vec<String>,
    /// Name of the model, and the SHA-256 of its file.
    model: String,
    /// Options by name.
    options: BTreeMap<String, String>,
    pub(super) batch_size: usize,
    /// Inputs that were skipped so far; nothing of the question.
    pub(super) skipped: Vec<String>,
}

impl Record {
    pub(crate) fn new(arguments: &Arguments, inputs: &[Input], format: Format) -> Result<Self> {
        check_names(inputs)?;
        let model = &arguments.computing.model;
        let fingerprint =
            if model == zoo::DEFAULT { "embedded".to_owned() } else { weights::fingerprint(Path::new(model))? };
        let options = [
            ("computing", format!("{:?}", arguments.computing)),
            ("detecting", format!("{:?}", arguments.detecting)),
            ("clips", arguments.clips.results_depend_on()),
            ("format", format!("{format:?}")),
            ("min-confidence", arguments.min_confidence.to_string()),
            ("classes", format!("{:?}", arguments.classes)),
            ("batch-size", arguments.batch_size.to_string()),
        ];
        Ok(Self {
            program: format!("{} {}", env!("CARGO_PKG_VERSION"), env!("EMOXIDE_COMMIT")),
            inputs: inputs.iter().map(identity).collect::<Result<_>>()?,
            model: format!("{model} {fingerprint}"),
            options: options.map(|(name, value)| (name.to_owned(), value)).into(),
            batch_size: arguments.batch_size.into(),
            skipped: Vec::new(),
        })
    }

    /// Takes note of an input that was skipped.
    pub(crate) fn skip(&mut self, name: &str) {
        self.skipped.push(name.to_owned());
    }

    /// What the run before was asked otherwise, in words.
    pub(super) fn differs(&self, before: &Self) -> Option<String> {
        if self.program != before.program {
            return Some(format!("it was begun by emoxide {}, this is {}", before.program, self.program));
        }
        if self.model != before.model {
            return Some(format!("its model is {}, not {}", before.model, self.model));
        }
        if self.inputs != before.inputs {
            let changed = self.inputs.iter().zip(&before.inputs).find(|(now, before)| now != before);
            return Some(changed.map_or_else(
                || format!("it has {} inputs, not {}", before.inputs.len(), self.inputs.len()),
                |(now, before)| format!("its input is {before}, not {now}"),
            ));
        }
        let changed = self.options.iter().find(|(name, value)| before.options.get(*name) != Some(value));
        changed.map(|(name, value)| {
            let before = before.options.get(name).map_or("not given", String::as_str);
            format!("{name} was {before} and is {value}")
        })
    }
}

/// Name, size and time of change; cameras and pictures are refused.
fn identity(input: &Input) -> Result<String> {
    let name = input.name();
    let stamp = |path: &Path| -> Result<(u64, u128)> {
        let metadata = fs_err::metadata(path)?;
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_nanos());
        Ok((metadata.len(), changed))
    };
    Ok(match input {
        Input::Clip(_, Source::File(path)) => match stamp(path) {
            Ok((bytes, changed)) => format!("{name} ({bytes} bytes, changed at {changed})"),
            Err(_) => format!("{name} (missing)"),
        },
        Input::Clip(_, Source::Sequence { paths, fps }) => {
            let (mut bytes, mut latest) = (0, 0);
            for path in paths {
                let (length, changed) = stamp(path)?;
                (bytes, latest) = (bytes + length, latest.max(changed));
            }
            format!("{name} ({} pictures, {fps} a second, {bytes} bytes, changed at {latest})", paths.len())
        }
        Input::Clip(_, Source::Camera(_)) => bail!("--resume: {name} is a camera, and what it saw is gone"),
        Input::File(_) | Input::Standard => {
            bail!("--resume: {name} is a picture; only runs over clips are continued")
        }
        Input::Bad(..) => name,
    })
}

/// Refuses what cannot be told apart in the output.
fn check_names(inputs: &[Input]) -> Result<()> {
    for (index, input) in inputs.iter().enumerate() {
        let name = input.name();
        ensure!(
            inputs[..index].iter().all(|other| other.name() != name),
            "--resume: {name} is named twice, and its rows cannot be told apart"
        );
    }
    Ok(())
}
