//! Where the maximum of each 2-D window is, and the way back, in f32.

use super::pool2d::pool_work;
use super::work::{ROW, product, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of, sizes, window_fits, words};
use crate::DType;
use tealight_types::Window2d;

/// The window of a maximum in the image. Taps outside the image do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxWindow2d {
    /// Height and width of the window (at least 1; their product is at most 2^20).
    pub window: [i32; 2],
    /// Rows and columns from one maximum to the next (at least 1).
    pub stride: [i32; 2],
    /// Padding: rows above and columns to the left of the image where the first window starts.
    pub pad: [i32; 2],
}

impl MaxWindow2d {
    /// The maximum number of taps: f32 holds the place of each plus 0.1 apart from the next.
    pub const MAX_TAPS: u64 = 1 << 20;

    /// The window over the image; for checked attributes.
    #[inline]
    pub const fn window2d(&self) -> Window2d {
        Window2d { kernel: sizes(self.window), stride: sizes(self.stride), dilation: [1, 1], pad: sizes(self.pad) }
    }

    const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let window: [i32; 2] = words(attrs, 0);
        if CHECK {
            ensure!(window[0] > 0, OpFault::Attribute { index: 0 });
            ensure!(window[1] > 0, OpFault::Attribute { index: 1 });
            let taps = window[0] as u64 * window[1] as u64;
            ensure!(taps <= Self::MAX_TAPS, OpFault::Attribute { index: 1 });
        }
        Ok(Self { window, stride: words(attrs, 2), pad: words(attrs, 4) })
    }

    const fn emit(&self) -> Attrs {
        let (w, s, p) = (self.window, self.stride, self.pad);
        attrs_of(&[w[0], w[1], s[0], s[1], p[0], p[1]])
    }
}

/// Attributes of MaxPoolIndices2dF32: the places of the maxima in their windows (MediaPipe's `MaxPoolingWithArgmax2D`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPoolIndices2dF32(pub MaxWindow2d);

impl OpInfo for MaxPoolIndices2dF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f NHWC",
        attributes: "window h, w, h·w ≤ 2²⁰; stride h, w; pad top, left",
        rows: "N·OH",
        cost: "twice AvgPool2d's",
    };
}

without_blocks!(MaxPoolIndices2dF32);
output_apart!(MaxPoolIndices2dF32);

impl MaxPoolIndices2dF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(MaxWindow2d::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, output) = (tri!(operands.typed(0, DType::F32)), tri!(operands.f32_output()));
        let MaxWindow2d { window, stride, pad } = self.0;
        let pool = tri!(pool_work(&input, &output, window, stride, pad, 3));
        Work::split(&output, 2, product(&[2, pool.row_cost as u64]), 0)
    }
}

/// Attributes of MaxUnpool2dF32: maxima at their places in an image of zeros (MediaPipe's `MaxUnpooling2D`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxUnpool2dF32(pub MaxWindow2d);

impl OpInfo for MaxUnpool2dF32 {
    const INPUTS: &'static [Input] = &[Input::ACTIVATION, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "maxima f NHWC; places f, same shape; output NHWC, same N and C",
        attributes: "as MaxPoolIndices2dF32",
        rows: "N·OH",
        cost: "60 + OW·C + n·W·(20 + 30·C), n = ⌈window h / stride h⌉",
    };
}

without_blocks!(MaxUnpool2dF32);
output_apart!(MaxUnpool2dF32);

impl MaxUnpool2dF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(MaxWindow2d::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (maxima, places) = (tri!(operands.typed(0, DType::F32)).shape, tri!(operands.typed(1, DType::F32)).shape);
        let output = tri!(operands.f32_output());
        let (image, MaxWindow2d { window: w, stride: s, pad: p }) = (&output.shape, self.0);
        ensure!(maxima.rank() == 4, OpFault::Shape { operand: 0 });
        ensure!(places.is(&maxima), OpFault::Shape { operand: 1 });
        ensure!(image.rank() == 4 && image.dim(0) == maxima.dim(0), OpFault::Shape { operand: OUTPUT });
        ensure!(image.dim(3) == maxima.dim(3), OpFault::Shape { operand: OUTPUT });
        ensure!(window_fits(image.dim(1), maxima.dim(1), w[0] as u32, s[0], 1, p[0]), OpFault::Attribute { index: 2 });
        ensure!(window_fits(image.dim(2), maxima.dim(2), w[1] as u32, s[1], 1, p[1]), OpFault::Attribute { index: 3 });
        let (depth, width) = (maxima.dim(3) as u64, maxima.dim(2) as u64);
        // As `window_fits` has checked; here, so that the division links no panic.
        ensure!(s[0] > 0, OpFault::Attribute { index: 2 });
        let lines = (w[0] as u64).div_ceil(s[0] as u64);
        let searched = product(&[lines, width, sum(&[20, product(&[30, depth])])]);
        let row_cost = sum(&[ROW, 40, product(&[image.dim(2) as u64, depth]), searched]);
        Work::split(&output, 2, row_cost, 0)
    }
}
