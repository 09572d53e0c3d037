use burn::module::{Flag, Module, Param};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Distribution, Tensor};

use super::max_pool2d;

/// What training zeroes among several maps of an image. Rates are probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DropKind {
    /// Nothing.
    None,
    /// Multi-attention dropping: in a share `rate` of the images one map, any as likely as the others. What remains keeps
    /// its size. Paper: `TransFER`, ICCV 2021, section 3.2.
    Mad {
        /// Share of the images that lose a map, in `[0, 1]`.
        rate: f64,
    },
    /// Single numbers; the others grow by `1 / (1 - rate)`.
    Elements {
        /// Share of the numbers, in `[0, 1)`.
        rate: f64,
    },
    /// Whole maps, each by itself; the others grow by `1 / (1 - rate)`. Paper: Tompson et al., CVPR 2015.
    Maps {
        /// Share of the maps, in `[0, 1)`.
        rate: f64,
    },
    /// Squares of `side` x `side` places, about a share `rate` of all; the others grow by what is missing. Paper:
    /// Ghiasi et al., `DropBlock`, arXiv 1810.12890, algorithm 1.
    Blocks {
        /// Share of the places, in `[0, 1)`.
        rate: f64,
        /// Side of a square in places, no longer than the maps'.
        side: usize,
    },
}

/// Zeroes parts of maps. It does so only where both hold: the maps live on an autodiff device, and the layer is not frozen.
#[derive(Module, Debug)]
pub struct DropMaps {
    #[module(skip)]
    kind: DropKind,
    training: Param<Flag>,
}

impl DropMaps {
    /// Drops as `kind` says.
    pub fn new(kind: DropKind) -> Self {
        Self { kind, training: Param::from_bool(true) }
    }

    /// `[batch, maps, rows, cols]` → the same shape. Every image, and every call, draws anew.
    pub fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let device = maps.device();
        if !(device.is_autodiff() && self.training.is_enabled()) {
            return maps;
        }
        let [batch, count, rows, cols] = maps.dims();
        let scaled = |shape: [usize; 4], rate: f64| draw(shape, 1.0 - rate, &device) / (1.0 - rate);
        match self.kind {
            DropKind::None => maps,
            DropKind::Mad { rate } => maps * (-one_of(batch, count, rate, &device) + 1.0),
            DropKind::Elements { rate } => maps * scaled([batch, count, rows, cols], rate),
            DropKind::Maps { rate } => maps * scaled([batch, count, 1, 1], rate),
            DropKind::Blocks { rate, side } => {
                let seeds = [rows + 1 - side, cols + 1 - side];
                let area = (rows * cols) as f64 / ((side * side) * (seeds[0] * seeds[1])) as f64;
                let seeds = draw([batch, count, seeds[0], seeds[1]], (rate * area).min(1.0), &device);
                // A square for every seed: what its window sees of the padded seeds.
                let hits = max_pool2d(
                    seeds.pad([(side - 1, side - 1), (side - 1, side - 1)], PadMode::Constant(0.0)),
                    side,
                    1,
                    0,
                );
                let kept = -hits + 1.0;
                let share = kept.clone().mean().clamp_min(1.0 / (batch * count * rows * cols) as f64);
                maps * kept / share.reshape([1, 1, 1, 1])
            }
        }
    }
}

/// In a share `rate` of the rows a one at one of `count` places, any as likely as the others; zeros elsewhere:
/// `[batch, count, 1, 1]`.
pub fn one_of(batch: usize, count: usize, rate: f64, device: &Device) -> Tensor<4> {
    let shape = [batch, count, 1, 1];
    let last = count as f64 - 1.0;
    let uniform = Tensor::<4>::random([batch, 1, 1, 1], Distribution::Uniform(0.0, count as f64), device);
    let drawn = uniform.floor().clamp_max(last).expand(shape);
    let places = Tensor::arange(0..count as i64, device).float().reshape([1, count, 1, 1]).expand(shape);
    drawn.equal(places).float() * draw([batch, 1, 1, 1], rate, device)
}

/// Ones with probability `share`, zeros otherwise.
fn draw(shape: [usize; 4], share: f64, device: &Device) -> Tensor<4> {
    Tensor::random(shape, Distribution::Bernoulli(share), device)
}
