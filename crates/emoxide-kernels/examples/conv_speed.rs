//! Speed of the convolution kernels against Burn's Flex backend, in the shapes of small residual networks.
//!
//! `cargo run --release -p emoxide-kernels --example conv_speed [repetitions]`
#![allow(clippy::print_stdout, reason = "prints its table")]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, module, ops::ConvOptions};
use emoxide_kernels::{
    Level, TrainingPrecision,
    conv::{self, Computing, Geometry},
};

/// Channels in and out, input side, kernel, stride.
const SHAPES: [[usize; 5]; 13] = [
    [1, 32, 48, 3, 1],
    [32, 32, 48, 3, 1],
    [32, 64, 48, 3, 2],
    [64, 64, 24, 3, 1],
    [64, 128, 24, 3, 2],
    [128, 128, 12, 3, 1],
    [128, 128, 12, 3, 2],
    [128, 128, 6, 3, 1],
    [32, 64, 48, 1, 2],
    [64, 64, 24, 1, 1],
    [3, 64, 112, 7, 2],
    [64, 64, 56, 3, 1],
    [512, 512, 7, 3, 1],
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repetitions = std::env::args().nth(1).map_or(Ok(5), |argument| argument.parse())?;
    let level = Level::active()?;
    println!("level {}, {} threads, GFLOP/s (best of {repetitions})", level.name(), rayon::current_num_threads());
    println!("{:32} {:>8} {:>8} {:>8} | {:>8} {:>8}", "shape", "forward", "input", "weight", "all", "flex all");
    let (mut total, mut ours, mut flex) = (0.0, 0.0, 0.0);
    for [input_channels, output_channels, side, kernel, stride] in SHAPES {
        let padding = kernel / 2;
        let geometry = Geometry {
            batch: if input_channels == 512 || side > 100 { 16 } else { 64 },
            input_channels,
            output_channels,
            depthwise: false,
            input: [side; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [(padding, padding); 2],
        };
        let operations = geometry.operations() as f64 * 1e-9;
        let [forward, input, weight] = kernels(level, &geometry, repetitions);
        let reference = reference(&geometry, repetitions.min(2));
        let all = forward + input + weight;
        let name = format!("{input_channels} -> {output_channels}, {side}x{side}, {kernel}x{kernel} / {stride}");
        println!(
            "{name:32} {:8.1} {:8.1} {:8.1} | {:8.1} {:8.1}   {:6.1} ms",
            operations / forward,
            operations / input,
            operations / weight,
            3.0 * operations / all,
            3.0 * operations / reference,
            all * 1e3,
        );
        total += 3.0 * operations;
        ours += all;
        flex += reference;
    }
    println!("{:60} | {:8.1} {:8.1}", "all", total / ours, total / flex);
    Ok(())
}

/// Seconds of forward pass, input gradient and weight gradient.
fn kernels(level: Level, geometry: &Geometry, repetitions: usize) -> [f64; 3] {
    let computing = Computing { level, precision: TrainingPrecision::F32 };
    let fill = |len: usize| (0..len).map(|i| (i % 101) as f32 / 50.0 - 1.0).collect::<Vec<f32>>();
    let input = fill(geometry.input_len());
    let weight = fill(geometry.weight_len());
    let gradient = fill(geometry.output_len());
    [
        best(repetitions, || drop(conv::forward(computing, geometry, &input, &weight, None))),
        best(repetitions, || drop(conv::input_gradient(computing, geometry, &weight, &gradient))),
        best(repetitions, || drop(conv::weight_gradient(computing, geometry, &input, &gradient))),
    ]
}

/// Seconds of forward and backward pass through Burn on Flex.
fn reference(geometry: &Geometry, repetitions: usize) -> f64 {
    let device = Device::flex().autodiff();
    let [rows, cols] = geometry.input;
    let [kernel_rows, kernel_cols] = geometry.kernel;
    let random = |shape| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device).require_grad();
    let input = random([geometry.batch, geometry.input_channels, rows, cols]);
    let weight = random([geometry.output_channels, geometry.input_channels, kernel_rows, kernel_cols]);
    let options = ConvOptions::new_with_padding(geometry.stride, geometry.padding, [1, 1], 1);
    best(repetitions, || {
        let output = module::conv2d(input.clone(), weight.clone(), None, options.clone());
        drop(output.sum().backward());
    })
}

fn best(repetitions: usize, mut run: impl FnMut()) -> f64 {
    (0..=repetitions)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}
