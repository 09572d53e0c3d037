//! Who is who: the assignment of tracks to boxes that is best as a whole.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// Parts of 1 that gains are told apart by: the solver counts in whole numbers.
const PARTS: f64 = 1e9;

/// Pairs of a row and a column with the largest sum of gains; no row or column stands in two pairs. Pairs that gain nothing
/// (0, less, or no number) are left out, so a row or column may stay alone.
pub(super) fn assign(rows: usize, cols: usize, gain: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize)> {
    if rows == 0 || cols == 0 {
        return Vec::new();
    }
    // The solver wants no more rows than columns.
    let turned = rows > cols;
    let (short, long) = if turned { (cols, rows) } else { (rows, cols) };
    let at = |(one, other): (usize, usize)| if turned { (other, one) } else { (one, other) };
    let parts = |place| {
        let (row, col) = at(place);
        let gain = gain(row, col);
        if gain > 0.0 { (gain.min(1e6) * PARTS) as i64 } else { 0 }
    };
    let gains = Matrix::from_fn(short, long, parts);
    let (_, matched) = kuhn_munkres(&gains);
    let pairs = matched.into_iter().enumerate().filter(|place| gains[*place] > 0);
    pairs.map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_sum_counts_and_not_the_best_pair() {
        let gains = [[0.9, 0.8], [0.8, 0.1]];
        assert_eq!(assign(2, 2, |row, col| gains[row][col]), [(0, 1), (1, 0)]);
    }

    #[test]
    fn pairs_without_gain_stay_apart() {
        let gains = [[0.0, 0.3], [f64::NAN, -1.0], [0.2, 0.4]];
        let mut pairs = assign(3, 2, |row, col| gains[row][col]);
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 1), (2, 0)]);
        assert!(assign(0, 2, |_, _| 1.0).is_empty());
    }
}
