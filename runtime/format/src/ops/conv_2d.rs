//! 2-D convolutions: int8, per output channel; and f32.

use super::{
    Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, bits, check_activation, check_range, reals, window_fits, words,
};
use crate::{DType, Value};

/// Attributes of a 2-D convolution. Each output channel has its own bias, multiplier and shift in the `channels`
/// table; the bias has `-input_zero_point * sum(weights)` folded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Rows, columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Rows, columns from one tap to the next (at least 1).
    pub dilation: [i32; 2],
    /// Rows above and columns to the left of the input that the first window starts with.
    pub pad: [i32; 2],
    /// Least and greatest output value (the fused activation), within -128..=127.
    pub activation: [i32; 2],
}

impl Conv2d {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { stride: words(attrs, 0), dilation: words(attrs, 2), pad: words(attrs, 4), activation: words(attrs, 6) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (s, d, p, a) = (self.stride, self.dilation, self.pad, self.activation);
        attrs_of(&[s[0], s[1], d[0], d[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        let taps = tri!(self.check_windows(operands));
        let (input, weights) = (tri!(operands.quantized(0)), tri!(operands.constant(1, DType::I8)));
        grouped_work(&input, &weights, &operands.output, taps)
    }

    /// Checks what a plain and a depthwise convolution share, and gives the taps of a window.
    const fn check_windows(&self, operands: &Operands) -> Result<u64, OpFault> {
        tri!(operands.count_is(3));
        let input = tri!(operands.quantized(0));
        let weights = tri!(operands.constant(1, DType::I8));
        let output = tri!(operands.quantized_output());
        tri!(operands.channels(2, output.shape.dim(3)));
        let taps = tri!(window_taps(&input, &weights, &output, self.stride, self.dilation, self.pad));
        tri!(check_activation(self.activation, 6));
        Ok(taps)
    }
}

/// Attributes of a depthwise convolution: those of [`Conv2d`]. Output channel `c` reads input channel
/// `c / depth_multiplier`, where `depth_multiplier` is output channels over input channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2d(pub Conv2d);

impl DepthwiseConv2d {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self(Conv2d::parse(attrs))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        let taps = tri!(self.0.check_windows(operands));
        let (input, weights) = (tri!(operands.quantized(0)), tri!(operands.constant(1, DType::I8)));
        depthwise_work(&input, &weights, &operands.output, taps)
    }
}

/// Attributes of a 2-D convolution in f32. The bias is one number an output channel, or left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dF32 {
    /// Rows, columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Rows, columns from one tap to the next (at least 1).
    pub dilation: [i32; 2],
    /// Rows above and columns to the left of the input that the first window starts with.
    pub pad: [i32; 2],
    /// Least and greatest output value (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl Conv2dF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { stride: words(attrs, 0), dilation: words(attrs, 2), pad: words(attrs, 4), activation: reals(attrs, 6) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (s, d, p, a) = (self.stride, self.dilation, self.pad, bits(self.activation));
        attrs_of(&[s[0], s[1], d[0], d[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        let taps = tri!(self.check_windows(operands));
        let (input, weights) = (tri!(operands.typed(0, DType::F32)), tri!(operands.real_weights(1)));
        grouped_work(&input, &weights, &operands.output, taps)
    }

    /// Checks what a plain and a depthwise convolution share, and gives the taps of a window.
    const fn check_windows(&self, operands: &Operands) -> Result<u64, OpFault> {
        tri!(operands.count_is(3));
        let input = tri!(operands.typed(0, DType::F32));
        let weights = tri!(operands.real_weights(1));
        let output = tri!(operands.real_output());
        tri!(operands.real_bias(2, output.shape.dim(3)));
        let taps = tri!(window_taps(&input, &weights, &output, self.stride, self.dilation, self.pad));
        tri!(check_range(self.activation, 6));
        Ok(taps)
    }
}

/// Attributes of a depthwise convolution in f32: those of [`Conv2dF32`]; channels as in [`DepthwiseConv2d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthwiseConv2dF32(pub Conv2dF32);

impl DepthwiseConv2dF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self(Conv2dF32::parse(attrs))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        let taps = tri!(self.0.check_windows(operands));
        let (input, weights) = (tri!(operands.typed(0, DType::F32)), tri!(operands.real_weights(1)));
        depthwise_work(&input, &weights, &operands.output, taps)
    }
}

/// Checks that the windows of weights `[_, KH, KW, _]` lie on the input, and gives the taps of one.
const fn window_taps(
    input: &Value,
    weights: &Value,
    output: &Value,
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
) -> Result<u64, OpFault> {
    let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
    ensure!(i.rank() == 4, OpFault::Shape { operand: 0 });
    ensure!(w.rank() == 4, OpFault::Shape { operand: 1 });
    ensure!(o.rank() == 4 && o.dim(0) == i.dim(0), OpFault::Shape { operand: OUTPUT });
    let (s, d, p) = (stride, dilation, pad);
    ensure!(window_fits(i.dim(1), o.dim(1), w.dim(1), s[0], d[0], p[0]), OpFault::Attribute { index: 0 });
    ensure!(window_fits(i.dim(2), o.dim(2), w.dim(2), s[1], d[1], p[1]), OpFault::Attribute { index: 1 });
    Ok(w.dim(1) as u64 * w.dim(2) as u64)
}

/// The work of OHWI weights: the input's channels divide into groups of the weights' I.
pub(super) const fn grouped_work(input: &Value, weights: &Value, output: &Value, taps: u64) -> Result<Work, OpFault> {
    let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
    ensure!(w.dim(0) == o.dim(3) && w.dim(3) > 0, OpFault::Shape { operand: 1 });
    ensure!(i.dim(3).is_multiple_of(w.dim(3)), OpFault::Shape { operand: 1 });
    ensure!(o.dim(3).is_multiple_of(i.dim(3) / w.dim(3)), OpFault::Shape { operand: 1 });
    row_work(output, taps * w.dim(3) as u64)
}

/// The work of 1HWO weights: O a multiple of the input's channels.
const fn depthwise_work(input: &Value, weights: &Value, output: &Value, taps: u64) -> Result<Work, OpFault> {
    let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
    ensure!(w.dim(0) == 1 && w.dim(3) == o.dim(3), OpFault::Shape { operand: 1 });
    ensure!(i.dim(3) > 0 && o.dim(3).is_multiple_of(i.dim(3)), OpFault::Shape { operand: 0 });
    row_work(output, taps)
}

/// Rows are the output's image rows; each element costs `taps`.
const fn row_work(output: &Value, taps: u64) -> Result<Work, OpFault> {
    let Some(row) = taps.checked_mul(output.shape.dim(2) as u64) else { return Err(OpFault::TooLarge) };
    let Some(cost) = row.checked_mul(output.shape.dim(3) as u64) else { return Err(OpFault::TooLarge) };
    let work = tri!(Work::split(output, 2, 1));
    Work::new(work.rows as u64, work.row_bytes as u64, cost)
}
