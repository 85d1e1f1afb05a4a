//! Transposed 2-D convolution in f32: each input contributes to a window of the output.

use super::conv2d::grouped;
use super::work::{product, quotient, sum, weight_cost};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, Spec, Work, attrs_of, bits, range, words};
use crate::DType;

/// Attributes of a transposed 2-D convolution. Tap `k` of input `i` is added to output `i * stride + k * dilation -
/// pad`, if that is inside. The bias is one number for each output channel, or absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvTranspose2dF32 {
    /// Rows and columns of the output from one input to the next (at least 1).
    pub stride: [i32; 2],
    /// Rows and columns from one tap to the next (at least 1).
    pub dilation: [i32; 2],
    /// Rows above and columns to the left that are cut off (at least 0).
    pub pad: [i32; 2],
    /// Minimum and maximum of the output (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

/// The maximum of a stride, a window's extent, a pad or a side, with which their sums and products fit.
const MAX: u64 = 1 << 24;

impl OpInfo for ConvTranspose2dF32 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::ChannelWeights, "weights"), Input::new(Role::Bias, "bias")];
    const FUSED: Fused = Fused::F32(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f NHWC; weights F32 OHWI (I divides C, giving groups); bias as 20",
        attributes: "as Conv2dF32",
        rows: "N·OH",
        cost: "60 + OW·O·(25 + 4·KH + 3·KH·KW + h·(30 + I·f))",
    };
}

without_blocks!(ConvTranspose2dF32);
window_of_weights!(ConvTranspose2dF32);
output_apart!(ConvTranspose2dF32);

impl ConvTranspose2dF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(range::<CHECK>(attrs, 6));
        Ok(Self { stride: words(attrs, 0), dilation: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (s, d, p, a) = (self.stride, self.dilation, self.pad, bits(self.activation));
        attrs_of(&[s[0], s[1], d[0], d[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let weights = tri!(operands.channel_weights(1));
        let output = tri!(operands.f32_output());
        tri!(operands.f32_channels(2, &weights, output.shape.dim(3)));
        let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
        ensure!(i.rank() == 4, OpFault::Shape { operand: 0 });
        ensure!(w.rank() == 4, OpFault::Shape { operand: 1 });
        ensure!(o.rank() == 4 && o.dim(0) == i.dim(0), OpFault::Shape { operand: OUTPUT });
        let mut axis = 0;
        while axis < 2 {
            let (size, stride, dilation) = (w.dim(axis + 1), self.stride[axis], self.dilation[axis]);
            let fits = is_side(size as i64) && is_side(stride as i64) && is_side(dilation as i64);
            ensure!(fits && (size as u64 - 1) * (dilation as u64) < MAX, OpFault::Attribute { index: axis as u8 });
            let pad = self.pad[axis];
            ensure!(pad >= 0 && (pad as u64) < MAX, OpFault::Attribute { index: 4 + axis as u8 });
            ensure!(is_side(o.dim(axis + 1) as i64), OpFault::Shape { operand: OUTPUT });
            axis += 1;
        }
        let size = tri!(grouped(&input, &weights, &output));
        let hits = product(&[
            hits(size.kernel[0], self.stride[0], self.dilation[0]),
            hits(size.kernel[1], self.stride[1], self.dilation[1]),
            sum(&[30, product(&[size.inputs, weight_cost(weights.dtype)])]),
        ]);
        let channel = sum(&[25, product(&[4, size.kernel[0]]), product(&[3, size.taps]), hits]);
        size.work(&output, product(&[size.outputs, channel]), 0)
    }
}

/// The maximum number of an output's `taps` along an axis that meet an input; the others fall between two inputs. Taps
/// are `dilation` apart, inputs `stride`.
const fn hits(taps: u64, stride: i32, dilation: i32) -> u64 {
    let (stride, dilation) = (stride as u64, dilation as u64);
    let (mut divisor, mut rest) = (stride, dilation);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    // Taps that meet an input are a common multiple of both distances apart.
    quotient(taps, stride / if divisor == 0 { 1 } else { divisor })
}

const fn is_side(length: i64) -> bool {
    1 <= length && length <= MAX as i64
}
