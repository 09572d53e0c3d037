//! Sizes of an involution.

use std::ops::Range;

use burn::tensor::Shape;

use crate::{blocked::Layout, level::Level};

/// Sizes of an involution.
///
/// Tensors are contiguous: input `[batch, channels, rows, cols]`, kernels `[batch, groups, kernel · kernel, output rows,
/// output cols]`, output `[batch, channels, output rows, output cols]`. As many zeros surround the input as put a window's
/// centre on every `stride`-th pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Groups of as many channels each, which share their kernels.
    pub groups: usize,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Rows, and columns, of a kernel; odd.
    pub kernel: usize,
    /// Step between two outputs, in input rows and columns.
    pub stride: usize,
}

/// Why tensors do not make an involution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// One of the sizes is zero.
    #[error("involution without values: input {input:?}, kernels {kernels:?}, stride {stride}")]
    Empty {
        /// Shape of the input.
        input: [usize; 4],
        /// Shape of the kernels.
        kernels: [usize; 5],
        /// Step between two outputs.
        stride: usize,
    },
    /// The kernels are no squares with a centre.
    #[error("involution with kernels of {taps} numbers: not the square of an odd number")]
    Kernel {
        /// Numbers of one kernel.
        taps: usize,
    },
    /// The groups would differ in size.
    #[error("involution of {channels} channels in {groups} groups: not a multiple")]
    Groups {
        /// Channels of the input.
        channels: usize,
        /// Groups of the kernels.
        groups: usize,
    },
    /// Input and kernels are for different numbers of images.
    #[error("involution of {input} images with the kernels of {kernels}")]
    Batch {
        /// Images of the input.
        input: usize,
        /// Images of the kernels.
        kernels: usize,
    },
    /// There is not one kernel for every output.
    #[error("involution to {expected:?} rows and columns with kernels for {found:?}")]
    Output {
        /// Rows and columns of the output.
        expected: [usize; 2],
        /// Rows and columns of the kernels.
        found: [usize; 2],
    },
}

impl Geometry {
    /// The sizes of an involution of `input`, `[batch, channels, rows, cols]`, by `kernels`, `[batch, groups, kernel · kernel,
    /// output rows, output cols]`.
    pub fn new(input: [usize; 4], kernels: [usize; 5], stride: usize) -> Result<Self, ShapeError> {
        let [batch, channels, rows, cols] = input;
        let [kernel_batch, groups, taps, output_rows, output_cols] = kernels;
        if input.contains(&0) || kernels.contains(&0) || stride == 0 {
            return Err(ShapeError::Empty { input, kernels, stride });
        }
        let kernel = taps.isqrt();
        if kernel * kernel != taps || kernel % 2 == 0 {
            return Err(ShapeError::Kernel { taps });
        }
        if channels % groups != 0 {
            return Err(ShapeError::Groups { channels, groups });
        }
        if batch != kernel_batch {
            return Err(ShapeError::Batch { input: batch, kernels: kernel_batch });
        }
        let geometry = Self { batch, channels, groups, input: [rows, cols], kernel, stride };
        let [expected, found] = [geometry.output(), [output_rows, output_cols]];
        if expected == found { Ok(geometry) } else { Err(ShapeError::Output { expected, found }) }
    }

    /// Whether all sizes are positive, the kernel has a centre and the groups are equal.
    pub fn is_valid(&self) -> bool {
        let Self { batch, channels, groups, input: [rows, cols], kernel, stride } = *self;
        [batch, channels, groups, rows, cols, kernel, stride].iter().all(|&size| size > 0)
            && kernel % 2 == 1
            && channels % groups == 0
    }

    /// Rows and columns of the output.
    pub fn output(&self) -> [usize; 2] {
        self.input.map(|size| (size - 1) / self.stride + 1)
    }

    /// Shape of the input.
    pub(crate) fn input_shape(&self) -> Shape {
        let [rows, cols] = self.input;
        Shape::new([self.batch, self.channels, rows, cols])
    }

    /// Shape of the kernels.
    pub(crate) fn kernels_shape(&self) -> Shape {
        let [rows, cols] = self.output();
        Shape::new([self.batch, self.groups, self.taps(), rows, cols])
    }

    /// Shape of the output.
    pub(crate) fn output_shape(&self) -> Shape {
        let [rows, cols] = self.output();
        Shape::new([self.batch, self.channels, rows, cols])
    }

    /// Floats of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.channels * self.input[0] * self.input[1]
    }

    /// Floats of the kernels.
    pub fn kernels_len(&self) -> usize {
        let [rows, cols] = self.output();
        self.batch * self.groups * self.taps() * rows * cols
    }

    /// Floats of the output.
    pub fn output_len(&self) -> usize {
        let [rows, cols] = self.output();
        self.batch * self.channels * rows * cols
    }

    /// Floating-point operations of the forward pass; either gradient has as many.
    pub fn operations(&self) -> usize {
        2 * self.output_len() * self.taps()
    }

    /// Zeros on every side of the input.
    pub(super) fn padding(&self) -> usize {
        self.kernel / 2
    }

    /// Numbers of one kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Channels of one group.
    pub(super) fn members(&self) -> usize {
        self.channels / self.groups
    }

    /// How the maps of a group lie.
    pub(super) fn layout(&self, level: Level, size: [usize; 2], halo: usize) -> Layout {
        Layout::blocked(level, self.members(), size, halo)
    }

    /// The rows of outputs that see one of these rows of the input.
    pub(super) fn outputs_near(&self, rows: &Range<usize>) -> Range<usize> {
        let start = (rows.start + self.padding()).saturating_sub(self.kernel - 1).div_ceil(self.stride);
        let end = (rows.end - 1 + self.padding()) / self.stride + 1;
        start..end.min(self.output()[0])
    }
}
