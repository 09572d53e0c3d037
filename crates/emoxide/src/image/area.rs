//! Area averaging as in PyTorch's `interpolate(mode="area")`, which is adaptive average pooling.

use std::ops::Range;

use image::RgbImage;

/// A rectangle of an image in whole pixels. It must lie inside the image and hold at least one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Window {
    pub(crate) fn whole(image: &RgbImage) -> Self {
        Self { left: 0, top: 0, width: image.width(), height: image.height() }
    }
}

/// The source pixels that cell `index` of `cells` averages: all that it touches.
///
/// Neighbouring cells share a source pixel where the ratio is not whole; where the target is larger, cells repeat.
fn covered(index: usize, cells: usize, pixels: u32) -> Range<usize> {
    let pixels = pixels as usize;
    index * pixels / cells..((index + 1) * pixels).div_ceil(cells)
}

/// Reduces `window` to `width` x `height` cells and hands out the rows in `rows`, each as `[width][3]` means in 0..=255.
///
/// Rows are made one after another, so that a strip of a large reduction needs no more memory than itself.
pub(crate) fn area_rows(
    image: &RgbImage,
    window: Window,
    [width, height]: [usize; 2],
    rows: Range<usize>,
    mut take: impl FnMut(usize, &[[f32; 3]]),
) {
    let stride = image.width() as usize * 3;
    let columns: Vec<Range<usize>> = (0..width).map(|column| covered(column, width, window.width)).collect();
    let mut sums = vec![0_u32; window.width as usize * 3];
    let mut means = vec![[0.0; 3]; width];
    for row in rows {
        let source = covered(row, height, window.height);
        sums.fill(0);
        for line in source.clone() {
            let start = (window.top as usize + line) * stride + window.left as usize * 3;
            let pixels = &image.as_raw()[start..start + sums.len()];
            sums.iter_mut().zip(pixels).for_each(|(sum, &value)| *sum += u32::from(value));
        }
        for (mean, columns) in means.iter_mut().zip(&columns) {
            let cells = (columns.len() * source.len()) as f32;
            let mut total = [0_u64; 3];
            for pixel in sums[columns.start * 3..columns.end * 3].chunks_exact(3) {
                (0..3).for_each(|channel| total[channel] += u64::from(pixel[channel]));
            }
            *mean = total.map(|total| total as f32 / cells);
        }
        take(row, &means);
    }
}
