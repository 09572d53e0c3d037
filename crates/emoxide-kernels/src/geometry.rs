//! Sizes of a convolution.

/// Sizes of a two-dimensional convolution without dilation.
///
/// Tensors are contiguous: input `[batch, input_channels, rows, cols]`, weight
/// `[output_channels, input_channels, kernel rows, kernel cols]` or, depthwise, `[channels, 1, kernel rows, kernel cols]`,
/// output `[batch, output_channels, rows, cols]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub input_channels: usize,
    /// Channels of the output.
    pub output_channels: usize,
    /// Whether every channel has a window of its own and sees no other; input and output have the same channels then.
    pub depthwise: bool,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Step between two outputs, in input rows and columns.
    pub stride: [usize; 2],
    /// Zeros before and after the rows, and before and after the columns.
    pub padding: [(usize, usize); 2],
}

impl Geometry {
    /// Whether there is at least one output, and all sizes are positive.
    pub fn is_valid(&self) -> bool {
        let positive = |sizes: [usize; 2]| sizes.iter().all(|&size| size > 0);
        self.batch * self.input_channels * self.output_channels > 0
            && (!self.depthwise || self.input_channels == self.output_channels)
            && positive(self.input)
            && positive(self.kernel)
            && positive(self.stride)
            && (0..2).all(|axis| self.padded(axis) >= self.kernel[axis])
    }

    /// Rows and columns of the output.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.padded(axis) - self.kernel[axis]) / self.stride[axis] + 1)
    }

    /// Floats of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.input_channels * self.input[0] * self.input[1]
    }

    /// Floats of the weight.
    pub fn weight_len(&self) -> usize {
        self.output_channels * self.window_channels() * self.kernel[0] * self.kernel[1]
    }

    /// Floats of the output.
    pub fn output_len(&self) -> usize {
        let [rows, cols] = self.output();
        self.batch * self.output_channels * rows * cols
    }

    /// Floating-point operations of the forward pass; either gradient has as many.
    pub fn operations(&self) -> usize {
        2 * self.output_len() * self.window_channels() * self.kernel[0] * self.kernel[1]
    }

    /// Channels of the input that an output channel sees.
    pub(crate) fn window_channels(&self) -> usize {
        if self.depthwise { 1 } else { self.input_channels }
    }

    fn padded(&self, axis: usize) -> usize {
        self.input[axis] + self.padding[axis].0 + self.padding[axis].1
    }
}
