use rayon::prelude::*;

use super::{
    activation::Activation,
    layout::{Buffer, Layout},
    tile::Target,
};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// Normalises groups of channels by mean and variance of all their pixels, then per channel:
/// `activation(scale * (x - mean) / sqrt(variance + epsilon) + shift)`.
#[derive(Debug)]
pub struct GroupNorm {
    level: Level,
    groups: usize,
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
    activation: Activation,
    /// `[blocks][lanes]`
    slopes: Buffer,
}

impl GroupNorm {
    /// Of channels in so many groups, with a factor and a summand for every channel.
    ///
    /// # Panics
    /// When lengths differ, the groups are not of one size, or the level is not available.
    pub fn new(
        level: Level,
        groups: usize,
        scale: &[f32],
        shift: &[f32],
        epsilon: f32,
        activation: Activation,
    ) -> Self {
        let channels = scale.len();
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert!(groups > 0 && channels.is_multiple_of(groups), "{groups} groups of {channels} channels");
        assert_eq!(shift.len(), channels, "shift length");
        let mut slopes = Buffer::zeroed(channels.next_multiple_of(shape(level).lanes));
        if let Activation::PRelu(values) = &activation {
            assert_eq!(values.len(), channels, "slopes length");
            slopes[..channels].copy_from_slice(values);
        }
        Self { level, groups, scale: scale.to_vec(), shift: shift.to_vec(), epsilon, activation, slopes }
    }

    /// Computes it for all images; the target's halo stays as it is.
    ///
    /// # Panics
    /// When layouts (but for their halos), lengths or numbers of channels differ.
    pub fn run(&self, (source_layout, source): (&Layout, &[f32]), (target_layout, target): (&Layout, &mut [f32])) {
        let images = target.len() / target_layout.image();
        let channels = self.scale.len();
        let lanes = shape(self.level).lanes;
        assert_eq!([target_layout.channels, target_layout.lanes], [channels, lanes], "target layout");
        assert_eq!(Layout { halo: target_layout.halo, ..*source_layout }, *target_layout, "layouts");
        let lengths = [source_layout, target_layout].map(|layout| images * layout.image());
        assert_eq!([source.len(), target.len()], lengths, "lengths");
        let padded = source_layout.blocks() * lanes;
        let of_group = (channels / self.groups * source_layout.rows * source_layout.cols) as f64;
        // The mean of every channel's group from the sums of its channels.
        let shared = |sums: &mut [f32]| {
            for image in sums.chunks_mut(padded) {
                for group in image[..channels].chunks_mut(channels / self.groups) {
                    let sum: f64 = group.iter().map(|&sum| f64::from(sum)).sum();
                    group.fill((sum / of_group) as f32);
                }
            }
        };
        let sums = |centres: Option<&[f32]>| {
            let mut sums = vec![0.0; images * padded];
            let blocks = sums.par_chunks_mut(lanes).zip(source.par_chunks(source_layout.block()));
            blocks.enumerate().for_each(|(index, (results, source))| {
                let centres = centres.map(|centres| &centres[index * lanes..][..lanes]);
                let work = Sums { layout: source_layout, source, centres, results };
                // SAFETY: the level is available; the block is one of the layout, the slices have `lanes` floats.
                unsafe { dispatch(self.level, work) }
            });
            shared(&mut sums);
            sums
        };
        let means = sums(None);
        let mut scales = sums(Some(&means));
        let mut shifts = means;
        for (scales, shifts) in scales.chunks_mut(padded).zip(shifts.chunks_mut(padded)) {
            for channel in 0..channels {
                let scale = self.scale[channel] / (scales[channel] + self.epsilon).sqrt();
                shifts[channel] = self.shift[channel] - shifts[channel] * scale;
                scales[channel] = scale;
            }
            scales[channels..].fill(0.0);
            shifts[channels..].fill(0.0);
        }
        let blocks = target.par_chunks_mut(target_layout.block()).zip(source.par_chunks(source_layout.block()));
        blocks.enumerate().for_each(|(index, (target, source))| {
            let vector = |values: &[f32]| values[index * lanes..][..lanes].as_ptr();
            let work = Scaled {
                activation: &self.activation,
                vectors: [
                    vector(&scales),
                    vector(&shifts),
                    self.slopes[index % target_layout.blocks() * lanes..][..lanes].as_ptr(),
                ],
                source_layout,
                source,
                target_layout,
                target: Target::new(target),
            };
            // SAFETY: the level is available; layouts and lengths were compared above, the vectors have `lanes` floats.
            unsafe { dispatch(self.level, work) }
        });
    }
}

/// Sums of a block's channels, or of the squares of their distances from something.
struct Sums<'a> {
    layout: &'a Layout,
    source: &'a [f32],
    centres: Option<&'a [f32]>,
    results: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        // SAFETY: as for this function: rows lie within the block, the other slices are a vector long.
        unsafe {
            let centres = match self.centres {
                Some(centres) => S::load(centres.as_ptr()),
                None => S::splat(0.0),
            };
            let mut sum = S::splat(0.0);
            for row in 0..self.layout.rows {
                let from = self.source.as_ptr().add(self.layout.offset(0, row as isize, 0));
                // Row by row, so that small numbers meet small ones.
                let mut of_row = S::splat(0.0);
                for col in 0..self.layout.cols {
                    let x = S::sub(S::load(from.add(col * S::LANES)), centres);
                    of_row = if self.centres.is_some() { S::mul_add(x, x, of_row) } else { S::add(of_row, x) };
                }
                sum = S::add(sum, of_row);
            }
            S::store(self.results.as_mut_ptr(), sum);
        }
    }
}

/// `activation(scale * x + shift)` of a block.
struct Scaled<'a> {
    activation: &'a Activation,
    /// Scale, shift and slopes of the block's channels.
    vectors: [*const f32; 3],
    source_layout: &'a Layout,
    source: &'a [f32],
    target_layout: &'a Layout,
    target: Target<'a>,
}

impl Kernel for Scaled<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Layout { rows, cols, .. } = *self.target_layout;
        // SAFETY: as for this function: rows lie within their blocks, the vectors are valid.
        unsafe {
            let [scale, shift, slopes] = [S::load(self.vectors[0]), S::load(self.vectors[1]), S::load(self.vectors[2])];
            for row in 0..rows {
                let from = self.source.as_ptr().add(self.source_layout.offset(0, row as isize, 0));
                let start = self.target_layout.offset(0, row as isize, 0);
                let to = self.target.writable(start + cols * S::LANES).add(start);
                for col in 0..cols {
                    let x = S::mul_add(S::load(from.add(col * S::LANES)), scale, shift);
                    let [x] = self.activation.apply::<S, 1>([x], slopes);
                    S::store(to.add(col * S::LANES), x);
                }
            }
        }
    }
}
