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

/// Pixel by pixel, per channel: `activation(scale * source + shift + carried)`.
#[derive(Debug)]
pub struct Combine {
    level: Level,
    channels: usize,
    /// Scale, shift and slopes, `[blocks][lanes]` each.
    vectors: [Buffer; 3],
    activation: Activation,
}

impl Combine {
    /// Packs factors (none: 1) and summands (none: 0).
    ///
    /// # Panics
    /// When there are not as many values as channels, or the level is not available.
    pub fn new(
        level: Level,
        channels: usize,
        scale: Option<&[f32]>,
        shift: Option<&[f32]>,
        activation: Activation,
    ) -> Self {
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        let padded = |values: Option<&[f32]>, rest: f32| {
            let mut buffer = Buffer::zeroed(channels.next_multiple_of(shape(level).lanes));
            buffer[..channels].fill(rest);
            if let Some(values) = values {
                assert_eq!(values.len(), channels, "a value for every channel");
                buffer[..channels].copy_from_slice(values);
            }
            buffer
        };
        let slopes = if let Activation::PRelu(slopes) = &activation { Some(slopes.as_slice()) } else { None };
        let vectors = [padded(scale, 1.0), padded(shift, 0.0), padded(slopes, 0.0)];
        Self { level, channels, vectors, activation }
    }

    /// Computes it for all images; the target's halo stays as it is.
    ///
    /// # Panics
    /// When layouts (but for their halos), lengths or numbers of channels differ.
    pub fn run(
        &self,
        (source_layout, source): (&Layout, &[f32]),
        carried: Option<(&Layout, &[f32])>,
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        let images = target.len() / target_layout.image();
        assert_eq!(target.len() % target_layout.image(), 0, "target length");
        assert_eq!(
            [target_layout.channels, target_layout.lanes],
            [self.channels, shape(self.level).lanes],
            "target layout"
        );
        for (layout, len) in [(source_layout, source.len())].into_iter().chain(carried.map(|(l, v)| (l, v.len()))) {
            assert_eq!(Layout { halo: target_layout.halo, ..*layout }, *target_layout, "layouts");
            assert_eq!(len, images * layout.image(), "length");
        }
        target.par_chunks_mut(target_layout.block()).enumerate().for_each(|(index, target)| {
            let part = |layout: &'_ Layout| index * layout.block()..(index + 1) * layout.block();
            let block = Block {
                combine: self,
                index: index % target_layout.blocks(),
                source_layout,
                source: &source[part(source_layout)],
                carried: carried.map(|(layout, values)| (layout, &values[part(layout)])),
                target_layout,
                target: Target::new(target),
            };
            // SAFETY: the level is available; layouts and lengths were compared above.
            unsafe { dispatch(self.level, block) }
        });
    }
}

/// One block of channels of one image.
struct Block<'a> {
    combine: &'a Combine,
    /// Which one.
    index: usize,
    source_layout: &'a Layout,
    source: &'a [f32],
    carried: Option<(&'a Layout, &'a [f32])>,
    target_layout: &'a Layout,
    target: Target<'a>,
}

/// Pixels that are computed together.
const PIXELS: usize = 4;

impl Block<'_> {
    /// `N` pixels from `row`, `col` on.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the pixels lie within the map.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize>(&self, row: usize, col: usize, vectors: [S::Vector; 3]) {
        let [scale, shift, slopes] = vectors;
        let place = |layout: &Layout| layout.offset(0, row as isize, col as isize);
        // SAFETY: `Combine::run` checked layouts and lengths.
        unsafe {
            let mut sums = [shift; N];
            let from = self.source.as_ptr().add(place(self.source_layout));
            for n in 0..N {
                sums[n] = S::mul_add(S::load(from.add(n * S::LANES)), scale, shift);
            }
            if let Some((layout, values)) = self.carried {
                let from = values.as_ptr().add(place(layout));
                for n in 0..N {
                    sums[n] = S::add(sums[n], S::load(from.add(n * S::LANES)));
                }
            }
            let sums = self.combine.activation.apply::<S, N>(sums, slopes);
            let start = place(self.target_layout);
            let to = self.target.writable(start + N * S::LANES).add(start);
            for n in 0..N {
                S::store(to.add(n * S::LANES), sums[n]);
            }
        }
    }
}

impl Kernel for Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const M: usize, const N: usize, const P: usize>(self) {
        let Layout { rows, cols, .. } = *self.target_layout;
        // SAFETY: the vectors have every block of the layout; the rest as for this function.
        unsafe {
            let mut vectors = [S::splat(0.0); 3];
            for index in 0..3 {
                vectors[index] = S::load(self.combine.vectors[index].as_ptr().add(self.index * S::LANES));
            }
            for row in 0..rows {
                let whole = cols - cols % PIXELS;
                for col in (0..whole).step_by(PIXELS) {
                    self.pixels::<S, PIXELS>(row, col, vectors);
                }
                for col in whole..cols {
                    self.pixels::<S, 1>(row, col, vectors);
                }
            }
        }
    }
}
