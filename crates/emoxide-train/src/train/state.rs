//! What changes from step to step, and how it survives a kill.

use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use emoxide::models::Network;
use emoxide::weights::start;

use super::splits::Splits;
use super::{Job, TrainError};
use crate::ema::{Ema, EmaConfig};
use crate::loss::Objective;
use crate::optimiser::Optimiser;
use crate::run_dir::{Progress, RunDir, RunDirError};
use crate::snapshot;

const NETWORK: &str = "network.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMISER: &str = "optimiser.safetensors";
const OBJECTIVE: &str = "objective.safetensors";

/// Everything that changes from step to step.
pub(super) struct State {
    pub(super) network: Network,
    pub(super) average: Option<Ema<Network>>,
    pub(super) optimiser: Optimiser,
    pub(super) objective: Objective,
    pub(super) progress: Progress,
}

impl State {
    /// Random weights.
    pub(super) fn fresh(job: &Job, splits: &Splits, training: &Device) -> Result<Self, TrainError> {
        let recipe = &job.recipe;
        let classes = &recipe.data.classes;
        training.seed(recipe.run.seed);
        let network = recipe.network.config.init(classes.len(), training);
        let counts = splits.train.class_counts();
        let objective = recipe.objective.init(classes, &counts, recipe.network.config.embedding(), training)?;
        objective.check(&network, recipe.data.preprocess.input(), training)?;
        let optimiser = recipe.optimiser.init();
        optimiser.check_parts(&network)?;
        let average = recipe.run.ema.map(|decay| Ema::new(EmaConfig { decay }, &network));
        Ok(Self {
            network,
            average,
            optimiser,
            objective,
            progress: Progress { data: splits.hashes(), ..Progress::default() },
        })
    }

    /// The weights of the files that the recipe names.
    pub(super) fn start(self, job: &Job) -> Result<Self, TrainError> {
        let recipe = &job.recipe;
        let network = &recipe.network;
        let (network, started_from) =
            start::start(self.network, &network.config, &recipe.data.classes, &network.weights)?;
        let average = recipe.run.ema.map(|decay| Ema::new(EmaConfig { decay }, &network));
        Ok(Self { network, average, progress: Progress { started_from, ..self.progress }, ..self })
    }

    /// The weights that are evaluated and saved, ready for inference.
    pub(super) fn served(&self) -> Network {
        self.average.as_ref().map_or_else(|| self.network.valid(), |average| average.network().valid())
    }

    pub(super) fn save(&self, run: &RunDir) -> Result<(), TrainError> {
        run.replace_state(&self.progress, |folder| {
            snapshot::save_module(&self.network, &folder.join(NETWORK))?;
            if let Some(average) = &self.average {
                average.save(&folder.join(AVERAGE))?;
            }
            self.objective.save(&folder.join(OBJECTIVE))?;
            Ok(self.optimiser.save(&folder.join(OPTIMISER))?)
        })
    }

    /// The state that a run left: its folder holds all of it, the files that its weights started from are not read again.
    pub(super) fn restore(
        self,
        run: &RunDir,
        (progress, folder): (Progress, PathBuf),
        device: &Device,
    ) -> Result<Self, TrainError> {
        if let Some((part, _)) = progress.data.iter().find(|(part, hash)| self.progress.data.get(*part) != Some(hash)) {
            return Err(RunDirError::DataChanged { path: run.path(""), part: part.clone() }.into());
        }
        Ok(Self {
            network: snapshot::load_module(self.network, &folder.join(NETWORK))?,
            average: self.average.map(|average| average.load(&folder.join(AVERAGE))).transpose()?,
            optimiser: self.optimiser.load(&folder.join(OPTIMISER), device)?,
            objective: self.objective.load(&folder.join(OBJECTIVE))?,
            progress,
        })
    }
}
