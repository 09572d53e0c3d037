//! Turning, shifting, scaling and shearing, in one pass over the result.

use emoxide::image::RgbImage;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::AugmentError;
use super::random::{check_amount, check_range, uniform};

/// How a position between pixels is read. Both follow Pillow: a position outside the picture gets the fill colour, one
/// in the outer half of a border pixel gets that pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The pixel that holds the position.
    #[default]
    Nearest,
    /// The four around it, weighted.
    Bilinear,
}

/// What stands where there is no picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// The fill colour.
    #[default]
    Fill,
    /// The picture's mirror image about its outer pixels, which are not repeated: OpenCV's `BORDER_REFLECT_101`.
    Reflect,
}

/// Turns about the middle by a uniform angle; the size is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Largest angle to either side, degrees.
    pub degrees: f64,
    /// How positions are read.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Colour where there is no picture.
    #[serde(default)]
    pub fill: [u8; 3],
}

impl Rotation {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_amount("rotation", "degrees", self.degrees)
    }

    pub(super) fn apply(&self, image: &RgbImage, random: &mut impl Rng) -> RgbImage {
        let angle = uniform([-self.degrees, self.degrees], random);
        let (width, height) = image.dimensions();
        warp(image, &rotation_matrix(width, height, angle), self.interpolation, self.fill)
    }
}

/// Turns, shifts, scales and shears about the middle: torchvision's `RandomAffine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Affine {
    /// Largest angle to either side, degrees.
    pub degrees: f64,
    /// Largest shift to either side, shares of width and height; shifts are whole pixels.
    pub translate: [f64; 2],
    /// Range of the factor.
    pub scale: [f64; 2],
    /// Largest shear to either side along x and y, degrees.
    pub shear: [f64; 2],
    /// How positions are read.
    pub interpolation: Interpolation,
    /// Colour where there is no picture.
    pub fill: [u8; 3],
    /// What stands where there is no picture.
    pub border: Border,
}

impl Default for Affine {
    fn default() -> Self {
        Self {
            degrees: 0.0,
            translate: [0.0; 2],
            scale: [1.0; 2],
            shear: [0.0; 2],
            interpolation: Interpolation::default(),
            fill: [0; 3],
            border: Border::default(),
        }
    }
}

/// One draw of [`Affine`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineDraw {
    /// Clockwise on the screen, degrees.
    pub angle: f64,
    /// To the right and down, pixels.
    pub translate: [f64; 2],
    /// Factor.
    pub scale: f64,
    /// Along x and y, degrees.
    pub shear: [f64; 2],
}

impl Affine {
    pub(super) fn check(&self) -> Result<(), AugmentError> {
        check_amount("affine", "degrees", self.degrees)?;
        for share in self.translate {
            check_range("affine", "translate", [0.0, share], 0.0..=1.0, "a pair of shares from 0 to 1")?;
        }
        check_range("affine", "scale", self.scale, 1e-3..=1e3, "a rising pair of positive factors")?;
        for shear in self.shear {
            check_range("affine", "shear", [0.0, shear], 0.0..=89.0, "a pair of angles from 0 to 89 degrees")?;
        }
        Ok(())
    }

    /// Draws the parameters for a picture of the given size.
    pub fn draw(&self, width: u32, height: u32, random: &mut impl Rng) -> AffineDraw {
        let mut both_sides = |largest: f64| uniform([-largest, largest], random);
        let angle = both_sides(self.degrees);
        let shift_x = both_sides(self.translate[0] * f64::from(width)).round_ties_even();
        let shift_y = both_sides(self.translate[1] * f64::from(height)).round_ties_even();
        let shear = [both_sides(self.shear[0]), both_sides(self.shear[1])];
        AffineDraw { angle, translate: [shift_x, shift_y], scale: uniform(self.scale, random), shear }
    }

    pub(super) fn apply(&self, image: &RgbImage, random: &mut impl Rng) -> RgbImage {
        let (width, height) = image.dimensions();
        let draw = self.draw(width, height, random);
        let matrix = affine_matrix(width, height, &draw);
        match self.border {
            Border::Fill => warp(image, &matrix, self.interpolation, self.fill),
            Border::Reflect => reflected(image, &matrix, self.interpolation),
        }
    }
}

/// From a position in the result to one in the source: `x' = m0 x + m1 y + m2`, `y' = m3 x + m4 y + m5`. Positions count
/// from the corner of the picture; the middle of the first pixel is at one half.
pub type Matrix = [f64; 6];

/// The matrix of a counter-clockwise turn about the middle (Pillow's `rotate`, torchvision's `RandomRotation`).
pub fn rotation_matrix(width: u32, height: u32, degrees: f64) -> Matrix {
    let (sine, cosine) = (-degrees.to_radians()).sin_cos();
    about([f64::from(width) / 2.0, f64::from(height) / 2.0], [cosine, sine, -sine, cosine], [0.0; 2])
}

/// The matrix of a draw: the inverse of shifting after scaling, shearing and turning about the middle.
pub fn affine_matrix(width: u32, height: u32, draw: &AffineDraw) -> Matrix {
    affine_about([f64::from(width) / 2.0, f64::from(height) / 2.0], draw)
}

/// The same about another place of the picture.
pub fn affine_about(middle: [f64; 2], draw: &AffineDraw) -> Matrix {
    let turn = draw.angle.to_radians();
    let [shear_x, shear_y] = draw.shear.map(f64::to_radians);
    let a = (turn - shear_y).cos() / shear_y.cos();
    let b = -(turn - shear_y).cos() * shear_x.tan() / shear_y.cos() - turn.sin();
    let c = (turn - shear_y).sin() / shear_y.cos();
    let d = -(turn - shear_y).sin() * shear_x.tan() / shear_y.cos() + turn.cos();
    // [a b; c d] has determinant one.
    let inverse = [d, -b, -c, a].map(|value| value / draw.scale);
    about(middle, inverse, draw.translate)
}

/// A linear map from result to source that keeps one place, after undoing a shift.
fn about(middle: [f64; 2], [xx, xy, yx, yy]: [f64; 4], shift: [f64; 2]) -> Matrix {
    let [x, y] = [-middle[0] - shift[0], -middle[1] - shift[1]];
    [xx, xy, xx * x + xy * y + middle[0], yx, yy, yx * x + yy * y + middle[1]]
}

/// A picture of the same size in which every pixel is read where `matrix` points.
pub fn warp(image: &RgbImage, matrix: &Matrix, interpolation: Interpolation, fill: [u8; 3]) -> RgbImage {
    match interpolation {
        Interpolation::Nearest => nearest(image, matrix, fill),
        Interpolation::Bilinear => bilinear(image, matrix, fill),
    }
}

/// Positions in steps of 1/65536 pixel, as Pillow has them.
fn nearest(image: &RgbImage, matrix: &Matrix, fill: [u8; 3]) -> RgbImage {
    const BITS: u32 = 16;
    let fixed = |value: f64| (value * f64::from(1 << BITS) + 0.5).floor() as i64;
    let (width, height) = image.dimensions();
    let source = image.as_raw();
    let [xx, xy, yx, yy] = [matrix[0], matrix[1], matrix[3], matrix[4]].map(fixed);
    let mut row_x = fixed(matrix[2] + (matrix[0] + matrix[1]) * 0.5);
    let mut row_y = fixed(matrix[5] + (matrix[3] + matrix[4]) * 0.5);
    let mut out = Vec::with_capacity(source.len());
    for _ in 0..height {
        let (mut x, mut y) = (row_x, row_y);
        for _ in 0..width {
            let (column, row) = (x >> BITS, y >> BITS);
            if column >= 0 && column < i64::from(width) && row >= 0 && row < i64::from(height) {
                let at = (row as usize * width as usize + column as usize) * 3;
                out.extend_from_slice(&source[at..at + 3]);
            } else {
                out.extend_from_slice(&fill);
            }
            x += xx;
            y += yx;
        }
        row_x += xy;
        row_y += yy;
    }
    rebuilt(width, height, out)
}

fn bilinear(image: &RgbImage, matrix: &Matrix, fill: [u8; 3]) -> RgbImage {
    let (width, height) = image.dimensions();
    let (last_column, last_row) = (width as usize - 1, height as usize - 1);
    let stride = width as usize * 3;
    let source = image.as_raw();
    let mut out = Vec::with_capacity(source.len());
    for row in 0..height {
        let row = f64::from(row) + 0.5;
        for column in 0..width {
            let column = f64::from(column) + 0.5;
            let x = matrix[0] * column + matrix[1] * row + matrix[2];
            let y = matrix[3] * column + matrix[4] * row + matrix[5];
            if x < 0.0 || y < 0.0 || x >= f64::from(width) || y >= f64::from(height) {
                out.extend_from_slice(&fill);
                continue;
            }
            // From corners to middles; the outer half of a border pixel reads that pixel alone.
            let (x, y) = (x - 0.5, y - 0.5);
            let (left, top) = (x.floor(), y.floor());
            let (right_share, lower_share) = ((x - left) as f32, (y - top) as f32);
            let columns = [left.max(0.0) as usize, ((left + 1.0) as usize).min(last_column)];
            let rows = [top.max(0.0) as usize, ((top + 1.0) as usize).min(last_row)];
            let upper = &source[rows[0] * stride..rows[0] * stride + stride];
            let lower = &source[rows[1] * stride..rows[1] * stride + stride];
            for channel in 0..3 {
                let across = |line: &[u8]| {
                    let left = f32::from(line[columns[0] * 3 + channel]);
                    let right = f32::from(line[columns[1] * 3 + channel]);
                    left + (right - left) * right_share
                };
                let (upper, lower) = (across(upper), across(lower));
                // Pillow cuts the fraction off.
                out.push((upper + (lower - upper) * lower_share) as u8);
            }
        }
    }
    rebuilt(width, height, out)
}

/// A picture of the same size in which every pixel is read where `matrix` points, in the mirror image outside of the picture.
pub fn reflected(image: &RgbImage, matrix: &Matrix, interpolation: Interpolation) -> RgbImage {
    let (width, height) = image.dimensions();
    let pixel = |x: f64, y: f64| image.get_pixel(mirror(x, width), mirror(y, height)).0.map(f64::from);
    RgbImage::from_fn(width, height, |column, row| {
        let (column, row) = (f64::from(column) + 0.5, f64::from(row) + 0.5);
        // From corners to middles.
        let x = matrix[0] * column + matrix[1] * row + matrix[2] - 0.5;
        let y = matrix[3] * column + matrix[4] * row + matrix[5] - 0.5;
        let values = match interpolation {
            Interpolation::Nearest => pixel(x.round(), y.round()),
            Interpolation::Bilinear => {
                let (left, top) = (x.floor(), y.floor());
                let mix = |one: [f64; 3], other: [f64; 3], share: f64| {
                    std::array::from_fn(|channel| one[channel] + (other[channel] - one[channel]) * share)
                };
                let across = |y: f64| mix(pixel(left, y), pixel(left + 1.0, y), x - left);
                mix(across(top), across(top + 1.0), y - top)
            }
        };
        image::Rgb(values.map(|value| value.round() as u8))
    })
}

/// The pixel of `count` that stands at a whole position, there and back again without repeating the outer ones.
fn mirror(position: f64, count: u32) -> u32 {
    let (position, last) = (position as i64, i64::from(count) - 1);
    if last == 0 {
        return 0;
    }
    let place = position.rem_euclid(2 * last);
    place.min(2 * last - place) as u32
}

fn rebuilt(width: u32, height: u32, values: Vec<u8>) -> RgbImage {
    RgbImage::from_raw(width, height, values).expect("one value was written for every value of the source")
}
