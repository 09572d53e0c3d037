//! Runs a [`Plan`] over a batch.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    level::Level,
    micro::Correlate,
    plan::{Phase, Plan, Plane},
    pool::Scratch,
    simd::shape,
    strided,
};

/// Packed floats of an image that are worked on at a time: about a third of a usual second-level cache.
const BAND: usize = 96 * 1024;

/// Slack after the last channel: vectors may reach beyond the last position.
const SLACK: usize = 64;

/// A plan with the weights in the kernel's order.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    level: Level,
    plan: &'a Plan,
    /// Distance between two rows of a plane.
    pitch: usize,
    /// Rows of the target (of the largest phase) per band.
    band: usize,
    phases: Vec<PreparedPhase<'a>>,
    /// `[target channels rounded up to blocks]`.
    bias: Scratch,
}

#[derive(Debug)]
struct PreparedPhase<'a> {
    phase: &'a Phase,
    /// `[blocks][source channels][taps][block]`.
    weights: Scratch,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(level: Level, plan: &'a Plan, weight: &[f32], bias: Option<&[f32]>) -> Self {
        let block = shape(level).block;
        let blocks = plan.target_channels.div_ceil(block);
        let phases = plan.phases.iter().map(|phase| {
            let mut weights = Scratch::new(blocks * plan.source_channels * phase.taps.len() * block);
            pack_weights(plan, phase, block, weight, &mut weights);
            PreparedPhase { phase, weights }
        });
        let mut padded_bias = Scratch::zeroed(blocks * block);
        if let Some(bias) = bias {
            padded_bias[..bias.len()].copy_from_slice(bias);
        }
        let pitch = plan.size[1] + plan.halo[1] - plan.shared;
        let row = plan.source_channels * plan.planes.len() * pitch;
        let band = (BAND / row).saturating_sub(plan.halo[0]).max(8).min(plan.size[0].max(1));
        // Bands of nearly equal size.
        let band = plan.size[0].div_ceil(plan.size[0].div_ceil(band).max(1)).max(1);
        Self { level, plan, pitch, band, phases: phases.collect(), bias: padded_bias }
    }

    /// Computes all images of the batch.
    pub(crate) fn run(&self, source: &[f32], batch: usize) -> Vec<f32> {
        let len = batch * self.plan.target_channels * self.plan.target[0] * self.plan.target[1];
        let mut target = Vec::with_capacity(len);
        self.fill(source, batch, &mut target.spare_capacity_mut()[..len]);
        // SAFETY: the phases of a plan cover every position of the target, so `fill` initialised all `len` floats.
        unsafe { target.set_len(len) };
        target
    }

    /// Writes every float of the target. Zeroing it beforehand would cost about as much as a small convolution.
    fn fill(&self, source: &[f32], batch: usize, target: &mut [MaybeUninit<f32>]) {
        let source_image = self.plan.source_channels * self.plan.source[0] * self.plan.source[1];
        let target_image = self.plan.target_channels * self.plan.target[0] * self.plan.target[1];
        // Each output is computed in one go by whoever gets it: the split has no influence on the result.
        let split_channels = batch < 2 * rayon::current_num_threads();
        target.par_chunks_mut(target_image).zip(source.par_chunks(source_image)).for_each(|(target, source)| {
            let mut first = 0;
            while first < self.plan.size[0] {
                let rows = self.band.min(self.plan.size[0] - first);
                self.run_band(source, target, first, rows, split_channels);
                first += rows;
            }
        });
    }

    /// Computes rows `first..first + rows` of every phase.
    fn run_band(
        &self,
        source: &[f32],
        target: &mut [MaybeUninit<f32>],
        first: usize,
        rows: usize,
        split_channels: bool,
    ) {
        let lanes = shape(self.level).lanes;
        let block = shape(self.level).block;
        let plane_rows = rows + self.plan.halo[0];
        let plane = plane_rows * self.pitch;
        // An odd number of cache lines, so that the channels do not compete for the same cache sets.
        let stride = (plane * self.plan.planes.len()).div_ceil(16) | 1;
        let stride = stride * 16;
        let channels = self.plan.source_channels * stride;
        let mut packed = Scratch::new(channels + SLACK + self.plan.halo[1]);
        self.pack(source, &mut packed[..channels], first, plane_rows, stride);
        packed[channels..].fill(0.0);

        for PreparedPhase { phase, weights } in &self.phases {
            let rows = rows.min(phase.size[0].saturating_sub(first));
            if rows == 0 {
                continue;
            }
            let taps: Vec<usize> =
                phase.taps.iter().map(|tap| tap.plane * plane + tap.shift[0] * self.pitch + tap.shift[1]).collect();
            let (starts, width) = vectors(rows, phase.size[1], self.pitch, lanes);
            let block_weights = self.plan.source_channels * taps.len() * block;
            let compute = |index: usize, target: &mut [MaybeUninit<f32>]| {
                let mut sums = Scratch::new(block * starts.len() * lanes);
                Correlate {
                    source: &packed,
                    stride,
                    channels: self.plan.source_channels,
                    taps: &taps,
                    starts: &starts,
                    weights: &weights[index * block_weights..(index + 1) * block_weights],
                    bias: &self.bias[index * block..],
                    sums: &mut sums,
                }
                .run(self.level);
                let area = self.plan.target[0] * self.plan.target[1];
                for (target, sums) in target.chunks_mut(area).zip(sums.chunks(starts.len() * lanes)) {
                    scatter(phase, self.plan.target[1], first, rows, target, sums, width);
                }
            };
            let area = self.plan.target[0] * self.plan.target[1];
            if split_channels {
                target.par_chunks_mut(block * area).enumerate().for_each(|(index, target)| compute(index, target));
            } else {
                target.chunks_mut(block * area).enumerate().for_each(|(index, target)| compute(index, target));
            }
        }
    }

    /// Copies one image into planes, plane rows `first..first + rows`.
    fn pack(&self, source: &[f32], packed: &mut [f32], first: usize, rows: usize, stride: usize) {
        let area = self.plan.source[0] * self.plan.source[1];
        for (source, packed) in source.chunks(area).zip(packed.chunks_mut(stride)) {
            for (plane, packed) in self.plan.planes.iter().zip(packed.chunks_mut(rows * self.pitch)) {
                self.pack_plane(*plane, source, packed, first, rows);
            }
            // The last row shares its zeros with what follows.
            packed[self.plan.planes.len() * rows * self.pitch..].fill(0.0);
        }
    }

    fn pack_plane(&self, plane: Plane, source: &[f32], packed: &mut [f32], first: usize, rows: usize) {
        let [source_rows, source_cols] = self.plan.source;
        let cols = self.plan.size[1] + self.plan.halo[1];
        let (top, bottom) = plane.inside(0, source_rows, first + rows);
        let (left, right) = plane.inside(1, source_cols, cols);
        for (row, packed) in packed.chunks_mut(self.pitch).take(rows).enumerate() {
            let row = first + row;
            if row < top || row >= bottom || left == right {
                packed.fill(0.0);
                continue;
            }
            let from = (row * plane.step[0]).wrapping_add_signed(plane.start[0]) * source_cols;
            let from = from + (left * plane.step[1]).wrapping_add_signed(plane.start[1]);
            packed[..left].fill(0.0);
            strided::gather(&source[from..], plane.step[1], &mut packed[left..right]);
            packed[right..].fill(0.0);
        }
    }
}

/// `[target][source][kernel]` in any order to `[blocks][source channels][taps][block]`, zero beyond the last target.
fn pack_weights(plan: &Plan, phase: &Phase, block: usize, weight: &[f32], packed: &mut [f32]) {
    let [target_stride, source_stride] = plan.weight_strides;
    let taps = phase.taps.len();
    if taps == 0 {
        return;
    }
    let len = plan.source_channels * taps * block;
    for (index, packed) in packed.chunks_mut(len).take(plan.target_channels.div_ceil(block)).enumerate() {
        for (source, packed) in packed.chunks_mut(taps * block).enumerate() {
            for (tap, packed) in phase.taps.iter().zip(packed.chunks_mut(block)) {
                for (lane, packed) in packed.iter_mut().enumerate() {
                    let target = index * block + lane;
                    *packed = if target < plan.target_channels {
                        weight[target * target_stride + source * source_stride + tap.weight]
                    } else {
                        0.0
                    };
                }
            }
        }
    }
}

/// Where the vectors of output positions start in a plane, and the distance of two rows in the results.
///
/// Either one run over all rows, which computes the columns between the rows too, or whole vectors row by row,
/// whichever needs fewer vectors.
fn vectors(rows: usize, cols: usize, pitch: usize, lanes: usize) -> (Vec<usize>, usize) {
    let run = ((rows - 1) * pitch + cols).div_ceil(lanes);
    let per_row = cols.div_ceil(lanes);
    if rows * per_row <= run {
        let starts = (0..rows).flat_map(|row| (0..per_row).map(move |vector| row * pitch + vector * lanes));
        (starts.collect(), per_row * lanes)
    } else {
        ((0..run).map(|vector| vector * lanes).collect(), pitch)
    }
}

/// Copies the results of one channel to their places in the target.
fn scatter(
    phase: &Phase,
    cols: usize,
    first: usize,
    rows: usize,
    target: &mut [MaybeUninit<f32>],
    sums: &[f32],
    width: usize,
) {
    let len = phase.size[1];
    for (row, sums) in sums.chunks(width).take(rows).enumerate() {
        let to = (phase.start[0] + (first + row) * phase.step[0]) * cols + phase.start[1];
        strided::scatter(&sums[..len], phase.step[1], &mut target[to..]);
    }
}
