use rayon::prelude::*;

use super::from_blocked;
use super::layout::Layout;
use super::transpose::pack;
use crate::involution::{Geometry, forward};
use crate::level::Level;

/// An involution of a compiled network: every pixel of a map has kernels of its own, which are another map.
#[derive(Clone, Copy, Debug)]
pub struct Involution {
    level: Level,
    /// Of one image.
    geometry: Geometry,
}

impl Involution {
    /// # Panics
    /// When the level is not available, or the geometry is invalid or of several images.
    pub fn new(level: Level, geometry: Geometry) -> Self {
        assert!(level.is_available(), "level {} is not available on this processor", level.name());
        assert!(geometry.is_valid() && geometry.batch == 1, "one image: {geometry:?}");
        Self { level, geometry }
    }

    /// Computes it for `batch` images. Channels of the kernels' map are groups, and in each the numbers of a kernel, row by
    /// row. The target's halo becomes zero.
    ///
    /// # Panics
    /// When a layout or a length does not fit.
    pub fn run(
        &self,
        batch: usize,
        source: (&Layout, &[f32]),
        kernels: (&Layout, &[f32]),
        target: (&Layout, &mut [f32]),
    ) {
        let geometry = Geometry { batch, ..self.geometry };
        let (layout, target) = target;
        assert_eq!([layout.rows, layout.cols], geometry.output(), "rows and columns of the target");
        assert_eq!(layout.channels, geometry.channels, "channels of the target");
        assert_eq!(target.len(), batch * layout.image(), "target length");
        let [source, kernels] = [source, kernels].map(|(layout, values)| from_blocked(layout, values));
        let output = forward(self.level, &geometry, &source, &kernels);
        let area = layout.rows * layout.cols;
        let images = target.par_chunks_mut(layout.image()).zip(output.par_chunks(layout.channels * area));
        images.for_each(|(target, image)| pack(self.level, image, area, 0, layout, target));
    }
}
