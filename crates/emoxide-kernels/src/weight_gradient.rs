//! Weight gradient: outer products of input and output gradient, summed over pixels and images.
//!
//! Both operands are copied with the channels last, so that one kernel row's `(column, input channel)` pairs are
//! contiguous in the input and the output channels fill vectors in the gradient.

use rayon::prelude::*;

use crate::{
    geometry::Geometry,
    level::Level,
    micro::{Accumulate, Row, padded_products},
    pool::Scratch,
    simd::shape,
    strided,
};

/// The batch is split into this many parts at most, whatever the number of threads: results must not depend on it.
const PARTS: usize = 8;

/// Floats that one task adds up over the parts.
const SLICE: usize = 16 * 1024;

/// Vectors per strip of output channels, see [`Accumulate::vectors`].
const STRIP: usize = 2;

/// Floats of one part's sums up to which visiting them often costs little.
const CACHED_SUMS: usize = 256 * 1024;

/// Floats that the sums of all parts may take, unless that leaves fewer than two parts.
const ALL_SUMS: usize = 4 * 1024 * 1024;

/// Sizes and layouts of the copies.
#[derive(Clone, Copy, Debug)]
struct Layout {
    level: Level,
    geometry: Geometry,
    output: [usize; 2],
    /// Rows and columns of an input copy, only what the kernel reads.
    input: [usize; 2],
    /// Input rows and columns between two of the copy's.
    sample: [usize; 2],
    /// Rows and columns of the copy between two outputs.
    step: [usize; 2],
    /// Floats per output channel vector.
    lanes: usize,
    /// Vectors over all output channels.
    vectors: usize,
    /// `kernel cols · input channels`.
    products: usize,
    /// Images in the copies.
    images: usize,
    /// Pixels between two visits of the sums.
    band: usize,
}

impl Layout {
    fn new(level: Level, geometry: &Geometry) -> Self {
        let output = geometry.output();
        // A kernel of one row or column skips inputs where it strides; the copy skips them too.
        let single = [0, 1].map(|axis| geometry.kernel[axis] == 1);
        let step = [0, 1].map(|axis| if single[axis] { 1 } else { geometry.stride[axis] });
        let sample = [0, 1].map(|axis| if single[axis] { geometry.stride[axis] } else { 1 });
        let input = [0, 1].map(|axis| (output[axis] - 1) * step[axis] + geometry.kernel[axis]);
        let lanes = shape(level).lanes;
        let mut layout = Self {
            level,
            geometry: *geometry,
            output,
            input,
            sample,
            step,
            lanes,
            vectors: geometry.output_channels.div_ceil(lanes),
            products: geometry.kernel[1] * geometry.input_channels,
            images: 1,
            band: 0,
        };
        // Small sums: the gradient strip of a band stays in the first-level cache. Large ones are visited less often.
        let (group, band) = if layout.sums() <= CACHED_SUMS { (128 * 1024, 128) } else { (512 * 1024, 512) };
        let image = layout.input_image() + layout.pixels() * layout.vectors * lanes;
        layout.images = (group / image).clamp(1, 16);
        layout.band = band;
        layout
    }

    fn input_image(&self) -> usize {
        self.input[0] * self.input[1] * self.geometry.input_channels
    }

    /// Outputs of an image and channel.
    fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Floats of the sums of one kernel row and one strip of `vectors`.
    fn strip_sums(&self, vectors: usize) -> usize {
        padded_products(self.products) * vectors * self.lanes
    }

    /// Floats of all sums, `[strips][kernel rows][products][vectors · lanes]`.
    fn sums(&self) -> usize {
        self.geometry.kernel[0] * self.strip_sums(self.vectors)
    }

    /// First vector and number of vectors of each strip.
    fn strips(&self) -> impl Iterator<Item = (usize, usize)> {
        let vectors = self.vectors;
        (0..vectors).step_by(STRIP).map(move |first| (first, STRIP.min(vectors - first)))
    }
}

/// Gradient of the weight, in the weight's layout.
pub(crate) fn weight_gradient(level: Level, geometry: &Geometry, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let layout = Layout::new(level, geometry);
    let parts = (ALL_SUMS / layout.sums()).clamp(2, PARTS);
    let per_part = geometry.batch.div_ceil(parts);
    let input_image = input.len() / geometry.batch;
    let gradient_image = gradient.len() / geometry.batch;
    let mut parts: Vec<Scratch> = input
        .par_chunks(per_part * input_image)
        .zip(gradient.par_chunks(per_part * gradient_image))
        .map(|(input, gradient)| part(&layout, input, gradient))
        .collect();

    let (first, rest) = parts.split_first_mut().expect("a valid geometry has at least one image");
    first.par_chunks_mut(SLICE).enumerate().for_each(|(index, sums)| {
        for part in rest.iter() {
            let part = &part[index * SLICE..];
            sums.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
        }
    });
    unpack(&layout, first)
}

/// The sums over some images.
fn part(layout: &Layout, input: &[f32], gradient: &[f32]) -> Scratch {
    let Layout { geometry, lanes, .. } = *layout;
    let mut sums = Scratch::zeroed(layout.sums());
    let group_pixels = layout.images * layout.pixels();
    let mut packed_input = Scratch::new(layout.images * layout.input_image() + padded_products(0));
    let mut packed_gradient = Scratch::new(group_pixels * layout.vectors * lanes);
    let input_image = geometry.input_channels * geometry.input[0] * geometry.input[1];
    let gradient_image = geometry.output_channels * layout.pixels();

    let inputs = input.chunks(layout.images * input_image);
    for (input, gradient) in inputs.zip(gradient.chunks(layout.images * gradient_image)) {
        let images = input.len() / input_image;
        for (input, packed) in input.chunks(input_image).zip(packed_input.chunks_mut(layout.input_image())) {
            pack_input(layout, input, packed);
        }
        for (image, gradient) in gradient.chunks(gradient_image).enumerate() {
            pack_gradient(layout, gradient, &mut packed_gradient, image, group_pixels);
        }
        let mut rows = Vec::with_capacity(images * layout.output[0]);
        for image in 0..images {
            for row in 0..layout.output[0] {
                let input_row = row * layout.step[0] * layout.input[1] * geometry.input_channels;
                rows.push(Row {
                    input: image * layout.input_image() + input_row,
                    gradient: image * layout.pixels() + row * layout.output[1],
                });
            }
        }
        for rows in rows.chunks((layout.band / layout.output[1]).max(1)) {
            accumulate(layout, &packed_input, &packed_gradient, rows, group_pixels, &mut sums);
        }
    }
    sums
}

/// Adds the products of some rows to the sums of all strips and kernel rows.
fn accumulate(layout: &Layout, input: &[f32], gradient: &[f32], rows: &[Row], group_pixels: usize, sums: &mut [f32]) {
    let Layout { geometry, lanes, .. } = *layout;
    let kernel_row = layout.input[1] * geometry.input_channels;
    for (first, vectors) in layout.strips() {
        let strip = geometry.kernel[0] * layout.strip_sums(first);
        let sums = sums[strip..].chunks_mut(layout.strip_sums(vectors));
        for (row, sums) in sums.take(geometry.kernel[0]).enumerate() {
            Accumulate {
                input: &input[row * kernel_row..],
                gradient: &gradient[first * lanes * group_pixels..],
                rows,
                cols: layout.output[1],
                step: layout.step[1] * geometry.input_channels,
                vectors,
                products: layout.products,
                sums,
            }
            .run(layout.level);
        }
    }
}

/// One image with the channels last, padded.
fn pack_input(layout: &Layout, image: &[f32], packed: &mut [f32]) {
    let Layout { geometry, input: [rows, cols], sample, .. } = *layout;
    let channels = geometry.input_channels;
    let inside = |axis: usize, len: usize| {
        let (padding, step, size) = (geometry.padding[axis].0, sample[axis], geometry.input[axis]);
        let first = padding.div_ceil(step).min(len);
        (first, (size + padding).div_ceil(step).clamp(first, len))
    };
    let (top, bottom) = inside(0, rows);
    let (left, right) = inside(1, cols);
    for (row, packed) in packed.chunks_mut(cols * channels).take(rows).enumerate() {
        if row < top || row >= bottom || left == right {
            packed.fill(0.0);
            continue;
        }
        packed[..left * channels].fill(0.0);
        packed[right * channels..].fill(0.0);
        let from = (row * sample[0] - geometry.padding[0].0) * geometry.input[1];
        let from = from + left * sample[1] - geometry.padding[1].0;
        let area = geometry.input[0] * geometry.input[1];
        let image: Vec<&[f32]> = image.chunks(area).map(|channel| &channel[from..]).collect();
        strided::interleave(&image, sample[1], &mut packed[left * channels..right * channels], channels);
    }
}

/// One image's gradient with the channels last, strip by strip; channels beyond the last are zero.
fn pack_gradient(layout: &Layout, gradient: &[f32], packed: &mut [f32], image: usize, group_pixels: usize) {
    let pixels = layout.pixels();
    for (first, vectors) in layout.strips() {
        let width = vectors * layout.lanes;
        let start = first * layout.lanes * group_pixels + image * pixels * width;
        let packed = &mut packed[start..start + pixels * width];
        let channels = width.min(layout.geometry.output_channels - first * layout.lanes);
        if channels < width {
            packed.fill(0.0);
        }
        let gradient = gradient.chunks(pixels).skip(first * layout.lanes).take(channels);
        let gradient: Vec<&[f32]> = gradient.collect();
        strided::interleave(&gradient, 1, packed, width);
    }
}

/// The sums in the weight's layout.
fn unpack(layout: &Layout, sums: &[f32]) -> Vec<f32> {
    let Layout { geometry, lanes, .. } = *layout;
    let [kernel_rows, kernel_cols] = geometry.kernel;
    let channels = geometry.input_channels;
    let kernel = kernel_rows * kernel_cols;
    let mut weight = vec![0.0; geometry.weight_len()];
    weight.par_chunks_mut(channels * kernel).enumerate().for_each(|(output, weight)| {
        let vector = output / lanes;
        let first = vector / STRIP * STRIP;
        let width = STRIP.min(layout.vectors - first);
        let lane = output - first * lanes;
        for row in 0..kernel_rows {
            let strip = kernel_rows * layout.strip_sums(first) + row * layout.strip_sums(width);
            let sums = sums[strip + lane..].iter().step_by(width * lanes);
            for (product, &sum) in sums.take(layout.products).enumerate() {
                let (col, channel) = (product / channels, product % channels);
                weight[channel * kernel + row * kernel_cols + col] = sum;
            }
        }
    });
    weight
}
