//! Rotation, uniform scale and translation.

use serde::{Deserialize, Serialize};

/// The similarity `x' = a x - b y + tx`, `y' = b x + a y + ty`: rotation, uniform scale, translation, never a reflection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// Scale times cosine of the angle.
    pub a: f64,
    /// Scale times sine of the angle (from x towards y: clockwise on a screen).
    pub b: f64,
    /// Translation to the right.
    pub tx: f64,
    /// Translation downwards.
    pub ty: f64,
}

/// Scales below this count as zero, and so do sums of squared distances between points below this share of their squared
/// distance from the origin.
const SMALLEST: f64 = 1e-12;

impl Similarity {
    /// Scales by `scale` and rotates by `degrees` (clockwise on a screen) about the origin, then shifts by `[x, y]`.
    pub fn new(scale: f64, degrees: f64, [x, y]: [f64; 2]) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        Self { a: scale * cosine, b: scale * sine, tx: x, ty: y }
    }

    /// The similarity that brings `source` closest to `target` in the sense of least squares.
    ///
    /// `None` where none is determined: fewer than two pairs, lists of different lengths, values that are not finite, all
    /// source points in one place, or a best scale of zero.
    pub fn from_points(source: &[[f32; 2]], target: &[[f32; 2]]) -> Option<Self> {
        if source.len() != target.len() || source.len() < 2 {
            return None;
        }
        let from = centre(source);
        let to = centre(target);
        let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in source.iter().zip(target) {
            let [px, py] = [f64::from(p[0]) - from[0], f64::from(p[1]) - from[1]];
            let [qx, qy] = [f64::from(q[0]) - to[0], f64::from(q[1]) - to[1]];
            along += px * qx + py * qy;
            across += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let size = from[0] * from[0] + from[1] * from[1] + 1.0;
        if !spread.is_finite() || spread <= SMALLEST * size {
            return None;
        }
        let (a, b) = (along / spread, across / spread);
        let fitted = Self { a, b, tx: to[0] - a * from[0] + b * from[1], ty: to[1] - b * from[0] - a * from[1] };
        fitted.inverse().map(|_| fitted)
    }

    /// Where a point goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty]
    }

    /// Lengths grow by this factor.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The transform back. `None` where the scale is zero or a value is not finite.
    pub fn inverse(&self) -> Option<Self> {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        let back = Self { a, b, tx: b * self.ty - a * self.tx, ty: -b * self.tx - a * self.ty };
        let usable = square > SMALLEST * SMALLEST && [a, b, back.tx, back.ty].iter().all(|value| value.is_finite());
        usable.then_some(back)
    }
}

fn centre(points: &[[f32; 2]]) -> [f64; 2] {
    let count = points.len() as f64;
    [0, 1].map(|axis| points.iter().map(|point| f64::from(point[axis])).sum::<f64>() / count)
}
