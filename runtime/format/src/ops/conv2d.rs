//! 2-D convolutions: int8, and int16 with int8 weights, per output channel; and f32.

use super::work::{product, quotient, sum, weight_cost};
use super::{
    ActivationRange, ActivationRangeI16, Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, RowAccess, Spec,
    Work, activation, activation_i16, attrs_of, bits, overlap, range, window_fits, words,
};
use crate::{DType, Value};
use tealight_types::UNPACKED_INT4;

/// The number of I4 weights of an int8 convolution that are unpacked at a time.
const UNPACKED: u64 = UNPACKED_INT4 as u64;

/// Attributes of a 2-D convolution. Each output channel has its own bias, multiplier and shift in the `channels`
/// table; the bias has `-input_zero_point * sum(weights)` folded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Rows and columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Rows and columns from one tap to the next (at least 1).
    pub dilation: [i32; 2],
    /// Padding: rows above and columns to the left of the input where the first window starts.
    pub pad: [i32; 2],
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl OpInfo for Conv2d {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Channels, "channels")];
    const FUSED: Fused = Fused::Int8(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q NHWC; weights I8 or I4 OHWI (I divides C, giving groups); channels I32 `[O, 3]`",
        attributes: "stride h, w; dilation h, w; pad top, left; act",
        rows: "N·OH",
        cost: "60 + OW·(60 + g·(100 + 25·r) + O·(8 + 5·r + KH·KW·I))",
    };
}

without_blocks!(Conv2d);
window_of_weights!(Conv2d);

impl Conv2d {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        overlap::filters(input, operands, k, [self.stride[0], self.pad[0], self.dilation[0]])
    }
}

impl Conv2d {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(activation::<CHECK>(attrs, 6));
        Ok(Self { stride: words(attrs, 0), dilation: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (s, d, p, a) = (self.stride, self.dilation, self.pad, self.activation.bounds());
        attrs_of(&[s[0], s[1], d[0], d[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(self.check_windows(operands));
        let (input, weights) = (tri!(operands.quantized(0)), tri!(operands.int8_weights(1)));
        let size = tri!(grouped(&input, &weights, &operands.output));
        // For each pixel and group, a window is either gathered run by run, or multiplied in place run by run.
        let runs = size.runs(self.dilation);
        let group = sum(&[100, product(&[25, runs])]);
        let channel = sum(&[8, product(&[5, runs]), size.filter()]);
        let (parts, group, channel, row) = match weights.dtype {
            DType::I4 => match size.unpacked_filters() {
                // Pixel by pixel, tap by tap, with four filters at a time.
                0 => {
                    let channel = sum(&[8, product(&[30, size.taps]), product(&[2, size.filter()])]);
                    (size.groups, 100, channel, 0)
                }
                // The row once for each part of the filters.
                filters => {
                    let parts = product(&[size.groups, quotient(quotient(size.outputs, size.groups), filters)]);
                    let unpacking = product(&[size.outputs, 10 + size.filter()]);
                    (parts, group, channel, sum(&[product(&[250, parts]), unpacking]))
                }
            },
            _ => (size.groups, group, channel, 0),
        };
        let pixel = sum(&[60, product(&[parts, group]), product(&[size.outputs, channel])]);
        size.work(&operands.output, pixel, row)
    }

    /// Makes the checks that a plain and a depthwise convolution have in common.
    const fn check_windows(&self, operands: &Operands) -> Result<(), OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let weights = tri!(operands.int8_weights(1));
        let output = tri!(operands.quantized_output());
        tri!(operands.channels(2, output.shape.dim(3)));
        check_windows(&input, &weights, &output, self.stride, self.dilation, self.pad)
    }
}

/// Attributes of a depthwise convolution: those of [`Conv2d`]. Output channel `c` reads input channel
/// `c / depth_multiplier`, where `depth_multiplier` is output channels over input channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2d(pub Conv2d);

impl OpInfo for DepthwiseConv2d {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Channels, "channels")];
    const FUSED: Fused = Fused::Int8(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q NHWC; weights I8 or I4 1HWO (C divides O); channels I32 `[O, 3]`",
        attributes: "as Conv2d",
        rows: "N·OH",
        cost: "60 + OW·(120 + 17·KH·KW + O·(3 + 2·KH·KW)); with O ≠ C also OW·C·(120 + 20·KH·KW)",
    };
}

without_blocks!(DepthwiseConv2d);

impl DepthwiseConv2d {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        self.0.row_access(input, operands, k)
    }
}

impl DepthwiseConv2d {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(Conv2d::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(self.0.check_windows(operands));
        let (input, weights) = (tri!(operands.quantized(0)), tri!(operands.int8_weights(1)));
        let size = tri!(depthwise(&input, &weights, &operands.output));
        let multiplied = size.outputs != size.groups;
        let together = size.unpacked_channels();
        // What a pixel costs in each of so many parts of its channels, and for each tap in each; each tap of a channel; and
        // what a row costs besides.
        let (parts, tap, each, row) = match weights.dtype {
            // Pixel by pixel, tap by tap, with 64 channels at a time.
            DType::I4 if multiplied || (together < 8 && together < size.outputs) => {
                (quotient(size.outputs, 64), 60, 6, 0)
            }
            // The row once for each part of the channels.
            DType::I4 => {
                let (parts, unpacking) = (quotient(size.outputs, together), product(&[size.outputs, size.taps]));
                (parts, 17, 2, sum(&[product(&[parts, sum(&[150, product(&[15, size.taps])])]), unpacking]))
            }
            _ => (1, 17, 2, 0),
        };
        let part = sum(&[120, product(&[tap, size.taps])]);
        let all = sum(&[product(&[parts, part]), product(&[size.outputs, sum(&[3, product(&[each, size.taps])])])]);
        // With a depth multiplier, each input channel is computed by itself.
        let single = match weights.dtype {
            DType::I8 if multiplied => sum(&[120, product(&[20, size.taps])]),
            _ => 0,
        };
        size.work(&operands.output, sum(&[all, product(&[size.groups, single])]), row)
    }
}

/// Attributes of a 2-D convolution of int16 activations with int8 weights. Each output channel has its own bias,
/// multiplier and shift in the `channels` table, which determines the width of the sum: 32 bits, or 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dI16 {
    /// Rows and columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Rows and columns from one tap to the next (at least 1).
    pub dilation: [i32; 2],
    /// Padding: rows above and columns to the left of the input where the first window starts.
    pub pad: [i32; 2],
    /// The range of the output (the fused activation).
    pub activation: ActivationRangeI16,
}

impl OpInfo for Conv2dI16 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Channels, "channels")];
    const FUSED: Fused = Fused::Int16(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h NHWC; weights I8 OHWI (I divides C, giving groups); channels I32 `[O, 3]` or `[O, 4]`",
        attributes: "stride h, w; dilation h, w; pad top, left; act16",
        rows: "N·OH",
        cost: "60 + OW·(60 + g·60 + O·(30 + 25·r + 2·KH·KW·I))",
    };
}

without_blocks!(Conv2dI16);
window_of_weights!(Conv2dI16);

impl Conv2dI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        overlap::filters(input, operands, k, [self.stride[0], self.pad[0], self.dilation[0]])
    }
}

impl Conv2dI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(activation_i16::<CHECK>(attrs, 6));
        Ok(Self { stride: words(attrs, 0), dilation: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (s, d, p, a) = (self.stride, self.dilation, self.pad, self.activation.bounds());
        attrs_of(&[s[0], s[1], d[0], d[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(self.check_windows(operands));
        let (input, weights) = (tri!(operands.typed(0, DType::I16)), tri!(operands.constant(1, DType::I8)));
        let size = tri!(grouped(&input, &weights, &operands.output));
        let channel = sum(&[30, product(&[25, size.runs(self.dilation)]), product(&[2, size.filter()])]);
        size.work(&operands.output, sum(&[60, product(&[60, size.groups]), product(&[size.outputs, channel])]), 0)
    }

    /// Makes the checks that a plain and a depthwise convolution have in common.
    const fn check_windows(&self, operands: &Operands) -> Result<(), OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized_as(0, DType::I16));
        let weights = tri!(operands.constant(1, DType::I8));
        let output = tri!(operands.quantized_output_as(DType::I16));
        tri!(operands.channels_of_i16(2, output.shape.dim(3)));
        check_windows(&input, &weights, &output, self.stride, self.dilation, self.pad)
    }
}

/// Attributes of a depthwise convolution of int16 activations with int8 weights: those of [`Conv2dI16`]; channels as in
/// [`DepthwiseConv2d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2dI16(pub Conv2dI16);

impl OpInfo for DepthwiseConv2dI16 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::Weights, "weights"), Input::new(Role::Channels, "channels")];
    const FUSED: Fused = Fused::Int16(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "h NHWC; weights I8 1HWO (C divides O); channels as 54",
        attributes: "as Conv2dI16",
        rows: "N·OH",
        cost: "60 + OW·(120 + O·(40 + 25·KH + 6·KH·KW))",
    };
}

without_blocks!(DepthwiseConv2dI16);

impl DepthwiseConv2dI16 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        self.0.row_access(input, operands, k)
    }
}

impl DepthwiseConv2dI16 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(Conv2dI16::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(self.0.check_windows(operands));
        let (input, weights) = (tri!(operands.typed(0, DType::I16)), tri!(operands.constant(1, DType::I8)));
        let size = tri!(depthwise(&input, &weights, &operands.output));
        let channel = sum(&[40, product(&[25, size.kernel[0]]), product(&[6, size.taps])]);
        size.work(&operands.output, sum(&[120, product(&[size.outputs, channel])]), 0)
    }
}

/// Attributes of a 2-D convolution in f32. The bias is one number for each output channel, or absent; with weights of
/// type I8 or I4, each channel has a scale and a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2dF32 {
    /// Rows and columns from one output to the next (at least 1).
    pub stride: [i32; 2],
    /// Rows and columns from one tap to the next (at least 1).
    pub dilation: [i32; 2],
    /// Padding: rows above and columns to the left of the input where the first window starts.
    pub pad: [i32; 2],
    /// Minimum and maximum of the output (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl OpInfo for Conv2dF32 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::ChannelWeights, "weights"), Input::new(Role::Bias, "bias")];
    const FUSED: Fused = Fused::F32(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f NHWC; weights F32 OHWI (I divides C, giving groups); bias F32, O elements, or none",
        attributes: "stride h, w; dilation h, w; pad top, left; range",
        rows: "N·OH",
        cost: "60 + OW·(25 + 20·g + O·(8 + 35·r + KH·KW·I·f))",
    };
}

without_blocks!(Conv2dF32);
window_of_weights!(Conv2dF32);

impl Conv2dF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        overlap::filters(input, operands, k, [self.stride[0], self.pad[0], self.dilation[0]])
    }
}

impl Conv2dF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let activation = tri!(range::<CHECK>(attrs, 6));
        Ok(Self { stride: words(attrs, 0), dilation: words(attrs, 2), pad: words(attrs, 4), activation })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (s, d, p, a) = (self.stride, self.dilation, self.pad, bits(self.activation));
        attrs_of(&[s[0], s[1], d[0], d[1], p[0], p[1], a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(self.check_windows(operands));
        let (input, weights) = (tri!(operands.typed(0, DType::F32)), tri!(operands.channel_weights(1)));
        let size = tri!(grouped(&input, &weights, &operands.output));
        let products = product(&[size.filter(), weight_cost(weights.dtype)]);
        let channel = sum(&[8, product(&[35, size.runs(self.dilation)]), products]);
        size.work(&operands.output, sum(&[25, product(&[20, size.groups]), product(&[size.outputs, channel])]), 0)
    }

    /// Makes the checks that a plain and a depthwise convolution have in common.
    const fn check_windows(&self, operands: &Operands) -> Result<(), OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.typed(0, DType::F32));
        let weights = tri!(operands.channel_weights(1));
        let output = tri!(operands.f32_output());
        tri!(operands.f32_channels(2, &weights, output.shape.dim(3)));
        check_windows(&input, &weights, &output, self.stride, self.dilation, self.pad)
    }
}

/// Attributes of a depthwise convolution in f32: those of [`Conv2dF32`]; channels as in [`DepthwiseConv2d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthwiseConv2dF32(pub Conv2dF32);

impl OpInfo for DepthwiseConv2dF32 {
    const INPUTS: &'static [Input] =
        &[Input::ACTIVATION, Input::new(Role::ChannelWeights, "weights"), Input::new(Role::Bias, "bias")];
    const FUSED: Fused = Fused::F32(6);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f NHWC; weights F32 1HWO (C divides O); bias as 20",
        attributes: "as Conv2dF32",
        rows: "N·OH",
        cost: "60 + OW·(40 + 30·KH·KW + O·(8 + KH·KW·(1 + f))); with O ≠ C also OW·C·12·KH·KW",
    };
}

without_blocks!(DepthwiseConv2dF32);

impl DepthwiseConv2dF32 {
    pub(super) const fn row_access(&self, input: &Value, operands: &Operands, k: usize) -> Option<RowAccess> {
        self.0.row_access(input, operands, k)
    }
}

impl DepthwiseConv2dF32 {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        Ok(Self(tri!(Conv2dF32::parse::<CHECK>(attrs))))
    }

    pub(super) const fn emit(&self) -> Attrs {
        self.0.emit()
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(self.0.check_windows(operands));
        let (input, weights) = (tri!(operands.typed(0, DType::F32)), tri!(operands.channel_weights(1)));
        let size = tri!(depthwise(&input, &weights, &operands.output));
        let channel = sum(&[8, product(&[size.taps, 1 + weight_cost(weights.dtype)])]);
        let all = sum(&[40, product(&[30, size.taps]), product(&[size.outputs, channel])]);
        // With a depth multiplier, each input channel is computed by itself.
        let single = if size.outputs == size.groups { 0 } else { product(&[12, size.taps]) };
        size.work(&operands.output, sum(&[all, product(&[size.groups, single])]), 0)
    }
}

/// Checks that the windows of weights `[_, KH, KW, _]` fit on the input.
const fn check_windows(
    input: &Value,
    weights: &Value,
    output: &Value,
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
) -> Result<(), OpFault> {
    let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
    ensure!(i.rank() == 4, OpFault::Shape { operand: 0 });
    ensure!(w.rank() == 4, OpFault::Shape { operand: 1 });
    ensure!(o.rank() == 4 && o.dim(0) == i.dim(0), OpFault::Shape { operand: OUTPUT });
    let (s, d, p) = (stride, dilation, pad);
    ensure!(window_fits(i.dim(1), o.dim(1), w.dim(1), s[0], d[0], p[0]), OpFault::Attribute { index: 0 });
    ensure!(window_fits(i.dim(2), o.dim(2), w.dim(2), s[1], d[1], p[1]), OpFault::Attribute { index: 1 });
    Ok(())
}

/// The sizes from which a convolution's work is computed.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Height and width of the kernel.
    pub(super) kernel: [u64; 2],
    pub(super) taps: u64,
    /// The number of channel groups. Each reads `inputs` channels and computes its part of `outputs`.
    pub(super) groups: u64,
    pub(super) inputs: u64,
    /// The number of output channels of all groups.
    pub(super) outputs: u64,
}

impl Size {
    const fn new(weights: &Value, groups: u32, inputs: u32, outputs: u32) -> Self {
        let kernel = [weights.shape.dim(1) as u64, weights.shape.dim(2) as u64];
        let taps = product(&[kernel[0], kernel[1]]);
        Self { kernel, taps, groups: groups as u64, inputs: inputs as u64, outputs: outputs as u64 }
    }

    /// The number of multiply-accumulates for one output channel of a pixel.
    pub(super) const fn filter(&self) -> u64 {
        product(&[self.taps, self.inputs])
    }

    /// The number of contiguous runs of a window in the input: one for each line if all channels of adjacent pixels are
    /// used.
    const fn runs(&self, dilation: [i32; 2]) -> u64 {
        if self.groups == 1 && dilation[1] == 1 { self.kernel[0] } else { self.taps }
    }

    /// The number of filters whose I4 weights are unpacked at a time; 0 if a filter has too many.
    const fn unpacked_filters(&self) -> u64 {
        match UNPACKED.checked_div(self.filter()) {
            None => 0,
            Some(few @ 0..4) => few,
            Some(many) => many / 4 * 4,
        }
    }

    /// The number of channels of a depthwise convolution whose I4 weights are unpacked at a time.
    const fn unpacked_channels(&self) -> u64 {
        match UNPACKED.checked_div(self.taps) {
            Some(channels @ 0..64) => channels,
            _ => 64,
        }
    }

    /// The work at a cost of `pixel` for each pixel, and of `row` for a row. Rows are the output's image rows.
    pub(super) const fn work(&self, output: &Value, pixel: u64, row: u64) -> Result<Work, OpFault> {
        let width = output.shape.dim(2) as u64;
        let rows = tri!(Work::split(output, 2, 0, 0));
        let row_cost = sum(&[60, product(&[width, pixel]), row]);
        let row_macs = product(&[width, self.outputs, self.filter()]);
        Work::new(rows.rows as u64, rows.row_bytes as u64, row_cost, row_macs)
    }
}

/// Checks OHWI weights: the input's channels must divide into groups of the weights' I.
pub(super) const fn grouped(input: &Value, weights: &Value, output: &Value) -> Result<Size, OpFault> {
    let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
    ensure!(w.dim(0) == o.dim(3) && w.dim(3) > 0, OpFault::Shape { operand: 1 });
    ensure!(i.dim(3).is_multiple_of(w.dim(3)), OpFault::Shape { operand: 1 });
    let groups = i.dim(3) / w.dim(3);
    ensure!(o.dim(3).is_multiple_of(groups), OpFault::Shape { operand: 1 });
    Ok(Size::new(weights, groups, w.dim(3), o.dim(3)))
}

/// Checks 1HWO weights: O must be a multiple of the input's channels, each of which is a group.
const fn depthwise(input: &Value, weights: &Value, output: &Value) -> Result<Size, OpFault> {
    let (i, w, o) = (&input.shape, &weights.shape, &output.shape);
    ensure!(w.dim(0) == 1 && w.dim(3) == o.dim(3), OpFault::Shape { operand: 1 });
    ensure!(i.dim(3) > 0 && o.dim(3).is_multiple_of(i.dim(3)), OpFault::Shape { operand: 0 });
    Ok(Size::new(weights, i.dim(3), 1, o.dim(3)))
}
