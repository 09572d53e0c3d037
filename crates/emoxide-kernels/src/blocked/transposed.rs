//! Gradient of the input of a convolution with stride 2: four convolutions of the output's gradient, one for each
//! parity of row and column.

use super::{
    convolution::{Shape, Source, groups},
    layout::{Buffer, Layout},
    tile::{Finish, Operands, Part, Target, tiling},
    weights::{pack, pack_bf16},
};
use crate::level::Level;

/// Two: the only stride above 1 that there is.
const STRIDE: usize = 2;

/// The weights of a convolution with stride 2 and half its window as padding, for the way back.
#[derive(Debug)]
pub(super) struct Transposed {
    level: Level,
    /// Whether gradients are bfloat16.
    bf16: bool,
    /// Channels of the gradient of the output, and of the input's.
    channels: [usize; 2],
    phases: Vec<Phase>,
    /// The sums start there.
    zeros: Buffer,
}

/// The pixels of one parity of row and column.
#[derive(Debug)]
struct Phase {
    /// Row and column of the first one.
    start: [usize; 2],
    /// Where the gradient is read, from half the pixel's row and column on.
    taps: Vec<[isize; 2]>,
    weights: Buffer,
}

impl Transposed {
    /// From the convolution's own shape and weight `[outputs, inputs, kernel, kernel]`, for gradients of floats or of bfloat16.
    ///
    /// # Panics
    /// When the stride is not 2, or the padding not half of an odd window.
    pub(super) fn new(level: Level, shape: &Shape, bf16: bool, weight: &[f32]) -> Self {
        let Shape { inputs, outputs, kernel, stride, padding } = *shape;
        assert!(stride == STRIDE && kernel == [2 * padding + 1; 2], "{shape:?}");
        let size = kernel[0];
        // Window positions that meet pixels of a parity, and how far from half the pixel the gradient lies.
        let meets = |parity: usize| {
            let positions = (0..size).filter(move |position| (parity + padding + position).is_multiple_of(STRIDE));
            positions.map(move |position| (position, (parity + padding) as isize - position as isize))
        };
        let lanes = crate::simd::shape(level).lanes;
        let phase = |start: [usize; 2]| {
            let taps: Vec<(usize, [isize; 2])> = meets(start[0])
                .flat_map(|(row, down)| meets(start[1]).map(move |(col, right)| (row * size + col, [down, right])))
                .map(|(position, away)| (position, away.map(|away| away / STRIDE as isize)))
                .collect();
            let mut turned = Vec::with_capacity(inputs * outputs * taps.len());
            for input in 0..inputs {
                for output in 0..outputs {
                    let window = &weight[(output * inputs + input) * size * size..][..size * size];
                    turned.extend(taps.iter().map(|(position, _)| window[*position]));
                }
            }
            let back = Shape { inputs: outputs, outputs: inputs, kernel: [1, taps.len()], stride: 1, padding: 0 };
            let weights = match taps.len() {
                0 => Buffer::zeroed(0),
                _ if bf16 => pack_bf16(level, &back, &turned),
                _ => pack(level, &back, Source::Blocked, &turned),
            };
            Phase { start, taps: taps.into_iter().map(|(_, shift)| shift).collect(), weights }
        };
        let phases = [[0, 0], [0, 1], [1, 0], [1, 1]].map(phase).into();
        Self { level, bf16, channels: [outputs, inputs], phases, zeros: Buffer::zeroed(2 * lanes) }
    }

    /// Rows and columns of halo that [`run_here`](Self::run_here) reads.
    pub(super) fn halo(&self) -> usize {
        let taps = self.phases.iter().flat_map(|phase| phase.taps.iter().flatten());
        taps.map(|shift| shift.unsigned_abs()).max().unwrap_or(0)
    }

    /// Writes all pixels of the target from the gradient of the output, on this thread.
    ///
    /// # Panics
    /// When layouts and lengths do not fit.
    pub(super) fn run_here(
        &self,
        batch: usize,
        (source_layout, source): (&Layout, &[f32]),
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        assert_eq!([source_layout.channels, target_layout.channels], self.channels, "channels");
        assert_eq!([source.len(), target.len()], [batch * source_layout.image(), batch * target_layout.image()]);
        assert_eq!(source_layout.is_bf16(), self.bf16, "floats or bfloat16");
        assert!(source_layout.halo >= self.halo(), "the source's halo");
        let halves = [target_layout.rows, target_layout.cols].map(|size| size.div_ceil(STRIDE));
        assert!(source_layout.rows >= halves[0] && source_layout.cols >= halves[1], "sizes");
        let lanes = target_layout.lanes;
        let memory = Target::new(target);
        for Phase { start, taps, weights } in &self.phases {
            let count = |size: usize, start: usize| size.saturating_sub(start).div_ceil(STRIDE);
            let [rows, cols] = [count(target_layout.rows, start[0]), count(target_layout.cols, start[1])];
            if rows * cols == 0 {
                continue;
            }
            let offsets: Vec<usize> = (0..source_layout.blocks())
                .flat_map(|block| taps.iter().map(move |&[row, col]| source_layout.offset(block, row, col)))
                .collect();
            for image in 0..batch {
                for group in groups(target_layout.blocks()) {
                    let first = target_layout.offset(group.start, start[0] as isize, start[1] as isize);
                    let per_block = offsets.len() * lanes * lanes;
                    Part {
                        source: &source[image * source_layout.image()..(image + 1) * source_layout.image()],
                        source_row: source_layout.row(),
                        taps: &offsets,
                        inner: lanes,
                        source_col: lanes,
                        weights: &weights[group.start * per_block..group.end * per_block],
                        bias: &self.zeros,
                        // Without taps there are no operands: the pixels become zero.
                        operands: if self.bf16 && !taps.is_empty() { Operands::Bf16 } else { Operands::Floats },
                        finish: Finish::Linear,
                        carried: None,
                        target: memory.part(image * target_layout.image() + first),
                        target_block: target_layout.block(),
                        target_row: STRIDE * target_layout.row(),
                        target_col: STRIDE * lanes,
                        target_bf16: false,
                        tile: tiling(self.level, rows, cols),
                        rows: 0..rows,
                        cols,
                        blocks: group.len(),
                    }
                    .run(self.level);
                }
            }
        }
    }
}
