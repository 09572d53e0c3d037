//! CAFE: its files, what its parts see of an image, and which settings it takes.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use emoxide::labels::Classes;
use emoxide::models::{
    CafeConfig, Classifier, ClipConfig, ClipPrecision, FeatureMask, MaskBackbone, Network, NetworkConfig, Stem,
    TrunkConfig,
};
use emoxide::preprocess::{Alignment, DetectorConfig, Preprocess};
use emoxide::weights::checkpoint::{Card, Licence, Provenance};
use emoxide::weights::start::{Start, start};
use emoxide::weights::{Head, WeightsError, import, import_parts};
use emoxide::zoo::{Executor, Model, Why};
use emoxide_testing::{Values, assert_close, fixture_path, portable};

use crate::support::{keys, portable_network, tensors};

/// The network of `tools/reference/authors.py`.
fn small() -> CafeConfig {
    let trunk = TrunkConfig {
        stem: Stem::Imagenet,
        stem_width: 8,
        widths: vec![8, 10],
        blocks: vec![1, 1],
        ..Default::default()
    };
    let clip =
        ClipConfig { patch: 8, width: 8, depth: 2, heads: 2, hidden: 12, embedding: 10, ..ClipConfig::default() };
    CafeConfig { image_size: 16, backbone: MaskBackbone::Resnet(trunk), clip, ..CafeConfig::default() }
}

fn config() -> NetworkConfig {
    NetworkConfig::Cafe(small())
}

fn file(name: &str) -> PathBuf {
    fixture_path("authors").join(name)
}

fn part(part: &str, keys: Option<&str>, name: &str) -> Start {
    Start { part: Some(part.to_owned()), keys: keys.map(str::to_owned), ..Start::new(file(name)) }
}

/// `OpenAI`'s names in an archive of `TorchScript` and in a state dict, and Hugging Face's.
fn towers() -> [Start; 3] {
    [("clip", "cafe-clip.pt"), ("clip", "cafe-clip.pth"), ("clip-hf", "cafe-clip.safetensors")]
        .map(|(keys, file)| part("clip", Some(keys), file))
}

/// Portable values, the tower's as near as half precision has them.
fn assert_portable(network: &Network, taken: impl Fn(&str) -> bool) {
    let found = tensors(network);
    for (name, shape) in keys(network).into_iter().filter(|(name, _)| taken(name)) {
        let close = if name.starts_with("clip.") { 1e-3 } else { 1e-6 };
        assert_close(&name, &found[&name], portable::weight(&name, &shape), close, close);
    }
}

fn images(batch: usize, device: &Device) -> Tensor<4> {
    let values = portable::values("images", batch * 3 * 16 * 16);
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([batch, 3, 16, 16])
}

#[test]
fn the_authors_checkpoint_and_clip_fill_the_network() {
    for tower in towers() {
        let parts = std::slice::from_ref(&tower);
        let filled = import_parts(&file("cafe.pth"), &config(), 3, None, Head::Keep, parts, &Device::flex());
        let (network, filled) = filled.unwrap_or_else(|error| panic!("{error}"));
        assert_portable(&network, |_| true);
        // Two norms, tokens, positions, projection and patches; 12 of a block.
        assert_eq!((filled[0].tensors, filled[0].part.as_deref()), (8 + 2 * 12, Some("clip")));
        assert!(filled[0].changes.is_empty(), "{:?}", filled[0].changes);
    }
}

#[test]
fn what_is_missing_or_left_over_is_refused() {
    let device = Device::flex();
    let whole = |parts: &[Start], config: &NetworkConfig| {
        import_parts(&file("cafe.pth"), config, 3, None, Head::Keep, parts, &device).map(|_| ())
    };
    let refused = |result: Result<(), WeightsError>, said: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused(whole(&[], &config()), "no tensor for `clip.");
    let [openai, _, hugging_face] = towers();
    let other_keys = |start: &Start, keys: &str| Start { keys: Some(keys.to_owned()), ..start.clone() };
    refused(whole(&[other_keys(&openai, "clip-hf")], &config()), "no place for");
    refused(whole(&[other_keys(&hugging_face, "clip")], &config()), "no place for");
    refused(whole(&[Start { part: None, ..openai.clone() }], &config()), "names no `part`");
    refused(whole(&[openai.clone(), hugging_face], &config()), "fills what");
    let shallow = ClipConfig { depth: 1, ..small().clip };
    let shallow = NetworkConfig::Cafe(CafeConfig { clip: shallow, ..small() });
    refused(whole(&[openai], &shallow), "no place for");
    // Alone, either file lacks the other.
    refused(import(&file("cafe-clip.pt"), &config(), 3, Some("clip"), Head::Keep, &device).map(|_| ()), "no place for");
}

#[test]
fn training_starts_from_clip_and_a_face_network() {
    for tower in towers() {
        let network = config().init(7, &Device::flex());
        let fresh = tensors(&network);
        let files = [tower, part("mask", None, "cafe.pth")];
        let (network, started) = start(network, &config(), &Classes::seven(), &files).unwrap();
        assert_portable(&network, |name| !name.starts_with("fc."));
        let found = tensors(&network);
        assert!(["fc.weight", "fc.bias"].iter().all(|name| found[*name] == fresh[*name]), "the classifier is drawn");
        assert!(started.iter().all(|started| started.changes.is_empty()), "{started:?}");
    }
    // torchvision's names, below `mask` too.
    let trunk = TrunkConfig {
        stem: Stem::Compact,
        stem_width: 8,
        widths: vec![6, 8],
        blocks: vec![1, 1],
        ..Default::default()
    };
    let config = NetworkConfig::Cafe(CafeConfig { backbone: MaskBackbone::Resnet(trunk), ..small() });
    let network = config.init(7, &Device::flex());
    let (network, _) = start(network, &config, &Classes::seven(), &[part("mask", None, "msceleb.pth")]).unwrap();
    let found = tensors(&network);
    for (name, shape) in keys(&network) {
        if let Some(of_trunk) = name.strip_prefix("mask.") {
            assert_close(&name, &found[&name], portable::weight(of_trunk, &shape), 1e-6, 1e-6);
        }
    }
}

#[test]
fn archives_of_torchscript_are_read_whole_and_never_executed() {
    let device = Device::flex();
    let fill = |path: PathBuf| {
        let tower = Start { part: Some("clip".to_owned()), keys: Some("clip".to_owned()), ..Start::new(path) };
        import_parts(&file("cafe.pth"), &config(), 3, None, Head::Keep, &[tower], &device).map(|_| ())
    };
    let error = fill(file("hostile-clip.pt")).unwrap_err().to_string();
    assert!(error.contains("its pickle asks for `posix.system`"), "{error}");
    let whole = fs_err::read(file("cafe-clip.pt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let piece = folder.path().join("piece.pt");
    for length in (0..whole.len()).step_by(whole.len() / 60) {
        fs_err::write(&piece, &whole[..length]).unwrap();
        fill(piece.clone()).unwrap_err();
    }
}

/// 20 counters stand in the file beside them.
#[test]
fn the_authors_file_has_102_tensors_of_which_62_are_parameters() {
    let network = NetworkConfig::Cafe(CafeConfig { mask: FeatureMask::None, ..CafeConfig::default() });
    let keys = keys(&network.init(7, &Device::flex()));
    assert_eq!(keys.len(), 102);
    assert_eq!(keys.keys().filter(|name| !name.contains(".running_")).count(), 62);
}

#[test]
fn the_classifier_sees_the_product_of_features_and_mask() {
    let device = Device::flex();
    let network = portable_network(&config(), 7, &device);
    let fixed = network.features(images(2, &device)).token.unwrap();
    let attention = network.attention(images(2, &device));
    let (name, mask) = &attention[0];
    assert_eq!((name.as_str(), mask.dims()), ("mask", [2, 1, 1, 10]));
    let blocks: Vec<_> = attention[1..].iter().map(|(name, shares)| (name.as_str(), shares.dims())).collect();
    assert_eq!(blocks, [("clip.0", [2, 2, 5, 5]), ("clip.1", [2, 2, 5, 5])]);
    let masked = fixed.clone() * mask.clone().flatten(1, 3);
    assert_close("masked", network.outputs(images(2, &device)).embedding, masked, 1e-6, 1e-6);

    let probe = NetworkConfig::Cafe(CafeConfig { mask: FeatureMask::Probe, ..small() });
    let probe = portable_network(&probe, 7, &device);
    assert_close("probe", probe.outputs(images(2, &device)).embedding, fixed, 1e-6, 1e-6);
    assert_eq!(probe.attention(images(1, &device)).len(), 2, "no mask, two blocks");
}

/// Half precision is for Burn: the compiled engine knows single precision and bfloat16.
#[test]
fn a_tower_in_half_precision_is_near_the_one_in_single() {
    let device = Device::flex();
    let with = |precision| {
        let network = NetworkConfig::Cafe(CafeConfig { clip: ClipConfig { precision, ..small().clip }, ..small() });
        let built = portable_network(&network, 7, &device);
        let card = Card {
            name: "cafe.small".to_owned(),
            network,
            classes: Classes::seven(),
            preprocess: Preprocess::imagenet(16),
            alignment: Alignment::SquareBox { margin: 0.0 },
            detector: DetectorConfig::default(),
            mirror: false,
            temperature: 1.0,
            provenance: Provenance::default(),
            results: Vec::new(),
            licence: Licence::default(),
        };
        let features = built.features(images(2, &device)).token.unwrap().values();
        (features, Model::new(&built, card, device.clone()))
    };
    let ((single, compiled), (half, burn)) = (with(ClipPrecision::F32), with(ClipPrecision::F16Emulated));
    assert_close("features", &half, &single, 1e-2, 1e-2);
    assert_ne!(half, single);

    assert!(matches!(compiled.executor(), Executor::Compiled(_)));
    assert!(matches!(burn.executor(), Executor::Burn(Why::Engine(_))));
    // What could not be compiled is as it was.
    let images = images(2, &device).values();
    assert_close("logits", burn.run(images.clone()), compiled.run(images), 1e-2, 1e-2);
}

#[test]
fn settings_that_cannot_be_are_refused_by_key() {
    let parse = |keys: &str| serde_json::from_str::<NetworkConfig>(&format!(r#"{{"kind": "cafe"{keys}}}"#));
    assert_eq!(parse("").unwrap(), NetworkConfig::Cafe(CafeConfig::default()));
    let mobilenet = NetworkConfig::Cafe(CafeConfig::default().mobilenet_v2());
    assert_eq!(parse(r#", "backbone": {"kind": "mobilenet-v2"}"#).unwrap(), mobilenet);
    assert_eq!(serde_json::from_str::<NetworkConfig>(&serde_json::to_string(&mobilenet).unwrap()).unwrap(), mobilenet);
    for (keys, expected) in [
        (r#", "masks": "raw""#, "unknown field `masks`"),
        (r#", "mask": "softmax""#, "unknown variant `softmax`"),
        (r#", "clip": {"patches": 32}"#, "unknown field `patches`"),
        (r#", "backbone": {"kind": "resnet", "width": 3}"#, "unknown field `width`"),
    ] {
        let error = parse(keys).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (keys, expected) in [
        (r#", "input_channels": 2"#, "network.input_channels: is 2, may be 1 or 3"),
        (r#", "image_size": 31"#, "network.image_size: is 31, may be 32 to 1024"),
        (r#", "backbone": {"kind": "resnet", "blocks": [1]}"#, "network.backbone.blocks: 1 stages, but `widths` has 4"),
        (
            r#", "backbone": {"kind": "mobilenet-v2", "stages": [{"expansion": 1, "width": 8, "blocks": 1, "stride": 3}]}"#,
            "network.backbone.stages: stride is 3, may be 1 to 2",
        ),
        (r#", "clip": {"heads": 7}"#, "network.clip.heads: is 7, must divide `width`, which is 768"),
        (r#", "clip": {"patch": 0}"#, "network.clip.patch: is 0, must be at least 1"),
        (
            r#", "clip": {"trainable": true, "precision": "f16-emulated"}"#,
            "network.clip.precision: is f16-emulated, but a tower that is trained needs f32",
        ),
        (
            r#", "input_channels": 1, "clip": {"norm": "clip"}"#,
            "network.clip.norm: is clip, which is for colour, but `input_channels` is 1",
        ),
        (
            r#", "mask": "probe", "clip": {"trainable": true}"#,
            "network.clip.trainable: is true, but a linear probe (`mask = \"probe\"`) trains no tower",
        ),
    ] {
        assert_eq!(parse(keys).unwrap().validate().unwrap_err().to_string(), expected);
    }
}
