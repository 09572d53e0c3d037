//! Windows of a picture, which may reach beyond it.

use image::{Rgb, RgbImage};

/// The `width` x `height` pixels from column `left` and row `top` on; `fill` stands where there is no picture.
pub fn window(image: &RgbImage, left: i64, top: i64, width: u32, height: u32, fill: [u8; 3]) -> RgbImage {
    let mut out = RgbImage::from_pixel(width, height, Rgb(fill));
    let first = left.max(0);
    let last = (left + i64::from(width)).min(i64::from(image.width()));
    if last <= first {
        return out;
    }
    let (source_stride, out_stride) = (image.width() as usize * 3, width as usize * 3);
    let source_columns = first as usize * 3..last as usize * 3;
    let out_start = (first - left) as usize * 3;
    let source = image.as_raw();
    for (row, line) in out.chunks_exact_mut(out_stride).enumerate() {
        let source_row = top + row as i64;
        if source_row >= 0 && source_row < i64::from(image.height()) {
            let start = source_row as usize * source_stride;
            let columns = &source[start + source_columns.start..start + source_columns.end];
            line[out_start..out_start + columns.len()].copy_from_slice(columns);
        }
    }
    out
}

/// The middle `width` x `height` pixels, as torchvision's `CenterCrop` cuts them: half a pixel goes to the even side, and a
/// picture that is too small is padded with black first.
pub fn centre(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let start = |image: u32, window: u32| {
        if window > image {
            -i64::from((window - image) / 2)
        } else {
            (f64::from(image - window) / 2.0).round_ties_even() as i64
        }
    };
    window(image, start(image.width(), width), start(image.height(), height), width, height, [0; 3])
}
