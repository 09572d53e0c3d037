//! What the tests share.

use emoxide_kernels::blocked::{Buffer, Layout};

/// Values between -1 and 1 from a linear congruential generator.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Largest difference relative to the largest expected value.
pub(crate) fn difference(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len());
    let scale = expected.iter().fold(1e-3f32, |scale, value| scale.max(value.abs()));
    let worst = actual.iter().zip(expected).map(|(a, b)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f32::INFINITY } else { difference }
    });
    worst.fold(0.0, f32::max) / scale
}

/// `[batch, channels, rows, cols]` in a blocked layout; what is bfloat16 there has to have no more bits.
pub(crate) fn blocked(layout: &Layout, batch: usize, outside: Option<&[f32]>, values: &[f32]) -> Buffer {
    let mut buffer = Buffer::images(layout, batch, outside);
    let places = (0..batch * layout.channels)
        .flat_map(|plane| (0..layout.rows).flat_map(move |row| (0..layout.cols).map(move |col| (plane, row, col))));
    for ((plane, row, col), value) in places.zip(values) {
        let (image, channel) = (plane / layout.channels, plane % layout.channels);
        let block = image * layout.image() + channel / layout.lanes * layout.block();
        let pixel = block + (row + layout.halo) * layout.row() + (col + layout.halo) * layout.width;
        let lane = channel % layout.lanes;
        if layout.is_bf16() {
            let (word, shift) = (&mut buffer[pixel + lane / 2], 16 * (lane % 2));
            *word = f32::from_bits(word.to_bits() & !(0xFFFF << shift) | value.to_bits() >> 16 << shift);
        } else {
            buffer[pixel + lane] = *value;
        }
    }
    buffer
}
