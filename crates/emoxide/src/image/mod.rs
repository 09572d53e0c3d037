//! Host images: decoding with limits, resizing like Pillow and like OpenCV, cutting out windows,
//! warping by a similarity.
//!
//! Every image is 8-bit RGB, row by row from the top left. A position names a pixel by the index of its centre: `(0, 0)`
//! is the middle of the top left pixel.

mod area;
mod crop;
mod decode;
mod error;
mod pillow;
mod resize;
mod warp;

pub(crate) use area::{Window, area_rows};
pub use crop::{centre, window};
pub use decode::{ENDINGS, Limits, decode};
pub use error::ImageError;
pub use image::RgbImage;
pub use resize::{Filter, resize};
pub use warp::{warp, warp_antialiased};
