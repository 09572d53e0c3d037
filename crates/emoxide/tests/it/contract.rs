//! What every network promises, whatever its family.

use std::collections::BTreeSet;

use crate::networks::{Case, cases};
use crate::support::{Gather, keys};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emoxide::models::{
    CafeConfig, Classifier, ClipConfig, FaceHead, FeatureMask, IrConfig, NetworkConfig, Outputs, Parallel, ResNetConfig,
};
use emoxide_testing::{Values, assert_close, portable};

const CLASSES: usize = 5;

/// Whether the gradient of a case's parameter is zero, but for rounding.
fn has_no_gradient(case: &str, parameter: &str) -> bool {
    match case {
        // A batch norm takes away whatever bias stands before it.
        "vgg" | "vgg-pooled" => parameter.ends_with(".conv.bias"),
        "dacl" => ["attention.0.bias", "attention.3.bias", "attention.6.bias"].contains(&parameter),
        // Attention to the only position is 1, whatever its score.
        "dacl-attention-pooled" => parameter.starts_with("attention.conv1."),
        "transfer" => parameter.contains(".la_conv") && parameter.ends_with("bias"),
        // As above.
        "involution-vit" | "involution-vit-serial" => {
            parameter.ends_with(".conv.bias") && (parameter.starts_with("fusion.") || parameter.contains(".project."))
        }
        _ => false,
    }
}

/// What a configuration may say: serde's error names every family.
#[test]
fn every_family_has_a_case() {
    let error = serde_json::from_str::<NetworkConfig>(r#"{"kind": "none"}"#).unwrap_err().to_string();
    let families: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    let kind = |case: Case| serde_json::to_value(&case.config).unwrap()["kind"].as_str().unwrap().to_owned();
    let covered: BTreeSet<String> = cases().into_iter().map(kind).collect();
    assert!(families.len() >= 8 && families.iter().eq(covered.iter()), "{families:?} of {error}, cases of {covered:?}");
}

#[test]
fn the_three_seams_have_the_promised_shapes_and_finite_values() {
    let device = Device::flex();
    for case in cases() {
        let network = case.config.init(CLASSES, &device);
        let features = network.features(case.images(3, &device));
        let embedding = network.embed(features);
        assert_eq!(embedding.dims(), [3, case.config.embedding()], "{}", case.name);
        let logits = network.classify(embedding.clone());
        assert_eq!(logits.dims(), [3, CLASSES], "{}", case.name);
        assert!((&logits).values().iter().all(|value| value.is_finite()), "{}", case.name);

        let outputs = network.outputs(case.images(3, &device));
        assert_eq!(outputs.logits.values(), logits.values(), "{}", case.name);
        assert_eq!(outputs.embedding.values(), (&embedding).values(), "{}", case.name);
        assert!(outputs.attention.is_none_or(|attention| attention.dims() == embedding.dims()), "{}", case.name);
    }
}

#[test]
fn attention_is_shared_out() {
    let device = Device::flex();
    for case in cases() {
        let network = case.config.init(CLASSES, &device);
        for (name, maps) in network.attention(case.images(2, &device)) {
            let name = format!("{}: {name}", case.name);
            assert_eq!(maps.dims()[0], 2, "{name}");
            assert!((&maps).values().iter().all(|share| (0.0..=1.0).contains(share)), "{name}");
            let sums = match &case.config {
                NetworkConfig::LocalTransformer(_) | NetworkConfig::InvolutionVit(_) => maps.sum_dim(3),
                NetworkConfig::Transfer(_) if name.contains("blocks.") => maps.sum_dim(3),
                NetworkConfig::Pcm(_) if name.contains("layers.") => maps.sum_dim(3),
                NetworkConfig::Cafe(_) if name.contains("clip.") => maps.sum_dim(3),
                NetworkConfig::DaclAttention(_) => maps.sum_dim(2).sum_dim(3),
                _ => continue,
            };
            let ones = vec![1.0; sums.shape().num_elements()];
            assert_close(&name, sums, ones, 1e-5, 0.0);
        }
    }
}

#[test]
fn every_parameter_has_a_gradient_and_training_moves_every_statistic() {
    let device = Device::flex().autodiff();
    for case in cases() {
        let network = case.config.init(CLASSES, &device);
        let fresh = case.config.init(CLASSES, &device);
        let Outputs { logits, attention, parallel, .. } = network.outputs(case.images(4, &device));
        let heads = parallel.map(|Parallel { global, local, .. }| [global, local]);
        let weighed = |output: Tensor<2>| {
            let cotangent = portable::values("cotangent", output.shape().num_elements());
            let cotangent = Tensor::<1>::from_floats(cotangent.as_slice(), &device).reshape(output.dims());
            (output * cotangent).sum()
        };
        let beside = attention.into_iter().chain(heads.into_iter().flatten());
        let loss = beside.map(weighed).fold(weighed(logits), |sum, value| sum + value);
        let gradients = loss.backward();
        let (after, before) = (Gather::from(&network, &gradients), Gather::from(&fresh, &gradients));
        for (name, gradient) in &after.gradient {
            if case.config.is_frozen(name) {
                assert!(gradient.is_none(), "{}: {name} is frozen and has a gradient", case.name);
                continue;
            }
            let gradient = gradient.as_ref().unwrap_or_else(|| panic!("{}: {name} has no gradient", case.name));
            assert!(gradient.iter().all(|value| value.is_finite()), "{}: {name}", case.name);
            let largest = gradient.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            if has_no_gradient(case.name, name) {
                assert!(largest < 1e-4, "{}: {name} has a gradient of {largest}", case.name);
            } else {
                assert!(largest > 0.0, "{}: {name} has a gradient of zeros", case.name);
            }
        }
        for (name, statistic) in &after.statistic {
            assert_ne!(statistic, &before.statistic[name], "{}: {name}", case.name);
        }
    }
}

#[test]
fn evaluation_sees_each_image_alone() {
    let device = Device::flex();
    for case in cases() {
        let network = case.config.init(CLASSES, &device);
        let both = case.images(2, &device);
        let one = |index: usize| network.forward(both.clone().narrow(0, index, 1));
        let apart = Tensor::cat(vec![one(0), one(1)], 0);
        assert_close(case.name, network.forward(both.clone()), apart, 1e-5, 1e-5);
    }
}

#[test]
fn a_training_network_evaluates_like_its_inference_copy() {
    let device = Device::flex().autodiff();
    for case in cases() {
        let network = case.config.init(CLASSES, &device);
        network.forward(case.images(4, &device));
        let inner = Device::flex();
        let copy = network.valid().forward(case.images(2, &inner));
        let frozen = network.freeze().forward(case.images(2, &device));
        assert_close(case.name, frozen.inner(), copy, 1e-5, 1e-5);
    }
}

#[test]
fn a_record_gives_back_the_same_network() {
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for case in cases() {
        let training = device.clone().autodiff();
        let network = case.config.init(CLASSES, &training);
        // Statistics that differ from a fresh network's, which a record must carry too.
        network.forward(case.images(4, &training));
        let network = network.valid();
        let path = folder.path().join(case.name);
        network.clone().into_record().save(&path).expect("saves");
        let record = burn::store::ModuleRecord::load(&path).expect("loads");
        let again = case.config.init(CLASSES, &device).load_record(record);
        let images = case.images(2, &device);
        assert_eq!(network.forward(images.clone()).values(), again.forward(images).values(), "{}", case.name);
    }
}

#[test]
fn the_names_of_all_tensors_stay() {
    let device = Device::flex();
    for case in cases() {
        let keys = keys(&case.config.init(CLASSES, &device));
        let list: Vec<_> = keys.iter().map(|(name, shape)| format!("{name} {shape:?}")).collect();
        insta::assert_snapshot!(format!("keys-{}", case.name), list.join("\n"));
    }
}

#[test]
fn counts_of_parameters_are_those_of_the_literature() {
    let device = Device::flex();
    let count = |config: NetworkConfig, classes| config.parameters(classes, &device);
    let resnet = |config: ResNetConfig, classes| count(NetworkConfig::Resnet(config), classes);
    let grey = |config| ResNetConfig { input_channels: 1, ..config };
    assert_eq!(resnet(ResNetConfig::resnet18(), 1000), 11_689_512);
    assert_eq!(resnet(ResNetConfig::resnet34(), 1000), 21_797_672);
    assert_eq!(resnet(ResNetConfig::resnet50(), 1000), 25_557_032);
    assert_eq!(resnet(grey(ResNetConfig::resnet50()), 7), 23_516_103);
    assert_eq!(resnet(ResNetConfig::resnet18(), 7), 11_176_512 + 513 * 7);
    assert_eq!(resnet(grey(ResNetConfig::resnet18()), 7), 11_170_240 + 513 * 7);

    let ir = |config: IrConfig| count(NetworkConfig::Ir(config.with_classifier(false)), 0);
    assert_eq!(ir(IrConfig::ir50()), 30_727_360);
    assert_eq!(ir(IrConfig::ir50().with_face_head(FaceHead::default())), 43_574_976);
    assert_eq!(ir(IrConfig::ir18()), 11_169_920);
    assert_eq!(ir(IrConfig::ir50_three_stages()), 17_611_968);
    assert_eq!(count(NetworkConfig::Ir(IrConfig::ir50()), 7), 30_727_360 + 513 * 7);
}

#[test]
fn counts_of_cafe_are_those_of_its_parts() {
    const CLIP: usize = 87_849_216;
    let device = Device::flex();
    let counts = |config: CafeConfig| {
        let config = NetworkConfig::Cafe(config);
        [config.parameters(7, &device), config.trained_parameters(7, &device)]
    };
    assert_eq!(counts(CafeConfig::default()), [99_029_319, 11_180_103]);
    assert_eq!(counts(CafeConfig::default().resnet50()), [CLIP + 23_511_623, 23_511_623]);
    assert_eq!(counts(CafeConfig::default().mobilenet_v2()), [CLIP + 2_227_463, 2_227_463]);
    let tuned = ClipConfig { trainable: true, ..ClipConfig::default() };
    assert_eq!(counts(CafeConfig { clip: tuned, ..CafeConfig::default() }), [99_029_319; 2]);
    let probe = CafeConfig { mask: FeatureMask::Probe, ..CafeConfig::default() };
    assert_eq!(counts(probe), [CLIP + 3591, 3591]);
    let none = CafeConfig { mask: FeatureMask::None, ..CafeConfig::default() };
    assert_eq!(counts(none), [11_180_103; 2]);
}
