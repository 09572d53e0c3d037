use rayon::prelude::*;

use super::layout::Layout;

/// Copies values of a source to other places of a target: slices, concatenations and permutations.
#[derive(Clone, Debug)]
pub struct Rearrange {
    source: Layout,
    target: Layout,
    runs: Vec<Run>,
}

/// Neighbours that stay neighbours.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: usize,
    to: usize,
    len: usize,
}

impl Rearrange {
    /// `origin` gives channel, row and column of the source for those of the target, or nothing where the target is
    /// left as it is.
    ///
    /// # Panics
    /// When an origin lies outside of the source, or values are bfloat16.
    pub fn new(source: Layout, target: Layout, origin: impl Fn([usize; 3]) -> Option<[usize; 3]>) -> Self {
        assert!(!source.is_bf16() && !target.is_bf16(), "values of their own size");
        let mut runs: Vec<Run> = Vec::new();
        let place = |layout: &Layout, [channel, row, col]: [usize; 3]| {
            assert!(channel < layout.channels && row < layout.rows && col < layout.cols, "a place outside");
            layout.offset(channel / layout.lanes, row as isize, col as isize) + channel % layout.lanes
        };
        // In the order of the target's memory.
        for first in (0..target.channels).step_by(target.lanes) {
            let channels = first..target.channels.min(first + target.lanes);
            for (row, col) in (0..target.rows).flat_map(|row| (0..target.cols).map(move |col| (row, col))) {
                for at in channels.clone().map(|channel| [channel, row, col]) {
                    let Some(origin) = origin(at) else { continue };
                    let (from, to) = (place(&source, origin), place(&target, at));
                    match runs.last_mut() {
                        Some(run) if (run.from + run.len, run.to + run.len) == (from, to) => run.len += 1,
                        _ => runs.push(Run { from, to, len: 1 }),
                    }
                }
            }
        }
        runs.shrink_to_fit();
        Self { source, target, runs }
    }

    /// Copies for all images.
    ///
    /// # Panics
    /// When source and target are not the same number of whole images.
    pub fn run(&self, source: &[f32], target: &mut [f32]) {
        let images = target.len() / self.target.image();
        let lengths = [self.source, self.target].map(|layout| images * layout.image());
        assert_eq!([source.len(), target.len()], lengths, "lengths");
        let images = target.par_chunks_mut(self.target.image()).zip(source.par_chunks(self.source.image()));
        images.for_each(|(target, source)| {
            for &Run { from, to, len } in &self.runs {
                target[to..to + len].copy_from_slice(&source[from..from + len]);
            }
        });
    }
}
