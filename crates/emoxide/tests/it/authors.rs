//! Files with the names and in the wrappings of the authors' checkpoints (`tools/reference/authors.py`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::{keys, tensors};
use burn::tensor::{Device, Tensor};
use emoxide::labels::Classes;
use emoxide::models::{
    AlexNetConfig, Branches, Classifier, DaclAttentionConfig, DaclConfig, FaceTrunkConfig, FusionConfig, HybridConfig,
    InvolutionVitConfig, IrConfig, LocalBase, LocalTransformerConfig, Mask, Network, NetworkConfig, PatchEmbedding,
    PcmBase, PcmConfig, RedNetConfig, Stem, TransferConfig, TrunkConfig, VitConfig,
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

/// As `tools/reference/involution_vit.py` has it, but for images of so many pixels.
fn involution_vit(image_size: usize, branches: Branches, embed: PatchEmbedding, cls_token: bool) -> NetworkConfig {
    let rednet = RedNetConfig {
        stem_width: 16,
        widths: vec![8, 16, 16, 24],
        blocks: vec![1; 4],
        kernel: 3,
        group: 8,
        ..RedNetConfig::default()
    };
    let vit = VitConfig {
        embed,
        hybrid: HybridConfig { root_width: 8, widths: [8, 12, 16], units: [1, 2, 1], groups: 4 },
        width: 24,
        depth: 2,
        heads: 3,
        hidden: 36,
        cls_token,
        ..VitConfig::default()
    };
    let fusion = FusionConfig { projected: 20, width: 16, ..FusionConfig::default() };
    let rest = InvolutionVitConfig::default();
    NetworkConfig::InvolutionVit(InvolutionVitConfig { image_size, branches, rednet, vit, fusion, ..rest })
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
        ("rednet50.pth", Some("backbone"), involution_vit(64, Branches::Involution, PatchEmbedding::R50, false)),
        ("vit-r50-timm.pth", Some("timm"), involution_vit(64, Branches::Vit, PatchEmbedding::R50, true)),
        ("vit-r50-google.npz", None, involution_vit(64, Branches::Vit, PatchEmbedding::R50, true)),
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

/// A table of 4x4 positions, the class token's before them, for 6x6 without one: corners stay.
fn grown(table: &[f32], width: usize) -> Vec<f32> {
    let at = |row: usize, col: usize, axis: usize| table[(1 + row * 4 + col) * width + axis];
    let place = |place: usize| {
        let source = place as f32 * 3.0 / 5.0;
        let first = (source as usize).min(2);
        (first, source - first as f32)
    };
    let mut grown = Vec::new();
    for (row, col) in (0..36).map(|at| (at / 6, at % 6)) {
        let ((row, down), (col, across)) = (place(row), place(col));
        grown.extend((0..width).map(|axis| {
            let line = |row: usize| at(row, col, axis) * (1.0 - across) + at(row, col + 1, axis) * across;
            line(row) * (1.0 - down) + line(row + 1) * down
        }));
    }
    grown
}

#[test]
fn both_branches_start_from_their_own_files() {
    let config = involution_vit(96, Branches::Both, PatchEmbedding::R50, false);
    for (name, naming) in [("vit-r50-google.npz", None), ("vit-r50-timm.pth", Some("timm"))] {
        let files = [part("rednet", Some("backbone"), file("rednet50.pth")), part("vit", naming, file(name))];
        let (network, fresh, started) = begun(&config, &files);
        let found = tensors(&network);
        for (name, shape) in keys(&network) {
            let expected = match name.split('.').next() {
                Some("vit") if name == "vit.pos_embed" => grown(&portable::weight(&name, &[1, 17, 24]), 24),
                Some("rednet" | "vit") => portable::weight(&name, &shape),
                _ => fresh[&name].clone(),
            };
            assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
        }
        assert!(started[0].changes.is_empty(), "{:?}", started[0].changes);
        assert_eq!(
            started[1].changes,
            ["`vit.pos_embed` resampled from 4x4 to 6x6 places", "left out the class token's place in `vit.pos_embed`"],
        );
    }
}

#[test]
fn the_encoder_starts_from_the_author_s_segmentation_network() {
    let config = involution_vit(64, Branches::Both, PatchEmbedding::Patch16, false);
    let naming = Some("transinvnet");
    let parts = ["rednet", "vit", "fusion.rednet", "fusion.vit"];
    let files = parts.map(|name| part(name, naming, file("transinvnet.pth")));
    let (network, fresh, _) = begun(&config, &files);
    let found = tensors(&network);
    for (name, shape) in keys(&network) {
        let taken = !(name.starts_with("fc.") || name.starts_with("fusion.both."));
        let expected = if taken { portable::weight(&name, &shape) } else { fresh[&name].clone() };
        assert_close(&name, &found[&name], expected, 1e-6, 1e-6);
    }
}

#[test]
fn a_table_without_a_class_token_s_place_fills_none_with_one() {
    let config = involution_vit(64, Branches::Vit, PatchEmbedding::Patch16, true);
    let files = [part("vit", Some("transinvnet"), file("transinvnet.pth"))];
    let error = start(config.init(7, &Device::flex()), &config, &Classes::seven(), &files).unwrap_err().to_string();
    assert!(error.contains("`vit.pos_embed` has the shape [1, 16, 24], the network's has [1, 17, 24]"), "{error}");
}
