use rayon::prelude::*;

use super::{layout::Layout, tile::Target};
use crate::{
    level::Level,
    simd::{Kernel, Simd, dispatch, shape},
};

/// A function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// The larger one.
    Max,
}

/// `target = left ∘ right`, value by value, for all images; the target's halo stays as it is.
///
/// Where the left operand is a map, the right one may be a single pixel, for all pixels, or a single channel, for all
/// channels.
///
/// # Panics
/// When the level is not available, or layouts (but for their halos) and lengths do not fit each other.
pub fn elementwise(
    level: Level,
    binary: Binary,
    (left_layout, left): (&Layout, &[f32]),
    (right_layout, right): (&Layout, &[f32]),
    (target_layout, target): (&Layout, &mut [f32]),
) {
    let lanes = shape(level).lanes;
    let images = target.len() / target_layout.image();
    assert!(level.is_available(), "level {} is not available on this processor", level.name());
    assert_eq!([left_layout.lanes, right_layout.lanes, target_layout.lanes], [lanes; 3], "lanes");
    assert_eq!(Layout { halo: left_layout.halo, ..*target_layout }, *left_layout, "layouts");
    let size = |layout: &Layout| [layout.rows, layout.cols];
    let one_pixel = size(right_layout) == [1, 1];
    let one_channel = right_layout.channels == 1 && target_layout.channels > 1;
    assert!(one_pixel || size(right_layout) == size(target_layout), "size of the right operand");
    assert!(one_channel || right_layout.channels == target_layout.channels, "channels of the right operand");
    let lengths = [left_layout, right_layout, target_layout].map(|layout| images * layout.image());
    assert_eq!([left.len(), right.len(), target.len()], lengths, "lengths");
    target.par_chunks_mut(target_layout.block()).enumerate().for_each(|(index, target)| {
        let (image, block) = (index / target_layout.blocks(), index % target_layout.blocks());
        let right_block = image * right_layout.blocks() + if one_channel { 0 } else { block };
        let work = Block {
            binary,
            left_layout,
            left: &left[index * left_layout.block()..][..left_layout.block()],
            right_layout,
            right: &right[right_block * right_layout.block()..][..right_layout.block()],
            one_channel,
            one_pixel,
            target_layout,
            target: Target::new(target),
        };
        // SAFETY: the level is available; layouts and lengths were compared above.
        unsafe { dispatch(level, work) }
    });
}

/// One block of channels of one image.
struct Block<'a> {
    binary: Binary,
    left_layout: &'a Layout,
    left: &'a [f32],
    right_layout: &'a Layout,
    right: &'a [f32],
    one_channel: bool,
    one_pixel: bool,
    target_layout: &'a Layout,
    target: Target<'a>,
}

impl Kernel for Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Layout { rows, cols, .. } = *self.target_layout;
        for row in 0..rows {
            let start = |layout: &Layout, row: usize| layout.offset(0, row as isize, 0);
            let step = if self.one_pixel { 0 } else { S::LANES };
            let right_row = if self.one_pixel { 0 } else { row };
            let to_start = start(self.target_layout, row);
            let to_end = to_start + cols * S::LANES;
            // SAFETY: as for this function: every row of every operand lies within its block.
            unsafe {
                let left = self.left.as_ptr().add(start(self.left_layout, row));
                let right = self.right.as_ptr().add(start(self.right_layout, right_row));
                let to = self.target.writable(to_end).add(to_start);
                for col in 0..cols {
                    let a = S::load(left.add(col * S::LANES));
                    let b = right.add(col * step);
                    let b = if self.one_channel { S::splat(*b) } else { S::load(b) };
                    let value = match self.binary {
                        Binary::Add => S::add(a, b),
                        Binary::Sub => S::sub(a, b),
                        Binary::Mul => S::mul(a, b),
                        Binary::Max => S::largest(a, b),
                    };
                    S::store(to.add(col * S::LANES), value);
                }
            }
        }
    }
}
