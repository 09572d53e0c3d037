//! A Kalman filter of constant velocity over a box.
//!
//! The state is that of SORT's and DeepSORT's filters, as ByteTrack uses it: middle, aspect (width over height) and height,
//! and the velocity of each. Noise is proportional to the height. Motion and noise of one of the four never depend on
//! another's, so the filter of eight states is four filters of two, and is computed as such.
//!
//! Deviation: time is counted in steps of 1/30 s and needs not pass evenly. A prediction over `steps` moves by
//! `steps` times the velocity and adds `steps` times the noise of one step; over one step it is the filter of the papers.

use crate::recognizer::FaceBox;

/// Standard deviation of a position, in heights (Wojke et al. 2017 and ByteTrack).
const POSITION: f64 = 1.0 / 20.0;
/// Standard deviation of a velocity, in heights a step.
const VELOCITY: f64 = 1.0 / 160.0;
/// Which of the four is the aspect, whose noise does not depend on the height.
const ASPECT: usize = 2;
/// Which of the four is the height.
const HEIGHT: usize = 3;

/// One of the four: value and velocity with their covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    value: f64,
    velocity: f64,
    /// Variance of the value.
    value_variance: f64,
    covariance: f64,
    /// Variance of the velocity.
    velocity_variance: f64,
}

/// Where a box is and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion([Axis; 4]);

impl Motion {
    /// A box that is seen for the first time and may go anywhere.
    pub fn new(bbox: &FaceBox) -> Self {
        let measured = measured(bbox);
        let height = measured[HEIGHT];
        Self(std::array::from_fn(|axis| Axis {
            value: measured[axis],
            velocity: 0.0,
            value_variance: square(if axis == ASPECT { 1e-2 } else { 2.0 * POSITION * height }),
            covariance: 0.0,
            velocity_variance: square(if axis == ASPECT { 1e-5 } else { 10.0 * VELOCITY * height }),
        }))
    }

    /// Lets time pass.
    pub fn predict(&mut self, steps: f64) {
        let height = self.0[HEIGHT].value;
        for (index, axis) in self.0.iter_mut().enumerate() {
            let aspect = index == ASPECT;
            let value_noise = square(if aspect { 1e-2 } else { POSITION * height });
            let velocity_noise = square(if aspect { 1e-5 } else { VELOCITY * height });
            axis.value += steps * axis.velocity;
            axis.value_variance +=
                steps * (2.0 * axis.covariance + steps * axis.velocity_variance) + steps * value_noise;
            axis.covariance += steps * axis.velocity_variance;
            axis.velocity_variance += steps * velocity_noise;
        }
    }

    /// Takes note of where the box is seen.
    pub fn update(&mut self, bbox: &FaceBox) {
        let measured = measured(bbox);
        let height = self.0[HEIGHT].value;
        for (index, axis) in self.0.iter_mut().enumerate() {
            let noise = square(if index == ASPECT { 1e-1 } else { POSITION * height });
            let total = axis.value_variance + noise;
            let (gain, velocity_gain) = (axis.value_variance / total, axis.covariance / total);
            let surprise = measured[index] - axis.value;
            axis.value += gain * surprise;
            axis.velocity += velocity_gain * surprise;
            axis.velocity_variance -= velocity_gain * axis.covariance;
            axis.covariance -= gain * axis.covariance;
            axis.value_variance -= gain * axis.value_variance;
        }
    }

    /// Height and aspect stay as they are: what is not seen must not shrink to nothing. ByteTrack does so with the height.
    pub(super) fn keep_size(&mut self) {
        self.0[HEIGHT].velocity = 0.0;
        self.0[ASPECT].velocity = 0.0;
    }

    /// Where it is believed to be.
    pub(super) fn bbox(&self) -> FaceBox {
        let [x, y, aspect, height] = self.0.map(|axis| axis.value);
        let [width, height] = [aspect * height, height].map(|side| side.max(0.0));
        FaceBox {
            x: (x - width / 2.0) as f32,
            y: (y - height / 2.0) as f32,
            width: width as f32,
            height: height as f32,
        }
    }

    /// Middle `[x, y]`, aspect and height, then the velocity of each a step.
    pub fn mean(&self) -> [f64; 8] {
        std::array::from_fn(|index| {
            let axis = self.0[index % 4];
            if index < 4 { axis.value } else { axis.velocity }
        })
    }

    /// The variance of each value of [`mean`](Self::mean).
    pub fn variances(&self) -> [f64; 8] {
        std::array::from_fn(|index| {
            let axis = self.0[index % 4];
            if index < 4 { axis.value_variance } else { axis.velocity_variance }
        })
    }
}

fn square(value: f64) -> f64 {
    value * value
}

/// Middle, aspect and height. A box without height, which a broken detector may give, counts as one pixel high.
fn measured(bbox: &FaceBox) -> [f64; 4] {
    let [x, y, width, height] = [bbox.x, bbox.y, bbox.width, bbox.height].map(f64::from);
    let height = height.max(1.0);
    [x + width / 2.0, y + height / 2.0, width / height, height]
}
