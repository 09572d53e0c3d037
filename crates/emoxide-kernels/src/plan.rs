//! Forward pass and input gradient as one computation.
//!
//! Both are sums of shifted planes. The source (input, or output gradient) is copied into zero-padded *planes* in which
//! every kernel tap is a constant offset; a stride of the forward pass turns into one plane per residue of the stride.
//! The output consists of *phases*: one for the forward pass, one per residue of the stride for the input gradient.

use crate::geometry::Geometry;

/// A sampled and shifted view of the source: plane row `i` is source row `i · row_step + row_start` (zero outside).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    pub(crate) start: [isize; 2],
    pub(crate) step: [usize; 2],
}

/// Part of the output whose positions all use the same taps.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) taps: Vec<Tap>,
    /// Rows and columns of this phase.
    pub(crate) size: [usize; 2],
    /// Its first row and column in the output.
    pub(crate) start: [usize; 2],
    /// Output rows and columns between two of its rows and columns.
    pub(crate) step: [usize; 2],
}

/// One kernel position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    /// Which plane it reads.
    pub(crate) plane: usize,
    /// Where, relative to the output position.
    pub(crate) shift: [usize; 2],
    /// Index into the kernel, `row · kernel cols + col`.
    pub(crate) weight: usize,
}

/// What to compute, for one image.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) source_channels: usize,
    pub(crate) source: [usize; 2],
    pub(crate) target_channels: usize,
    pub(crate) target: [usize; 2],
    pub(crate) planes: Vec<Plane>,
    pub(crate) phases: Vec<Phase>,
    /// Largest rows and columns of a phase.
    pub(crate) size: [usize; 2],
    /// Rows and columns of a plane beyond `size`.
    pub(crate) halo: [usize; 2],
    /// Zero columns that the end of a row can share with the start of the next one.
    pub(crate) shared: usize,
    /// Distance in the weight between two target channels and between two source channels.
    pub(crate) weight_strides: [usize; 2],
}

impl Plan {
    /// Input to output.
    pub(crate) fn forward(g: &Geometry) -> Self {
        let residues = [0, 1].map(|axis| g.stride[axis].min(g.kernel[axis]));
        let start = |axis: usize, residue: usize| residue as isize - g.padding[axis].0 as isize;
        let mut planes = Vec::new();
        for row in 0..residues[0] {
            for col in 0..residues[1] {
                planes.push(Plane { start: [start(0, row), start(1, col)], step: g.stride });
            }
        }
        let mut taps = Vec::new();
        for row in 0..g.kernel[0] {
            for col in 0..g.kernel[1] {
                taps.push(Tap {
                    plane: row % g.stride[0] * residues[1] + col % g.stride[1],
                    shift: [row / g.stride[0], col / g.stride[1]],
                    weight: row * g.kernel[1] + col,
                });
            }
        }
        let area = g.kernel[0] * g.kernel[1];
        let phases = vec![Phase { taps, size: g.output(), start: [0, 0], step: [1, 1] }];
        Self {
            source_channels: g.input_channels,
            source: g.input,
            target_channels: g.output_channels,
            target: g.output(),
            planes,
            phases,
            size: [0, 0],
            halo: [0, 0],
            shared: 0,
            weight_strides: [g.input_channels * area, area],
        }
        .finish()
    }

    /// Output gradient to input gradient.
    pub(crate) fn input_gradient(g: &Geometry) -> Self {
        let axes = [0, 1].map(|axis| axis_phases(g.input[axis], g.kernel[axis], g.stride[axis], g.padding[axis].0));
        // The plane starts so early that the smallest shift is zero or more.
        let lead = [0, 1].map(|axis| {
            let taps = axes[axis].iter().flat_map(|phase| &phase.taps);
            taps.map(|&(_, shift)| -shift).max().unwrap_or(0).max(0)
        });
        let mut phases = Vec::new();
        for rows in &axes[0] {
            for cols in &axes[1] {
                let mut taps = Vec::new();
                for &(row, row_shift) in &rows.taps {
                    for &(col, col_shift) in &cols.taps {
                        let shift = [(row_shift + lead[0]) as usize, (col_shift + lead[1]) as usize];
                        taps.push(Tap { plane: 0, shift, weight: row * g.kernel[1] + col });
                    }
                }
                phases.push(Phase {
                    taps,
                    size: [rows.size, cols.size],
                    start: [rows.start, cols.start],
                    step: g.stride,
                });
            }
        }
        let area = g.kernel[0] * g.kernel[1];
        Self {
            source_channels: g.output_channels,
            source: g.output(),
            target_channels: g.input_channels,
            target: g.input,
            planes: vec![Plane { start: lead.map(|lead| -lead), step: [1, 1] }],
            phases,
            size: [0, 0],
            halo: [0, 0],
            shared: 0,
            weight_strides: [area, g.input_channels * area],
        }
        .finish()
    }

    fn finish(mut self) -> Self {
        for axis in 0..2 {
            self.size[axis] = self.phases.iter().map(|phase| phase.size[axis]).max().unwrap_or(0);
            let shifts = self.phases.iter().flat_map(|phase| &phase.taps).map(|tap| tap.shift[axis]);
            self.halo[axis] = shifts.max().unwrap_or(0);
        }
        let cols = self.size[1] + self.halo[1];
        let shared = self.planes.iter().map(|plane| {
            let (first, end) = plane.inside(1, self.source[1], cols);
            first.min(cols - end)
        });
        // No more than the halo: results of two rows must not overlap.
        self.shared = shared.min().unwrap_or(0).min(self.halo[1]);
        self
    }
}

impl Plane {
    /// The plane's rows (`axis` 0) or columns (1) that lie inside a source of `size`, of the first `len`.
    pub(crate) fn inside(&self, axis: usize, size: usize, len: usize) -> (usize, usize) {
        let (start, step) = (self.start[axis], self.step[axis] as isize);
        let first = (-start).max(0).unsigned_abs().div_ceil(self.step[axis]).min(len);
        let end = (size as isize - start + step - 1).div_euclid(step).max(0) as usize;
        (first, end.clamp(first, len))
    }
}

/// One residue of the stride along one axis of the input gradient.
struct AxisPhase {
    /// Kernel index, and output index minus the phase's index.
    taps: Vec<(usize, isize)>,
    size: usize,
    start: usize,
}

/// Input index `i` receives from output `o` through kernel index `k` where `i + padding = o · stride + k`. With
/// `i + padding = q · stride + residue` and `k = j · stride + residue` that is `o = q - j`.
fn axis_phases(size: usize, kernel: usize, stride: usize, padding: usize) -> Vec<AxisPhase> {
    (0..stride)
        .filter_map(|residue| {
            // Smallest q with a non-negative input index.
            let first = padding.saturating_sub(residue).div_ceil(stride);
            let start = first * stride + residue - padding;
            let size = size.checked_sub(start)?.div_ceil(stride);
            let taps = (residue..kernel).step_by(stride).enumerate();
            let taps = taps.map(|(j, k)| (k, first as isize - j as isize)).collect();
            (size > 0).then_some(AxisPhase { taps, size, start })
        })
        .collect()
}
