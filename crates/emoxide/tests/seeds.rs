//! A seed fixes all weights. Alone in its file: other tests of the same process would draw from the same generator.

#[path = "it/tiny.rs"]
mod tiny;

use burn::tensor::Device;
use burn_store::{ModuleSnapshot, bridge};
use emoxide::models::{
    FaceHead, IrConfig, LocalBase, LocalTransformerConfig, Network, NetworkConfig, PlainConfig, ResNetConfig,
    TransferConfig,
};
use emoxide::weights::{Head, import};
use emoxide_testing::fixture_path;

/// One number that changes with any weight.
fn checksum(network: &Network) -> u64 {
    let mut sum = 0.0;
    for (index, tensor) in network.collect(None, None, true).into_iter().enumerate() {
        let data = bridge::into_data(tensor).expect("readable").try_to_vec::<f32>().expect("floats");
        let weigh = |(place, value): (usize, &f32)| f64::from(*value) * ((index * 31 + place) % 1013 + 1) as f64;
        sum += data.iter().enumerate().map(weigh).sum::<f64>();
    }
    sum.to_bits()
}

fn equal_seeds_draw_equal_weights() {
    let device = Device::flex();
    let ir = IrConfig { widths: vec![6, 8], units: vec![2, 1], ..IrConfig::ir50() };
    let head = FaceHead { image_size: 16, ..FaceHead::default() };
    let transformer = LocalTransformerConfig {
        base: LocalBase::Plain(PlainConfig { widths: vec![6, 8] }),
        local_width: 8,
        depth: 2,
        heads: 2,
        hidden: 6,
        ..LocalTransformerConfig::default()
    };
    let transfer = TransferConfig {
        image_size: 16,
        widths: vec![6, 8, 8],
        units: vec![1, 1, 1],
        lanet_ratio: 2,
        width: 8,
        depth: 2,
        heads: 2,
        hidden: 6,
        zero_head: false,
        ..TransferConfig::default()
    };
    let configs = [
        NetworkConfig::Resnet(ResNetConfig { widths: vec![6, 8], blocks: vec![2, 1], ..ResNetConfig::resnet18() }),
        NetworkConfig::Ir(ir.with_face_head(head)),
        NetworkConfig::LocalTransformer(transformer),
        NetworkConfig::Transfer(transfer),
    ];
    for config in configs {
        let draw = |seed| {
            device.seed(seed);
            let network = config.init(5, &device);
            // What is drawn afterwards must not matter.
            device.seed(1);
            checksum(&network)
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}

/// The classifier that a dropped head leaves fresh is drawn by the import, not at its first use.
fn the_fresh_head_of_a_backbone_is_drawn_at_import() {
    let device = Device::flex();
    let file = fixture_path("pth/backbone.pth");
    let draw = |seed| {
        device.seed(seed);
        let network = import(&file, &tiny::resnet(), 5, Some("backbone"), Head::Drop, &device).expect("imports");
        device.seed(1);
        checksum(&network)
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

/// One after the other: the generator is the process's.
#[test]
fn seeds_fix_weights() {
    equal_seeds_draw_equal_weights();
    the_fresh_head_of_a_backbone_is_drawn_at_import();
}
