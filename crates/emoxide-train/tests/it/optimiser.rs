//! Optimisers against PyTorch, exact resume, and weight averaging.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use emoxide_train::ema::{Ema, EmaConfig};
use emoxide_train::optimiser::{Optimiser, OptimiserConfig, clamped};
use emoxide_train::snapshot::{self, StateError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    rows: usize,
    width: usize,
    outputs: usize,
    steps: usize,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: OptimiserConfig,
    losses: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().expect("floats")
}

fn matrix(values: &[f32], rows: usize, cols: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, cols]), &device())
}

#[test]
fn five_steps_agree_with_pytorch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/optimiser/steps.json")).unwrap();
    let (rows, width, outputs) = (fixture.rows, fixture.width, fixture.outputs);
    let inputs = matrix(&fixture.inputs, rows, width);
    let targets = matrix(&fixture.targets, rows, outputs);
    let mut largest = 0.0_f32;
    for case in &fixture.cases {
        let mut network = Linear {
            weight: Param::from_tensor(matrix(&fixture.weight, width, outputs)),
            bias: Some(Param::from_tensor(Tensor::from_data(
                TensorData::new(fixture.bias.clone(), [outputs]),
                &device(),
            ))),
        };
        let mut optimiser = case.config.init();
        let mut found = Vec::new();
        for _ in 0..fixture.steps {
            let loss = (network.forward(inputs.clone()) - targets.clone()).square().mean();
            found.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimiser.step(case.config.rate(), network, gradients);
        }
        let found = [found, values(network.weight.val()), values(network.bias.unwrap().val())].concat();
        let wanted = [case.losses.clone(), case.weight.clone(), case.bias.clone()].concat();
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() < 2e-6 * wanted.abs().max(1.0), "{:?}: {found} for {wanted}", case.config);
            largest = largest.max((found - wanted).abs());
        }
    }
    println!("optimisers: largest difference from PyTorch {largest:e} over {} cases", fixture.cases.len());
    assert_eq!(fixture.cases.len(), 9);
}

/// Gradients of two batches, each number kept within a limit after every one, as when they gather in PyTorch's `grad`.
#[test]
fn single_numbers_are_clipped_as_they_gather() {
    let weight = Param::from_tensor(matrix(&[0.0; 3], 1, 3).require_grad());
    let network = Linear { weight, bias: None };
    let inputs = matrix(&[1.0], 1, 1);
    let mut gathered = GradientsAccumulator::new();
    for slopes in [[0.3, -0.9, 4.0], [0.1, 0.2, -0.2]] {
        let loss = (network.forward(inputs.clone()) * matrix(&slopes, 1, 3)).sum();
        gathered.accumulate(&network, GradientsParams::from_grads(loss.backward(), &network));
        let clipped = clamped(&network, gathered.grads(), 0.5);
        gathered.accumulate(&network, clipped);
    }
    let found = gathered.grads().get::<2>(network.weight.id).map(values).unwrap();
    for (found, wanted) in found.iter().zip([0.4, -0.3, 0.3]) {
        assert!((found - wanted).abs() < 1e-6, "{found} for {wanted}");
    }

    let config: OptimiserConfig = toml::from_str("kind = 'adamw'\nclip_value = 0.5").unwrap();
    assert_eq!(config.clip_value(), Some(0.5));
    let config: OptimiserConfig = toml::from_str("kind = 'sgd'\nclip_value = 0.0").unwrap();
    assert!(config.check().unwrap_err().to_string().contains("optimiser.clip_value"));
}

/// Without a batch norm, two batches of eight are one of sixteen.
#[test]
fn gathered_gradients_are_those_of_the_whole_batch() {
    let network = LinearConfig::new(4, 3).init(&device());
    let numbers: Vec<f32> = (0..64).map(|index| (index as f32 * 0.61).sin()).collect();
    let gradients = |rows: std::ops::Range<usize>, share: f32| {
        let count = rows.len();
        let loss = network.forward(matrix(&numbers[rows.start * 4..rows.end * 4], count, 4)).square().mean() * share;
        GradientsParams::from_grads(loss.backward(), &network)
    };
    let mut gathered = GradientsAccumulator::new();
    gathered.accumulate(&network, gradients(0..8, 0.5));
    gathered.accumulate(&network, gradients(8..16, 0.5));
    let [two, one] = [gathered.grads(), gradients(0..16, 1.0)]
        .map(|gradients| gradients.get::<2>(network.weight.id).map(values).unwrap());
    for (two, one) in two.iter().zip(&one) {
        assert!((two - one).abs() < 1e-6, "{two} for {one}");
    }
}

#[test]
fn defaults_are_those_of_pytorch() {
    let OptimiserConfig::Adamw(adamw) = toml::from_str("kind = 'adamw'").unwrap() else { panic!("not AdamW") };
    assert_eq!((adamw.rate, adamw.betas, adamw.eps, adamw.weight_decay), (1e-3, [0.9, 0.999], 1e-8, 1e-2));
    let OptimiserConfig::Adam(adam) = toml::from_str("kind = 'adam'").unwrap() else { panic!("not Adam") };
    assert_eq!((adam.rate, adam.betas, adam.eps, adam.weight_decay), (1e-3, [0.9, 0.999], 1e-8, 0.0));
    let OptimiserConfig::Sgd(sgd) = toml::from_str("kind = 'sgd'").unwrap() else { panic!("not SGD") };
    assert_eq!((sgd.rate, sgd.momentum, sgd.dampening, sgd.nesterov, sgd.weight_decay), (1e-3, 0.0, 0.0, false, 0.0));
    assert!(toml::from_str::<OptimiserConfig>("kind = 'sgd'\nbetas = [0.9, 0.99]").is_err());
    assert!(toml::from_str::<OptimiserConfig>("kind = 'lion'").is_err());
}

#[derive(Module, Debug)]
struct Network {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
}

impl Network {
    fn new() -> Self {
        Self {
            first: LinearConfig::new(4, 8).init(&device()),
            norm: BatchNormConfig::new(8).init(&device()),
            second: LinearConfig::new(8, 3).init(&device()),
        }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.second.forward(self.norm.forward(self.first.forward(inputs)).tanh())
    }
}

#[test]
fn parts_learn_at_a_rate_of_their_own() {
    let weights = |factors: &str| {
        let config: OptimiserConfig = toml::from_str(&format!("kind = 'sgd'\nfactors = {factors}")).unwrap();
        let network = Network::new();
        let before = snapshot::tensors_of(&network);
        let mut optimiser = config.init();
        optimiser.check_parts(&network).unwrap();
        let average = Ema::new(EmaConfig { decay: 0.9 }, &network);
        let after = snapshot::tensors_of(&train(network, &mut optimiser, average, 0..1).0);
        let moved = |name: &str| before[name] != after[name];
        // The norm takes away whatever bias stands before it.
        ["first.weight", "second.weight", "second.bias", "norm.gamma"].map(moved)
    };
    assert_eq!(weights("{}"), [true; 4]);
    assert_eq!(weights("{ first = 0.0 }"), [false, true, true, true]);
    // The inner part counts.
    assert_eq!(weights("{ second = 0.0, 'second.bias' = 1.0, norm = 0.0 }"), [true, false, true, false]);

    let config: OptimiserConfig = toml::from_str("kind = 'adam'\nfactors = { third = 2.0 }").unwrap();
    let error = config.init().check_parts(&Network::new()).unwrap_err().to_string();
    assert!(error.starts_with("`optimiser.factors` is third; "), "{error}");
    let config: OptimiserConfig = toml::from_str("kind = 'adamw'\nfactors = { first = -1.0 }").unwrap();
    assert!(config.check().unwrap_err().to_string().starts_with("`optimiser.factors` is -1; "));
}

/// Inputs that differ from step to step but not from run to run.
fn batch(step: usize) -> Tensor<2> {
    let numbers: Vec<f32> = (0..24).map(|index| ((index * 7 + step * 13) as f32 * 0.37).sin()).collect();
    matrix(&numbers, 6, 4)
}

fn train(
    network: Network,
    optimiser: &mut Optimiser,
    mut ema: Ema<Network>,
    steps: std::ops::Range<usize>,
) -> (Network, Ema<Network>) {
    let mut network = network;
    for step in steps {
        let loss = network.forward(batch(step)).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(0.02, network, gradients);
        ema = ema.update(&network);
    }
    (network, ema)
}

#[test]
fn a_resumed_run_is_bit_equal() {
    for config in [
        "kind = 'sgd'\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-3",
        "kind = 'sgd'",
        "kind = 'adam'\nclip_norm = 0.1",
        "kind = 'adamw'\nno_decay_on_norm_and_bias = true",
    ] {
        let config: OptimiserConfig = toml::from_str(config).unwrap();
        let ema = EmaConfig { decay: 0.9 };
        let mut optimiser = config.init();
        let network = Network::new();
        let average = Ema::new(ema, &network);
        let (network, average) = train(network, &mut optimiser, average, 0..4);

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        snapshot::save_module(&network, &at("network")).unwrap();
        optimiser.save(&at("optimiser")).unwrap();
        average.save(&at("average")).unwrap();
        assert_eq!(optimiser.to_bytes().unwrap(), fs_err::read(at("optimiser")).unwrap());
        assert!(!at("optimiser.part").exists());

        // A new process: other initial values, other parameter ids.
        let resumed = snapshot::load_module(Network::new(), &at("network")).unwrap();
        let mut resumed_optimiser = config.init().load(&at("optimiser"), &device()).unwrap();
        let resumed_average = Ema::new(ema, &Network::new()).load(&at("average")).unwrap();
        assert_eq!(resumed_optimiser.to_bytes().unwrap(), optimiser.to_bytes().unwrap());

        let (network, average) = train(network, &mut optimiser, average, 4..8);
        let (resumed, resumed_average) = train(resumed, &mut resumed_optimiser, resumed_average, 4..8);
        let bytes = |module: &Network| snapshot::to_bytes(&snapshot::tensors_of(module), &()).unwrap();
        assert_eq!(bytes(&network), bytes(&resumed), "{config:?}");
        assert_eq!(average.to_bytes().unwrap(), resumed_average.to_bytes().unwrap(), "{config:?}");
        assert_eq!(average.updates(), 8);
        assert_ne!(bytes(&network), bytes(average.network()), "the average lags behind");
    }
}

#[test]
fn the_average_follows_its_formula_and_leaves_the_network_alone() {
    let network = Network::new();
    let mut optimiser = toml::from_str::<OptimiserConfig>("kind = 'sgd'").unwrap().init();
    let mut average = Ema::new(EmaConfig { decay: 0.2 }, &network);
    let mut network = network;
    let mut wanted = snapshot::tensors_of(&network);
    for step in 0..5 {
        let decay = 0.2_f64.min((1.0 + step as f64) / (10.0 + step as f64));
        assert!((average.next_decay() - decay).abs() < 1e-15);
        let next = train(network, &mut optimiser, average, step..step + 1);
        (network, average) = next;
        for (name, data) in &mut wanted {
            let new = snapshot::tensors_of(&network).remove(name).unwrap();
            let blended: Vec<f32> = data
                .iter::<f32>()
                .zip(new.iter::<f32>())
                .map(|(old, new)| (decay * f64::from(old) + (1.0 - decay) * f64::from(new)) as f32)
                .collect();
            *data = TensorData::new(blended, data.shape().to_vec());
        }
    }
    let found = snapshot::tensors_of(average.network());
    assert!(found.contains_key("norm.running_mean") && found.len() == 8, "{:?}", found.keys());
    for (name, data) in &found {
        for (found, wanted) in data.iter::<f32>().zip(wanted[name].iter::<f32>()) {
            assert!((found - wanted).abs() < 1e-6, "{name}: {found} for {wanted}");
        }
    }
    let mean = |module: &Network| values(module.norm.running_mean.value_sync());
    assert_ne!(mean(average.network()), mean(&network));
}

#[test]
fn states_of_others_are_refused() {
    let adam = toml::from_str::<OptimiserConfig>("kind = 'adam'").unwrap();
    let sgd = toml::from_str::<OptimiserConfig>("kind = 'sgd'").unwrap();
    let bytes = adam.init().to_bytes().unwrap();
    assert!(matches!(sgd.init().from_bytes(&bytes, &device()), Err(StateError::Kind { .. })));
    assert!(matches!(adam.init().from_bytes(b"torn", &device()), Err(StateError::Container(_))));

    let tensors = snapshot::tensors_of(&Network::new());
    let mut fewer = tensors.clone();
    fewer.remove("second.bias");
    assert!(
        matches!(snapshot::restore(Network::new(), fewer), Err(StateError::Missing { name }) if name == "second.bias")
    );
    let mut more = tensors.clone();
    more.insert("third.bias".into(), TensorData::from([1.0_f32]));
    assert!(
        matches!(snapshot::restore(Network::new(), more), Err(StateError::Unused { name }) if name == "third.bias")
    );
    let mut bent = tensors;
    bent.insert("first.bias".into(), TensorData::from([1.0_f32]));
    assert!(matches!(snapshot::restore(Network::new(), bent), Err(StateError::Shape { .. })));
}
