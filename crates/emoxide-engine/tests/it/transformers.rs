//! Operators of transformers, in the forms in which networks write them.

use burn::module::Param;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::tensor::activation::{gelu, relu, sigmoid, softmax};
use burn::tensor::module::{adaptive_avg_pool2d, attention, conv2d, layer_norm, linear};
use burn::tensor::ops::{AttentionModuleOptions, ConvOptions};
use burn::tensor::{Device, Tensor};
use emoxide_engine::{Engine, Precision};
use emoxide_kernels::Level;

use crate::{agrees, constant, conv, norm, weight};

/// `[batch, .., inputs]` to `[batch, .., outputs]`.
fn dense<const D: usize>(name: &str, input: Tensor<D>, outputs: usize) -> Tensor<D> {
    let (device, inputs) = (input.device(), input.dims()[D - 1]);
    let transposed: Tensor<2> = weight(name, [outputs, inputs], &device);
    linear(input, transposed.swap_dims(0, 1), Some(constant(&format!("{name}.bias"), [outputs], &device)))
}

fn normalised<const D: usize>(name: &str, input: Tensor<D>) -> Tensor<D> {
    let (device, width) = (input.device(), input.dims()[D - 1]);
    let vector = |part: &str| constant(&format!("{name}.{part}"), [width], &device);
    layer_norm(input, vector("scale"), Some(vector("shift")), 1e-6)
}

/// `[batch, channels, rows, cols]` to `[batch, tokens, channels]`.
fn tokens(map: Tensor<4>) -> Tensor<3> {
    map.flatten::<3>(2, 3).swap_dims(1, 2)
}

/// Patches of 3x3 pixels.
fn patches(images: Tensor<4>, width: usize) -> Tensor<4> {
    let (device, [_, channels, ..]) = (images.device(), images.dims());
    let kernel = weight("patches", [width, channels, 3, 3], &device);
    let bias = constant("patches.bias", [width], &device);
    conv2d(images, kernel, Some(bias), ConvOptions::new([3; 2], [0; 2], [1; 2], 1))
}

/// Heads from one linear layer for queries, keys and values.
fn attended(name: &str, x: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, count, width] = x.dims();
    let parts = dense(&format!("{name}.qkv"), x, 3 * width);
    let parts = parts.reshape([batch, count, 3, heads, width / heads]).permute([2, 0, 3, 1, 4]);
    let part = |index: usize| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
    let [query, key, value] = [part(0), part(1), part(2)];
    let scale = 1.0 / ((width / heads) as f32).sqrt();
    let shares = softmax(query.matmul(key.swap_dims(2, 3)) * scale, 3);
    let result = shares.matmul(value).swap_dims(1, 2).reshape([batch, count, width]);
    dense(&format!("{name}.proj"), result, width)
}

/// A block of an encoder that normalises first.
fn block(name: &str, x: Tensor<3>, heads: usize) -> Tensor<3> {
    let [.., width] = x.dims();
    let part = |part: &str| format!("{name}.{part}");
    let x = x.clone() + attended(&part("attention"), normalised(&part("norm1"), x), heads);
    let hidden = gelu(dense(&part("fc1"), normalised(&part("norm2"), x.clone()), 2 * width));
    x + dense(&part("fc2"), hidden, width)
}

/// A class token in front, and positions.
fn with_class(x: Tensor<3>) -> Tensor<3> {
    let (device, [batch, count, width]) = (x.device(), x.dims());
    let class = constant::<3>("class", [1, 1, width], &device).expand([batch, 1, width]);
    Tensor::cat(vec![class, x], 1) + constant("positions", [1, 1 + count, width], &device)
}

#[test]
fn vision_transformers() {
    agrees("with a class token", |_, images| {
        let x = with_class(tokens(patches(images, 32)));
        let x = normalised("norm", block("second", block("first", x, 4), 4));
        let [batch, _, width] = x.dims();
        dense("head", x.slice([0..batch, 0..1, 0..width]).reshape([batch, width]), 7)
    });
    agrees("with heads that no vector fits", |_, images| {
        let x = with_class(tokens(patches(images, 30)));
        let x = normalised("norm", block("first", x, 5));
        dense("head", x.narrow(1, 0, 1).squeeze_dim::<2>(1), 7)
    });
    agrees("with the mean of all tokens", |device, images| {
        let x = tokens(patches(images, 32));
        let x = x + constant("positions", [1, 12, 32], device);
        dense("head", block("first", x, 2).mean_dim(1).squeeze_dim::<2>(1), 7)
    });
    agrees("back to a map", |_, images| {
        let map = patches(images, 32);
        let [batch, width, rows, cols] = map.dims();
        let x = normalised("norm", block("first", tokens(map.clone()), 2));
        let x = x.swap_dims(1, 2).reshape([batch, width, rows, cols]);
        let x = relu(norm("n", conv("c", x + map, 9, 1), false));
        adaptive_avg_pool2d(x, [1, 1]).flatten(1, 3)
    });
}

#[test]
fn encoders_that_normalise_last() {
    agrees("two maps, one above the other", |_, images| {
        let x = relu(norm("a", conv("a", images, 20, 2), false));
        let x = Tensor::cat(vec![conv("b", x.clone(), 24, 2), conv("c", x, 24, 2)], 2);
        let [batch, width, rows, cols] = x.dims();
        let x = x.permute([0, 2, 3, 1]).reshape([batch, rows * cols, width]);
        let x = normalised("norm1", x.clone() + attended("attention", x, 3));
        let x = normalised("norm2", x.clone() + dense("fc2", relu(dense("fc1", x, 40)), width));
        dense("head", x.mean_dim(1).reshape([batch, width]), 7)
    });
}

#[test]
fn attention_in_its_other_forms() {
    agrees("Burn's module", |device, images| {
        let x = tokens(patches(images, 32));
        let mut module = MultiHeadAttentionConfig::new(32, 4).with_dropout(0.0).init(device);
        let layers = [&mut module.query, &mut module.key, &mut module.value, &mut module.output];
        for (index, layer) in layers.into_iter().enumerate() {
            layer.weight = Param::from_tensor(weight(&format!("layer{index}"), [32, 32], device));
            layer.bias = Some(Param::from_tensor(constant(&format!("bias{index}"), [32], device)));
        }
        dense("head", module.forward(MhaInput::self_attn(x)).context.mean_dim(1).squeeze_dim::<2>(1), 7)
    });
    agrees("Burn's function", |_, images| {
        let x = tokens(patches(images, 32));
        let [batch, count, _] = x.dims();
        let part = |name: &str| dense(name, x.clone(), 32).reshape([batch, count, 2, 16]).swap_dims(1, 2);
        let result = attention(part("q"), part("k"), part("v"), None, None, AttentionModuleOptions::default());
        result.swap_dims(1, 2).reshape([batch, count, 32]).mean_dim(1).squeeze_dim::<2>(1)
    });
    agrees("one head on a map", |_, images| {
        // Queries and keys are the same and unscaled, values wider than both.
        let x = relu(conv("a", images, 20, 2));
        let [batch, channels, rows, cols] = x.dims();
        let project = |name: &str, outputs: usize| {
            let kernel = weight(name, [outputs, channels, 1, 1], &x.device());
            let x = conv2d(x.clone(), kernel, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
            x.reshape([batch, outputs, rows * cols])
        };
        let (key, value) = (project("key", 5), project("value", 20).swap_dims(1, 2));
        let shares = softmax(key.clone().swap_dims(1, 2).matmul(key), 2);
        let y = shares.matmul(value).swap_dims(1, 2).reshape([batch, channels, rows, cols]);
        adaptive_avg_pool2d(x + y, [1, 1]).flatten(1, 3)
    });
    agrees("of a single position", |_, images| {
        let x = adaptive_avg_pool2d(conv("a", images, 20, 2), [1, 1]);
        let [batch, ..] = x.dims();
        let project = |name: &str, outputs: usize| dense(name, x.clone().reshape([batch, 1, 20]), outputs);
        let key = project("key", 6);
        let shares = softmax(key.clone().matmul(key.swap_dims(1, 2)), 2);
        (x.clone().reshape([batch, 1, 20]) + shares.matmul(project("value", 20))).squeeze_dim::<2>(1)
    });
    agrees("tokens from branches", |device, images| {
        // Vectors of several maps are channels first, tokens then.
        let first = relu(conv("a", images, 20, 2));
        let second = relu(conv("b", first.clone(), 24, 2));
        let branch = |map: &Tensor<4>, name: &str| -> Tensor<2> {
            adaptive_avg_pool2d(relu(norm(name, conv(name, map.clone(), 8, 1), false)), [1, 1]).flatten(1, 3)
        };
        let branches: Vec<Tensor<2>> = [(&first, "p"), (&second, "q")]
            .into_iter()
            .flat_map(|(map, name)| (0..3).map(move |index| branch(map, &format!("{name}{index}"))))
            .collect();
        let x: Tensor<3> = Tensor::stack(branches, 1);
        let [batch, ..] = x.dims();
        let x = x.reshape([batch, 2, 3, 8]).permute([0, 2, 1, 3]).reshape([batch, 3, 16]);
        let global: Tensor<2> = adaptive_avg_pool2d(conv("global", second, 16, 1), [1, 1]).flatten(1, 3);
        let class = constant::<3>("class", [1, 1, 16], device).repeat_dim(0, batch);
        let x =
            Tensor::cat(vec![x, global.unsqueeze_dim::<3>(1), class], 1) + constant("positions", [1, 5, 16], device);
        let x = attended("attention", x.clone(), 4) + x;
        let local: Tensor<2> = x.clone().narrow(1, 0, 3).flatten(1, 2);
        dense("local", local, 7) + dense("all", x.flatten::<2>(1, 2), 7)
    });
    agrees("masked features as tokens", |_, images| {
        let x = relu(conv("a", images, 20, 2));
        let mask = |name: &str| {
            let kernel = weight(name, [1, 20, 1, 1], &x.device());
            sigmoid(conv2d(x.clone(), kernel, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1)))
        };
        let x = mask("b").max_pair(mask("c")) * x.clone();
        let x = with_class(dense("embed", tokens(x), 32));
        let x = normalised("norm", block("first", x, 2));
        dense("head", x.narrow(1, 0, 1).squeeze_dim::<2>(1), 7)
    });
}

#[test]
fn what_attention_lacks_is_named() {
    let refusal = |network: fn(&Device, Tensor<4>) -> Tensor<2>| {
        let engine = Engine::compile(Level::Portable, Precision::F32, [3, 14, 11], network);
        engine.map(|_| ()).unwrap_err().to_string()
    };
    let biased = refusal(|device, images| {
        let x = tokens(patches(images, 16));
        let scores = x.clone().matmul(x.clone().swap_dims(1, 2)) + constant("bias", [1, 12, 12], device);
        softmax(scores, 2).matmul(x).mean_dim(1).squeeze_dim::<2>(1)
    });
    assert!(biased.contains("the engine has no `Add` of attention scores"), "{biased}");
    let across = refusal(|_, images| {
        let x = tokens(patches(images, 16));
        let scores = x.clone().matmul(x.clone().swap_dims(1, 2));
        softmax(scores, 1).matmul(x).mean_dim(1).squeeze_dim::<2>(1)
    });
    assert!(across.contains("the engine has no `Softmax` of attention scores, but over the keys"), "{across}");
    let plain = refusal(|_, images| {
        let x = tokens(patches(images, 16));
        x.clone().matmul(x.clone().swap_dims(1, 2)).matmul(x).mean_dim(1).squeeze_dim::<2>(1)
    });
    assert!(plain.contains("the engine has no `Matmul` but with a weight or as attention"), "{plain}");
}
