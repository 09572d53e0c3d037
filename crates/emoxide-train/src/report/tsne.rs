//! t-SNE (van der Maaten and Hinton, 2008), exact: every pair of points is looked at.
//!
//! Own code rather than a crate: figures here are the same to the last bit for the same points, whatever the number of
//! threads, so that sums over all pairs are taken row by row and then in order. Early exaggeration, momentum and step are
//! scikit-learn's, and so is the start: the two main axes of the points, made small.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::ReportError;

/// Points beyond which all pairs would take gigabytes and hours.
pub const MOST_POINTS: usize = 10_000;
/// Steps of the descent, and how many of the first pull neighbours together more strongly than they are.
const STEPS: usize = 1000;
const EARLY_STEPS: usize = 250;
const EARLY_EXAGGERATION: f64 = 12.0;
/// Spread of the points at the start along their main axis.
const START_SPREAD: f64 = 1e-4;
/// Probabilities below this one count as this one.
const LEAST: f64 = 1e-12;
/// Halvings of the interval in which a point's precision is sought, and how near the entropy has to come.
const SEARCH_STEPS: usize = 100;
const ENTROPY_TOLERANCE: f64 = 1e-5;
/// Multiplications by which the main axes are found.
const AXIS_STEPS: usize = 100;

/// Points on a plane that are near each other where the rows they stand for are.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// One a row; their mean is the origin.
    pub points: Vec<[f64; 2]>,
    /// What the descent makes small: how far the neighbourhoods on the plane are from those of the rows, in nats.
    pub divergence: f64,
}

/// Whether so many points have neighbourhoods of this perplexity.
pub fn check_perplexity(perplexity: f64, points: usize) -> Result<(), ReportError> {
    if points > MOST_POINTS {
        return Err(ReportError::Points(points));
    }
    // The bound of the authors' program: a neighbourhood reaches about three times as far as its perplexity.
    if perplexity.is_finite() && perplexity > 1.0 && 3.0 * perplexity < points as f64 {
        return Ok(());
    }
    Err(ReportError::Perplexity { perplexity, points })
}

/// Lays rows of equal length out on a plane; neighbourhoods have about `perplexity` members.
pub fn tsne(rows: &[Vec<f32>], perplexity: f64) -> Result<Plane, ReportError> {
    check_perplexity(perplexity, rows.len())?;
    if rows.iter().flatten().any(|value| !value.is_finite()) {
        return Err(ReportError::NotFinite);
    }
    let count = rows.len();
    let distances = distances(rows);
    let conditional: Vec<f64> =
        distances.par_chunks(count).enumerate().flat_map_iter(|(own, row)| neighbours(row, own, perplexity)).collect();
    let joint: Vec<f64> = (0..count * count)
        .map(|index| {
            let (row, col) = (index / count, index % count);
            let sum = conditional[index] + conditional[col * count + row];
            if row == col { 0.0 } else { (sum / (2.0 * count as f64)).max(LEAST) }
        })
        .collect();
    let mut points = start(distances, count);
    descend(&joint, &mut points);
    let divergence = divergence(&joint, &points);
    Ok(Plane { points, divergence })
}

/// Squared distances of all pairs over their mean, `[points, points]`.
fn distances(rows: &[Vec<f32>]) -> Vec<f64> {
    let squared = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(left, right)| (f64::from(*left) - f64::from(*right)).powi(2)).sum()
    };
    let mut distances: Vec<f64> =
        rows.par_iter().flat_map_iter(|left| rows.iter().map(move |right| squared(left, right))).collect();
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    if mean > 0.0 {
        distances.iter_mut().for_each(|distance| *distance /= mean);
    }
    distances
}

/// How likely point `own` is to pick each of the others as its neighbour, at the precision that gives this perplexity.
fn neighbours(distances: &[f64], own: usize, perplexity: f64) -> Vec<f64> {
    let others = || distances.iter().enumerate().filter(|(index, _)| *index != own);
    let nearest = others().map(|(_, distance)| *distance).fold(f64::INFINITY, f64::min);
    let mut row = vec![0.0; distances.len()];
    let (mut precision, mut low, mut high) = (1.0, 0.0, f64::INFINITY);
    for _ in 0..SEARCH_STEPS {
        let (mut total, mut weighted) = (0.0, 0.0);
        for (index, distance) in others() {
            let beyond = distance - nearest;
            row[index] = (-precision * beyond).exp();
            total += row[index];
            weighted += row[index] * beyond;
        }
        row.iter_mut().for_each(|share| *share /= total);
        let excess = total.ln() + precision * weighted / total - perplexity.ln();
        if excess.abs() < ENTROPY_TOLERANCE {
            break;
        }
        if excess > 0.0 {
            low = precision;
            precision = if high.is_finite() { low.midpoint(high) } else { 2.0 * precision };
        } else {
            high = precision;
            precision = low.midpoint(high);
        }
    }
    row
}

/// The two main axes of the points, from their squared distances alone (Torgerson, 1952), with a small spread.
fn start(mut distances: Vec<f64>, count: usize) -> Vec<[f64; 2]> {
    let means: Vec<f64> = distances.chunks(count).map(|row| row.iter().sum::<f64>() / count as f64).collect();
    let mean = means.iter().sum::<f64>() / count as f64;
    distances.par_chunks_mut(count).enumerate().for_each(|(row, values)| {
        values.iter_mut().zip(&means).for_each(|(value, col)| *value = -0.5 * (*value - means[row] - col + mean));
    });
    let products = distances;

    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut axes: [Vec<f64>; 2] = std::array::from_fn(|_| (0..count).map(|_| random.random_range(-1.0..1.0)).collect());
    let mut lengths = [0.0; 2];
    for _ in 0..AXIS_STEPS {
        for index in 0..2 {
            let axis = &axes[index];
            let mut next: Vec<f64> = products.par_chunks(count).map(|row| dot(row, axis)).collect();
            if index == 1 {
                let along = dot(&next, &axes[0]);
                next.iter_mut().zip(&axes[0]).for_each(|(value, first)| *value -= along * first);
            }
            lengths[index] = dot(&next, &next).sqrt();
            // Points that lie on a line, or all in one place, have no such axis.
            if lengths[index] > LEAST {
                next.iter_mut().for_each(|value| *value /= lengths[index]);
                axes[index] = next;
            }
        }
    }
    let second = if lengths[0] > LEAST { (lengths[1] / lengths[0]).sqrt() } else { 1.0 };
    let spread = START_SPREAD * (count as f64).sqrt();
    axes[0].iter().zip(&axes[1]).map(|(first, other)| [spread * first, spread * second * other]).collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// How near two points of the plane are: 1 where they meet, and falling as Student's t with one degree of freedom.
fn nearness([x, y]: [f64; 2], other: [f64; 2]) -> f64 {
    1.0 / (1.0 + (x - other[0]).powi(2) + (y - other[1]).powi(2))
}

/// Moves the points down the gradient of the divergence from the probabilities `joint`, `[points, points]`.
fn descend(joint: &[f64], points: &mut [[f64; 2]]) {
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
            points.iter_mut().for_each(|point| point[axis] -= mean);
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
fn divergence(joint: &[f64], points: &[[f64; 2]]) -> f64 {
    let near = |point: &[f64; 2]| points.iter().map(|other| nearness(*point, *other)).sum::<f64>() - 1.0;
    let total: f64 = points.iter().map(near).sum();
    let pairs = points.iter().flat_map(|point| points.iter().map(|other| nearness(*point, *other)));
    let terms = joint.iter().zip(pairs).filter(|(wanted, _)| **wanted > 0.0);
    terms.map(|(wanted, near)| wanted * (wanted / (near / total).max(LEAST)).ln()).sum()
}
