use std::ops::Range;

use rayon::prelude::*;

use super::{
    activation::Activation,
    convolution::Shape,
    layout::{Buffer, Layout},
    tile::{Finish, Finisher, Target},
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// A convolution of every channel with a window of its own, whose weights are packed.
#[derive(Debug)]
pub struct Depthwise {
    level: Level,
    shape: Shape,
    /// `[blocks][taps][lanes]`
    weight: Buffer,
    /// `[blocks][lanes]`, as the slopes.
    bias: Buffer,
    activation: Activation,
    slopes: Buffer,
}

/// Pixels of a row that are computed together.
const PIXELS: usize = 8;
/// Jobs for every thread.
const JOBS: usize = 4;

impl Depthwise {
    /// Packs the weight `[channels, 1, kernel rows, kernel cols]` and the bias `[channels]`.
    ///
    /// # Panics
    /// When lengths do not fit the shape, its inputs are not as many as its outputs, the stride is 0, the level is not
    /// available, or the activation [needs a pass](Activation::needs_pass).
    pub fn new(level: Level, shape: Shape, weight: &[f32], bias: &[f32], activation: &Activation) -> Self {
        let channels = shape.outputs;
        let area = shape.kernel[0] * shape.kernel[1];
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert!(channels * area * shape.stride > 0, "empty {shape:?}");
        assert_eq!(shape.inputs, channels, "channels");
        assert_eq!([weight.len(), bias.len()], [channels * area, channels], "lengths");
        assert!(!activation.needs_pass(), "{activation:?} needs a pass of its own");
        let lanes = crate::simd::shape(level).lanes;
        let mut packed = Buffer::zeroed(channels.next_multiple_of(lanes) * area);
        for (at, value) in weight.iter().enumerate() {
            let (channel, tap) = (at / area, at % area);
            packed[(channel / lanes * area + tap) * lanes + channel % lanes] = *value;
        }
        let padded = |values: &[f32]| {
            let mut buffer = Buffer::zeroed(channels.next_multiple_of(lanes));
            buffer[..values.len()].copy_from_slice(values);
            buffer
        };
        let slopes = match activation {
            Activation::PRelu(slopes) => {
                assert_eq!(slopes.len(), channels, "slopes length");
                padded(slopes)
            }
            _ => padded(&[]),
        };
        Self { level, shape, weight: packed, bias: padded(bias), activation: activation.clone(), slopes }
    }

    /// `target = activation(bias + source * weight + carried)` for a batch of images; the target's halo stays as it is.
    ///
    /// # Panics
    /// When a layout does not fit the shape, the source's halo is smaller than the padding, or a slice has another
    /// length than its layout times the batch.
    pub fn run(
        &self,
        batch: usize,
        (source_layout, source): (&Layout, &[f32]),
        carried: Option<(&Layout, &[f32])>,
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        let lanes = shape(self.level).lanes;
        let channels = self.shape.outputs;
        let Layout { rows, cols, .. } = *target_layout;
        assert_eq!([source_layout.lanes, target_layout.lanes], [lanes; 2], "lanes");
        assert_eq!([source_layout.channels, target_layout.channels], [channels; 2], "channels");
        let size = self.shape.output([source_layout.rows, source_layout.cols]);
        assert_eq!(size, Some([rows, cols]), "target size");
        assert!(source_layout.halo >= self.shape.padding, "the source's halo is smaller than the padding");
        assert_eq!(source.len(), batch * source_layout.image(), "source length");
        assert_eq!(target.len(), batch * target_layout.image(), "target length");
        if let Some((layout, values)) = carried {
            assert_eq!(values.len(), batch * layout.image(), "carried length");
            assert_eq!(Layout { halo: target_layout.halo, ..*layout }, *target_layout, "carried layout");
        }
        let blocks = batch * target_layout.blocks();
        let bands = (JOBS * rayon::current_num_threads()).div_ceil(blocks).min(rows);
        let band = rows.div_ceil(bands);
        let target = Target::new(target);
        (0..blocks * bands).into_par_iter().for_each(|job| {
            let (index, first) = (job / bands, job % bands * band);
            if first >= rows {
                return;
            }
            let block = index % target_layout.blocks();
            let finish = match &self.activation {
                Activation::Relu => Finish::Relu,
                Activation::Clamp(lowest, highest) => Finish::Clamp(*lowest, *highest),
                Activation::PRelu(_) => Finish::Slopes(&self.slopes[block * lanes..]),
                _ => Finish::Linear,
            };
            let part = Part {
                depthwise: self,
                weight: &self.weight[block * self.taps() * lanes..],
                bias: &self.bias[block * lanes..],
                finish,
                source_layout,
                source: &source[index * source_layout.block()..(index + 1) * source_layout.block()],
                carried: carried
                    .map(|(layout, values)| (layout, &values[index * layout.block()..(index + 1) * layout.block()])),
                target_layout,
                target: target.part(index * target_layout.block()),
                rows: first..rows.min(first + band),
            };
            // SAFETY: the level is available; layouts and lengths were compared above, and every part has rows of its
            // own in its block of the target.
            unsafe { dispatch(self.level, part) }
        });
    }

    fn taps(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1]
    }
}

/// Some rows of a block of one image.
struct Part<'a> {
    depthwise: &'a Depthwise,
    weight: &'a [f32],
    bias: &'a [f32],
    finish: Finish<'a>,
    source_layout: &'a Layout,
    source: &'a [f32],
    carried: Option<(&'a Layout, &'a [f32])>,
    target_layout: &'a Layout,
    target: Target<'a>,
    rows: Range<usize>,
}

impl Part<'_> {
    /// `N` pixels from `row`, `col` on.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the pixels lie within the map.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize>(&self, row: usize, col: usize) {
        let Shape { kernel, stride, padding, .. } = self.depthwise.shape;
        let place = |index: usize| (index * stride) as isize - padding as isize;
        let step = stride * S::LANES;
        // SAFETY: `Depthwise::run` checked that windows end within the source's halo, and all lengths.
        unsafe {
            let mut sums = [S::load(self.bias.as_ptr()); N];
            let from = self.source.as_ptr().add(self.source_layout.offset(0, place(row), place(col)));
            let mut weight = self.weight.as_ptr();
            for i in 0..kernel[0] {
                for j in 0..kernel[1] {
                    let from = from.add(i * self.source_layout.row() + j * S::LANES);
                    let factor = S::load(weight);
                    weight = weight.wrapping_add(S::LANES);
                    for n in 0..N {
                        sums[n] = S::mul_add(S::load(from.add(n * step)), factor, sums[n]);
                    }
                }
            }
            if let Some((layout, values)) = self.carried {
                let from = values.as_ptr().add(layout.offset(0, row as isize, col as isize));
                for n in 0..N {
                    sums[n] = S::add(sums[n], S::load(from.add(n * S::LANES)));
                }
            }
            let finish = Finisher::<S>::new(self.finish, 0);
            let start = self.target_layout.offset(0, row as isize, col as isize);
            let to = self.target.writable(start + N * S::LANES).add(start);
            for n in 0..N {
                S::store(to.add(n * S::LANES), finish.apply(sums[n]));
            }
        }
    }
}

impl Kernel for Part<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let cols = self.target_layout.cols;
        for row in self.rows.clone() {
            // SAFETY: as for this function. The last pixels of a row overlap those before.
            unsafe {
                if cols >= PIXELS {
                    for col in (0..cols).step_by(PIXELS) {
                        self.pixels::<S, PIXELS>(row, col.min(cols - PIXELS));
                    }
                } else if cols >= 4 {
                    self.pixels::<S, 4>(row, 0);
                    self.pixels::<S, 4>(row, cols - 4);
                } else {
                    for col in 0..cols {
                        self.pixels::<S, 1>(row, col);
                    }
                }
            }
        }
    }
}
