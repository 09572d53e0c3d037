//! The kernels of transformers against their definitions in double precision, at every level of this machine.

use emoxide_kernels::Level;
use emoxide_kernels::blocked::{
    Activation, Attention, Buffer, GroupNorm, LayerNorm, Layout, Rearrange, Tokens, from_blocked, softmax,
};
use proptest::prelude::*;

use crate::support::{blocked, difference, values};

fn widths() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..6, 14usize..19, 30usize..36, Just(64usize)]
}

/// `[batch, channels, area]` to `[batch, area, channels]`.
fn pixels(channels: usize, area: usize, values: &[f32]) -> Vec<f64> {
    let at = |image: usize, pixel: usize, channel: usize| values[(image * channels + channel) * area + pixel];
    let images = values.len() / channels / area;
    (0..images * area)
        .flat_map(|index| (0..channels).map(move |channel| f64::from(at(index / area, index % area, channel))))
        .collect()
}

/// The inverse of [`pixels`].
fn planes(channels: usize, area: usize, values: &[f64]) -> Vec<f32> {
    let at = |image: usize, channel: usize, pixel: usize| values[(image * area + pixel) * channels + channel];
    let images = values.len() / channels / area;
    (0..images * channels)
        .flat_map(|index| (0..area).map(move |pixel| at(index / channels, index % channels, pixel) as f32))
        .collect()
}

fn shares(row: &[f64]) -> Vec<f64> {
    let largest = row.iter().fold(f64::MIN, |a, b| a.max(*b));
    let powers: Vec<f64> = row.iter().map(|x| (x - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|x| x / sum).collect()
}

/// How far normalised values may be off: a mean in 32 bits has lost some last bits, which a small deviation makes large.
fn bound(offset: f32, deviation: f64) -> f32 {
    2e-5 + 8.0 * f32::EPSILON * (offset.abs() + 1.0) / deviation as f32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pixels_are_normalised(
        (batch, channels, rows, cols) in (1usize..3, widths(), 1usize..4, 1usize..80),
        offset in -50.0f32..50.0,
    ) {
        let area = rows * cols;
        let mut input = values(batch * channels * area, 1);
        for value in &mut input {
            *value += offset;
        }
        let (scale, shift) = (values(channels, 2), values(channels, 3));
        let mut smallest = f64::INFINITY;
        let expected: Vec<f64> = pixels(channels, area, &input)
            .chunks(channels)
            .flat_map(|pixel| {
                let mean = pixel.iter().sum::<f64>() / channels as f64;
                let variance = pixel.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
                let deviation = (variance + 1e-5).sqrt();
                smallest = smallest.min(deviation);
                let normal = |x: &f64| (x - mean) / deviation;
                let both = scale.iter().zip(&shift);
                pixel.iter().map(normal).zip(both).map(|(x, (a, b))| x * f64::from(*a) + f64::from(*b)).collect::<Vec<_>>()
            })
            .collect();
        let expected = planes(channels, area, &expected);
        let bound = bound(offset, smallest);
        for level in Level::available() {
            let from = Layout::blocked(level, channels, [rows, cols], 1);
            let mut source = blocked(&from, batch, Some(&vec![f32::NAN; channels]), &input);
            // Nothing but the channels counts.
            for pixel in source.chunks_mut(from.lanes).skip((from.blocks() - 1) * from.block() / from.lanes) {
                if !channels.is_multiple_of(from.lanes) && batch == 1 {
                    pixel[channels % from.lanes..].fill(3.0);
                }
            }
            let to = Layout { halo: 0, ..from };
            let mut target = Buffer::images(&to, batch, None);
            LayerNorm::new(level, &scale, &shift, 1e-5).run((&from, &source), (&to, &mut target));
            let difference = difference(&from_blocked(&to, &target), &expected);
            prop_assert!(difference < bound, "{}: {difference:e}, more than {bound:e}", level.name());
        }
    }

    #[test]
    fn groups_are_normalised(
        (batch, groups, width, rows, cols) in (1usize..3, 1usize..6, 1usize..20, 1usize..9, 1usize..9),
        offset in -5.0f32..5.0,
    ) {
        let (channels, area) = (groups * width, rows * cols);
        let mut input = values(batch * channels * area, 1);
        for value in &mut input {
            *value += offset;
        }
        let (scale, shift) = (values(channels, 2), values(channels, 3));
        let mut expected = Vec::new();
        let mut smallest = f64::INFINITY;
        for (index, group) in input.chunks(width * area).enumerate() {
            let count = group.len() as f64;
            let mean = group.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
            let variance = group.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
            let deviation = (variance + 1e-3).sqrt();
            smallest = smallest.min(deviation);
            for (at, x) in group.iter().enumerate() {
                let channel = (index * width + at / area) % channels;
                let normal = ((f64::from(*x) - mean) / deviation) as f32;
                expected.push((normal * scale[channel] + shift[channel]).max(0.0));
            }
        }
        let bound = bound(offset, smallest);
        for level in Level::available() {
            let from = Layout::blocked(level, channels, [rows, cols], 1);
            let source = blocked(&from, batch, Some(&vec![f32::NAN; channels]), &input);
            let to = Layout { halo: 0, ..from };
            let mut target = Buffer::images(&to, batch, None);
            let norm = GroupNorm::new(level, groups, &scale, &shift, 1e-3, Activation::Relu);
            norm.run((&from, &source), (&to, &mut target));
            let difference = difference(&from_blocked(&to, &target), &expected);
            prop_assert!(difference < bound, "{}: {difference:e}, more than {bound:e}", level.name());
        }
    }

    #[test]
    fn channels_become_shares((batch, channels, rows, cols) in (1usize..3, widths(), 1usize..4, 1usize..14)) {
        let area = rows * cols;
        let mut input = values(batch * channels * area, 1);
        for value in &mut input {
            *value *= 20.0;
        }
        let expected: Vec<f64> = pixels(channels, area, &input).chunks(channels).flat_map(shares).collect();
        let expected = planes(channels, area, &expected);
        for level in Level::available() {
            let layout = Layout::blocked(level, channels, [rows, cols], 1);
            let source = blocked(&layout, batch, Some(&vec![f32::NAN; channels]), &input);
            let to = Layout { halo: 0, ..layout };
            let mut target = Buffer::images(&to, batch, None);
            softmax(level, (&layout, &source), (&to, &mut target));
            let difference = difference(&from_blocked(&to, &target), &expected);
            prop_assert!(difference < 1e-6, "{}: {difference:e}", level.name());
        }
    }

    #[test]
    fn values_find_their_places(
        (batch, channels, rows, cols) in (1usize..3, widths(), 1usize..5, 1usize..5),
        (first, count) in (0usize..8, 1usize..20),
    ) {
        // Some channels of a map as tokens of a longer sequence.
        prop_assume!(first < channels);
        let count = count.min(channels - first);
        let area = rows * cols;
        let input = values(batch * channels * area, 1);
        let expected: Vec<f32> = (0..batch * count)
            .flat_map(|index| {
                let plane = index / count * channels + first + index % count;
                let plane = &input[plane * area..(plane + 1) * area];
                std::iter::once(9.0).chain(plane.iter().copied()).collect::<Vec<_>>()
            })
            .collect();
        for level in Level::available() {
            let from = Layout::blocked(level, channels, [rows, cols], 1);
            let source = blocked(&from, batch, None, &input);
            let to = Layout::blocked(level, count, [1, 1 + area], 0);
            let mut target = Buffer::images(&to, batch, None);
            target.fill(9.0);
            let rearrange = Rearrange::new(from, to, |[channel, _, col]| {
                let pixel = col.checked_sub(1)?;
                Some([first + channel, pixel / cols, pixel % cols])
            });
            rearrange.run(&source, &mut target);
            prop_assert_eq!(from_blocked(&to, &target), expected.clone());
        }
    }

    #[test]
    fn heads_attend(
        (batch, heads, width, value_width) in (1usize..3, 1usize..5, widths(), widths()),
        (rows, cols, keys) in (1usize..4, 1usize..40, 1usize..70),
        firsts in (0usize..20, 0usize..20, 0usize..20),
    ) {
        let queries = rows * cols;
        let widths = [width, width, value_width];
        let counts = [queries, keys, keys];
        let firsts = [firsts.0, firsts.1, firsts.2];
        let channels: [usize; 3] = std::array::from_fn(|index| firsts[index] + heads * widths[index] + index);
        let inputs: [Vec<f32>; 3] =
            std::array::from_fn(|index| values(batch * channels[index] * counts[index], 1 + index as u64));
        let scale = 1.0 / (width as f32).sqrt();
        let token = |index: usize, image: usize, head: usize, token: usize| -> Vec<f64> {
            let first = firsts[index] + head * widths[index];
            let plane = |channel: usize| (image * channels[index] + first + channel) * counts[index];
            (0..widths[index]).map(|channel| f64::from(inputs[index][plane(channel) + token])).collect()
        };
        let mut expected = vec![0.0; batch * heads * value_width * queries];
        for (image, head) in (0..batch).flat_map(|image| (0..heads).map(move |head| (image, head))) {
            let all: Vec<_> = (0..keys).map(|key| (token(1, image, head, key), token(2, image, head, key))).collect();
            for query in 0..queries {
                let own = token(0, image, head, query);
                let score = |key: &[f64]| own.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() * f64::from(scale);
                let row: Vec<f64> = all.iter().map(|(key, _)| score(key)).collect();
                for (share, (_, value)) in shares(&row).iter().zip(&all) {
                    for (channel, value) in value.iter().enumerate() {
                        let plane = (image * heads + head) * value_width + channel;
                        expected[plane * queries + query] += share * value;
                    }
                }
            }
        }
        let expected: Vec<f32> = expected.iter().map(|value| *value as f32).collect();
        for level in Level::available() {
            let sizes = [[rows, cols], [1, keys], [1, keys]];
            let layouts: [Layout; 3] =
                std::array::from_fn(|index| Layout::blocked(level, channels[index], sizes[index], index));
            let buffers: [Buffer; 3] = std::array::from_fn(|index| {
                blocked(&layouts[index], batch, Some(&vec![f32::NAN; channels[index]]), &inputs[index])
            });
            let tokens = std::array::from_fn(|index| Tokens {
                layout: &layouts[index],
                values: &buffers[index],
                first: firsts[index],
            });
            let to = Layout::blocked(level, heads * value_width, [rows, cols], 1);
            let mut target = Buffer::images(&to, batch, None);
            Attention { heads, width, value_width, scale }.run(level, tokens, (&to, &mut target));
            let difference = difference(&from_blocked(&to, &target), &expected);
            prop_assert!(difference < 2e-6, "{}: {difference:e}", level.name());
        }
    }
}
