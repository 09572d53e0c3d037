//! t-SNE (van der Maaten and Hinton, 2008), exact: every pair of points is looked at.
//!
//! Own code rather than a crate: figures here are the same to the last bit for the same points, whatever the number of
//! threads, so that sums over all pairs are taken row by row and then in order. Early exaggeration, momentum and step are
//! scikit-learn's, and so is the start: the two main axes of the points, made small.

mod descent;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::ReportError;
use descent::{descend, divergence};

/// Points beyond which all pairs would take gigabytes and hours.
pub const MOST_POINTS: usize = 10_000;
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
    let joint = joint(&distances, count, perplexity);
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
        for distance in &mut distances {
            *distance /= mean;
        }
    }
    distances
}

/// How likely two points are neighbours, `[points, points]`; all pairs together 1.
fn joint(distances: &[f64], count: usize, perplexity: f64) -> Vec<f64> {
    let conditional: Vec<f64> =
        distances.par_chunks(count).enumerate().flat_map_iter(|(own, row)| neighbours(row, own, perplexity)).collect();
    (0..count * count)
        .map(|index| {
            let (row, col) = (index / count, index % count);
            let sum = conditional[index] + conditional[col * count + row];
            if row == col { 0.0 } else { (sum / (2.0 * count as f64)).max(LEAST) }
        })
        .collect()
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
        for share in &mut row {
            *share /= total;
        }
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
                for value in &mut next {
                    *value /= lengths[index];
                }
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

#[cfg(test)]
mod tests {
    use emoxide_testing::fixture_path;
    use serde::Deserialize;

    use super::descent::nearness;
    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        perplexity: f64,
        neighbours: usize,
        rows: Vec<Vec<f32>>,
        plane: Vec<[f64; 2]>,
        divergence: f64,
        trustworthiness: f64,
    }

    fn fixture() -> Fixture {
        let text = fs_err::read_to_string(fixture_path("report/tsne.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// For every point the others, the nearest first.
    fn ranked(distance: impl Fn(usize, usize) -> f64, count: usize) -> Vec<Vec<usize>> {
        let others = |own: usize| {
            let mut others: Vec<usize> = (0..count).filter(|index| *index != own).collect();
            others.sort_by(|left, right| distance(own, *left).total_cmp(&distance(own, *right)));
            others
        };
        (0..count).map(others).collect()
    }

    /// Venna and Kaski (2001): 1 less what the rows' ranks say against neighbours on the plane.
    fn trustworthiness(rows: &[Vec<f32>], points: &[[f64; 2]], neighbours: usize) -> f64 {
        let count = rows.len();
        let distances = distances(rows);
        let there = ranked(|left, right| distances[left * count + right], count);
        let here = ranked(|left, right| -nearness(points[left], points[right]), count);
        let mut penalty = 0;
        for (there, here) in there.iter().zip(&here) {
            for near in &here[..neighbours] {
                let rank = 1 + there.iter().position(|index| index == near).unwrap();
                penalty += rank.saturating_sub(neighbours);
            }
        }
        1.0 - 2.0 * penalty as f64 / (count * neighbours * (2 * count - 3 * neighbours - 1)) as f64
    }

    #[test]
    fn a_plane_of_scikit_learn_has_the_divergence_that_it_says() {
        let fixture = fixture();
        let joint = joint(&distances(&fixture.rows), fixture.rows.len(), fixture.perplexity);
        approx::assert_relative_eq!(joint.iter().sum::<f64>(), 1.0, epsilon = 1e-6);
        approx::assert_relative_eq!(divergence(&joint, &fixture.plane), fixture.divergence, max_relative = 2e-3);
        let trust = trustworthiness(&fixture.rows, &fixture.plane, fixture.neighbours);
        approx::assert_relative_eq!(trust, fixture.trustworthiness, epsilon = 1e-3);
    }

    #[test]
    fn a_plane_is_as_good_as_that_of_scikit_learn() {
        let fixture = fixture();
        let plane = tsne(&fixture.rows, fixture.perplexity).unwrap();
        let trust = trustworthiness(&fixture.rows, &plane.points, fixture.neighbours);
        println!("divergence {} ({}), trustworthiness {trust}", plane.divergence, fixture.divergence);
        assert!((plane.divergence / fixture.divergence - 1.0).abs() < 0.1, "divergence {}", plane.divergence);
        assert!(trust > fixture.trustworthiness - 0.01, "trustworthiness {trust}");
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| tsne(&fixture.rows, fixture.perplexity)).unwrap(), plane);
    }

    #[test]
    fn rows_that_are_all_alike_or_no_numbers_do_no_harm() {
        let plane = tsne(&vec![vec![0.5; 4]; 20], 5.0).unwrap();
        assert!(plane.points.iter().flatten().all(|value| value.is_finite()));
        let mut rows = fixture().rows;
        rows[3][1] = f32::NAN;
        assert!(matches!(tsne(&rows, 5.0), Err(ReportError::NotFinite)));
        assert!(matches!(tsne(&rows[..15], 5.0), Err(ReportError::Perplexity { points: 15, .. })));
    }
}
