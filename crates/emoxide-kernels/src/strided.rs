//! Copies between rows with gaps and rows without. Steps of 2 have loops of their own, which vectorise.

use std::mem::MaybeUninit;

/// `to[i] = from[i · step]`.
pub(crate) fn gather(from: &[f32], step: usize, to: &mut [f32]) {
    match step {
        1 => to.copy_from_slice(&from[..to.len()]),
        2 => {
            // The last value may lack a neighbour.
            let Some((last, to)) = to.split_last_mut() else { return };
            *last = from[2 * to.len()];
            to.iter_mut().zip(from.chunks_exact(2)).for_each(|(to, pair)| *to = pair[0]);
        }
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &from)| *to = from),
    }
}

/// `to[i · step] = from[i]`.
pub(crate) fn scatter(from: &[f32], step: usize, to: &mut [MaybeUninit<f32>]) {
    match step {
        1 => {
            to[..from.len()].write_copy_of_slice(from);
        }
        2 => {
            let Some((&last, from)) = from.split_last() else { return };
            to[2 * from.len()].write(last);
            to.chunks_exact_mut(2).zip(from).for_each(|(pair, &from)| {
                pair[0].write(from);
            });
        }
        _ => to.iter_mut().step_by(step).zip(from).for_each(|(to, &from)| {
            to.write(from);
        }),
    }
}

/// `to[i · width + channel] = channels[channel][i · step]`, for as many `i` as `to` has rows of `width`.
pub(crate) fn interleave(channels: &[&[f32]], step: usize, to: &mut [f32], width: usize) {
    const GROUP: usize = 8;
    let mut groups = channels.chunks_exact(GROUP);
    let mut first = 0;
    for group in &mut groups {
        let group: &[&[f32]; GROUP] = group.try_into().expect("chunks of this size");
        for (index, to) in to.chunks_exact_mut(width).enumerate() {
            let values: [f32; GROUP] = std::array::from_fn(|channel| group[channel][index * step]);
            to[first..first + GROUP].copy_from_slice(&values);
        }
        first += GROUP;
    }
    for channel in groups.remainder() {
        let values = channel.iter().step_by(step);
        to[first..].iter_mut().step_by(width).zip(values).for_each(|(to, &from)| *to = from);
        first += 1;
    }
}
