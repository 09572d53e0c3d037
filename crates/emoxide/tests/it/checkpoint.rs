//! Checkpoints: there and back, and what is refused.

use std::path::Path;

use crate::tiny;
use burn::tensor::{Device, Tensor};
use emoxide::face::{DetectorConfig, MtcnnConfig};
use emoxide::labels::Classes;
use emoxide::models::{Classifier, FaceHead, IrConfig, NetworkConfig, ResNetConfig, VggConfig};
use emoxide::preprocess::{Alignment, Channels, Preprocess};
use emoxide::weights::checkpoint::{self, Card, CardError, CheckpointError, Licence, Provenance};
use emoxide::zoo;
use emoxide_testing::Values;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn card() -> Card {
    Card {
        name: "resnet.tiny".to_owned(),
        network: tiny::resnet(),
        classes: Classes::from_names(["happy", "sad", "neutral"]).unwrap(),
        preprocess: Preprocess {
            channels: Channels::Grey,
            mean: vec![0.5],
            std: vec![0.25],
            ..Preprocess::imagenet(16)
        },
        alignment: Alignment::SquareBox { margin: 0.1 },
        detector: DetectorConfig::Mtcnn(MtcnnConfig { min_face: 40, ..MtcnnConfig::face_evolve() }),
        mirror: false,
        temperature: 1.5,
        provenance: Provenance { selected_on: "folder valid".to_owned(), ..Provenance::default() },
        results: Vec::new(),
        licence: Licence::default(),
    }
}

/// A small IR network with a face head for images of 16 pixels.
fn ir(classifier: bool) -> NetworkConfig {
    let trunk = IrConfig { stem_width: 4, widths: vec![4, 6], units: vec![1, 1], ..IrConfig::ir50() };
    let head = FaceHead { image_size: 16, embedding: 5, dropout: 0.0 };
    NetworkConfig::Ir(trunk.with_face_head(head).with_classifier(classifier))
}

/// The bytes of a saved network of this card.
fn saved(card: &Card, folder: &Path) -> Vec<u8> {
    let path = folder.join("saved.safetensors");
    checkpoint::save(&card.network.init(card.classes.len(), &Device::flex()), card, &path).unwrap();
    fs_err::read(path).unwrap()
}

/// The metadata of a checkpoint under its two keys.
type Metadata = std::collections::HashMap<String, String>;

/// The same file after a change to its metadata and its tensors.
fn changed<'a>(bytes: &'a [u8], change: impl FnOnce(&mut Metadata, &mut Vec<(String, TensorView<'a>)>)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut tensors = SafeTensors::deserialize(bytes).unwrap().tensors();
    change(&mut metadata, &mut tensors);
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

fn refusal(bytes: Vec<u8>) -> String {
    let error = checkpoint::read(bytes, "odd.safetensors", &Device::flex()).unwrap_err().to_string();
    assert!(error.starts_with("odd.safetensors: "), "{error}");
    println!("{error}");
    error
}

#[test]
fn a_checkpoint_gives_back_network_and_card() {
    let (folder, device) = (tempfile::tempdir().unwrap(), Device::flex());
    let path = folder.path().join("model.safetensors");
    let (card, images) = (card(), Tensor::<4>::ones([2, 1, 16, 16], &device));
    let network = card.network.init(3, &device);
    checkpoint::save(&network, &card, &path).unwrap();
    let (again, read) = checkpoint::load(&path, &device).unwrap();
    assert_eq!(read, card);
    assert_eq!(read.selected_on(), "folder valid");
    assert_eq!(again.forward(images.clone()).values(), network.forward(images).values());
    assert_eq!(zoo::card(&path.display().to_string()).unwrap(), card);
}

#[test]
fn a_card_of_before_there_were_detectors_has_the_usual_one() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = changed(&saved(&card(), folder.path()), |metadata, _| {
        let card = metadata.get_mut("emoxide.card").unwrap();
        let mut value: serde_json::Value = serde_json::from_str(card).unwrap();
        let fields = value.as_object_mut().unwrap();
        assert!(fields.remove("detector").is_some());
        *card = value.to_string();
    });
    let read = checkpoint::read_card(&bytes, "old").unwrap();
    assert_eq!(read, Card { detector: DetectorConfig::default(), ..card() });
    assert_eq!(zoo::card(zoo::DEFAULT).unwrap().detector, DetectorConfig::default());
}

#[test]
fn parts_of_a_card_that_do_not_fit_are_refused() {
    assert_eq!(card().validate(), Ok(()));
    let rgb = Preprocess::imagenet(16);
    let fitting = Card { network: ir(true), preprocess: rgb.clone(), ..card() };
    assert_eq!(fitting.validate(), Ok(()));

    let cases: [(Card, &str); 10] = [
        (Card { network: ir(true), ..card() }, "the network takes 3 channel(s), but preprocess.channels gives 1"),
        (
            Card { preprocess: Preprocess { height: 32, ..rgb }, ..fitting.clone() },
            "the network takes 16x16 pixels, but preprocess gives 16x32",
        ),
        (
            Card {
                network: NetworkConfig::Vgg(VggConfig::pooled()),
                preprocess: Preprocess { width: 48, height: 15, resize: None, ..Preprocess::comparison() },
                ..card()
            },
            "the network takes 16x16 pixels and more, but preprocess gives 48x15",
        ),
        (
            Card { network: ir(false), ..fitting },
            "the network has no classifier: it gives 5 numbers, and there are 3 classes",
        ),
        (Card { temperature: 0.0, ..card() }, "the temperature is 0;"),
        (Card { temperature: f32::NAN, ..card() }, "the temperature is NaN;"),
        (Card { alignment: Alignment::SquareBox { margin: 7.0 }, ..card() }, "alignment.margin is 7;"),
        (
            Card { alignment: Alignment::FivePoint { template: [[0.5; 2]; 5] }, ..card() },
            "alignment.template has all points in one place",
        ),
        (
            Card { detector: DetectorConfig::Mtcnn(MtcnnConfig { min_face: 5, ..MtcnnConfig::default() }), ..card() },
            "detector.min_face is 5;",
        ),
        (
            Card {
                network: NetworkConfig::Resnet(ResNetConfig { stem_width: 0, ..ResNetConfig::resnet18() }),
                ..card()
            },
            "network.stem_width",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let whole = saved(&card(), folder.path());
    let network = card().network.init(3, &Device::flex());
    for (wrong, expected) in cases {
        let error: CardError = wrong.validate().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");

        let path = folder.path().join("wrong.safetensors");
        let error = checkpoint::save(&network, &wrong, &path).unwrap_err();
        assert!(matches!(&error, CheckpointError::Card { reason, .. } if reason.contains(expected)), "{error}");
        assert!(!path.exists());

        // JSON has no NaN to travel in.
        if wrong.temperature.is_finite() {
            let bytes = changed(&whole, |metadata, _| {
                metadata.insert("emoxide.card".to_owned(), serde_json::to_string(&wrong).unwrap());
            });
            assert!(refusal(bytes).contains(expected));
        }
    }
}

#[test]
fn tensors_that_are_no_finite_floats_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = saved(&card(), folder.path());
    let with = |dtype, bytes: &[u8]| {
        refusal(changed(&whole, |_, tensors| {
            let bias = tensors.iter_mut().find(|(name, _)| name == "fc.bias").unwrap();
            bias.1 = TensorView::new(dtype, vec![3], bytes).unwrap();
        }))
    };
    assert!(with(Dtype::F16, &[0; 6]).contains("`fc.bias` holds F16, 32-bit floats are needed"));
    assert!(with(Dtype::F64, &[0; 24]).contains("`fc.bias` holds F64, 32-bit floats are needed"));
    for odd in [f32::NAN, f32::NEG_INFINITY] {
        assert!(with(Dtype::F32, &odd.to_le_bytes().repeat(3)).contains("`fc.bias` holds values that are not finite"));
    }
}

#[test]
fn incomplete_and_foreign_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = saved(&card(), folder.path());
    let without = changed(&whole, |_, tensors| tensors.retain(|(name, _)| name != "fc.bias"));
    assert!(refusal(without).contains("tensor `fc.bias` is missing"));
    let renamed = changed(&whole, |_, tensors| tensors[0].0.push_str(".more"));
    assert!(refusal(renamed).contains("is missing"));
    let foreign = changed(&whole, |metadata, _| metadata.clear());
    assert!(refusal(foreign).contains("`emoxide models import`"));
    let newer = changed(&whole, |metadata, _| drop(metadata.insert("emoxide.format".to_owned(), "2".to_owned())));
    assert!(refusal(newer).contains("use a newer emoxide"));
    assert!(refusal(whole[..whole.len() - 1].to_vec()).contains("not a complete safetensors file"));
}

#[test]
fn a_name_of_no_model_is_told_from_a_broken_file() {
    for error in [zoo::open("defualt", &Device::flex()).unwrap_err(), zoo::card("defualt").unwrap_err()] {
        assert!(matches!(&error, CheckpointError::Unknown(name) if name == "defualt"), "{error:?}");
        assert!(error.to_string().contains("`default` or a checkpoint file"), "{error}");
    }
}
