//! The loss of parallel branches against PyTorch, and what its readings promise.

use burn::tensor::{Device, Tensor, TensorData};
use emoxide::labels::Classes;
use emoxide::models::{FaceTrunkConfig, NetworkConfig, Outputs, Parallel, PcmBase, PcmConfig};
use emoxide_testing::{Values, assert_close};
use emoxide_train::loss::{
    CrossEntropy, Objective, ObjectiveConfig, ObjectiveError, Orthogonality, ParallelLoss, Reading, Stages,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    shape: [usize; 4],
    classes: usize,
    labels: Vec<usize>,
    global: Vec<f32>,
    local: Vec<f32>,
    branches: Vec<f32>,
    cases: Vec<Case>,
    whole: Vec<Whole>,
}

#[derive(Deserialize)]
struct Case {
    orthogonality: Orthogonality,
    value: f32,
    gradient: Vec<f32>,
}

#[derive(Deserialize)]
struct Whole {
    local_weight: f64,
    weight: f64,
    loss: f32,
    global: Vec<f32>,
    local: Vec<f32>,
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/loss/parallel.json")).unwrap()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

fn reading(reading: Reading) -> Orthogonality {
    Orthogonality { reading, ..Orthogonality::default() }
}

const ALL: [Reading; 4] = [Reading::CosineOffdiag, Reading::DotOffdiag, Reading::GramIdentity, Reading::PaperLiteral];

fn penalty(of: Reading, branches: Tensor<4>) -> f32 {
    reading(of).penalty(branches).into_scalar::<f32>()
}

#[test]
fn every_reading_and_its_gradient_agree_with_pytorch() {
    let fixture = fixture();
    for Case { orthogonality, value, gradient } in &fixture.cases {
        let name = format!("{orthogonality:?}");
        let branches = tensor(&fixture.branches, fixture.shape).require_grad();
        let found = orthogonality.penalty(branches.clone());
        let off = assert_close(&name, found.clone(), vec![*value], 1e-6, 1e-6);
        let found = branches.grad(&found.backward()).unwrap();
        let [_, _, count, width] = fixture.shape;
        let mut found = found.values();
        // The branch that sees nothing: its slope is finite, and a rectifier lets none of it through.
        let blind = ((fixture.shape[1] + 1) * count + 3) * width;
        assert!(found[blind..blind + width].iter().all(|slope| slope.is_finite()), "{name}");
        found[blind..blind + width].fill(0.0);
        let slopes = assert_close(&name, found, gradient, 1e-5, 1e-6);
        println!("{name}: value {off:.1e}, gradient {slopes:.1e}");
    }
    assert_eq!(fixture.cases.len(), 8);
}

fn outputs(global: Tensor<2>, local: Tensor<2>, branches: Tensor<4>) -> Outputs {
    let embedding = Tensor::zeros([1, 1], &device());
    // Whatever the network answers, the heads are what is trained.
    let logits = Tensor::zeros([1, 1], &device());
    Outputs { logits, embedding, attention: None, parallel: Some(Parallel { global, local, branches }) }
}

#[test]
fn the_sum_of_the_three_terms_agrees_with_pytorch() {
    let fixture = fixture();
    let shape = [fixture.shape[0], fixture.classes];
    let one_hot: Vec<f32> = fixture
        .labels
        .iter()
        .flat_map(|&label| (0..fixture.classes).map(move |class| f32::from(u8::from(class == label))))
        .collect();
    for Whole { local_weight, weight, loss, global, local } in &fixture.whole {
        let entropy = CrossEntropy::new(0.1, None, true, &device());
        let orthogonality = Orthogonality { weight: *weight, ..Orthogonality::default() };
        let heads = [&fixture.global, &fixture.local].map(|values| tensor(values, shape).require_grad());
        let [of_global, of_local] = heads.clone();
        let outputs = outputs(of_global, of_local, tensor(&fixture.branches, fixture.shape));
        let value = ParallelLoss::new(entropy, *local_weight, orthogonality).forward(outputs, tensor(&one_hot, shape));
        assert_close("loss", value.clone(), vec![*loss], 1e-6, 1e-6);
        let gradients = value.backward();
        assert_close("global", heads[0].grad(&gradients).unwrap(), global, 1e-5, 1e-7);
        match heads[1].grad(&gradients) {
            Some(gradient) => drop(assert_close("local", gradient, local, 1e-5, 1e-7)),
            None => assert!(local.iter().all(|&slope| slope == 0.0), "λ = {local_weight}"),
        }
    }
}

#[test]
fn equal_branches_cost_all_and_disjoint_ones_nothing() {
    let equal = tensor::<1>(&[0.3, 0.0, 1.2, 0.7], [4]).reshape([1, 1, 1, 4]).repeat(&[2, 3, 5, 1]);
    assert_close("equal", reading(Reading::CosineOffdiag).penalty(equal.clone()), vec![1.0], 1e-6, 0.0);
    assert_close("squares", reading(Reading::GramIdentity).penalty(equal), vec![1.0], 1e-6, 0.0);
    let disjoint = Tensor::<2>::eye(4, &device()).reshape([1, 1, 4, 4]) * 2.5;
    for of in [Reading::CosineOffdiag, Reading::DotOffdiag, Reading::GramIdentity] {
        assert_close("disjoint", reading(of).penalty(disjoint.clone()), vec![0.0], 0.0, 1e-6);
    }
}

#[test]
fn a_single_branch_costs_nothing() {
    let single = tensor::<4>(&[0.0, 0.0, 1.5, 0.5], [2, 1, 1, 2]);
    for of in ALL {
        let expected = if of == Reading::PaperLiteral { -1.25 } else { 0.0 };
        assert_close(&format!("{of:?}"), reading(of).penalty(single.clone()), vec![expected], 1e-6, 0.0);
    }
}

/// The sum of all products is the square of the sum.
#[test]
fn the_printed_formula_is_minus_the_square_of_the_branches_sum() {
    let fixture = fixture();
    let branches = tensor(&fixture.branches, fixture.shape);
    let literal = Orthogonality { stages: Stages::Sum, ..reading(Reading::PaperLiteral) };
    let square = branches.clone().sum_dim(2).square().sum() / -(fixture.shape[0] as f64);
    assert_close("literal", literal.penalty(branches.clone()), square, 1e-6, 0.0);
    // It rewards what the others punish, without a bound.
    let longer = penalty(Reading::PaperLiteral, branches.clone() * 10.0);
    assert!(longer < 50.0 * penalty(Reading::PaperLiteral, branches));
}

#[test]
fn gradients_agree_with_finite_differences() {
    let at = [0.4_f32, 1.2, 0.9, 2.0, 0.3, 0.7, 1.1, 0.1, 0.6, 0.8, 0.2, 1.4];
    let branches = |values: &[f32]| tensor::<4>(values, [1, 2, 3, 2]);
    for of in ALL {
        let leaf = branches(&at).require_grad();
        let gradient = leaf.grad(&reading(of).penalty(leaf.clone()).backward()).unwrap();
        let step = 1e-2;
        let moved = |index: usize, by: f32| {
            let mut values = at;
            values[index] += by;
            penalty(of, branches(&values))
        };
        let slopes: Vec<f32> =
            (0..at.len()).map(|index| (moved(index, step) - moved(index, -step)) / (2.0 * step)).collect();
        assert_close(&format!("{of:?}"), gradient, slopes, 1e-2, 1e-3);
    }
}

#[test]
fn what_cannot_work_is_refused_and_what_diverges_is_told() {
    let parse = |keys: &str| toml::from_str::<ObjectiveConfig>(&format!("kind = 'parallel'\n{keys}"));
    let expected = ObjectiveConfig::Parallel {
        local_weight: 1.0,
        orthogonality: Orthogonality { weight: 1.0, reading: Reading::CosineOffdiag, stages: Stages::Mean },
        label_smoothing: 0.0,
    };
    let default = parse("").unwrap();
    assert_eq!(default, expected);
    assert!(default.takes_votes() && default.warning().is_none());
    let literal = parse("orthogonality = { reading = 'paper-literal' }").unwrap();
    assert!(literal.warning().unwrap().contains("diverges"));
    assert!(parse("orthogonality = { reading = 'paper-literal', weight = 0 }").unwrap().warning().is_none());
    assert!(parse("orthogonality = { mode = 'dot-offdiag' }").is_err());
    assert!(parse("orthogonality = { reading = 'cosine' }").is_err());
    let init = |config: &ObjectiveConfig| config.init(&Classes::seven(), &[1; 7], 64, &device());
    for (keys, said) in [
        ("local_weight = -1", "objective.local_weight is -1"),
        ("orthogonality = { weight = inf }", "objective.orthogonality.weight is inf"),
        ("label_smoothing = 2", "objective.label_smoothing is 2"),
    ] {
        let error = init(&parse(keys).unwrap()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    let base = PcmBase::Ir(FaceTrunkConfig { stem_width: 4, widths: vec![4, 6], units: vec![1, 1] });
    let pcm = PcmConfig { base, ..PcmConfig::default() };
    let network = |config: PcmConfig| NetworkConfig::Pcm(config).init(7, &device());
    let baseline = network(PcmConfig { base: pcm.base.clone(), ..PcmConfig::baseline() });
    let objective: Objective = init(&default).unwrap();
    assert_eq!(objective.check(&baseline, [3, 16, 16], &device()), Err(ObjectiveError::NoBranches));
    assert_eq!(objective.check(&network(pcm), [3, 16, 16], &device()), Ok(()));
    assert!(objective.state().is_empty());
}
