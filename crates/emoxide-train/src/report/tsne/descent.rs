//! The descent of points on a plane to where their neighbourhoods are those that are wanted.

use rayon::prelude::*;

use super::LEAST;

/// Steps of the descent, and how many of the first pull neighbours together more strongly than they are.
const STEPS: usize = 1000;
const EARLY_STEPS: usize = 250;
const EARLY_EXAGGERATION: f64 = 12.0;

/// How near two points of the plane are: 1 where they meet, and falling as Student's t with one degree of freedom.
pub(super) fn nearness([x, y]: [f64; 2], other: [f64; 2]) -> f64 {
    1.0 / (1.0 + (x - other[0]).powi(2) + (y - other[1]).powi(2))
}

/// Moves the points down the gradient of the divergence from the probabilities `joint`, `[points, points]`.
pub(super) fn descend(joint: &[f64], points: &mut [[f64; 2]]) {
    let count = points.len();
    let rate = (count as f64 / EARLY_EXAGGERATION / 4.0).max(50.0);
    let mut speeds = vec![[0.0_f64; 2]; count];
    let mut gains = vec![[1.0_f64; 2]; count];
    for step in 0..STEPS {
        let (exaggeration, momentum) = if step < EARLY_STEPS { (EARLY_EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let here: &[[f64; 2]] = points;
        let forces: Vec<Forces> =
            joint.par_chunks(count).zip(here).map(|(row, point)| Forces::on(*point, row, here)).collect();
        // A point is at distance 0 from itself, which does not count.
        let total = forces.iter().map(|force| force.nearness - 1.0).sum::<f64>();
        for (index, force) in forces.iter().enumerate() {
            for axis in 0..2 {
                let gradient = 4.0 * (exaggeration * force.pull[axis] - force.push[axis] / total);
                let (gain, speed) = (&mut gains[index][axis], &mut speeds[index][axis]);
                *gain = if gradient * *speed < 0.0 { *gain + 0.2 } else { (*gain * 0.8).max(0.01) };
                *speed = momentum * *speed - rate * *gain * gradient;
                points[index][axis] += *speed;
            }
        }
        for axis in 0..2 {
            let mean = points.iter().map(|point| point[axis]).sum::<f64>() / count as f64;
            for point in points.iter_mut() {
                point[axis] -= mean;
            }
        }
    }
}

/// What all points do to one.
#[derive(Default)]
struct Forces {
    pull: [f64; 2],
    push: [f64; 2],
    nearness: f64,
}

impl Forces {
    fn on(point: [f64; 2], joint: &[f64], points: &[[f64; 2]]) -> Self {
        let mut forces = Self::default();
        for (probability, other) in joint.iter().zip(points) {
            let near = nearness(point, *other);
            for axis in 0..2 {
                let apart = point[axis] - other[axis];
                forces.pull[axis] += probability * near * apart;
                forces.push[axis] += near * near * apart;
            }
            forces.nearness += near;
        }
        forces
    }
}

/// The divergence of Kullback and Leibler from the probabilities `joint` to those of the plane.
pub(super) fn divergence(joint: &[f64], points: &[[f64; 2]]) -> f64 {
    let near = |point: &[f64; 2]| points.iter().map(|other| nearness(*point, *other)).sum::<f64>() - 1.0;
    let total: f64 = points.iter().map(near).sum();
    let pairs = points.iter().flat_map(|point| points.iter().map(|other| nearness(*point, *other)));
    let terms = joint.iter().zip(pairs).filter(|(wanted, _)| **wanted > 0.0);
    terms.map(|(wanted, near)| wanted * (wanted / (near / total).max(LEAST)).ln()).sum()
}
