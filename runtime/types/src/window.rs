//! The geometry of 2-D windows.

/// The window of a 2-D convolution or pooling over an NHWC image. The first number of each pair is vertical, the second
/// horizontal.
///
/// Along an axis, tap `k` for output `o` reads input `o * stride + k * dilation - pad`; outside the input lies padding.
/// A transposed convolution has inputs and outputs the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window2d {
    /// Height and width, in taps.
    pub kernel: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows and columns from one tap to the next; 1 for pooling.
    pub dilation: [usize; 2],
    /// Padding: rows above and columns to the left of the input. What a window misses below and to the right is padding
    /// too.
    pub pad: [usize; 2],
}
