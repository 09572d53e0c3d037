//! Winograd's F(4x4, 3x3): tiles of 6x6 input pixels are transformed, multiplied place by place, and transformed back
//! to 4x4 output pixels: 36 multiplications where the direct sum needs 144.
//!
//! Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308, section 4.3.

mod transform;

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

pub(super) use transform::TransformInput;
use transform::{TransformOutput, TransformWeight};

use super::{
    convolution::{Run, Shape, groups},
    layout::{Buffer, Layout},
    tile::{Finish, Operands, Part, Target, tiling},
};
use crate::{level::Level, simd};

/// Output pixels of a tile along each axis.
pub(super) const OUT: usize = 4;
/// Input pixels of a tile along each axis.
pub(super) const IN: usize = 6;
/// Places of a transformed tile.
pub(super) const PLACES: usize = IN * IN;

/// Floats of the widest vector.
pub(super) const MOST_LANES: usize = 16;

/// Bytes of transformed input that a thread works on at a time.
const CHUNK: usize = 512 * 1024;

/// Transformed weights, for each group of output blocks `[places][inputs][blocks of the group · lanes]`.
#[derive(Debug)]
pub(super) struct Winograd {
    weights: Buffer,
    /// For the products alone: they start at zero.
    zeros: Buffer,
}

thread_local! {
    /// Transformed input and products of this thread.
    static SCRATCH: RefCell<[Buffer; 2]> = RefCell::new([Buffer::zeroed(0), Buffer::zeroed(0)]);
}

impl Winograd {
    pub(super) fn new(level: Level, shape: &Shape, weight: &[f32]) -> Self {
        let lanes = simd::shape(level).lanes;
        let inputs = shape.inputs.next_multiple_of(lanes);
        let blocks = shape.outputs.div_ceil(lanes);
        let mut weights = Buffer::zeroed(PLACES * inputs * blocks * lanes);
        // Only the last group may be a single block.
        let full = 2 * lanes * PLACES * inputs;
        weights.par_chunks_mut(full).zip(groups(blocks)).for_each(|(packed, group)| {
            let blocks = group.len();
            for (k, block) in group.enumerate() {
                let outputs = block * lanes..shape.outputs.min((block + 1) * lanes);
                let weight = &weight[outputs.start * shape.inputs * 9..outputs.end * shape.inputs * 9];
                TransformWeight { weight, inputs: shape.inputs, stride: inputs, blocks, k, packed }.run(level);
            }
        });
        Self { weights, zeros: Buffer::zeroed(2 * lanes) }
    }

    /// Everything on this thread.
    pub(super) fn run_here(&self, run: &Run<'_>) {
        let (source, target) = (run.source_layout, run.target_layout);
        let [tile_rows, tile_cols] = [target.rows.div_ceil(OUT), target.cols.div_ceil(OUT)];
        let tiles = run.batch * tile_rows * tile_cols;
        let chunk = tiles.div_ceil(tiles.div_ceil(chunk(source)));
        let groups = groups(target.blocks());
        for first in (0..tiles).step_by(chunk) {
            self.chunk(run, &Grid { tile_rows, tile_cols, tiles: first..tiles.min(first + chunk) }, &groups);
        }
    }

    pub(super) fn run(&self, run: &Run<'_>) {
        let (source, target) = (run.source_layout, run.target_layout);
        let threads = rayon::current_num_threads();
        let [tile_rows, tile_cols] = [target.rows.div_ceil(OUT), target.cols.div_ceil(OUT)];
        let tiles = run.batch * tile_rows * tile_cols;
        // Chunks of nearly equal size, as many as there are threads at least, unless they become smaller than the
        // registers: then the threads share the output channels and transform the same input.
        let mut chunks = tiles.div_ceil(chunk(source));
        if !chunks.is_multiple_of(threads) && tiles >= 14 * threads {
            chunks = chunks.next_multiple_of(threads);
        }
        let chunk = tiles.div_ceil(chunks);
        let chunks = tiles.div_ceil(chunk);
        let groups = groups(target.blocks());
        let shares = if chunks < threads { threads.div_ceil(chunks).min(groups.len()) } else { 1 };
        let share = groups.len().div_ceil(shares);
        let shares = groups.len().div_ceil(share);
        (0..chunks * shares).into_par_iter().for_each(|job| {
            let (first, groups) = (job / shares * chunk, &groups[job % shares * share..]);
            let grid = Grid { tile_rows, tile_cols, tiles: first..tiles.min(first + chunk) };
            self.chunk(run, &grid, &groups[..share.min(groups.len())]);
        });
    }

    fn chunk(&self, run: &Run<'_>, grid: &Grid, groups: &[Range<usize>]) {
        let level = run.convolution.level();
        let (source, target) = (run.source_layout, run.target_layout);
        let (lanes, tiles) = (target.lanes, grid.tiles.len());
        let inputs = source.blocks() * lanes;
        SCRATCH.with_borrow_mut(|[transformed, products]| {
            for (buffer, len) in
                [(&mut *transformed, PLACES * inputs * tiles), (&mut *products, PLACES * 2 * lanes * tiles)]
            {
                if buffer.len() < len {
                    *buffer = Buffer::zeroed(len);
                }
            }
            let padding = run.convolution.shape().padding;
            TransformInput { grid, layout: source, padding, source: run.source, transformed }.run(level);
            let taps: Vec<usize> = (0..source.blocks()).map(|block| block * tiles * lanes).collect();
            let tile = tiling(level, 1, tiles);
            for group in groups {
                let width = group.len() * lanes;
                let weights = &self.weights[group.start * lanes * PLACES * inputs..];
                for place in 0..PLACES {
                    Part {
                        source: &transformed[place * inputs * tiles..(place + 1) * inputs * tiles],
                        source_row: 0,
                        taps: &taps,
                        inner: lanes,
                        source_col: lanes,
                        weights: &weights[place * inputs * width..(place + 1) * inputs * width],
                        bias: &self.zeros,
                        operands: Operands::Floats,
                        finish: Finish::Linear,
                        carried: None,
                        target: Target::new(&mut products[place * width * tiles..(place + 1) * width * tiles]),
                        target_block: tiles * lanes,
                        target_row: 0,
                        target_col: lanes,
                        target_bf16: false,
                        rows: 0..1,
                        cols: tiles,
                        blocks: group.len(),
                        tile,
                    }
                    .run(level);
                }
                TransformOutput { run, grid, group: group.clone(), products }.run(level);
            }
        });
    }
}

/// Tiles that a thread works on at a time.
fn chunk(source: &Layout) -> usize {
    let per_tile = PLACES * source.blocks() * source.lanes * size_of::<f32>();
    (CHUNK / per_tile).clamp(14, 112)
}

/// Some of the tiles of a batch, counted through images, rows and columns.
pub(super) struct Grid {
    pub(super) tile_rows: usize,
    pub(super) tile_cols: usize,
    pub(super) tiles: Range<usize>,
}

impl Grid {
    /// Image, first output row and first output column of every tile.
    pub(super) fn places(&self) -> impl Iterator<Item = [usize; 3]> {
        let per_image = self.tile_rows * self.tile_cols;
        self.tiles.clone().map(move |tile| {
            let (image, tile) = (tile / per_image, tile % per_image);
            [image, tile / self.tile_cols * OUT, tile % self.tile_cols * OUT]
        })
    }
}
