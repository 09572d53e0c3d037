//! What computes a model: options that several verbs share.

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use emoxide::device::{self, Device};
use emoxide::zoo::{self, Executor, Model, Precision, Why};

/// What computes a network's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The network, compiled for the CPU
    Compiled,
    /// Burn, operation by operation: slower on a CPU
    Burn,
}

#[derive(Debug, Args)]
pub(crate) struct Computing {
    /// Model: `default` or a checkpoint
    #[arg(short, long, default_value = zoo::DEFAULT)]
    pub(crate) model: String,
    /// Device: cpu, or a GPU backend of this build such as vulkan or cuda:0
    #[arg(short, long, default_value = device::default_name())]
    pub(crate) device: String,
    /// How exactly the compiled network multiplies: f32, bf16 or int8
    #[arg(long, default_value_t)]
    pub(crate) precision: Precision,
    /// What computes; by default the compiled network where there is one
    #[arg(short, long, value_enum)]
    pub(crate) engine: Option<Engine>,
}

impl Computing {
    /// Opens the model; says on standard error where it cannot be compiled for the CPU that it runs on.
    pub(crate) fn open(&self) -> Result<Model> {
        let device = device::open(&self.device)?;
        let model = open(&self.model, &device, self.precision, self.engine)?;
        if let Executor::Burn(why @ (Why::Engine(_) | Why::Level(_))) = model.executor() {
            crate::output::say(&format!("{}: {why}; Burn computes it, which is slower", self.model));
        }
        Ok(model)
    }
}

/// Opens a model for an engine; none: the compiled network where there is one.
pub(crate) fn open(name: &str, device: &Device, precision: Precision, engine: Option<Engine>) -> Result<Model> {
    let model = zoo::open(name, device).with_context(|| format!("--model {name}"))?;
    match engine {
        Some(Engine::Burn) => {
            ensure!(
                precision == Precision::F32,
                "--precision {precision}: Burn computes in f32; use --engine compiled"
            );
            Ok(model.uncompiled())
        }
        None if precision == Precision::F32 => Ok(model),
        engine => model.compiled(precision).with_context(|| match engine {
            Some(_) => "--engine compiled; --engine burn works on every device".to_owned(),
            None => format!("--precision {precision}"),
        }),
    }
}
