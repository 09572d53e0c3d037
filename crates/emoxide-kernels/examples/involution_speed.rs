//! Speed of the involution kernels against the same in Burn's operators on Flex, in the shapes of RedNet-50.
//!
//! `cargo run --release -p emoxide-kernels --example involution_speed [repetitions]`
#![allow(clippy::print_stdout, reason = "prints its table")]

use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Tensor};
use emoxide_kernels::{
    Level,
    involution::{self, Geometry},
    involution2d, keep_freed_memory,
};

/// Channels, input side, kernel, stride; groups are of 16 channels.
const SHAPES: [[usize; 4]; 8] = [
    [32, 112, 3, 1],
    [64, 56, 7, 1],
    [128, 56, 7, 2],
    [128, 28, 7, 1],
    [256, 28, 7, 2],
    [256, 14, 7, 1],
    [512, 14, 7, 2],
    [512, 7, 7, 1],
];

const BATCH: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repetitions = std::env::args().nth(1).map_or(Ok(5), |argument| argument.parse())?;
    let level = Level::active()?;
    keep_freed_memory();
    println!(
        "level {}, {} threads, batch {BATCH}, GFLOP/s and GB/s of what must be read and written (best of {repetitions})",
        level.name(),
        rayon::current_num_threads()
    );
    println!("{:26} {:>14} {:>14} {:>14} | {:>10}", "shape", "forward", "input", "kernels", "all");
    for [channels, side, kernel, stride] in SHAPES {
        let geometry = Geometry { batch: BATCH, channels, groups: channels / 16, input: [side; 2], kernel, stride };
        let operations = geometry.operations() as f64 * 1e-9;
        let bytes = 4e-9 * (geometry.input_len() + geometry.kernels_len() + geometry.output_len()) as f64;
        let seconds = kernels(level, &geometry, repetitions);
        let name = format!("{channels}, {side}x{side}, {kernel}x{kernel} / {stride}");
        let [forward, input, kernels] =
            seconds.map(|seconds| format!("{:7.1} {:6.1}", operations / seconds, bytes / seconds));
        let all = seconds.iter().sum::<f64>();
        println!("{name:26} {forward} {input} {kernels} | {:7.1} ms", all * 1e3);
    }
    let geometry = Geometry { batch: BATCH, channels: 64, groups: 4, input: [56; 2], kernel: 7, stride: 1 };
    for (name, dtype) in [("kernels, 32-bit", DType::F32), ("Burn's operators, 64-bit", DType::F64)] {
        println!("64, 56x56, 7x7 / 1 through autodiff, {name}: {:.1} ms", through_burn(&geometry, dtype, 2) * 1e3);
    }
    Ok(())
}

/// Seconds of forward pass, input gradient and kernel gradient.
fn kernels(level: Level, geometry: &Geometry, repetitions: usize) -> [f64; 3] {
    let fill = |len: usize| (0..len).map(|i| (i % 101) as f32 / 50.0 - 1.0).collect::<Vec<f32>>();
    let input = fill(geometry.input_len());
    let kernels = fill(geometry.kernels_len());
    let gradient = fill(geometry.output_len());
    [
        best(repetitions, || drop(involution::forward(level, geometry, &input, &kernels))),
        best(repetitions, || drop(involution::input_gradient(level, geometry, &kernels, &gradient))),
        best(repetitions, || drop(involution::kernel_gradient(level, geometry, &input, &gradient))),
    ]
}

/// Seconds of forward and backward pass through Burn's autodiff.
fn through_burn(geometry: &Geometry, dtype: DType, repetitions: usize) -> f64 {
    let device = Device::flex().autodiff();
    let Geometry { batch, channels, groups, input: [rows, cols], kernel, stride } = *geometry;
    let [output_rows, output_cols] = geometry.output();
    let uniform = Distribution::Uniform(-1.0, 1.0);
    let input = Tensor::<4>::random([batch, channels, rows, cols], uniform, (&device, dtype)).require_grad();
    let shape = [batch, groups, kernel * kernel, output_rows, output_cols];
    let kernels = Tensor::<5>::random(shape, uniform, (&device, dtype)).require_grad();
    best(repetitions, || {
        let output = involution2d(input.clone(), kernels.clone(), stride);
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
