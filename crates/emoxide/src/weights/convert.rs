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

/// What a table of positions is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Rows of a square, and columns.
    pub(super) side: usize,
    /// Whether the first position is a class token's.
    pub(super) class: bool,
}

impl Grid {
    /// That of so many tokens: a square number, or one more. No number above 1 is both; 1 is taken for a single place.
    pub(super) fn of(tokens: usize) -> Option<Self> {
        let square = |places: usize| (places > 0 && places.isqrt().pow(2) == places).then(|| places.isqrt());
        let plain = square(tokens).map(|side| Self { side, class: false });
        plain.or_else(|| Some(Self { side: square(tokens.checked_sub(1)?)?, class: true }))
    }
}

/// Which places of a grid stay where they are when it is resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alignment {
    /// The corners of the outer pixels: PyTorch's `interpolate` without `align_corners`.
    Edges,
    /// The middles of the outer pixels: with `align_corners`, and `SciPy`'s `zoom`.
    Corners,
}

impl Alignment {
    /// The place of a grid of `from` that is the `place`-th of `to`.
    fn source(self, place: usize, from: usize, to: usize) -> f32 {
        match self {
            Self::Edges => ((place as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0),
            Self::Corners if to == 1 => 0.0,
            Self::Corners => (place * (from - 1)) as f32 / (to - 1) as f32,
        }
    }
}

/// Resamples positions `[(1 +) from * from, width]` to those of `to`: bilinear, without a filter when the grid shrinks. A class
/// token keeps its position, or loses it where the new table has none.
///
/// # Panics
/// If the old table has no class token's position and the new one does.
pub(super) fn resample_positions(table: &[f32], [from, to]: [Grid; 2], width: usize, alignment: Alignment) -> Vec<f32> {
    assert!(from.class || !to.class, "a position for a class token");
    let (class, grid) = table.split_at(if from.class { width } else { 0 });
    let mut out = if to.class { class.to_vec() } else { Vec::new() };
    let (from, to) = (from.side, to.side);
    // For each place of the new grid: two places of the old one, and the weight of the second.
    let taps: Vec<(usize, usize, f32)> = (0..to)
        .map(|place| {
            let source = alignment.source(place, from, to);
            let first = (source as usize).min(from - 1);
            (first, (first + 1).min(from - 1), source - first as f32)
        })
        .collect();
    let at = |row: usize, col: usize, axis: usize| grid[(row * from + col) * width + axis];
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

    use super::{Alignment, Grid, resample_positions, sum_rgb, transpose};

    /// `tools/reference/positions.py`
    #[test]
    fn positions_are_resampled_as_pytorch_does() {
        let fixture = Fixture::open("positions");
        let table = fixture.values("14");
        let width = fixture.shape("14")[2];
        let grid = |side| Grid { side, class: true };
        for (alignment, ending) in [(Alignment::Edges, ""), (Alignment::Corners, " corners")] {
            for to in [28, 7, 5, 22] {
                let found = resample_positions(table, [grid(14), grid(to)], width, alignment);
                assert_eq!(found[..width], table[..width], "the class token's position");
                let expected = fixture.values(&format!("{to}{ending}"));
                // PyTorch multiplies by a rounded step, and so is off by a few roundings towards the far corner.
                assert_close(&format!("14 to {to}{ending}"), &found, expected, 1e-6, 4e-6);
                let plain = [grid(14), Grid { side: to, class: false }];
                assert_eq!(resample_positions(table, plain, width, alignment), found[width..], "without the token");
            }
            assert_eq!(resample_positions(table, [grid(14); 2], width, alignment), table);
        }
    }

    #[test]
    fn aligned_corners_keep_their_positions_exactly() {
        let fixture = Fixture::open("positions");
        let table = fixture.values("14");
        let width = fixture.shape("14")[2];
        for from in [14, 9] {
            let (old, new) = (&table[..from * from * width], Grid { side: 22, class: false });
            let found = resample_positions(old, [Grid { side: from, class: false }, new], width, Alignment::Corners);
            let corners = |table: &[f32], side: usize| {
                let at = |place: usize| table[place * width..][..width].to_vec();
                [0, side - 1, side * (side - 1), side * side - 1].map(at)
            };
            assert_eq!(corners(&found, 22), corners(old, from));
        }
    }

    #[test]
    fn only_squares_with_or_without_a_class_token_are_tables() {
        let of = |tokens| Grid::of(tokens).map(|grid| (grid.side, grid.class));
        assert_eq!([197, 785, 50, 2].map(of), [14, 28, 7, 1].map(|side| Some((side, true))));
        assert_eq!([196, 484, 1].map(of), [14, 22, 1].map(|side| Some((side, false))));
        assert_eq!([0, 3, 195, 198].map(of), [None; 4]);
    }

    #[test]
    fn channels_are_summed_filter_by_filter() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(sum_rgb(&values, 2), [6.0, 9.0, 24.0, 27.0]);
        assert_eq!(transpose(&values[..6], 2, 3), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
