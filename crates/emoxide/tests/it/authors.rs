//! Files with the names and in the wrappings of the authors' checkpoints (`tools/reference/authors.py`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::{keys, tensors};
use burn::tensor::{Device, Tensor};
use emoxide::labels::Classes;
use emoxide::models::{
    AlexNetConfig, Classifier, DaclAttentionConfig, DaclConfig, FaceTrunkConfig, IrConfig, LocalBase,
    LocalTransformerConfig, Mask, Network, NetworkConfig, PcmBase, PcmConfig, Stem, TransferConfig, TrunkConfig,
};
use emoxide::weights::start::{Start, Started, start};
use emoxide::weights::{Head, import};
use emoxide_testing::{Values, assert_close, fixture_path, portable};

fn file(name: &str) -> PathBuf {
    fixture_path("authors").join(name)
}

fn trunk(stem: Stem, widths: &[usize]) -> TrunkConfig {
    let (widths, blocks) = (widths.to_vec(), vec![1; widths.len()]);
    TrunkConfig { stem, stem_width: 8, widths, blocks, ..TrunkConfig::default() }
}

fn transfer() -> TransferConfig {
    TransferConfig {
        image_size: 16,
        stem_width: 4,
        widths: vec![4, 6, 8],
        units: vec![1, 2, 1],
        lanet_ratio: 4,
        width: 8,
        depth: 2,
        heads: 2,
        hidden: 12,
        ..TransferConfig::default()
    }
}

fn dacl() -> NetworkConfig {
    NetworkConfig::Dacl(DaclConfig {
        image_size: 16,
        base: trunk(Stem::Compact, &[6, 8]),
        attention_widths: [6, 5, 4],
        ..DaclConfig::default()
    })
}

fn pcm(stem_width: usize, widths: &[usize], units: &[usize]) -> NetworkConfig {
    let base = FaceTrunkConfig { stem_width, widths: widths.to_vec(), units: units.to_vec() };
    NetworkConfig::Pcm(PcmConfig { base: PcmBase::Ir(base), branches: 2, width: 4, ..PcmConfig::default() })
}

/// Every tensor of the network that `taken` names has the portable values, every other one those of `fresh`.
fn assert_filled(network: &Network, fresh: Option<&BTreeMap<String, Vec<f32>>>, taken: impl Fn(&str) -> bool) {
    let found = tensors(network);
    for (name, shape) in keys(network) {
        let expected = match fresh {
            Some(fresh) if !taken(&name) => fresh[&name].clone(),
            _ => portable::weight(&name, &shape),
        };
        assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
    }
}

#[test]
fn checkpoints_of_the_authors_fill_whole_networks() {
    let alexnet = AlexNetConfig { widths: vec![4, 6, 8, 6, 4], hidden: 10, ..AlexNetConfig::default() };
    let local = LocalTransformerConfig {
        base: LocalBase::Resnet(trunk(Stem::Imagenet, &[8, 12])),
        local_width: 8,
        depth: 2,
        heads: 2,
        hidden: 10,
        ..LocalTransformerConfig::default()
    };
    let attention = DaclAttentionConfig {
        base: trunk(Stem::Imagenet, &[8, 12]),
        attention_width: 5,
        ..DaclAttentionConfig::default()
    };
    for (name, naming, config) in [
        (
            "transfer-pytorch.pth",
            Some("apvit"),
            NetworkConfig::Transfer(TransferConfig { mask: Mask::AfterProjection, ..transfer() }),
        ),
        ("transfer-paddle.pdparams", None, NetworkConfig::Transfer(transfer())),
        ("alexnet.pth", None, NetworkConfig::Alexnet(alexnet)),
        ("transfer-resnet18.pth", None, NetworkConfig::LocalTransformer(local)),
        ("dacl-resnet18.pth", None, NetworkConfig::DaclAttention(attention)),
        ("dacl.pth", None, dacl()),
        ("pcm.pth", None, pcm(4, &[4, 6, 8], &[1, 2, 1])),
    ] {
        let network = import(&file(name), &config, 3, naming, Head::Keep, &Device::flex());
        assert_filled(&network.unwrap_or_else(|error| panic!("{error}")), None, |_| true);
        let network = import(&file(name), &config, 5, naming, Head::Drop, &Device::flex());
        network.unwrap_or_else(|error| panic!("without its head: {error}"));
    }
}

/// What starts from files, and its tensors before that.
fn begun(config: &NetworkConfig, files: &[Start]) -> (Network, BTreeMap<String, Vec<f32>>, Vec<Started>) {
    let network = config.init(7, &Device::flex());
    let fresh = tensors(&network);
    let (network, started) = start(network, config, &Classes::seven(), files).unwrap_or_else(|error| panic!("{error}"));
    (network, fresh, started)
}

fn part(part: &str, keys: Option<&str>, file: PathBuf) -> Start {
    Start { part: Some(part.to_owned()), keys: keys.map(str::to_owned), ..Start::new(file) }
}

#[test]
fn transfer_starts_from_a_face_network_and_a_vision_transformer() {
    // Two stages of the three in face.pth; two blocks of the three in timm.pth, whose positions are those of 4x4 places.
    let config = TransferConfig { image_size: 8, stages: 2, widths: vec![4, 4], units: vec![2, 1], ..transfer() };
    let config = NetworkConfig::Transfer(config);
    let trunk = part("extractor", None, fixture_path("pth/face.pth"));
    let files = [trunk, part("vit", Some("timm"), file("timm.pth"))];
    let (network, fresh, started) = begun(&config, &files);
    let found = tensors(&network);
    for (name, shape) in keys(&network) {
        let expected = match name.strip_prefix("extractor.") {
            Some(of_trunk) => portable::weight(of_trunk, &shape),
            None if name == "vit.pos_embed" => shrunk(&portable::weight(&name, &[1, 17, 8])),
            None if name.starts_with("vit.") => portable::weight(&name, &shape),
            None => fresh[&name].clone(),
        };
        assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
    }
    assert_eq!(started[0].part.as_deref(), Some("extractor"));
    assert!(started[0].changes[0].ends_with("from `body.3.res_layer.0.bias` on"), "{:?}", started[0].changes);
    assert_eq!(
        started[1].changes,
        [
            "left out 11 tensors of a deeper network, from `blocks.2.attn.proj.bias` on",
            "`vit.pos_embed` resampled from 4x4 to 2x2 places"
        ]
    );
}

/// A table of 4x4 positions for 2x2: each new place lies in the middle of four old ones.
fn shrunk(table: &[f32]) -> Vec<f32> {
    let at = |row: usize, col: usize, axis: usize| table[(1 + row * 4 + col) * 8 + axis];
    let mean = |row: usize, col: usize, axis: usize| {
        (at(row, col, axis) + at(row, col + 1, axis) + at(row + 1, col, axis) + at(row + 1, col + 1, axis)) / 4.0
    };
    let places = [(0, 0), (0, 2), (2, 0), (2, 2)];
    let grid = places.into_iter().flat_map(|(row, col)| (0..8).map(move |axis| (row, col, axis)));
    table[..8].iter().copied().chain(grid.map(|(row, col, axis)| mean(row, col, axis))).collect()
}

#[test]
fn transfer_starts_from_its_own_checkpoint_for_other_classes() {
    let config = NetworkConfig::Transfer(transfer());
    for (name, naming) in [("transfer-pytorch.pth", Some("apvit")), ("transfer-paddle.pdparams", None)] {
        let whole = Start { keys: naming.map(str::to_owned), ..Start::new(file(name)) };
        let (network, fresh, _) = begun(&config, &[whole]);
        assert_filled(&network, Some(&fresh), |name| !name.starts_with("head."));
        let (network, fresh, _) = begun(&config, &[part("vit", naming, file(name))]);
        assert_filled(&network, Some(&fresh), |name| name.starts_with("vit."));
    }
}

#[test]
fn what_a_network_lacks_of_its_authors_checkpoint_is_told_or_refused() {
    let smaller = NetworkConfig::Transfer(TransferConfig { branches: 1, depth: 1, ..transfer() });
    let plain = NetworkConfig::Transfer(TransferConfig { lanet_norm: false, ..transfer() });
    for (name, naming) in [("transfer-pytorch.pth", Some("apvit")), ("transfer-paddle.pdparams", None)] {
        let whole = Start { keys: naming.map(str::to_owned), ..Start::new(file(name)) };
        let (_, _, started) = begun(&smaller, std::slice::from_ref(&whole));
        let [left, _] = started[0].changes.as_slice() else { panic!("{:?}", started[0].changes) };
        // 12 of a branch, 11 of a block.
        assert!(left.starts_with("left out 23 tensors of a deeper network"), "{left}");
        // Norms that the network has no place for would change what the others compute.
        let error = start(plain.init(7, &Device::flex()), &plain, &Classes::seven(), &[whole]).unwrap_err();
        assert!(error.to_string().contains("bn1"), "{error}");
        let error = import(&file(name), &smaller, 5, naming, Head::Drop, &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("las.1"), "{error}");
    }
}

#[test]
fn the_trunk_of_dacl_starts_from_a_residual_network() {
    let (network, fresh, started) = begun(&dacl(), &[part("base_model", None, file("msceleb.pth"))]);
    let found = tensors(&network);
    for (name, shape) in keys(&network) {
        let expected = match name.strip_prefix("base_model.") {
            Some(of_trunk) => portable::weight(of_trunk, &shape),
            None => fresh[&name].clone(),
        };
        assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
    }
    assert!(started[0].changes.is_empty(), "{:?}", started[0].changes);
}

#[test]
fn grey_trunks_start_from_a_colour_network_but_for_their_stem() {
    let base = trunk(Stem::Compact, &[6, 8]);
    let local = LocalTransformerConfig {
        base: LocalBase::Resnet(base.clone()),
        local_width: 8,
        depth: 1,
        heads: 2,
        hidden: 10,
        ..LocalTransformerConfig::default()
    };
    let attention = DaclAttentionConfig { base, attention_width: 5, ..DaclAttentionConfig::default() };
    for (name, config) in
        [("stem_cnn", NetworkConfig::LocalTransformer(local)), ("base_model", NetworkConfig::DaclAttention(attention))]
    {
        let (network, fresh, started) = begun(&config, &[part(name, None, file("msceleb.pth"))]);
        let (found, stem) = (tensors(&network), format!("{name}.conv1.weight"));
        for (key, shape) in keys(&network) {
            let expected = match key.strip_prefix(name).filter(|_| key != stem) {
                Some(of_trunk) => portable::weight(&of_trunk[1..], &shape),
                None => fresh[&key].clone(),
            };
            assert_close(&key, &found[&key], expected, 1e-6, 1e-6);
        }
        let drawn = format!("`{stem}` drawn: the file's is for colour, the network's for grey");
        assert_eq!(started[0].changes, [drawn]);

        let whole = [Start::new(file("msceleb.pth"))];
        let error = start(config.init(7, &Device::flex()), &config, &Classes::seven(), &whole).unwrap_err();
        assert!(error.to_string().ends_with(&format!("say `part = \"{name}\"` beside the file")), "{error}");
    }
}

#[test]
fn the_trunk_of_pcm_starts_from_a_face_network_however_it_counts_its_units() {
    let config = pcm(4, &[4, 4, 6], &[2, 1, 2]);
    let found = [("face.pth", None), ("face-agra.pth", Some("agra"))].map(|(name, naming)| {
        let (network, fresh, started) = begun(&config, &[part("backbone", naming, fixture_path("pth").join(name))]);
        let found = tensors(&network);
        for (name, shape) in keys(&network) {
            let expected = match name.strip_prefix("backbone.") {
                Some(of_trunk) => portable::weight(of_trunk, &shape),
                None => fresh[&name].clone(),
            };
            assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
        }
        assert!(started[0].changes[0].starts_with("left out "), "{:?}", started[0].changes);
        let images = Tensor::<4>::ones([1, 3, 24, 32], &Device::flex());
        network.features(images).map.values()
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn pcm_starts_from_the_trunk_of_agra_and_the_convolution_behind_it() {
    let config = pcm(4, &[4, 6, 8], &[1, 2, 1]);
    let files = ["backbone", "global"].map(|name| part(name, Some("agra"), file("agra.pth")));
    let (network, fresh, started) = begun(&config, &files);
    let found = tensors(&network);
    for (name, shape) in keys(&network) {
        let expected = match name.strip_prefix("backbone.") {
            Some(of_trunk) => portable::weight(of_trunk, &shape),
            None if name.starts_with("global.") => portable::weight(&name, &shape),
            None => fresh[&name].clone(),
        };
        assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
    }
    assert_eq!(started[1].tensors, 2);
    // The trunk alone takes it too.
    let ir = IrConfig { stem_width: 4, widths: vec![4, 6, 8], units: vec![1, 2, 1], ..IrConfig::ir50() };
    let whole = Start { keys: Some("agra".to_owned()), ..Start::new(file("agra.pth")) };
    let (network, fresh, _) = begun(&NetworkConfig::Ir(ir), &[whole]);
    assert_filled(&network, Some(&fresh), |name| !name.starts_with("fc."));
}
