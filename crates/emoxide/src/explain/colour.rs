//! A number as a colour.

/// Viridis at tenths: Smith and van der Walt, matplotlib 2.0 (public domain). Its lightness grows evenly, for colour-blind
/// readers too.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// Red, green and blue of a share, from dark at 0 to bright at 1; what lies outside takes the nearer end, what
/// is no number the dark one.
pub fn colour(share: f32) -> [u8; 3] {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let position = share * (VIRIDIS.len() - 1) as f32;
    let index = (position as usize).min(VIRIDIS.len() - 2);
    let part = position - index as f32;
    std::array::from_fn(|channel| {
        let [from, to] = [VIRIDIS[index][channel], VIRIDIS[index + 1][channel]].map(f32::from);
        (from + (to - from) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_share_is_brighter() {
        let luma = |[red, green, blue]: [u8; 3]| 2 * u32::from(red) + 7 * u32::from(green) + u32::from(blue);
        let steps: Vec<u32> = (0..=50).map(|step| luma(colour(step as f32 / 50.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!([colour(-1.0), colour(f32::NAN), colour(2.0)], [VIRIDIS[0], VIRIDIS[0], VIRIDIS[10]]);
    }
}
