//! Five facial points and where they belong in an aligned face.

use serde::{Deserialize, Serialize};

/// Five points of a face, `[x, y]` in pixels: left eye (the image's left), right eye, tip of the nose, left and right
/// corner of the mouth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Landmarks(pub [[f32; 2]; 5]);

/// Where ArcFace and face.evoLVe put the five points in a crop of 112 x 112 pixels.
pub const ARCFACE_112: [[f32; 2]; 5] =
    [[38.294_6, 51.696_3], [73.531_8, 51.501_4], [56.025_2, 71.736_6], [41.549_3, 92.365_5], [70.729_9, 92.204_1]];

/// [`ARCFACE_112`] for a crop of another side in pixels: both coordinates times `side / 112`.
pub fn arcface(side: f32) -> [[f32; 2]; 5] {
    ARCFACE_112.map(|point| point.map(|value| value * side / 112.0))
}
