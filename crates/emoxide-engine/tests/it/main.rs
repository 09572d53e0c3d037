//! Compiled graphs against Burn on Flex, at every level of this machine.

use burn::tensor::activation::{prelu, relu};
use burn::tensor::module::{adaptive_avg_pool2d, batch_norm, conv2d, linear, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use emoxide_engine::{CompileError, Engine, Precision};
use emoxide_kernels::Level;
use emoxide_testing::{assert_close, portable};

mod operators;
mod transformers;

type Network = fn(&Device, Tensor<4>) -> Tensor<2>;

fn constant<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    tensor(portable::values(name, shape.iter().product()), shape, device)
}

/// A weight `[outputs, inputs, ..]` of such a size that sums keep theirs.
fn weight<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let inputs: usize = shape[1..].iter().product();
    let mut values = portable::values(name, shape.iter().product());
    for value in &mut values {
        *value /= (inputs as f32 / 3.0).sqrt();
    }
    tensor(values, shape, device)
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A 3x3 convolution to so many channels, without bias.
fn conv(name: &str, input: Tensor<4>, outputs: usize, stride: usize) -> Tensor<4> {
    let [_, inputs, ..] = input.dims();
    let weight = weight(name, [outputs, inputs, 3, 3], &input.device());
    conv2d(input, weight, None, ConvOptions::new([stride; 2], [1; 2], [1; 2], 1))
}

/// A norm; `zero` makes the scale of the first channel zero.
fn norm(name: &str, input: Tensor<4>, zero: bool) -> Tensor<4> {
    let (device, [_, channels, ..]) = (input.device(), input.dims());
    let mut scale = portable::values(&format!("{name}.scale"), channels);
    for scale in &mut scale {
        *scale = scale.abs() + 0.5;
    }
    if zero {
        scale[0] = 0.0;
    }
    let scale = tensor(scale, [channels], &device);
    let vector = |part: &str| constant(&format!("{name}.{part}"), [channels], &device);
    let variance = portable::values(&format!("{name}.variance"), channels);
    let variance = tensor(variance.iter().map(|value| value.abs() + 0.2).collect(), [channels], &device);
    batch_norm(input, scale, vector("shift"), vector("mean"), variance, 1e-5)
}

fn head(map: Tensor<4>) -> Tensor<2> {
    let (device, [_, channels, ..]) = (map.device(), map.dims());
    let pooled: Tensor<2> = adaptive_avg_pool2d(map, [1, 1]).flatten(1, 3);
    linear(pooled, constant("head", [channels, 5], &device), Some(constant("head.bias", [5], &device)))
}

fn agrees(name: &str, network: Network) {
    let (channels, rows, cols) = (3, 14, 11);
    for batch in [1, 3] {
        let values = portable::values("images", batch * channels * rows * cols);
        let device = Device::flex();
        let images = tensor(values.clone(), [batch, channels, rows, cols], &device);
        let expected = network(&device, images);
        for level in Level::available() {
            let engine = Engine::compile(level, Precision::F32, [channels, rows, cols], network)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(engine.outputs(), expected.dims()[1]);
            // Twice: the second answer meets memory that was used.
            for _ in 0..2 {
                let name = format!("{name}, batch {batch}, {}", level.name());
                assert_close(&name, engine.run(batch, &values), &expected, 1e-4, 1e-4);
            }
        }
    }
}

#[test]
fn convolutions_take_in_what_stands_around_them() {
    agrees("norm and activation behind", |_, images| {
        let x = relu(norm("a", conv("a", images, 20, 2), false));
        head(relu(norm("b", conv("b", x, 33, 1), false)))
    });
    agrees("norm before", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        head(relu(conv("b", norm("a", x, false), 18, 2)))
    });
    agrees("norm before that makes nothing zero", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        head(conv("b", norm("a", x, true), 18, 1))
    });
    agrees("two norms before two convolutions of one map", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        head(conv("b", norm("a", x.clone(), false), 18, 1) + conv("c", norm("b", x, false), 18, 1))
    });
    agrees("wide enough for Winograd's method", |_, images| {
        let x = relu(norm("a", conv("a", images, 32, 1), false));
        let y = relu(norm("b", conv("b", norm("c", x.clone(), false), 48, 1), false));
        head(relu(norm("d", conv("c", y, 32, 1), false) + x))
    });
}

#[test]
fn sums_are_carried_wherever_they_come_from() {
    agrees("two convolutions", |_, images| {
        let x = conv("a", images, 20, 1);
        head(relu(conv("b", x.clone(), 20, 1) + conv("c", x, 20, 1)))
    });
    agrees("an activation and a convolution, then a norm", |_, images| {
        let x = conv("a", images, 20, 1);
        head(norm("n", relu(x.clone()) + conv("b", x, 20, 1), false))
    });
    agrees("a map with itself", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        head(x.clone() + x)
    });
}

#[test]
fn pools_slopes_and_flattened_maps() {
    agrees("slopes", |device, images| {
        let x = prelu(conv("a", images, 20, 1), constant("slopes", [20], device));
        let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
        head(max_pool2d(x, options))
    });
    agrees("a flattened map", |device, images| {
        let x: Tensor<2> = norm("a", relu(conv("a", images, 20, 2)), false).flatten(1, 3);
        x.matmul(weight("w", [20 * 7 * 6, 9], device)) + constant("bias", [1, 9], device)
    });
}

#[test]
fn precision_is_what_was_asked_for() {
    let network: Network = |_, images| {
        let x = relu(conv("a", images, 32, 1));
        head(relu(norm("b", conv("b", x, 48, 2), false)))
    };
    let values = portable::values("images", 2 * 3 * 14 * 11);
    let device = Device::flex();
    let exact = network(&device, tensor(values.clone(), [2, 3, 14, 11], &device)).into_data();
    let exact = exact.try_to_vec::<f32>().unwrap();
    for level in Level::available() {
        for (precision, [least, most]) in [(Precision::Bf16, [1e-4, 1e-2]), (Precision::Int8, [1e-4, 3e-2])] {
            let engine = Engine::compile(level, precision, [3, 14, 11], network).unwrap();
            assert_eq!(engine.precision(), precision);
            let answer = engine.run(2, &values);
            let differences = answer.iter().zip(&exact).map(|(one, other)| (one - other).abs());
            let largest = differences.fold(0.0, f32::max) / exact.iter().fold(0.0, |size, x| x.abs().max(size));
            assert!((least..most).contains(&largest), "{precision}, {}: {largest}", level.name());
            // An image has its own scales, whatever stands beside it.
            assert_close("alone", engine.run(1, &values[..values.len() / 2]), &answer[..5], 1e-6, 1e-6);
        }
    }
}

#[test]
fn what_the_engine_lacks_is_named() {
    let refusal = |network: Network| {
        Engine::compile(Level::Portable, Precision::F32, [3, 14, 11], network).map(|_| ()).unwrap_err()
    };
    let cases: [(Network, &str); 7] = [
        (|_, images| head(conv("a", images, 8, 1).sin()), "the engine has no `Sin`"),
        (
            |device, images| {
                let options = ConvOptions::new([1; 2], [0; 2], [1; 2], 2);
                let x = conv("a", images, 6, 1);
                head(conv2d(x, constant("b", [4, 3, 3, 3], device), None, options))
            },
            "and 2 groups; only one stride",
        ),
        (
            |_, images| {
                let x = conv("a", images, 4, 1);
                head(x.clone() / x)
            },
            "the engine has no `Div` by what depends on the image",
        ),
        (|_, images| head(conv("a", images, 4, 1).powf_scalar(1.5)), "the engine has no `PowfScalar` of 1.5"),
        (|_, images| head(conv("a", images, 4, 1).flip([2])), "the engine has no `Flip`"),
        (
            |_, images| {
                let x: Tensor<3> = conv("a", images, 4, 1).flatten(2, 3);
                head(relu(x.clone().swap_dims(1, 2).matmul(x)).unsqueeze_dim(1))
            },
            "the engine has no `Relu` of attention scores",
        ),
        (|device, _| constant("a", [1, 4], device), "the engine has no `output` that does not depend on the image"),
    ];
    for (network, expected) in cases {
        let error = refusal(network);
        assert!(matches!(error, CompileError::Unsupported { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
}
