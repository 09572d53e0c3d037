//! Going on where a run over clips ended too early.
//!
//! Beside its output, a run keeps a record of what it was asked: the program, the inputs with size and time of change, the
//! model and all options that results depend on. A run with `--resume` goes on only where its own record is the same.
//! It cuts a torn end off the output, back to the last full batch (batches of other sizes round otherwise), reads what
//! remains, and lets tracker and smoother repeat it.

mod reader;
mod record;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use emoxide::labels::Classes;
use emoxide::recognizer::Prediction;
use emoxide::video::FollowOptions;
use emoxide_train::snapshot;

pub(super) use self::record::Record;
use super::Format;
use super::clips::State;
use super::formats::parts_folder;
use crate::inputs::Input;

/// Where a run goes on.
pub(super) struct Found {
    /// Index of the clip among the inputs.
    pub(super) clip: usize,
    pub(super) state: State,
    /// Clips before that one that were skipped.
    pub(super) skipped: usize,
    /// Whether something stands in the output.
    pub(super) begun: bool,
}

/// The record of the run that writes this output.
fn record_of(output: &Path) -> PathBuf {
    let mut path = output.as_os_str().to_owned();
    path.push(".job");
    path.into()
}

/// Puts the record beside the output.
pub(super) fn note(output: &Path, record: &Record) -> Result<()> {
    Ok(snapshot::write(&record_of(output), &serde_json::to_vec_pretty(record)?)?)
}

/// Takes the record away, if there is one: the output is complete, or that of a run that cannot be continued.
pub(super) fn done(output: &Path) -> Result<()> {
    let path = record_of(output);
    if path.exists() {
        fs_err::remove_file(path)?;
    }
    Ok(())
}

/// What the run before has left; `None`: there was none.
pub(super) fn find(
    output: &Path,
    format: Format,
    record: &mut Record,
    inputs: &[Input],
    classes: &Classes,
    following: &FollowOptions,
) -> Result<Option<Found>> {
    let path = record_of(output);
    if !path.exists() {
        if output.exists() {
            bail!(
                "--resume: {} is there and no {} beside it, so it is complete or of another run; name another --output",
                output.display(),
                path.display()
            );
        }
        return Ok(None);
    }
    let before: Record =
        serde_json::from_slice(&fs_err::read(&path)?).with_context(|| format!("--resume: {}", path.display()))?;
    if let Some(difference) = record.differs(&before) {
        bail!("--resume: {} belongs to another run: {difference}", output.display());
    }
    let begun = if format == Format::Parquet { parts_folder(output).exists() } else { output.exists() };
    if !begun {
        return Ok(None);
    }
    let cut = reader::cut(output, format, classes, record.batch_size).context("--resume")?;
    let mut state = State::new(following)?;
    let mut clip = 0;
    if let Some(name) = &cut.input {
        let place = inputs.iter().position(|input| input.name() == *name);
        clip =
            place.with_context(|| format!("--resume: {} holds rows of {name}, which is no input", output.display()))?;
        for prediction in reader::frames(output, format, classes)? {
            let (_, prediction) = prediction.context("--resume")?;
            if prediction.input == *name && state.summary.frames().0 < cut.frames {
                repeat(&mut state, &prediction);
            }
        }
    }
    if format != Format::Parquet {
        fs_err::OpenOptions::new().write(true).open(output)?.set_len(cut.offset)?;
    }
    record.skipped =
        before.skipped.into_iter().filter(|name| inputs[..clip].iter().any(|input| input.name() == *name)).collect();
    Ok(Some(Found { clip, state, skipped: record.skipped.len(), begun: cut.offset > 0 }))
}

fn repeat(state: &mut State, prediction: &Prediction) {
    state.follower.replay(prediction.timestamp.unwrap_or_default(), &prediction.faces);
    state.summary.add(prediction);
    state.first = prediction.frame + 1;
}
