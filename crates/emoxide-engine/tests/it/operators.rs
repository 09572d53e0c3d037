//! Operators of convolutional networks.

use burn::module::Param;
use burn::nn::GroupNormConfig;
use burn::tensor::Tensor;
use burn::tensor::activation::{
    gelu, gelu_approximate, hard_sigmoid, hard_swish, leaky_relu, prelu, relu, relu6, sigmoid, silu, softmax,
};
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use emoxide_kernels::involution2d;

use crate::{agrees, constant, conv, head, norm, weight};

/// A 3x3 convolution of every channel with a window of its own.
fn depthwise(name: &str, input: Tensor<4>, stride: usize) -> Tensor<4> {
    let [_, channels, ..] = input.dims();
    let weight = weight(name, [channels, 1, 3, 3], &input.device());
    conv2d(input, weight, None, ConvOptions::new([stride; 2], [1; 2], [1; 2], channels))
}

/// A 1x1 convolution.
fn pointwise(name: &str, input: Tensor<4>, outputs: usize) -> Tensor<4> {
    let (device, [_, inputs, ..]) = (input.device(), input.dims());
    let bias = constant(&format!("{name}.bias"), [outputs], &device);
    conv2d(
        input,
        weight(name, [outputs, inputs, 1, 1], &device),
        Some(bias),
        ConvOptions::new([1; 2], [0; 2], [1; 2], 1),
    )
}

#[test]
fn depthwise_convolutions_take_in_what_stands_around_them() {
    agrees("an inverted residual", |_, images| {
        let x = relu6(norm("a", conv("a", images, 20, 2), false));
        let y = relu6(norm("b", pointwise("b", x.clone(), 50), false));
        let y = relu6(norm("c", depthwise("c", y, 1), false));
        let x = norm("d", pointwise("d", y, 20), false) + x;
        let y = relu6(norm("e", pointwise("e", x, 40), false));
        head(norm("f", depthwise("f", y, 2), false))
    });
    agrees("a norm before, a sum behind", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        head(relu(depthwise("b", norm("b", x.clone(), false), 1) + x))
    });
    agrees("of the picture", |_, images| head(pointwise("b", depthwise("a", images, 2), 9)));
}

#[test]
fn convolutions_whose_sides_have_paddings_of_their_own() {
    agrees("of the picture, TensorFlow's", |device, images| {
        let padding = [(2, 3), (3, 3)];
        let options = ConvOptions { padding, ..ConvOptions::new([2; 2], [0; 2], [1; 2], 1) };
        head(relu(conv2d(images, weight("a", [20, 3, 7, 7], device), None, options)))
    });
    agrees("of a map, none before it", |device, images| {
        let x = relu(norm("n", conv("a", images, 20, 1), false));
        let padding = [(0, 1), (0, 2)];
        let options = ConvOptions { padding, ..ConvOptions::new([2; 2], [0; 2], [1; 2], 1) };
        head(conv2d(x, weight("b", [33, 20, 3, 3], device), None, options))
    });
    agrees("of every channel with a window of its own", |device, images| {
        let x = relu(conv("a", images, 20, 1));
        let padding = [(1, 0), (0, 1)];
        let options = ConvOptions { padding, ..ConvOptions::new([1; 2], [0; 2], [1; 2], 20) };
        head(conv2d(x, weight("b", [20, 1, 2, 2], device), None, options))
    });
}

#[test]
fn involutions_by_kernels_that_the_image_makes() {
    agrees("of every pixel", |_, images| {
        let x = relu(conv("a", images, 24, 1));
        let [batch, _, rows, cols] = x.dims();
        let kernels = pointwise("b", x.clone(), 3 * 9).reshape([batch, 3, 9, rows, cols]);
        head(norm("n", involution2d(x, kernels, 1), false))
    });
    agrees("of every second pixel", |_, images| {
        let x = relu(conv("a", images, 32, 1));
        let kernels = conv("b", x.clone(), 2 * 49, 2);
        let [batch, _, rows, cols] = kernels.dims();
        head(relu(involution2d(x, kernels.reshape([batch, 2, 49, rows, cols]), 2)))
    });
}

#[test]
fn activations_of_every_kind() {
    agrees("behind convolutions", |_, images| {
        let x = gelu(norm("a", conv("a", images, 20, 2), false));
        head(silu(conv("b", x.clone(), 18, 1)) + sigmoid(conv("c", x, 18, 1)))
    });
    agrees("of one map", |_, images| {
        let x = conv("a", images, 20, 2);
        let first = gelu(x.clone()) + gelu_approximate(x.clone()) + silu(x.clone()) + hard_swish(x.clone());
        let second = hard_sigmoid(x.clone(), 0.2, 0.5) + leaky_relu(x.clone(), 0.1) + x.clone().tanh();
        let third = x.clone().clamp(-0.5, 0.25) + x.clone().clamp_min(0.1) + x.clone().clamp_max(0.2);
        head(first + second * third)
    });
    agrees("QuickGELU", |_, images| {
        let x = conv("a", images, 20, 2);
        head(x.clone() * sigmoid(x * 1.702))
    });
    agrees("arithmetic", |_, images| {
        let x = conv("a", images, 20, 2);
        let y = (x.clone() * 2.0 + 1.0 - 3.0) / 4.0;
        head(y.clone().powi_scalar(2) + y.powi_scalar(3) - x.neg())
    });
}

#[test]
fn gates_and_attention_maps() {
    agrees("squeeze and excitation", |device, images| {
        let x = relu(conv("a", images, 20, 1));
        let gate = adaptive_avg_pool2d(x.clone(), [1, 1]);
        let gate = sigmoid(pointwise("c", relu(pointwise("b", gate, 5)), 20));
        let slopes = constant("slopes", [20], device);
        head(prelu(x.clone() * gate, slopes) + x)
    });
    agrees("a map for all channels", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        let mask = |name: &str| sigmoid(norm(name, pointwise(name, relu(pointwise("b", x.clone(), 4)), 1), false));
        head(mask("c").max_pair(mask("d")) * x)
    });
    agrees("the largest of three maps", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        let maps = ["b", "c", "d"].map(|name| sigmoid(pointwise(name, x.clone(), 1)));
        let stacked = Tensor::cat(maps.to_vec(), 1).max_dim(1);
        let again = Tensor::<4>::stack::<5>(maps.to_vec(), 1).max_dim(1).squeeze_dim::<4>(1);
        head(x.clone() * stacked - again * x)
    });
    agrees("features times a mask", |_, images| {
        let features: Tensor<2> = adaptive_avg_pool2d(conv("a", images.clone(), 20, 1), [1, 1]).flatten(1, 3);
        let mask: Tensor<2> = adaptive_avg_pool2d(conv("b", images, 20, 2), [1, 1]).flatten(1, 3);
        let device = mask.device();
        linear(features * sigmoid(mask), weight("w", [20, 7], &device), Some(constant("bias", [7], &device)))
    });
    agrees("differences of unequal sizes", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        head(x.clone() - adaptive_avg_pool2d(x, [1, 1]))
    });
    agrees("shares of channels", |_, images| head(softmax(conv("a", images, 20, 1) * 3.0, 1)));
    agrees("shares of pairs", |_, images| {
        let x: Tensor<2> = adaptive_avg_pool2d(conv("a", images, 20, 1), [1, 1]).flatten(1, 3);
        let [batch, _] = x.dims();
        softmax(x.reshape([batch, 10, 2]), 2).slice([0..batch, 0..10, 1..2]).reshape([batch, 10])
    });
    agrees("constants of every shape", |device, images| {
        let x = conv("a", images, 20, 2);
        let x = x * constant("b", [1, 20, 1, 1], device) - constant("c", [1, 1, 7, 6], device);
        let x = constant("d", [1, 20, 7, 6], device) - x * constant("e", [1, 1, 7, 1], device);
        head(x / constant("f", [1, 20, 1, 1], device).add_scalar(2.0))
    });
}

#[test]
fn maps_are_cut_and_joined_anywhere() {
    agrees("channels", |_, images| {
        let x = relu(conv("a", images, 21, 1));
        let parts = x.clone().split_with_sizes(vec![3, 11, 7], 1);
        let joined = Tensor::cat(vec![parts[2].clone(), conv("b", x, 5, 1), parts[0].clone(), parts[1].clone()], 1);
        head(relu(conv("c", joined, 9, 1)))
    });
    agrees("rows and columns", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        let [batch, channels, rows, cols] = x.dims();
        let inner = x.clone().slice([0..batch, 0..channels, 2..rows - 1, 1..cols]);
        let row = x.clone().narrow(2, 3, 1);
        let tall = Tensor::cat(vec![row, conv("b", x, 20, 1)], 2);
        head(conv("c", tall, 9, 1)) + head(inner)
    });
    agrees("the picture itself", |_, images| {
        let [batch, ..] = images.dims();
        let green = images.clone().slice([0..batch, 1..2, 0..14, 0..11]);
        head(relu(Tensor::cat(vec![images.clone() * 2.0, green], 1))) + head(images)
    });
}

#[test]
fn pools_of_every_kind() {
    agrees("averages", |_, images| {
        let x = conv("a", images, 20, 1);
        let counted = avg_pool2d(x.clone(), AvgPoolOptions::new([3, 2]).with_stride([2, 1]).with_padding([1, 1]));
        let options = AvgPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
        let inside = avg_pool2d(x.clone(), options.with_count_include_pad(false));
        head(conv("b", counted, 9, 1)) + head(conv("c", inside, 9, 1)) + head(adaptive_avg_pool2d(x, [1, 1]))
    });
    agrees("shares of a map", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        let pooled = adaptive_avg_pool2d(x.clone(), [6, 7]);
        head(conv("b", pooled, 9, 1)) + head(adaptive_avg_pool2d(x, [14, 11]))
    });
    agrees("with a last window that ends outside", |_, images| {
        let x = relu(conv("a", images, 20, 1));
        let options = MaxPoolOptions::new([3, 2]).with_stride([2, 2]).with_ceil_mode(true);
        head(conv("b", max_pool2d(x, options), 9, 1))
    });
    agrees("of whole maps", |device, images| {
        let x = conv("a", images, 20, 1);
        let [batch, channels, ..] = x.dims();
        let largest = x.clone().max_dim(3).max_dim(2).reshape([batch, channels]);
        let mean = x.clone().mean_dim(2).mean_dim(3).reshape([batch, channels]);
        let sum = x.sum_dim(2).max_dim(3).reshape([batch, channels]);
        linear(Tensor::cat(vec![largest, mean, sum], 1), weight("w", [60, 7], device), None)
    });
    agrees("before large linear layers", |device, images| {
        let x = relu(conv_of_size("a", images, 16, 5, 4));
        let x: Tensor<2> = adaptive_avg_pool2d(x, [6, 6]).flatten(1, 3);
        let x = relu(linear(x, weight("w", [16 * 36, 40], device), Some(constant("bias", [40], device))));
        linear(x, weight("v", [40, 7], device), Some(constant("v.bias", [7], device)))
    });
}

/// A large window that moves on quickly.
fn conv_of_size(name: &str, input: Tensor<4>, outputs: usize, kernel: usize, stride: usize) -> Tensor<4> {
    let [_, inputs, ..] = input.dims();
    let weight = weight(name, [outputs, inputs, kernel, kernel], &input.device());
    conv2d(input, weight, None, ConvOptions::new([stride; 2], [2; 2], [1; 2], 1))
}

/// A norm of groups of channels, with a factor and a summand for every channel.
fn group_norm(name: &str, input: Tensor<4>, groups: usize) -> Tensor<4> {
    let (device, [_, channels, ..]) = (input.device(), input.dims());
    let mut module = GroupNormConfig::new(groups, channels).init(&device);
    module.gamma = Some(Param::from_tensor(constant(&format!("{name}.scale"), [channels], &device)));
    module.beta = Some(Param::from_tensor(constant(&format!("{name}.shift"), [channels], &device)));
    module.forward(input)
}

#[test]
fn norms_of_groups() {
    agrees("Burn's module", |_, images| {
        let x = relu(group_norm("n", conv("a", images, 20, 2), 4));
        let y = group_norm("m", conv("b", x.clone(), 20, 1), 1);
        head(relu(y + group_norm("o", x, 10)))
    });
    agrees("standardised weights", |device, images| {
        let kernel: Tensor<4> = weight("a", [20, 3, 3, 3], device);
        let flat: Tensor<2> = kernel.flatten(1, 3);
        let centred = flat.clone() - flat.mean_dim(1);
        let deviation = (centred.clone() * centred.clone()).mean_dim(1).add_scalar(1e-8).sqrt();
        let kernel = (centred / deviation).reshape([20, 3, 3, 3]);
        let x = conv2d(images, kernel, None, ConvOptions::new([2; 2], [1; 2], [1; 2], 1));
        head(relu(group_norm("n", x, 5)))
    });
}
