//! Networks against their PyTorch originals (`tools/reference/{resnet,ir,comparison,transfer,pcm,cafe,involution_vit}.py`):
//! three depths in evaluation, then one training step's logits, running statistics and gradients.

mod cafe;
mod involution_vit;
mod networks;
mod pcm;

use crate::support::{Gather, portable_network};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emoxide::models::{Classifier, Network, NetworkConfig, Outputs, Parallel};
use emoxide_engine::{Engine, Precision};
use emoxide_kernels::Level;
use emoxide_testing::{Fixture, Values, assert_close, portable};

const REL: f32 = 1e-3;
const ABS: f32 = 1e-4;

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values = portable::values("images", shape.iter().product());
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
}

/// Logits, and behind them what the losses of DACL and PCM see beside them.
fn answer(network: &Network, images: Tensor<4>) -> Tensor<2> {
    let Outputs { logits, attention, parallel, .. } = network.outputs(images);
    let parallel = parallel.map(|Parallel { global, local, branches }| [global, local, branches.flatten(1, 3)]);
    Tensor::cat([logits].into_iter().chain(attention).chain(parallel.into_iter().flatten()).collect(), 1)
}

/// Compares one case of a fixture and prints the largest differences.
fn agrees(topic: &str, case: &str, config: &NetworkConfig, classes: usize, shape: [usize; 4]) {
    let fixture = Fixture::open(topic);
    let expected = |what: &str| fixture.values(&format!("{case}/{what}"));
    let device = Device::flex();

    let network = portable_network(config, classes, &device);
    let features = network.features(images(shape, &device));
    let map = (&features.map).values();
    let map = if map.len() <= 8192 { map } else { portable::samples(&map, 4096) };
    let embedding = network.embed(features);
    let logits = answer(&network, images(shape, &device));
    let engine = compiled(&network, shape, expected("logits"));
    let seams = [
        assert_close("features", map, expected("features"), REL, ABS),
        assert_close("embedding", embedding, expected("embedding"), REL, ABS),
        assert_close("logits", logits, expected("logits"), REL, ABS),
    ];

    let device = device.autodiff();
    let network = portable_network(config, classes, &device);
    let logits = answer(&network, images(shape, &device));
    let train = assert_close("logits in training", &logits, expected("train"), REL, ABS);
    let cotangent = portable::values("cotangent", logits.shape().num_elements());
    let cotangent = Tensor::<1>::from_floats(cotangent.as_slice(), &device).reshape(logits.dims());
    let gradients = (logits * cotangent).sum().backward();
    let gather = Gather::from(&network, &gradients);

    let prefix = format!("{case}/stat/");
    let names: Vec<_> = fixture.names_below(&prefix).collect();
    assert_eq!(names, gather.statistic.keys().collect::<Vec<_>>(), "statistics");
    let mut statistic: f32 = 0.0;
    for name in names {
        let actual = portable::samples(&gather.statistic[name], 8);
        statistic = statistic.max(assert_close(name, actual, expected(&format!("stat/{name}")), REL, ABS));
    }

    let prefix = format!("{case}/grad/");
    let names: Vec<_> = fixture.names_below(&prefix).collect();
    let (frozen, trained): (Vec<_>, Vec<_>) = gather.gradient.keys().partition(|name| config.is_frozen(name));
    assert_eq!(names, trained, "parameters");
    assert!(frozen.iter().all(|name| gather.gradient[*name].is_none()), "a frozen parameter has a gradient");
    let mut gradient: f32 = 0.0;
    for name in names {
        let actual = gather.gradient[name].as_ref().unwrap_or_else(|| panic!("{name}: no gradient"));
        let expected = expected(&format!("grad/{name}"));
        // Relative to the gradient's own size, as its entries may be of any magnitude; or to what single precision does to
        // PyTorch's own gradient, which is all there is of one that is zero but for rounding. Where both are exactly zero,
        // ours must be.
        let size = expected[expected.len() - 1] / (actual.len() as f32).sqrt();
        let noise = fixture.values(&format!("{case}/noise/{name}"))[0];
        let unit = size.max(NOISE_SHARE * noise / GRADIENT_ABS).max(f32::MIN_POSITIVE);
        let scaled = |values: &[f32]| values[..values.len() - 1].iter().map(|value| value / unit).collect::<Vec<_>>();
        let actual = portable::samples(actual, 8);
        gradient = gradient.max(assert_close(name, scaled(&actual), scaled(expected), REL, GRADIENT_ABS));
    }
    println!(
        "{topic}/{case}: features {:.1e}, embedding {:.1e}, logits {:.1e}, compiled {engine:.1e}, in training: logits {train:.1e}, \
         statistics {statistic:.1e}, gradients {gradient:.1e} of their size",
        seams[0], seams[1], seams[2]
    );
}

/// Compares the compiled network, with all instructions that this machine has.
fn compiled(network: &Network, [batch, channels, rows, cols]: [usize; 4], expected: &[f32]) -> f32 {
    let images = portable::values("images", batch * channels * rows * cols);
    let compare = |level: Level| {
        let forward = |device: &Device, image| answer(&network.clone().to_device(device), image);
        let engine = Engine::compile(level, Precision::F32, [channels, rows, cols], forward);
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        assert_close(level.name(), engine.run(batch, &images), expected, REL, ABS)
    };
    Level::available().into_iter().map(compare).fold(0.0, f32::max)
}

/// Of a gradient's root mean square. Single precision moves a few activations across the kink of a rectifier, whose share of
/// the gradient then comes or goes.
const GRADIENT_ABS: f32 = 1e-3;

/// How many times PyTorch's own single-precision error a gradient may be off: two independent roundings and their tails.
const NOISE_SHARE: f32 = 4.0;
