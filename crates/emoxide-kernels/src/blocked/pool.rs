use rayon::prelude::*;

use super::layout::Layout;

/// Largest value of every `kernel` x `kernel` window; the target's halo stays as it is. Padding never wins.
///
/// # Panics
/// When layouts and lengths do not fit each other.
pub fn max_pool(
    kernel: usize,
    stride: usize,
    padding: usize,
    (source_layout, source): (&Layout, &[f32]),
    (target_layout, target): (&Layout, &mut [f32]),
) {
    let size = |size: usize| ((size + 2 * padding).saturating_sub(kernel)) / stride + 1;
    assert_eq!(
        [source_layout.lanes, source_layout.channels, size(source_layout.rows), size(source_layout.cols)],
        [target_layout.lanes, target_layout.channels, target_layout.rows, target_layout.cols],
        "layouts"
    );
    check(source_layout, source, target_layout, target);
    let lanes = source_layout.lanes;
    let window = |index: usize, size: usize| {
        let start = (index * stride) as isize - padding as isize;
        start.max(0)..(start + kernel as isize).min(size as isize)
    };
    let blocks = target.par_chunks_mut(target_layout.block()).zip(source.par_chunks(source_layout.block()));
    blocks.for_each(|(target, source)| {
        for row in 0..target_layout.rows {
            for col in 0..target_layout.cols {
                let to = target_layout.offset(0, row as isize, col as isize);
                let to = &mut target[to..to + lanes];
                to.fill(f32::NEG_INFINITY);
                for row in window(row, source_layout.rows) {
                    for col in window(col, source_layout.cols) {
                        let from = source_layout.offset(0, row, col);
                        for (largest, value) in to.iter_mut().zip(&source[from..from + lanes]) {
                            *largest = if *value > *largest || value.is_nan() { *value } else { *largest };
                        }
                    }
                }
            }
        }
    });
}

/// Mean over the pixels of every map, a target of one pixel.
///
/// # Panics
/// When layouts and lengths do not fit each other.
pub fn mean((source_layout, source): (&Layout, &[f32]), (target_layout, target): (&Layout, &mut [f32])) {
    assert_eq!(
        *target_layout,
        Layout { rows: 1, cols: 1, halo: target_layout.halo, ..*source_layout },
        "a pixel for every map"
    );
    check(source_layout, source, target_layout, target);
    let lanes = source_layout.lanes;
    let area = (source_layout.rows * source_layout.cols) as f32;
    for (target, block) in target.chunks_mut(target_layout.block()).zip(source.chunks(source_layout.block())) {
        let to = target_layout.offset(0, 0, 0);
        let sums = &mut target[to..to + lanes];
        sums.fill(0.0);
        for row in 0..source_layout.rows {
            let start = source_layout.offset(0, row as isize, 0);
            for pixel in block[start..start + source_layout.cols * lanes].chunks(lanes) {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
        }
        for sum in sums {
            *sum /= area;
        }
    }
}

fn check(source_layout: &Layout, source: &[f32], target_layout: &Layout, target: &[f32]) {
    assert_eq!(source.len() % source_layout.image() + target.len() % target_layout.image(), 0, "lengths");
    assert_eq!(source.len() / source_layout.image(), target.len() / target_layout.image(), "images");
}
