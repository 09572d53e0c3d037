use rayon::prelude::*;

use super::{convolution::Activation, layout::Layout};

/// Pixel by pixel, per channel: `activation(scale * source + shift + carried)`.
#[derive(Clone, Debug)]
pub struct Combine {
    /// Factors; none: 1.
    pub scale: Option<Vec<f32>>,
    /// Summands; none: 0.
    pub shift: Option<Vec<f32>>,
    /// What follows.
    pub activation: Activation,
}

impl Combine {
    /// Computes it for all images; the target's halo stays as it is.
    ///
    /// # Panics
    /// When layouts (but for their halos), lengths or numbers of channels differ.
    pub fn run(
        &self,
        (source_layout, source): (&Layout, &[f32]),
        carried: Option<(&Layout, &[f32])>,
        (target_layout, target): (&Layout, &mut [f32]),
    ) {
        let images = target.len() / target_layout.image();
        for (layout, len) in [(source_layout, source.len())].into_iter().chain(carried.map(|(l, v)| (l, v.len()))) {
            assert_eq!(Layout { halo: target_layout.halo, ..*layout }, *target_layout, "layouts");
            assert_eq!(len, images * layout.image(), "length");
        }
        let vector = |values: Option<&[f32]>, rest: f32| {
            let mut padded = vec![rest; target_layout.blocks() * target_layout.lanes];
            if let Some(values) = values {
                assert_eq!(values.len(), target_layout.channels, "a value for every channel");
                padded[..values.len()].copy_from_slice(values);
            }
            padded
        };
        let scale = vector(self.scale.as_deref(), 1.0);
        let shift = vector(self.shift.as_deref(), 0.0);
        let slopes = match &self.activation {
            Activation::PRelu(slopes) => vector(Some(slopes), 0.0),
            Activation::Linear | Activation::Relu => vector(None, 0.0),
        };
        let lanes = target_layout.lanes;
        target.par_chunks_mut(target_layout.block()).enumerate().for_each(|(index, target)| {
            let channels = index % target_layout.blocks() * lanes;
            let channels = channels..channels + lanes;
            let (scale, shift, slopes) = (&scale[channels.clone()], &shift[channels.clone()], &slopes[channels]);
            for row in 0..target_layout.rows {
                let line = |layout: &Layout| {
                    let start = layout.offset(0, row as isize, 0);
                    start..start + layout.cols * lanes
                };
                let from = &source[index * source_layout.block()..][line(source_layout)];
                let to = &mut target[line(target_layout)];
                for (to, from) in to.chunks_mut(lanes).zip(from.chunks(lanes)) {
                    for lane in 0..lanes {
                        to[lane] = from[lane] * scale[lane] + shift[lane];
                    }
                }
                if let Some((layout, values)) = carried {
                    let values = &values[index * layout.block()..][line(layout)];
                    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
                }
                match &self.activation {
                    Activation::Linear => (),
                    Activation::Relu => to.iter_mut().filter(|to| **to < 0.0).for_each(|to| *to = 0.0),
                    Activation::PRelu(_) => {
                        for to in to.chunks_mut(lanes) {
                            for lane in 0..lanes {
                                to[lane] = if to[lane] < 0.0 { to[lane] * slopes[lane] } else { to[lane] };
                            }
                        }
                    }
                }
            }
        });
    }
}
