//! What changes from step to step, and how it survives a kill.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use emoxide::models::Network;
use emoxide::weights::start;

use super::{Job, TrainError};
use crate::ema::{Ema, EmaConfig};
use crate::optimiser::Optimiser;
use crate::run_dir::{Progress, RunDir, RunDirError};
use crate::snapshot;

const NETWORK: &str = "network.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMISER: &str = "optimiser.safetensors";

/// Everything that changes from step to step.
pub(super) struct State {
    pub(super) network: Network,
    pub(super) average: Option<Ema<Network>>,
    pub(super) optimiser: Optimiser,
    pub(super) progress: Progress,
}

impl State {
    /// Random weights.
    pub(super) fn fresh(job: &Job, data: BTreeMap<String, String>, training: &Device) -> Self {
        let recipe = &job.recipe;
        training.seed(recipe.run.seed);
        let network = recipe.network.config.init(recipe.data.classes.len(), training);
        let average = recipe.run.ema.map(|decay| Ema::new(EmaConfig { decay }, &network));
        Self {
            network,
            average,
            optimiser: recipe.optimiser.init(),
            progress: Progress { data, ..Progress::default() },
        }
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
            progress,
        })
    }
}
