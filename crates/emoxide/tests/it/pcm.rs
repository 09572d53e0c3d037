//! PCM: counts, shapes, and what its settings mean. Parity stands in `parity`.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use emoxide::models::{
    Classifier, FaceTrunkConfig, GlobalVector, MshConfig, Network, NetworkConfig, PcmBase, PcmConfig, Predict,
    TokenLayout, TrunkConfig,
};
use emoxide_testing::{Values, assert_close, portable};

use crate::support::tensors;

fn images(batch: usize, device: &Device) -> Tensor<4> {
    let values = portable::values("images", batch * 3 * 40 * 32);
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([batch, 3, 40, 32])
}

fn without_msh() -> MshConfig {
    MshConfig { depth: 0, ..MshConfig::default() }
}

/// The paper's branches on a trunk of a few channels.
fn small() -> PcmConfig {
    let base = FaceTrunkConfig { stem_width: 4, widths: vec![4, 6, 8, 10], units: vec![1; 4] };
    PcmConfig { base: PcmBase::Ir(base), ..PcmConfig::default() }
}

fn network(config: PcmConfig, device: &Device) -> Network {
    NetworkConfig::Pcm(config).init(7, device)
}

#[test]
fn counts_of_parameters_are_those_of_the_paper() {
    let device = Device::flex();
    let count = |config: PcmConfig| NetworkConfig::Pcm(config).parameters(7, &device);
    let paper = PcmConfig::default;
    assert_eq!(count(paper()), 31_732_366);
    assert_eq!(count(PcmConfig::baseline()), 31_022_791, "baseline");
    let mean = PcmConfig { global: GlobalVector::Mean, ..PcmConfig::baseline() };
    assert_eq!(count(mean), 30_730_951, "baseline on the mean of the map");
    assert_eq!(count(PcmConfig { msh: without_msh(), ..paper() }), 31_719_118, "without attention");
    let without_class = MshConfig { cls_token: false, ..MshConfig::default() };
    assert_eq!(count(PcmConfig { msh: without_class, ..paper() }), 31_731_790, "without class token");
    let branches = |branches| PcmConfig { branches, ..paper() };
    assert_eq!([1, 3, 7].map(|number| count(branches(number))), [31_175_054, 31_453_710, 32_011_022]);
    assert_eq!(count(PcmConfig { branches: 1, width: 80, ..paper() }), 33_211_534, "1*");
    let projected = MshConfig { out_proj: true, ..MshConfig::default() };
    assert_eq!(count(PcmConfig { msh: projected, ..paper() }), 31_732_366 + 4_160);
    let insight = PcmConfig { base: PcmBase::Iresnet(FaceTrunkConfig::default()), ..paper() };
    assert_eq!(count(insight), 31_732_366 - 30_727_360 + 30_743_232, "InsightFace's trunk");
    let ir18 = PcmConfig { base: PcmBase::Ir(FaceTrunkConfig::ir18()), ..paper() };
    assert_eq!(count(ir18), 31_732_366 - 30_727_360 + 11_169_920);
    let resnet18 = PcmConfig { base: PcmBase::Resnet(TrunkConfig::default()), ..paper() };
    assert_eq!(count(resnet18), 31_732_366 - 30_727_360 + 11_176_512);
}

#[test]
fn sizes_are_those_of_the_paper_for_every_number_of_branches() {
    let device = Device::flex();
    for (branches, width, layout) in [
        (1, 16, TokenLayout::Branch),
        (3, 16, TokenLayout::Branch),
        (5, 16, TokenLayout::Branch),
        (7, 16, TokenLayout::Branch),
        (1, 80, TokenLayout::Branch),
        (5, 16, TokenLayout::Stage),
    ] {
        let config = PcmConfig { branches, width, tokens: layout, ..small() };
        let (local, token) = match layout {
            TokenLayout::Branch => (branches, 4 * width),
            TokenLayout::Stage => (4, branches * width),
        };
        let embedding = NetworkConfig::Pcm(config.clone()).embedding();
        assert_eq!(embedding, (local + 2) * token);
        let network = network(config, &device);
        let features = network.features(images(2, &device));
        assert_eq!(features.map.dims(), [2, 10, 3, 2]);
        assert_eq!(features.token.as_ref().map(Tensor::dims), Some([2, 3 * branches * width]));
        assert_eq!(network.embed(features).dims(), [2, embedding]);
        let outputs = network.outputs(images(2, &device));
        let parallel = outputs.parallel.expect("branches");
        assert_eq!(parallel.branches.dims(), [2, 4, branches, width]);
        assert!(parallel.branches.values().iter().all(|&value| value >= 0.0));
        assert_eq!((parallel.local.dims(), parallel.global.dims()), ([2, 7], [2, 7]));
        let attention = network.attention(images(2, &device));
        let found: Vec<_> = attention.iter().map(|(name, maps)| (name.as_str(), maps.dims())).collect();
        let looks = [("branches.0", 20, 16), ("branches.1", 10, 8), ("branches.2", 5, 4), ("branches.3", 3, 2)];
        let mut expected: Vec<_> = looks.iter().map(|&(name, rows, cols)| (name, [2, branches, rows, cols])).collect();
        expected.push(("layers.0", [2, 4, local + 2, local + 2]));
        assert_eq!(found, expected);
    }
}

/// Zeroes queries, keys and values.
struct Silence {
    path: Vec<String>,
}

impl ModuleMapper for Silence {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.iter().any(|name| name == "qkv") { param.map(|values| values * 0.0) } else { param }
    }
}

/// Equation 6 with nothing to add: what is left are the tokens and their positions.
#[test]
fn tokens_are_carried_around_the_attention() {
    let device = Device::flex();
    let network = network(small(), &device).map(&mut Silence { path: Vec::new() });
    let outputs = network.outputs(images(2, &device));
    let all = tensors(&network);
    let (class, positions) = (&all["msh.cls_token"], &all["msh.pos_embed"]);
    let branches = outputs.parallel.expect("branches").branches.swap_dims(1, 2).reshape([2, 5, 64]);
    let embedding = outputs.embedding.reshape([2, 7, 64]);
    let position = |first: usize, count: usize| {
        let values = &positions[first * 64..][..count * 64];
        Tensor::<1>::from_floats(values, &device).reshape([1, count, 64])
    };
    assert_close("branches", embedding.clone().narrow(1, 0, 5), branches + position(0, 5), 1e-6, 1e-6);
    let class = Tensor::<1>::from_floats(class.as_slice(), &device).reshape([1, 1, 64]) + position(6, 1);
    assert_close("class", embedding.narrow(1, 6, 1), class.expand([2, 1, 64]), 1e-6, 1e-6);
}

#[test]
fn every_head_can_answer() {
    let device = Device::flex();
    let all = [Predict::Global, Predict::Local, Predict::Sum].map(|predict| PcmConfig { predict, ..small() });
    let [first, ..] = &all;
    let drawn = network(first.clone(), &device);
    let logits = all.map(|config| {
        let network = network(config, &device).load_record(drawn.clone().into_record());
        let outputs = network.outputs(images(2, &device));
        assert_close("seams", network.forward(images(2, &device)), outputs.logits.clone(), 0.0, 1e-6);
        let parallel = outputs.parallel.expect("branches");
        (outputs.logits, parallel.global, parallel.local)
    });
    let [(global, of_global, of_local), (local, ..), (sum, ..)] = logits;
    assert_eq!((&global).values(), of_global.values());
    assert_eq!((&local).values(), of_local.values());
    assert_close("sum", sum, global + local, 1e-6, 1e-6);
}

/// Xavier's bounds, biases and norms.
#[test]
fn fresh_weights_have_the_promised_spread() {
    let network = network(PcmConfig::default(), &Device::flex());
    let found = tensors(&network);
    for (name, inputs, outputs) in [
        ("pcm.3.0.conv.weight", 9 * 512, 9 * 16),
        ("global.conv.weight", 9 * 512, 9 * 64),
        ("msh.layers.0.qkv.weight", 64, 64),
        ("head_glo.weight", 448, 7),
        ("head_loc.weight", 320, 7),
    ] {
        let bound = (6.0 / (inputs + outputs) as f32).sqrt();
        let largest = found[name].iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!(largest <= bound && largest > 0.98 * bound, "{name}: {largest} of {bound}");
    }
    for name in ["global.conv.bias", "head_glo.bias", "head_loc.bias", "pcm.0.0.bn.bias"] {
        assert!(found[name].iter().all(|&value| value == 0.0), "{name}");
    }
    let positions = &found["msh.pos_embed"];
    let square: f32 = positions.iter().map(|value| value * value).sum();
    approx::assert_relative_eq!((square / positions.len() as f32).sqrt(), 0.02, max_relative = 0.15);
}

#[test]
fn settings_that_cannot_be_are_refused_by_key() {
    let parse = |keys: &str| serde_json::from_str::<NetworkConfig>(&format!(r#"{{"kind": "pcm"{keys}}}"#));
    assert_eq!(parse("").unwrap(), NetworkConfig::Pcm(PcmConfig::default()));
    let other = PcmConfig { base: PcmBase::Iresnet(FaceTrunkConfig::default()), ..PcmConfig::default() };
    let other = NetworkConfig::Pcm(other);
    assert_eq!(parse(r#", "base": {"kind": "iresnet"}"#).unwrap(), other);
    assert_eq!(serde_json::from_str::<NetworkConfig>(&serde_json::to_string(&other).unwrap()).unwrap(), other);
    for (keys, expected) in [
        (r#", "branch": 5"#, "unknown field `branch`"),
        (r#", "base": {"kind": "vgg"}"#, "unknown variant `vgg`"),
        (r#", "base": {"kind": "ir", "blocks": [1]}"#, "unknown field `blocks`"),
        (r#", "msh": {"on": true}"#, "unknown field `on`"),
    ] {
        let error = parse(keys).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (keys, expected) in [
        (r#", "branches": 17"#, "network.branches: is 17, may be 0 to 16"),
        (r#", "width": 0"#, "network.width: is 0, may be 1 to 8192"),
        (r#", "width": 4096"#, "network.width: makes tokens of 16384 numbers, they may have up to 8192"),
        (r#", "kernel": 2"#, "network.kernel: is 2, may be 1, 3, 5 or 7"),
        (r#", "base": {"kind": "ir", "units": [1]}"#, "network.base.units: 1 stages, but `widths` has 4"),
        (r#", "msh": {"heads": 5}"#, "network.msh.heads: is 5, must divide the width of a token, which is 64"),
        (r#", "msh": {"depth": 101}"#, "network.msh.depth: is 101, may be 0 to 100"),
        (r#", "branches": 0"#, "network.msh.depth: is 1, but without `branches` there are no tokens to attend to"),
        (
            r#", "branches": 0, "msh": {"depth": 0}, "predict": "local""#,
            "network.predict: without `branches` it may only be global",
        ),
        (
            r#", "global": "mean""#,
            "network.global: is mean, but only without `branches` need it not be as wide as their tokens",
        ),
        (r#", "head": "class", "msh": {"cls_token": false}"#, "network.head: is class, but `msh` has no class token"),
    ] {
        assert_eq!(parse(keys).unwrap().validate().unwrap_err().to_string(), expected);
    }
}
