//! Parts of a network that training leaves alone: CAFE's image tower.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use emoxide::models::{
    CafeConfig, Classifier, ClipConfig, MaskBackbone, Network, NetworkConfig, Outputs, Stem, TrunkConfig,
};
use emoxide_testing::portable;
use emoxide_train::ema::{Ema, EmaConfig};
use emoxide_train::loss::{ChannelSeparationConfig, ObjectiveConfig};
use emoxide_train::optimiser::{Adamw, OptimiserConfig, Sgd};
use emoxide_train::snapshot::{self, Tensors};

fn config(trainable: bool) -> NetworkConfig {
    let trunk = TrunkConfig {
        stem: Stem::Compact,
        stem_width: 4,
        widths: vec![6, 14],
        blocks: vec![1, 1],
        ..Default::default()
    };
    let clip = ClipConfig {
        patch: 8,
        width: 12,
        depth: 1,
        heads: 3,
        hidden: 18,
        embedding: 14,
        trainable,
        ..Default::default()
    };
    NetworkConfig::Cafe(CafeConfig {
        image_size: 16,
        backbone: MaskBackbone::Resnet(trunk),
        clip,
        ..Default::default()
    })
}

fn tensor<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = portable::values(name, shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

/// The gradients with `λ` and `β`.
fn gradients(network: &Network, separation: f64, diverse: f64) -> GradientsParams {
    let device = Device::flex().autodiff();
    device.seed(1);
    let classes = emoxide::labels::Classes::seven();
    let drop = ChannelSeparationConfig { separation, diverse, drop: 1, ..Default::default() };
    let mut objective = ObjectiveConfig::ChannelSeparation(drop).init(&classes, &[1; 7], 14, &device).unwrap();
    let targets = Tensor::<2>::eye(7, &device).narrow(0, 0, 4);
    let outputs = network.outputs(tensor("images", [4, 3, 16, 16], &device));
    let gradients = objective.forward(outputs, targets).backward();
    GradientsParams::from_grads(gradients, network)
}

/// Names of the tensors that differ.
fn changed(before: &Tensors, after: &Tensors) -> Vec<String> {
    let values = |tensors: &Tensors, name: &str| tensors[name].clone().try_into_vec::<f32>().unwrap();
    let differs = |name: &&String| values(before, name) != values(after, name);
    before.keys().filter(differs).cloned().collect()
}

/// Three steps with weight decay and an average of the weights, from a state that was saved and taken back between them.
fn trained(trainable: bool) -> (Tensors, Tensors, Tensors, Vec<u8>) {
    let device = Device::flex().autodiff();
    let mut network = config(trainable).init(7, &device);
    let before = snapshot::tensors_of(&network);
    let adamw = Adamw { rate: 1e-2, weight_decay: 0.1, ..Adamw::default() };
    let mut optimiser = OptimiserConfig::Adamw(adamw).init();
    let mut average = Ema::new(EmaConfig { decay: 0.9 }, &network);
    for _ in 0..3 {
        let gradients = gradients(&network, 1.5, 5.0);
        network = optimiser.step(0.01, network, gradients);
        average = average.update(&network);
        let saved = snapshot::tensors_of(&network);
        network = snapshot::restore(config(trainable).init(7, &device), saved).unwrap();
    }
    let averaged = snapshot::tensors_of(average.network());
    (before, snapshot::tensors_of(&network), averaged, optimiser.to_bytes().unwrap())
}

fn of_tower(name: &str) -> bool {
    name.contains(".clip.")
}

#[test]
fn a_frozen_tower_keeps_its_weights_bit_for_bit() {
    let (before, after, averaged, state) = trained(false);
    for (what, tensors) in [("trained", after), ("averaged", averaged)] {
        let changed = changed(&before, &tensors);
        assert_eq!(changed.iter().filter(|name| of_tower(name)).count(), 0, "{what}: {changed:?}");
        let rest = before.keys().filter(|name| !of_tower(name)).count();
        assert_eq!(changed.len(), rest, "{what}: all others move");
    }
    let (moments, _): (Tensors, serde_json::Value) = snapshot::from_bytes(&state).unwrap();
    assert!(!moments.is_empty() && !moments.keys().any(|name| of_tower(name)), "the optimiser knows nothing of it");
}

#[test]
fn a_tower_that_is_trained_moves() {
    let (before, after, _, _) = trained(true);
    let tower = before.keys().filter(|name| of_tower(name)).count();
    assert_eq!(changed(&before, &after).iter().filter(|name| of_tower(name)).count(), tower);
}

#[test]
fn a_frozen_tower_asks_for_no_gradient_again_after_evaluation() {
    let device = Device::flex().autodiff();
    let network = config(false).init(7, &device);
    let again = network.valid().train();
    let (first, second) = (gradients(&network, 1.5, 5.0).len(), gradients(&again, 1.5, 5.0).len());
    // The classifier's two and those of the mask network: the stem, and two blocks with a convolution around each.
    assert_eq!((first, second), (2 + 3 + 9 + 9, 2 + 3 + 9 + 9));
}

#[test]
fn the_losses_of_channels_teach_the_mask_and_not_the_classifier() {
    let device = Device::flex().autodiff();
    let network = config(false).init(7, &device);
    let stepped = |separation, diverse| {
        let gradients = gradients(&network, separation, diverse);
        snapshot::tensors_of(&OptimiserConfig::Sgd(Sgd::default()).init().step(0.1, network.clone(), gradients))
    };
    let plain = stepped(0.0, 0.0);
    for other in [stepped(1.5, 0.0), stepped(0.0, 5.0), stepped(1.5, 5.0)] {
        let changed = changed(&plain, &other);
        assert!(changed.iter().all(|name| name.contains(".mask.")) && changed.len() > 10, "{changed:?}");
    }
}

#[test]
fn features_that_are_kept_give_the_same_outputs_and_gradients() {
    let device = Device::flex().autodiff();
    let network = config(false).init(7, &device);
    let images = tensor("images", [4, 3, 16, 16], &device);
    let kept = network.frozen_features(images.clone()).map(Tensor::detach);
    assert!(kept.is_some() && config(true).init(7, &device).frozen_features(images.clone()).is_none());
    let step = |outputs: Outputs| {
        let logits = outputs.logits.clone();
        let gradients = GradientsParams::from_grads((logits.powi_scalar(2)).sum().backward(), &network);
        let stepped = OptimiserConfig::Sgd(Sgd::default()).init().step(0.1, network.clone(), gradients);
        (outputs.embedding.into_data(), outputs.logits.into_data(), snapshot::tensors_of(&stepped))
    };
    let (with, without) = (step(network.outputs_with(images.clone(), kept)), step(network.outputs(images)));
    assert_eq!((with.0, with.1), (without.0, without.1));
    // The statistics of norms move with every forward pass; the second one saw those of the first.
    let changed = changed(&with.2, &without.2);
    assert!(changed.iter().all(|name| name.contains(".running_")), "{changed:?}");
}
