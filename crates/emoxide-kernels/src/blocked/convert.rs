use rayon::prelude::*;

use super::layout::Layout;

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
    let mut values = Vec::with_capacity(source.len());
    for image in source.chunks(layout.image()) {
        for channel in 0..layout.channels {
            let lane = channel % layout.lanes;
            for row in 0..layout.rows {
                let start = layout.offset(channel / layout.lanes, row as isize, 0);
                values.extend((0..layout.cols).map(|col| {
                    let pixel = &image[start + col * layout.width..][..layout.width];
                    if layout.is_bf16() {
                        f32::from_bits(pixel[lane / 2].to_bits() >> (16 * (lane % 2)) << 16)
                    } else {
                        pixel[lane]
                    }
                }));
            }
        }
    }
    values
}
