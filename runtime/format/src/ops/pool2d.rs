//! Pooling over a 2-D window: int8 and int16, with one quantization for input and output; and f32.

use super::work::{ROW, product, sum};
use super::{
    ActivationRange, ActivationRangeI16, Attrs, Fused, Input, MAX_AVERAGED, MAX_AVERAGED_I16, OUTPUT, OpFault, OpInfo,
    Operands, RowAccess, Spec, Work, activation, activation_i16, attrs_of, bits, overlap, range, sizes, window_fits,
    words,
};
use crate::{DType, Value};
use tealight_types::Window2d;

/// Attributes of average and maximum pooling. Taps outside the input do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2d {
    /// Height and width of the window (at least 1).
    pub window: [i32; 2],
    /// Rows and columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Padding: rows above and columns to the left of the input where the first window starts.
    pub pad: [i32; 2],
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl OpInfo for Pool2d {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::Int8(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q NHWC",
        attributes: "window h, w; stride h, w; pad top, left; act",
        rows: "N·OH",
        cost: "20 + OW·(35 + 8·C + w·(12 + 3·C))",
    };
}

without_blocks!(Pool2d);

impl Pool2d {
    pub(super) const fn row_access(&self, input: &Value, _: &Operands, k: usize) -> Option<RowAccess> {
        match k {
            0 => overlap::windows(input, self.stride[0], self.pad[0], self.window[0].unsigned_abs() as u64),
            _ => None,
        }
    }
}

impl Pool2d {
    /// The window over the image; for checked attributes.
    #[inline]
    pub const fn window2d(&self) -> Window2d {
        Window2d { kernel: sizes(self.window), stride: sizes(self.stride), dilation: [1, 1], pad: sizes(self.pad) }
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(activation::<CHECK>(attrs, 6));
        Ok(Self { window: words(attrs, 0), stride: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (w, s, p, a) = (self.window, self.stride, self.pad, self.activation.bounds());
        attrs_of(&[w[0], w[1], s[0], s[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let output = tri!(operands.quantized_output());
        ensure!(taps(&input, self.window) <= MAX_AVERAGED as u64, OpFault::Attribute { index: 0 });
        pool_work(&input, &output, self.window, self.stride, self.pad, 3)
    }
}

/// The number of taps of a window that can lie inside the input. A negative size of the window, which is refused
/// elsewhere, counts as a large one.
const fn taps(input: &Value, window: [i32; 2]) -> u64 {
    let (height, width) = (input.shape.dim(1) as u64, input.shape.dim(2) as u64);
    min(window[0] as u64, height).saturating_mul(min(window[1] as u64, width))
}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}

/// Attributes of average and maximum pooling of int16 activations. Taps outside the input do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dI16 {
    /// Height and width of the window (at least 1).
    pub window: [i32; 2],
    /// Rows and columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Padding: rows above and columns to the left of the input where the first window starts.
    pub pad: [i32; 2],
    /// The range of the output (the fused activation).
    pub activation: ActivationRangeI16,
}

impl OpInfo for Pool2dI16 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::Int16(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h NHWC",
        attributes: "window h, w; stride h, w; pad top, left; act16",
        rows: "N·OH",
        cost: "as AvgPool2d, with 6·C for each tap",
    };
}

without_blocks!(Pool2dI16);

impl Pool2dI16 {
    pub(super) const fn row_access(&self, input: &Value, _: &Operands, k: usize) -> Option<RowAccess> {
        match k {
            0 => overlap::windows(input, self.stride[0], self.pad[0], self.window[0].unsigned_abs() as u64),
            _ => None,
        }
    }
}

impl Pool2dI16 {
    /// The window over the image; for checked attributes.
    #[inline]
    pub const fn window2d(&self) -> Window2d {
        Window2d { kernel: sizes(self.window), stride: sizes(self.stride), dilation: [1, 1], pad: sizes(self.pad) }
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(activation_i16::<CHECK>(attrs, 6));
        Ok(Self { window: words(attrs, 0), stride: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (w, s, p, a) = (self.window, self.stride, self.pad, self.activation.bounds());
        attrs_of(&[w[0], w[1], s[0], s[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let output = tri!(operands.quantized_output_as(DType::I16));
        ensure!(taps(&input, self.window) <= MAX_AVERAGED_I16 as u64, OpFault::Attribute { index: 0 });
        pool_work(&input, &output, self.window, self.stride, self.pad, 6)
    }
}

/// Attributes of average and maximum pooling in f32. Taps outside the input do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool2dF32 {
    /// Height and width of the window (at least 1).
    pub window: [i32; 2],
    /// Rows and columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Padding: rows above and columns to the left of the input where the first window starts.
    pub pad: [i32; 2],
    /// Minimum and maximum of the output (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl OpInfo for Pool2dF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::F32(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f NHWC",
        attributes: "window h, w; stride h, w; pad top, left; range",
        rows: "N·OH",
        cost: "as AvgPool2d",
    };
}

without_blocks!(Pool2dF32);

impl Pool2dF32 {
    pub(super) const fn row_access(&self, input: &Value, _: &Operands, k: usize) -> Option<RowAccess> {
        match k {
            0 => overlap::windows(input, self.stride[0], self.pad[0], self.window[0].unsigned_abs() as u64),
            _ => None,
        }
    }
}

impl Pool2dF32 {
    /// The window over the image; for checked attributes.
    #[inline]
    pub const fn window2d(&self) -> Window2d {
        Window2d { kernel: sizes(self.window), stride: sizes(self.stride), dilation: [1, 1], pad: sizes(self.pad) }
    }

    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(range::<CHECK>(attrs, 6));
        Ok(Self { window: words(attrs, 0), stride: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (w, s, p, a) = (self.window, self.stride, self.pad, bits(self.activation));
        attrs_of(&[w[0], w[1], s[0], s[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let output = tri!(operands.f32_output());
        pool_work(&input, &output, self.window, self.stride, self.pad, 3)
    }
}

/// Checks that the windows fit on the input and that the number of channels is the same, and returns the work; an element of
/// a tap costs `tap`.
pub(super) const fn pool_work(
    input: &Value,
    output: &Value,
    window: [i32; 2],
    stride: [i32; 2],
    pad: [i32; 2],
    tap: u64,
) -> Result<Work, OpFault> {
    let (i, o) = (&input.shape, &output.shape);
    ensure!(i.rank() == 4, OpFault::Shape { operand: 0 });
    ensure!(o.rank() == 4 && o.dim(0) == i.dim(0) && o.dim(3) == i.dim(3), OpFault::Shape { operand: OUTPUT });
    let (w, s, p) = (window, stride, pad);
    ensure!(w[0] > 0 && w[1] > 0, OpFault::Attribute { index: 0 });
    ensure!(window_fits(i.dim(1), o.dim(1), w[0] as u32, s[0], 1, p[0]), OpFault::Attribute { index: 2 });
    ensure!(window_fits(i.dim(2), o.dim(2), w[1] as u32, s[1], 1, p[1]), OpFault::Attribute { index: 3 });
    // Only taps inside the input are counted.
    let taps = product(&[minimum(w[0] as u32, i.dim(1)), minimum(w[1] as u32, i.dim(2))]);
    let (width, channels) = (o.dim(2) as u64, o.dim(3) as u64);
    let pixel = sum(&[35, product(&[8, channels]), product(&[taps, 12 + tap * channels])]);
    Work::split(output, 2, sum(&[ROW, product(&[width, pixel])]), 0)
}

const fn minimum(a: u32, b: u32) -> u64 {
    if a < b { a as u64 } else { b as u64 }
}
