use rayon::prelude::*;

use super::layout::Layout;

/// Fewest numbers of a task: with less, handing it out costs more than it spares.
const TOGETHER: usize = 4096;

/// Pictures `[batch, channels, rows, cols]` to a planar layout; its halo stays as it is.
///
/// # Panics
/// When a length does not fit, or the layout is not planar.
pub fn from_planar(pictures: &[f32], layout: &Layout, target: &mut [f32]) {
    assert_eq!(layout.lanes, 1, "planar");
    let area = layout.rows * layout.cols;
    assert_eq!(pictures.len() * layout.image(), target.len() * layout.channels * area, "length");
    target.par_chunks_mut(layout.block()).zip(pictures.par_chunks(area)).for_each(|(target, plane)| {
        for (target, row) in target.chunks_mut(layout.row()).skip(layout.halo).zip(plane.chunks(layout.cols)) {
            target[layout.halo..layout.halo + layout.cols].copy_from_slice(row);
        }
    });
}

/// A blocked layout, of floats or of bfloat16, to `[batch, channels, rows, cols]`.
///
/// # Panics
/// When the length is no multiple of the layout's image.
pub fn from_blocked(layout: &Layout, source: &[f32]) -> Vec<f32> {
    assert_eq!(source.len() % layout.image(), 0, "length");
    let area = layout.rows * layout.cols;
    let mut values = vec![0.0; source.len() / layout.image() * layout.channels * area];
    values.par_chunks_mut(area).with_min_len(TOGETHER.div_ceil(area)).enumerate().for_each(|(plane, values)| {
        let (image, channel) = (plane / layout.channels, plane % layout.channels);
        let image = &source[image * layout.image()..][..layout.image()];
        let lane = channel % layout.lanes;
        for (row, values) in values.chunks_mut(layout.cols).enumerate() {
            let start = layout.offset(channel / layout.lanes, row as isize, 0);
            for (value, pixel) in values.iter_mut().zip(image[start..].chunks_exact(layout.width)) {
                *value = if layout.is_bf16() {
                    f32::from_bits(pixel[lane / 2].to_bits() >> (16 * (lane % 2)) << 16)
                } else {
                    pixel[lane]
                };
            }
        }
    });
    values
}
