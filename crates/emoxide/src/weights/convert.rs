//! Weights that fit a network only after arithmetic: linear layers of the other layout, colour stems of grey networks,
//! position tables of another length. Values are row-major.

/// Turns a matrix of `rows` x `cols` values on its side.
pub(super) fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for col in 0..cols {
        out.extend((0..rows).map(|row| values[row * cols + col]));
    }
    out
}

/// Adds the weights of red, green and blue: `[outputs, 3, rows, cols]` → `[outputs, 1, rows, cols]` with `area` =
/// rows x cols. A grey picture then gives what it gave as a colour picture of three equal channels.
pub(super) fn sum_rgb(values: &[f32], area: usize) -> Vec<f32> {
    let sum = |filter: &[f32]| -> Vec<f32> {
        (0..area).map(|place| filter[place] + filter[area + place] + filter[2 * area + place]).collect()
    };
    values.chunks_exact(3 * area).flat_map(sum).collect()
}

/// Side of the square grid that a table of `tokens` positions is for, the first of them being the class token's.
pub(super) fn grid_side(tokens: usize) -> Option<usize> {
    let places = tokens.checked_sub(1)?;
    let side = places.isqrt();
    (side > 0 && side * side == places).then_some(side)
}

/// Resamples positions `[1 + from * from, width]` to `[1 + to * to, width]`: bilinear without corner alignment, as
/// PyTorch's `interpolate` does it, and without a filter when the grid shrinks. The class token keeps its position.
pub(super) fn resample_positions(table: &[f32], from: usize, to: usize, width: usize) -> Vec<f32> {
    // For each place of the new grid: two places of the old one, and the weight of the second.
    let taps: Vec<(usize, usize, f32)> = (0..to)
        .map(|place| {
            let source = ((place as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
            let first = (source as usize).min(from - 1);
            (first, (first + 1).min(from - 1), source - first as f32)
        })
        .collect();
    let (class, grid) = table.split_at(width);
    let at = |row: usize, col: usize, axis: usize| grid[(row * from + col) * width + axis];
    let mut out = class.to_vec();
    for &(top, bottom, down) in &taps {
        for &(left, right, across) in &taps {
            out.extend((0..width).map(|axis| {
                let upper = at(top, left, axis) * (1.0 - across) + at(top, right, axis) * across;
                let lower = at(bottom, left, axis) * (1.0 - across) + at(bottom, right, axis) * across;
                upper * (1.0 - down) + lower * down
            }));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use emoxide_testing::{Fixture, assert_close};

    use super::{grid_side, resample_positions, sum_rgb, transpose};

    /// `tools/reference/positions.py`
    #[test]
    fn positions_are_resampled_as_pytorch_does() {
        let fixture = Fixture::open("positions");
        let table = fixture.values("14");
        let width = fixture.shape("14")[2];
        for to in [28, 7, 5, 14] {
            let found = resample_positions(table, 14, to, width);
            assert_eq!(found[..width], table[..width], "the class token's position");
            assert_close(&format!("14 to {to}"), found, fixture.values(&to.to_string()), 1e-6, 1e-6);
        }
    }

    #[test]
    fn only_square_grids_behind_a_class_token_are_tables() {
        assert_eq!([197, 785, 50, 2].map(grid_side), [Some(14), Some(28), Some(7), Some(1)]);
        assert_eq!([0, 1, 196, 198].map(grid_side), [None; 4]);
    }

    #[test]
    fn channels_are_summed_filter_by_filter() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(sum_rgb(&values, 2), [6.0, 9.0, 24.0, 27.0]);
        assert_eq!(transpose(&values[..6], 2, 3), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
