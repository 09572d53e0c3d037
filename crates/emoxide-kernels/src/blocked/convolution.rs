use std::ops::Range;

use rayon::prelude::*;

use super::{
    activation::Activation,
    layout::{Buffer, Layout},
    rounded::{Narrow, Rounded},
    tile::{Carried, Finish, Operands, Part, Target, tiling},
    weights::{pack, pack_bf16},
    winograd::Winograd,
};
use crate::{level::Level, simd::shape};

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Pixels between two windows.
    pub stride: usize,
    /// Pixels of padding on every side.
    pub padding: usize,
}

impl Shape {
    /// Rows and columns of the output for those of the input; `None` where no window fits.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let output = |axis: usize| {
            let room = (size[axis] + 2 * self.padding).checked_sub(self.kernel[axis])?;
            Some(room / self.stride + 1)
        };
        Some([output(0)?, output(1)?])
    }

    /// Numbers of the weight, `[outputs, inputs, kernel rows, kernel cols]`.
    pub fn weights(&self) -> usize {
        self.outputs * self.inputs * self.kernel[0] * self.kernel[1]
    }
}

/// How the input lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In blocks of a vector.
    Blocked,
    /// In blocks of two vectors, as bfloat16.
    Bf16,
    /// A plane per channel: pictures.
    Planar,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// A multiplication for every product.
    Direct,
    /// Winograd's F(4x4, 3x3): a quarter of the multiplications of a 3x3 window with stride 1, about ten times the
    /// rounding. Lavin and Gray, arXiv 1509.09308.
    Winograd,
    /// Direct, of operands that are rounded to bfloat16, or are such already; sums in float32.
    Bf16,
    /// Direct, of operands that are rounded to 8-bit integers: weights with a scale for every output channel, the source
    /// with one for every image, its largest value; sums in float32.
    Int8,
}

/// A convolution whose weights are packed.
#[derive(Debug)]
pub struct Convolution {
    level: Level,
    shape: Shape,
    source: Source,
    kind: Kind,
    /// `[blocks][lanes]`, as the slopes.
    bias: Buffer,
    activation: Packed,
}

#[derive(Debug)]
enum Kind {
    /// `[groups][taps][inner][blocks of the group · lanes]`
    Direct(Buffer),
    Winograd(Winograd),
    Rounded(Rounded),
}

#[derive(Debug)]
enum Packed {
    Linear,
    Relu,
    Clamp(f32, f32),
    Slopes(Buffer),
}

/// Bytes of source that a thread works on at a time: about a third of a usual second-level cache.
const BAND: usize = 320 * 1024;
/// Bytes of weights up to which all groups of a band follow each other.
const RESIDENT: usize = 640 * 1024;

impl Convolution {
    /// Packs the weight `[outputs, inputs, kernel rows, kernel cols]` and the bias `[outputs]`.
    ///
    /// # Panics
    /// When lengths do not fit the shape, the stride is 0, the level is not available, the activation
    /// [needs a pass](Activation::needs_pass), Winograd's method is asked for where [`Convolution::suits_winograd`] is
    /// false, rounding for planes, or anything but [`Algorithm::Bf16`] for bfloat16, which takes a level that
    /// [multiplies](Convolution::multiplies_bf16) it.
    pub fn new(
        level: Level,
        shape: Shape,
        source: Source,
        algorithm: Algorithm,
        weight: &[f32],
        bias: &[f32],
        activation: &Activation,
    ) -> Self {
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert!(shape.stride > 0, "stride 0");
        assert!(shape.inputs * shape.outputs * shape.kernel[0] * shape.kernel[1] > 0, "empty {shape:?}");
        assert_eq!(weight.len(), shape.weights(), "weight length");
        assert_eq!(bias.len(), shape.outputs, "bias length");
        let lanes = crate::simd::shape(level).lanes;
        let padded = |values: &[f32]| {
            let mut buffer = Buffer::zeroed(shape.outputs.next_multiple_of(lanes));
            buffer[..values.len()].copy_from_slice(values);
            buffer
        };
        let activation = match activation {
            Activation::Linear => Packed::Linear,
            Activation::Relu => Packed::Relu,
            Activation::Clamp(lowest, highest) => Packed::Clamp(*lowest, *highest),
            Activation::PRelu(slopes) => {
                assert_eq!(slopes.len(), shape.outputs, "slopes length");
                Packed::Slopes(padded(slopes))
            }
            other => panic!("{other:?} needs a pass of its own"),
        };
        assert!(source != Source::Bf16 || algorithm == Algorithm::Bf16, "{algorithm:?} of bfloat16");
        let kind = match algorithm {
            Algorithm::Direct => Kind::Direct(pack(level, &shape, source, weight)),
            Algorithm::Winograd => {
                assert!(Self::suits_winograd(&shape, source), "{shape:?} is not for Winograd's method");
                Kind::Winograd(Winograd::new(level, &shape, weight))
            }
            Algorithm::Bf16 if source == Source::Bf16 => {
                assert!(Self::multiplies_bf16(level), "level {} has no instruction for bfloat16", level.name());
                Kind::Direct(pack_bf16(level, &shape, weight))
            }
            Algorithm::Bf16 | Algorithm::Int8 => {
                assert_eq!(source, Source::Blocked, "planes are not rounded");
                let narrow = if algorithm == Algorithm::Bf16 { Narrow::Bf16 } else { Narrow::Int8 };
                Kind::Rounded(Rounded::new(level, &shape, narrow, weight))
            }
        };
        Self { level, shape, source, kind, bias: padded(bias), activation }
    }

    /// Whether the level has instructions for products of bfloat16: elsewhere sources are floats.
    pub fn multiplies_bf16(level: Level) -> bool {
        level >= Level::Avx512Bf16
    }

    /// Whether Winograd's method applies.
    pub fn suits_winograd(shape: &Shape, source: Source) -> bool {
        shape.kernel == [3, 3] && shape.stride == 1 && source == Source::Blocked
    }

    /// Its sizes.
    pub fn shape(&self) -> &Shape {
        &self.shape
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
        self.check(source_layout, target_layout);
        assert_eq!(source.len(), batch * source_layout.image(), "source length");
        assert_eq!(target.len(), batch * target_layout.image(), "target length");
        if let Some((layout, values)) = carried {
            assert_eq!(values.len(), batch * layout.image(), "carried length");
            let [carried, target] = [layout, target_layout].map(|layout| [layout.channels, layout.rows, layout.cols]);
            assert_eq!(carried, target, "carried layout");
            assert!(self.takes(layout), "carried layout {layout:?}");
        }
        let run = Run {
            convolution: self,
            batch,
            source_layout,
            source,
            carried,
            target_layout,
            target: Target::new(target),
        };
        match &self.kind {
            Kind::Direct(weights) => run.direct(weights),
            Kind::Winograd(winograd) => winograd.run(&run),
            Kind::Rounded(rounded) => rounded.run(&run),
        }
    }

    /// As [`run`](Self::run) without anything carried, on this thread alone.
    pub(super) fn run_here(
        &self,
        batch: usize,
        (source_layout, source): (&Layout, &[f32]),
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        self.check(source_layout, target_layout);
        let lengths = [batch * source_layout.image(), batch * target_layout.image()];
        assert_eq!([source.len(), target.len()], lengths, "lengths");
        let target = Target::new(target);
        let run = Run { convolution: self, batch, source_layout, source, carried: None, target_layout, target };
        match &self.kind {
            Kind::Direct(weights) => {
                let taps = run.taps();
                for group in run.groups() {
                    for image in 0..batch {
                        run.part(weights, &taps, &group, image, 0..target_layout.rows).run(self.level);
                    }
                }
            }
            Kind::Winograd(winograd) => winograd.run_here(&run),
            Kind::Rounded(rounded) => rounded.run_here(&run),
        }
    }

    fn check(&self, source: &Layout, target: &Layout) {
        let lanes = shape(self.level).lanes;
        let source_lanes = match self.source {
            Source::Planar => [1, 1],
            Source::Blocked => [lanes, lanes],
            Source::Bf16 => [2 * lanes, lanes],
        };
        assert_eq!([source.lanes, source.width], source_lanes, "source layout");
        assert!(self.takes(target), "target layout {target:?}");
        assert_eq!(source.channels, self.shape.inputs, "channels of the source");
        assert_eq!(target.channels, self.shape.outputs, "channels of the target");
        assert_eq!(self.shape.output([source.rows, source.cols]), Some([target.rows, target.cols]), "target size");
        assert!(source.halo >= self.shape.padding, "the source's halo is smaller than the padding");
    }

    /// Whether the target, or what is carried, can lie so.
    fn takes(&self, layout: &Layout) -> bool {
        let bf16 = layout.is_bf16() && !matches!(self.kind, Kind::Winograd(_));
        layout.width == shape(self.level).lanes && (layout.lanes == layout.width || bf16)
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Bias and what follows, for the blocks from `block` on.
    pub(super) fn finish(&self, block: usize) -> (&[f32], Finish<'_>) {
        let start = block * shape(self.level).lanes;
        let finish = match &self.activation {
            Packed::Linear => Finish::Linear,
            Packed::Relu => Finish::Relu,
            Packed::Clamp(lowest, highest) => Finish::Clamp(*lowest, *highest),
            Packed::Slopes(slopes) => Finish::Slopes(&slopes[start..]),
        };
        (&self.bias[start..], finish)
    }
}

/// One call.
pub(super) struct Run<'a> {
    pub(super) convolution: &'a Convolution,
    pub(super) batch: usize,
    pub(super) source_layout: &'a Layout,
    pub(super) source: &'a [f32],
    pub(super) carried: Option<(&'a Layout, &'a [f32])>,
    pub(super) target_layout: &'a Layout,
    pub(super) target: Target<'a>,
}

impl<'a> Run<'a> {
    /// The carried input of an image, from the first pixel of a group of blocks of the outputs on.
    pub(super) fn carried(&self, image: usize, group: &Range<usize>) -> Option<Carried<'a>> {
        self.carried.map(|(layout, values)| Carried {
            values: &values[image * layout.image() + layout.offset(group.start * layout.width / layout.lanes, 0, 0)..],
            block: layout.block(),
            row: layout.row(),
            col: layout.width,
            bf16: layout.is_bf16(),
        })
    }

    fn carried_image(&self) -> usize {
        self.carried.map_or(0, |(layout, _)| layout.image())
    }

    /// The target of an image, from the first pixel of a group of blocks on.
    pub(super) fn target(&self, image: usize, group: &Range<usize>) -> Target<'a> {
        let layout = self.target_layout;
        let block = group.start * layout.width / layout.lanes;
        self.target.part(image * layout.image() + layout.offset(block, 0, 0))
    }

    /// Groups of blocks of the outputs.
    pub(super) fn groups(&self) -> Vec<Range<usize>> {
        groups(self.convolution.shape.outputs.div_ceil(self.target_layout.width))
    }

    fn direct(&self, weights: &[f32]) {
        let Convolution { level, shape, .. } = *self.convolution;
        let layout = self.source_layout;
        let taps = self.taps();
        let groups = self.groups();
        if self.target_layout.rows * self.target_layout.cols == 1 {
            groups.par_iter().for_each(|group| self.vectors(weights, &taps, group));
            return;
        }
        let threads = rayon::current_num_threads();
        // Either the weights stay in the cache while the bands pass, or a band stays while the weights pass.
        let bands_first = size_of_val(weights) <= RESIDENT;
        let band_row = layout.row() * layout.blocks() * shape.stride * size_of::<f32>();
        let resident = if bands_first { (BAND / band_row).max(4) } else { usize::MAX };
        let parallel = if bands_first { self.batch } else { self.batch * groups.len() };
        let wanted = (4 * threads).div_ceil(parallel.max(1));
        let rows = self.target_layout.rows;
        let band = resident.min(rows.div_ceil(wanted)).max(1);
        // Bands of nearly equal size, of which tiles leave nothing over.
        let tile_rows = tiling(level, rows, self.target_layout.cols)[0];
        let band = rows.div_ceil(rows.div_ceil(band)).next_multiple_of(tile_rows);
        let bands = rows.div_ceil(band);
        let job = |group: usize, image: usize, index: usize| {
            let rows = index * band..rows.min((index + 1) * band);
            self.part(weights, &taps, &groups[group], image, rows).run(level);
        };
        let pictures = self.batch * bands;
        if bands_first {
            (0..pictures).into_par_iter().for_each(|picture| {
                (0..groups.len()).for_each(|group| job(group, picture / bands, picture % bands));
            });
        } else {
            (0..groups.len() * pictures).into_par_iter().for_each(|index| {
                let picture = index % pictures;
                job(index / pictures, picture / bands, picture % bands);
            });
        }
    }

    /// Offsets of the taps in an image, in the order of the packed weights.
    fn taps(&self) -> Vec<usize> {
        let Shape { kernel: [rows, cols], padding, .. } = self.convolution.shape;
        let layout = self.source_layout;
        let place = |block, row: usize, col: usize| {
            layout.offset(block, row as isize - padding as isize, col as isize - padding as isize)
        };
        (0..layout.blocks())
            .flat_map(|block| (0..rows).flat_map(move |row| (0..cols).map(move |col| place(block, row, col))))
            .collect()
    }

    /// One pixel of every image, the images side by side: a matrix product, whose weights are read once.
    fn vectors(&self, weights: &[f32], taps: &[usize], group: &Range<usize>) {
        let level = self.convolution.level;
        let part = self.part(weights, taps, group, 0, 0..1);
        Part {
            source: self.source,
            source_col: self.source_layout.image(),
            carried: part.carried.map(|carried| Carried { col: self.carried_image(), ..carried }),
            target_col: self.target_layout.image(),
            cols: self.batch,
            tile: tiling(level, 1, self.batch),
            ..part
        }
        .run(level);
    }

    fn part<'b>(
        &'b self,
        weights: &'b [f32],
        taps: &'b [usize],
        group: &Range<usize>,
        image: usize,
        rows: Range<usize>,
    ) -> Part<'b> {
        let Convolution { level, shape, .. } = *self.convolution;
        let (source, target) = (self.source_layout, self.target_layout);
        let per_block = taps.len() * source.width * target.width;
        let (bias, finish) = self.convolution.finish(group.start);
        Part {
            source: &self.source[image * source.image()..(image + 1) * source.image()],
            source_row: source.row() * shape.stride,
            taps,
            inner: source.width,
            source_col: source.width * shape.stride,
            weights: &weights[group.start * per_block..group.end * per_block],
            bias,
            operands: if source.is_bf16() { Operands::Bf16 } else { Operands::Floats },
            finish,
            carried: self.carried(image, group),
            target: self.target(image, group),
            target_block: target.block(),
            target_row: target.row(),
            target_col: target.width,
            target_bf16: target.is_bf16(),
            tile: tiling(level, rows.len(), target.cols),
            rows,
            cols: target.cols,
            blocks: group.len(),
        }
    }
}

/// Blocks in pairs; a last one may stay alone.
pub(super) fn groups(blocks: usize) -> Vec<Range<usize>> {
    (0..blocks).step_by(2).map(|first| first..(first + 2).min(blocks)).collect()
}
