//! Tensors as planes, one for every image and channel, and what the operators on them share.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch},
};

/// Sizes of `[batch, channels, ..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Values of one image and channel.
    pub area: usize,
}

impl Planes {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.area
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of one image.
    pub(crate) fn image(&self) -> usize {
        self.channels * self.area
    }

    /// Values of one channel.
    pub(crate) fn count(&self) -> f64 {
        (self.batch * self.area) as f64
    }

    /// The planes of one channel.
    pub(crate) fn channel<'a>(&self, values: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        values.chunks_exact(self.area).skip(channel).step_by(self.channels)
    }
}

/// `max(value, 0)`
pub(crate) fn rectify(value: f32) -> f32 {
    // Not `f32::max`: a value that is not a number must stay one, so that training notices.
    if value < 0.0 { 0.0 } else { value }
}

/// `operation` of the values at each place of `inputs`, with the coefficients of the place's channel.
pub(crate) fn map<const N: usize, const C: usize>(
    level: Level,
    planes: Planes,
    inputs: [&[f32]; N],
    coefficients: &[[f32; C]],
    operation: impl Fn([f32; N], [f32; C]) -> f32 + Copy + Sync,
) -> Vec<f32> {
    let mut output = Vec::with_capacity(planes.len());
    if planes.is_empty() {
        return output;
    }
    let slots = &mut output.spare_capacity_mut()[..planes.len()];
    slots.par_chunks_mut(planes.image()).enumerate().for_each(|(image, slots)| {
        for (channel, slots) in slots.chunks_mut(planes.area).enumerate() {
            let start = image * planes.image() + channel * planes.area;
            let inputs = inputs.map(|input| &input[start..start + planes.area]);
            // SAFETY: callers checked the level.
            unsafe { dispatch(level, Map { inputs, coefficients: coefficients[channel], operation, slots }) };
        }
    });
    // SAFETY: the chunks cover all slots, and `Map` writes every slot of its chunk.
    unsafe { output.set_len(planes.len()) };
    output
}

/// One plane of [`map`].
struct Map<'a, F, const N: usize, const C: usize> {
    inputs: [&'a [f32]; N],
    coefficients: [f32; C],
    operation: F,
    slots: &'a mut [MaybeUninit<f32>],
}

impl<F: Fn([f32; N], [f32; C]) -> f32, const N: usize, const C: usize> Kernel for Map<'_, F, N, C> {
    #[inline(always)]
    unsafe fn run<S: Simd, const TM: usize, const TN: usize, const TP: usize>(self) {
        let len = self.slots.len();
        let inputs = self.inputs.map(|input| &input[..len]);
        for (place, slot) in self.slots.iter_mut().enumerate() {
            slot.write((self.operation)(inputs.map(|input| input[place]), self.coefficients));
        }
    }
}

pub(crate) fn sum(level: Level, values: &[f32], operation: impl Fn(f32) -> f32 + Copy) -> f64 {
    sum_of_two(level, values, values, |value, _| operation(value))
}

/// Sum over two planes, in an order that depends on nothing but their length.
pub(crate) fn sum_of_two(level: Level, left: &[f32], right: &[f32], operation: impl Fn(f32, f32) -> f32 + Copy) -> f64 {
    let mut total = 0.0;
    // SAFETY: callers checked the level.
    unsafe { dispatch(level, Sum { left, right, operation, total: &mut total }) };
    total
}

struct Sum<'a, F> {
    left: &'a [f32],
    right: &'a [f32],
    operation: F,
    total: &'a mut f64,
}

impl<F: Fn(f32, f32) -> f32> Kernel for Sum<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd, const TM: usize, const TN: usize, const TP: usize>(self) {
        const LANES: usize = 32;
        let (left, left_rest) = self.left.as_chunks::<LANES>();
        let (right, right_rest) = self.right.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                lanes[lane] += (self.operation)(left[lane], right[lane]);
            }
        }
        let rest = left_rest.iter().zip(right_rest).map(|(&left, &right)| (self.operation)(left, right));
        *self.total = lanes.into_iter().chain(rest).map(f64::from).sum();
    }
}
