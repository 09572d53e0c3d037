//! Optimisers with PyTorch's defaults, global clipping, and a state that can be saved exactly.
//!
//! The update rules are `burn-optim`'s. Its `ModuleOptimizer` is not used: it keys the state by random parameter ids,
//! clips every tensor by its own norm, and loads a state through the default device.

mod config;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{
    Adam as AdamRule, AdamW as AdamwRule, DynOptimizer, DynState, GradientsParams, Optimizer, Sgd as SgdRule,
    StateSink, StateSource,
};
use burn::tensor::{Device, Tensor};
use emoxide::models::ParameterName;
use serde::{Deserialize, Serialize};

pub use config::{Adam, Adamw, Factors, OptimiserConfig, Sgd};

use crate::settings::{BadSetting, check};
use crate::snapshot::{self, StateError, Tensors};

/// The same rule for matrices and for vectors, which may be spared from weight decay.
#[derive(Clone)]
struct Pair<O> {
    matrices: O,
    vectors: O,
}

impl<O> Pair<O> {
    fn new(spare_vectors: bool, rule: impl Fn(bool) -> O) -> Self {
        Self { matrices: rule(true), vectors: rule(!spare_vectors) }
    }
}

#[derive(Clone)]
enum Rules {
    Sgd(Pair<SgdRule>),
    Adam(Pair<AdamRule>),
    Adamw(Pair<AdamwRule>),
}

impl Rules {
    fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam(_) => "adam",
            Self::Adamw(_) => "adamw",
        }
    }

    /// Any rule of the pair: reading and writing a state does not depend on weight decay.
    fn any(&self) -> &dyn DynOptimizer {
        match self {
            Self::Sgd(pair) => &pair.matrices,
            Self::Adam(pair) => &pair.matrices,
            Self::Adamw(pair) => &pair.matrices,
        }
    }
}

/// An optimiser and its state, keyed by parameter path.
#[derive(Clone)]
pub struct Optimiser {
    rules: Rules,
    clip_norm: Option<f64>,
    factors: Factors,
    states: HashMap<String, DynState>,
}

/// What stands beside the tensors of a saved state.
#[derive(Serialize, Deserialize)]
struct Note {
    kind: String,
    /// Step counts and the like, under `path.field`.
    counts: BTreeMap<String, u64>,
    /// Rank of every parameter that has a state.
    ranks: BTreeMap<String, usize>,
}

impl Optimiser {
    fn new(rules: Rules, clip_norm: Option<f64>, factors: Factors) -> Self {
        Self { rules, clip_norm, factors, states: HashMap::new() }
    }

    /// Whether every part that has a rate of its own is one of `module`.
    pub fn check_parts<M: Module>(&self, module: &M) -> Result<(), BadSetting> {
        let mut names = Names::default();
        module.visit(&mut names);
        let known = |part: &str| names.found.iter().any(|name| is_below(name, part));
        let unknown = self.factors.keys().find(|part| !known(part));
        let wanted = "how the names of parameters of this network start, such as a field of it";
        unknown.map_or(Ok(()), |part| check(false, "optimiser.factors", part, wanted))
    }

    /// One update of every parameter of `module` that has a gradient, at learning rate `rate`.
    #[must_use]
    pub fn step<M: Module>(&mut self, rate: f64, module: M, gradients: GradientsParams) -> M {
        let scale = self.clip_norm.and_then(|limit| clip_factor(&module, &gradients, limit));
        let (factors, states) = (&self.factors, &mut self.states);
        let (path, name) = (Vec::new(), ParameterName::default());
        match &self.rules {
            Rules::Sgd(pair) => module.map(&mut Stepper { pair, rate, gradients, scale, factors, states, path, name }),
            Rules::Adam(pair) => module.map(&mut Stepper { pair, rate, gradients, scale, factors, states, path, name }),
            Rules::Adamw(pair) => {
                module.map(&mut Stepper { pair, rate, gradients, scale, factors, states, path, name })
            }
        }
    }

    /// The exact state; the same state always gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        let mut sink = StateSink::default();
        for (path, state) in &self.states {
            self.rules.any().state_flatten(path, state, &mut sink);
        }
        let counts = sink
            .scalars
            .into_iter()
            .map(|(name, scalar)| {
                let count = u64::try_from(scalar).map_err(|_| StateError::Note(format!("`{name}` is not a count")))?;
                Ok((name, count))
            })
            .collect::<Result<_, StateError>>()?;
        let ranks = self.states.iter().map(|(path, state)| (path.clone(), state.rank())).collect();
        let tensors: Tensors = sink.tensors.into_iter().collect();
        snapshot::to_bytes(&tensors, &Note { kind: self.rules.name().to_owned(), counts, ranks })
    }

    /// Takes back what [`Optimiser::to_bytes`] gave; the values land on `device`.
    pub fn from_bytes(mut self, bytes: &[u8], device: &Device) -> Result<Self, StateError> {
        let (tensors, note): (Tensors, Note) = snapshot::from_bytes(bytes)?;
        if note.kind != self.rules.name() {
            return Err(StateError::Kind { found: note.kind, wanted: self.rules.name().to_owned() });
        }
        let device = device.clone().without_autodiff();
        let mut source = StateSource::new(note.counts.into_iter().map(|(name, count)| (name, count.into())).collect());
        for (name, data) in tensors {
            source.insert_tensor(name, data);
        }
        self.states = note
            .ranks
            .into_iter()
            .map(|(path, rank)| match self.rules.any().state_unflatten(rank, &path, &mut source, &device) {
                Some(state) => Ok((path, state)),
                None => Err(StateError::Missing { name: path }),
            })
            .collect::<Result<_, StateError>>()?;
        Ok(self)
    }

    /// Writes the state to a file, beside it first.
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        snapshot::write(path, &self.to_bytes()?)
    }

    /// Takes the state back from a file.
    pub fn load(self, path: &Path, device: &Device) -> Result<Self, StateError> {
        self.from_bytes(&fs_err::read(path)?, device)
    }
}

/// The factor `[1]` that brings the norm of all gradients down to `limit`, as `torch.nn.utils.clip_grad_norm_`.
fn clip_factor<M: Module>(module: &M, gradients: &GradientsParams, limit: f64) -> Option<Tensor<1>> {
    let mut norm = Norm { gradients, squares: None };
    module.visit(&mut norm);
    norm.squares.map(|squares| (squares.sqrt() + 1e-6).recip().mul_scalar(limit).clamp_max(1.0))
}

/// Brings every number of a module's gradients into `±limit`, as `torch.nn.utils.clip_grad_value_`.
pub fn clamped<M: Module>(module: &M, gradients: GradientsParams, limit: f64) -> GradientsParams {
    let mut clamp = Clamp { gradients, limit };
    module.visit(&mut clamp);
    clamp.gradients
}

struct Clamp {
    gradients: GradientsParams,
    limit: f64,
}

impl ModuleVisitor for Clamp {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register::<D>(param.id, gradient.clamp(-self.limit, self.limit));
        }
    }
}

struct Norm<'a> {
    gradients: &'a GradientsParams,
    squares: Option<Tensor<1>>,
}

impl ModuleVisitor for Norm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let square = gradient.square().sum();
        self.squares = Some(match self.squares.take() {
            Some(sum) => sum + square,
            None => square,
        });
    }
}

struct Stepper<'a, O> {
    pair: &'a Pair<O>,
    rate: f64,
    gradients: GradientsParams,
    scale: Option<Tensor<1>>,
    factors: &'a Factors,
    states: &'a mut HashMap<String, DynState>,
    path: Vec<String>,
    /// The path without the variants of enums.
    name: ParameterName,
}

impl<O> Stepper<'_, O> {
    /// The rate of the parameter that is being visited.
    fn rate(&self) -> f64 {
        let name = self.name.joined();
        // What lies in another part stands behind it.
        let factor = self.factors.iter().rev().find(|(part, _)| is_below(&name, part));
        self.rate * factor.map_or(1.0, |(_, factor)| *factor)
    }
}

/// Whether `name` is that of `part` or of something in it.
fn is_below(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The names of all parameters, without the variants of enums.
#[derive(Default)]
struct Names {
    name: ParameterName,
    found: Vec<String>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.name.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.name.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.found.push(self.name.joined());
    }
}

impl<O: Optimizer> ModuleMapper for Stepper<'_, O> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.name.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.pop();
        self.name.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let Some(mut gradient) = self.gradients.remove::<D>(id) else {
            return Param::from_mapped_value(id, old, mapper);
        };
        if let Some(scale) = &self.scale {
            gradient = gradient * scale.clone().reshape([1; D]);
        }
        let rule = if D >= 2 { &self.pair.matrices } else { &self.pair.vectors };
        let path = self.path.join(".");
        let state = self.states.remove(&path).map(|state| {
            let device = gradient.device();
            O::to_device(state.downcast::<O::State<D>>(), &device)
        });
        let (new, state) = rule.step(self.rate(), old.clone().inner(), gradient, state);
        if let Some(state) = state {
            self.states.insert(path, DynState::create(state, D));
        }
        Param::from_mapped_value(id, snapshot::like(&old, new), mapper)
    }
}
