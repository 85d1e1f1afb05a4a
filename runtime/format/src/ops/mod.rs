//! The operators of a compiled model: their attributes, their rules, and the work they do.
//!
//! Each file holds all that the file format specifies about one operator: the typed attributes (parsed from and emitted
//! to the record's attribute words), the rule that its operands must satisfy, and its division into rows. A session
//! computes an operator row by row and can stop after any row.

#[macro_use]
mod info;

mod add;
mod arg_min_max;
mod attention;
mod batch_matmul;
mod binary_f32;
mod binary_i32;
mod cast;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod copy;
mod detections;
mod div;
mod filter_bank;
mod fully_connected;
mod fully_connected_block;
mod gather;
mod gru;
mod l2_norm;
mod landmarks_to_transform;
mod log_softmax;
mod lookup;
mod lstm;
mod mean;
mod mul;
mod norm;
mod overlap;
mod pad;
mod pool2d;
mod positions;
mod prelu;
mod quantize;
mod requantize;
mod rescale_i32;
mod resize_bilinear;
mod resize_nearest;
mod rope;
mod sigmoid;
mod signal;
mod softmax;
mod strided_slice;
mod svdf;
mod top_k;
mod transform_bilinear;
mod transpose;
mod unary_f32;
mod unpool2d;
mod work;

pub use add::{AddSub, AddSubI16};
pub use arg_min_max::{ArgMinMax, ArgMinMaxF32};
pub use attention::AttentionF32;
pub use batch_matmul::{BatchMatMul, BatchMatMulF32};
pub use binary_f32::{BinaryF32, PowF32};
pub use binary_i32::{BinaryI32, IntegerFunction};
pub use cast::Cast;
pub use concat::Concat;
pub use conv_transpose2d::ConvTranspose2dF32;
pub use conv2d::{Conv2d, Conv2dF32, Conv2dI16, DepthwiseConv2d, DepthwiseConv2dF32, DepthwiseConv2dI16};
pub use copy::Copy;
pub use detections::DetectionsF32;
pub use div::Div;
pub use filter_bank::{SignalFilterBank, SignalLog, SignalNoiseEstimate, SignalPcan, SignalSpectralSubtraction};
pub use fully_connected::{FullyConnected, FullyConnectedF32, FullyConnectedI16};
pub use fully_connected_block::{BlockType, FullyConnectedBlock, Workspace};
pub use gather::{GatherBlock, GatherF32};
pub use gru::GruF32;
pub use info::{Fused, Input, OpInfo, Role, Spec};
pub use l2_norm::L2Norm;
pub use landmarks_to_transform::LandmarksToTransformF32;
pub use log_softmax::LogSoftmax;
pub use lookup::{Function, Lookup};
pub use lstm::{Lstm, LstmF32};
pub use mean::{Mean, MeanF32, MeanI16};
pub use mul::{Mul, MulI16};
pub use norm::{LayerNormF32, RmsNormF32};
pub use overlap::RowAccess;
pub use pad::Pad;
pub use pool2d::{Pool2d, Pool2dF32, Pool2dI16};
pub use positions::Positions;
pub use prelu::{Prelu, PreluF32};
pub use quantize::{Dequantize, DequantizeI16, Quantize, QuantizeI16};
pub use requantize::RequantizeI16;
pub use rescale_i32::RescaleI32;
pub use resize_bilinear::{ResizeBilinear, ResizeBilinearF32};
pub use resize_nearest::ResizeNearest;
pub use rope::RopeF32;
pub use sigmoid::SigmoidI16;
pub use signal::{SignalEnergy, SignalFftAutoScale, SignalRfft, SignalWindow};
pub use softmax::{Softmax, SoftmaxF32, SoftmaxI16};
pub use strided_slice::StridedSlice;
pub use svdf::Svdf;
pub use tealight_types::{ActivationRange, ActivationRangeI16, Multiplier};
pub use top_k::{TopK, TopKF32};
pub use transform_bilinear::TransformBilinearF32;
pub use transpose::Transpose;
pub use unary_f32::{UnaryF32, UnaryFunction};
pub use unpool2d::{MaxPoolIndices2dF32, MaxUnpool2dF32, MaxWindow2d};
pub use work::{CALL_COST, INSTRUCTIONS_PER_UNIT, Work};

use crate::op_set::{OpSet, OpSetOf};
use crate::{DType, Kind, Quantization, Shape, Value};
use info::{float_weights, input_with};

/// The attribute words of an operator record. Words that an operator does not use are 0.
pub type Attrs = [i32; 15];

/// The maximum number of inputs of an operator.
pub const MAX_INPUTS: usize = 8;

/// The operand number of the output in an [`OpFault`].
pub const OUTPUT: u8 = u8::MAX;

/// What is wrong with an operator of a plan. `operand` counts the inputs from 0; [`OUTPUT`] is the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpFault {
    /// This version does not know the operator code.
    UnknownOperator,
    /// A reserved byte or an unused attribute word is not 0.
    Reserved,
    /// The number of inputs is wrong for the operator, or a required input is absent.
    Inputs,
    /// An operand has a type that the operator does not take.
    Type {
        /// Which one.
        operand: u8,
    },
    /// An operand's shape does not follow the operator's rule.
    Shape {
        /// Which one.
        operand: u8,
    },
    /// An operand's scale or zero point is out of range.
    Quantization {
        /// Which one.
        operand: u8,
    },
    /// An operand is in a place that the operator cannot use (a constant as output, an activation as weights).
    Place {
        /// Which one.
        operand: u8,
    },
    /// An attribute word is out of range.
    Attribute {
        /// Its index.
        index: u8,
    },
    /// The cost of a row or of its preparation does not fit in 32 bits.
    TooLarge,
    /// The record's row count or one of its costs is not what follows from the operands.
    Work,
    /// An operand index is past the end of the value table.
    OperandIndex {
        /// Which one.
        operand: u8,
    },
    /// An input is read before it is written, or after its recorded last use.
    NotLive {
        /// Which one.
        operand: u8,
    },
    /// The output is not the next value for operators to write, or its recorded live range does not begin here.
    Output,
    /// Input and output overlap by more than the operator allows, or without a scratch value.
    Overlap {
        /// Which one.
        operand: u8,
    },
    /// The scratch value is not an arena value of whole output rows, as many as there are at most (or of the workspace
    /// that the operator needs), with a live range of only this operator.
    Scratch,
    /// Its place in a group does not continue that of the operator before it, or it cannot be in a group: it does not
    /// work on image rows, has a scratch value, or its output is not complete after the last pass or is read outside of
    /// the group without being all in memory.
    Group,
    /// An input that an operator of the same group writes does not have the rows in memory that this one reads: in some
    /// pass, a row is overwritten already or not yet written.
    Rows {
        /// Which one.
        operand: u8,
    },
}

/// The number of outer dimensions whose product is the row count of an elementwise operator.
pub const fn elementwise_outer(shape: &Shape) -> usize {
    match shape.rank() {
        0 | 1 => 0,
        2 => 1,
        rank => rank - 2,
    }
}

/// The values that an operator works on.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// The first `count` inputs; `None` among them is an absent optional input.
    pub inputs: [Option<Value>; MAX_INPUTS],
    /// The number of inputs that the record lists.
    pub count: usize,
    /// The value that the operator writes.
    pub output: Value,
}

impl Operands {
    /// Input `k`, if it is present.
    pub const fn input(&self, k: usize) -> Option<Value> {
        if k < self.count && k < MAX_INPUTS { self.inputs[k] } else { None }
    }

    const fn count_is(&self, count: usize) -> Result<(), OpFault> {
        if self.count == count { Ok(()) } else { Err(OpFault::Inputs) }
    }

    /// Input `k`, which must be present and of type `dtype`.
    const fn typed(&self, k: usize, dtype: DType) -> Result<Value, OpFault> {
        match self.input(k) {
            None => Err(OpFault::Inputs),
            Some(value) if value.dtype.is(dtype) => Ok(value),
            Some(_) => Err(OpFault::Type { operand: k as u8 }),
        }
    }

    /// Input `k`, which must be a constant of the file, of type `dtype`.
    const fn constant(&self, k: usize, dtype: DType) -> Result<Value, OpFault> {
        match self.typed(k, dtype) {
            Ok(value) if value.is_constant() => Ok(value),
            Ok(_) => Err(OpFault::Place { operand: k as u8 }),
            Err(fault) => Err(fault),
        }
    }

    /// Checks input `k`, which must be a table of (bias, multiplier, shift) for each of `count` channels.
    const fn channels(&self, k: usize, count: u32) -> Result<(), OpFault> {
        let channels = tri!(self.constant(k, DType::I32));
        ensure!(channels.kind.is_channels(), OpFault::Type { operand: k as u8 });
        ensure!(is_channel_table(&channels, 3) && channels.shape.dim(0) == count, OpFault::Shape { operand: k as u8 });
        Ok(())
    }

    /// Checks input `k`, which must be a channel table for each of `count` channels, with biases of 32 or of 64 bits.
    const fn channels_of_i16(&self, k: usize, count: u32) -> Result<(), OpFault> {
        match self.input(k) {
            Some(value) if matches!(value.kind, Kind::WideChannels) => {
                let channels = tri!(self.constant(k, DType::I32));
                let each = is_channel_table(&channels, 4) && channels.shape.dim(0) == count;
                if each { Ok(()) } else { Err(OpFault::Shape { operand: k as u8 }) }
            }
            _ => self.channels(k, count),
        }
    }

    /// Input `k`, which must be a quantized int8 tensor.
    const fn quantized(&self, k: usize) -> Result<Value, OpFault> {
        self.quantized_as(k, DType::I8)
    }

    /// Input `k`, which must be a quantized tensor of type `dtype`: I8, U8 or I16.
    const fn quantized_as(&self, k: usize, dtype: DType) -> Result<Value, OpFault> {
        match self.typed(k, dtype) {
            Ok(value) if is_quantized(&value) => Ok(value),
            Ok(_) => Err(OpFault::Quantization { operand: k as u8 }),
            Err(fault) => Err(fault),
        }
    }

    /// The output, which must be a quantized int8 tensor.
    const fn quantized_output(&self) -> Result<Value, OpFault> {
        self.quantized_output_as(DType::I8)
    }

    /// The output, which must be a quantized tensor of type `dtype`: I8, U8 or I16.
    const fn quantized_output_as(&self, dtype: DType) -> Result<Value, OpFault> {
        if !self.output.dtype.is(dtype) {
            return Err(OpFault::Type { operand: OUTPUT });
        }
        if !is_quantized(&self.output) {
            return Err(OpFault::Quantization { operand: OUTPUT });
        }
        Ok(self.output)
    }

    /// The output, which must be an F32 tensor.
    const fn f32_output(&self) -> Result<Value, OpFault> {
        if self.output.dtype.is(DType::F32) { Ok(self.output) } else { Err(OpFault::Type { operand: OUTPUT }) }
    }

    /// Input `k`, which must be the constant weights of an int8 layer: I8, or stored as I4.
    const fn int8_weights(&self, k: usize) -> Result<Value, OpFault> {
        match self.input(k) {
            Some(value) if value.dtype.is(DType::I4) => self.constant(k, DType::I4),
            _ => self.constant(k, DType::I8),
        }
    }

    /// Input `k`, which must be the constant weights of an f32 layer: F32, or stored as F16.
    const fn f32_weights(&self, k: usize) -> Result<Value, OpFault> {
        match self.input(k) {
            Some(value) if value.dtype.is(DType::F16) => self.constant(k, DType::F16),
            _ => self.constant(k, DType::F32),
        }
    }

    /// Input `k`, which must be the constant weights of an f32 layer with output channels: F32, or stored as F16, I8 or I4.
    const fn channel_weights(&self, k: usize) -> Result<Value, OpFault> {
        match self.input(k) {
            Some(value) if value.dtype.is(DType::I8) => self.constant(k, DType::I8),
            Some(value) if value.dtype.is(DType::I4) => self.constant(k, DType::I4),
            _ => self.f32_weights(k),
        }
    }

    /// Checks input `k`, which belongs to the `count` output channels of these weights. If they are I8 or I4, it must be a
    /// constant of two F32 numbers for each, scale and bias; else as [`f32_bias`](Self::f32_bias).
    const fn f32_channels(&self, k: usize, weights: &Value, count: u32) -> Result<(), OpFault> {
        if !weights.dtype.is(DType::I8) && !weights.dtype.is(DType::I4) {
            return self.f32_bias(k, count);
        }
        let channels = tri!(self.constant(k, DType::F32)).shape;
        let each = channels.rank() == 2 && channels.dim(0) == count && channels.dim(1) == 2;
        if each { Ok(()) } else { Err(OpFault::Shape { operand: k as u8 }) }
    }

    /// Checks input `k`, which must be absent or a constant of `count` F32 numbers.
    const fn f32_bias(&self, k: usize, count: u32) -> Result<(), OpFault> {
        if self.input(k).is_none() {
            return Ok(());
        }
        let bias = tri!(self.constant(k, DType::F32));
        if bias.len as u64 == 4 * count as u64 { Ok(()) } else { Err(OpFault::Shape { operand: k as u8 }) }
    }

    /// Input 0 of an operator that only moves elements; the output must have the same type.
    const fn moved(&self) -> Result<Value, OpFault> {
        match self.input(0) {
            None => Err(OpFault::Inputs),
            Some(value) if value.dtype.is(self.output.dtype) => Ok(value),
            Some(_) => Err(OpFault::Type { operand: OUTPUT }),
        }
    }
}

/// Whether an 8-bit value's zero point is in its type's range, or an int16 value's is 0, and its scale is positive.
const fn is_quantized(value: &Value) -> bool {
    let Quantization { scale, zero_point } = value.quantization;
    let in_range = match value.dtype {
        DType::I16 => zero_point == 0,
        DType::U8 => 0 <= zero_point && zero_point <= 255,
        _ => -128 <= zero_point && zero_point <= 127,
    };
    in_range && scale > 0.0 && scale.is_finite()
}

/// Whether `channels` has the type and shape of a channel table of rows of `words` words, whatever its content.
pub(crate) const fn is_channel_table(channels: &Value, words: u32) -> bool {
    channels.dtype.is(DType::I32) && channels.shape.rank() == 2 && channels.shape.dim(1) == words
}

/// The maximum shift in a channel table with biases of 64 bits. A sum of less than 2^47 times a multiplier of 15 bits,
/// to which it is rounded, shifted so fits in 64 bits.
pub const MAX_WIDE_SHIFT: i32 = 7;

/// The maximum number of elements in one int8 average: the sum of so many differences of two bytes, and half of their
/// number for rounding, fit in 32 bits.
pub const MAX_AVERAGED: u32 = 1 << 23;

/// The maximum number of elements in one int16 average: their sum, and half of their number for rounding, fit in 32 bits.
pub const MAX_AVERAGED_I16: u32 = 1 << 15;

// The functions below refuse wrong words if `CHECK` is set. Otherwise the words must have been checked before.

/// The two words `attrs[at..at + 2]` as the range of an int8 output: -128 <= min <= max <= 127.
const fn activation<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<ActivationRange, OpFault> {
    let bounds: [i32; 2] = words(attrs, at);
    let (min, max) = (bounds[0] as i8, bounds[1] as i8);
    let fault = OpFault::Attribute { index: at as u8 };
    ensure!(!CHECK || (min as i32 == bounds[0] && max as i32 == bounds[1]), fault);
    match ActivationRange::new(min, max) {
        Some(range) => Ok(range),
        None if CHECK => Err(fault),
        None => Ok(ActivationRange::FULL),
    }
}

/// The two words `attrs[at..at + 2]` as the range of an int16 output: -32768 <= min <= max <= 32767.
const fn activation_i16<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<ActivationRangeI16, OpFault> {
    let bounds: [i32; 2] = words(attrs, at);
    let (min, max) = (bounds[0] as i16, bounds[1] as i16);
    let fault = OpFault::Attribute { index: at as u8 };
    ensure!(!CHECK || (min as i32 == bounds[0] && max as i32 == bounds[1]), fault);
    match ActivationRangeI16::new(min, max) {
        Some(range) => Ok(range),
        None if CHECK => Err(fault),
        None => Ok(ActivationRangeI16::FULL),
    }
}

/// The two words `attrs[at..at + 2]` as a range of f32: neither is NaN, min <= max.
const fn range<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<[f32; 2], OpFault> {
    let range: [f32; 2] = f32_words(attrs, at);
    if !CHECK || range[0] <= range[1] { Ok(range) } else { Err(OpFault::Attribute { index: at as u8 }) }
}

/// The two words `attrs[at..at + 2]` as a Q31 multiplier and its shift.
const fn multiplier<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<Multiplier, OpFault> {
    let [multiplier, shift] = words(attrs, at);
    if CHECK {
        tri!(check_multiplier(multiplier, shift, at as u8));
    }
    Ok(Multiplier { multiplier, shift })
}

/// The word `attrs[at]` as 0 or 1.
const fn flag<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<bool, OpFault> {
    let [word] = words(attrs, at);
    match word {
        0 => Ok(false),
        _ if CHECK && word != 1 => Err(OpFault::Attribute { index: at as u8 }),
        _ => Ok(true),
    }
}

/// The word `attrs[at]` as a type of blocks.
const fn block<const CHECK: bool>(attrs: &Attrs, at: usize) -> Result<BlockType, OpFault> {
    let [word] = words(attrs, at);
    match BlockType::from_code(word) {
        Some(block) => Ok(block),
        None if CHECK => Err(OpFault::Attribute { index: at as u8 }),
        None => Ok(BlockType::Q4_0),
    }
}

/// Checks a Q31 multiplier and its shift.
pub(crate) const fn check_multiplier(multiplier: i32, shift: i32, at: u8) -> Result<(), OpFault> {
    if multiplier < 0 {
        return Err(OpFault::Attribute { index: at });
    }
    if shift < -31 || shift > 30 {
        return Err(OpFault::Attribute { index: at + 1 });
    }
    Ok(())
}

/// Checks a 2-D window (kernel or pool) along one axis: 1 <= size, the window's extent below 2^24, `pad` less than
/// it, and the last window starting inside the input.
const fn window_fits(input: u32, output: u32, size: u32, stride: i32, dilation: i32, pad: i32) -> bool {
    if size == 0 || input == 0 || output == 0 || stride < 1 || dilation < 1 || pad < 0 {
        return false;
    }
    let extent = (size as u64 - 1) * dilation as u64 + 1;
    if extent > 1 << 24 || pad as u64 >= extent {
        return false;
    }
    (output as u64 - 1) * (stride as u64) < input as u64 + pad as u64
}

/// Words that were checked not to be negative.
const fn sizes([a, b]: [i32; 2]) -> [usize; 2] {
    [a.cast_unsigned() as usize, b.cast_unsigned() as usize]
}

/// Reads up to `N` words; 0 past the last.
const fn words<const N: usize>(attrs: &Attrs, at: usize) -> [i32; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        if at + i < attrs.len() {
            out[i] = attrs[at + i];
        }
        i += 1;
    }
    out
}

/// Reads `N` words as f32.
const fn f32_words<const N: usize>(attrs: &Attrs, at: usize) -> [f32; N] {
    let words = words::<N>(attrs, at);
    let mut out = [0.0; N];
    let mut i = 0;
    while i < N {
        out[i] = f32::from_bits(words[i].cast_unsigned());
        i += 1;
    }
    out
}

/// The words of f32 attributes.
const fn bits<const N: usize>(values: [f32; N]) -> [i32; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = values[i].to_bits().cast_signed();
        i += 1;
    }
    out
}

/// Returns attribute words that begin with `values`.
const fn attrs_of(values: &[i32]) -> Attrs {
    let mut attrs = [0; 15];
    let mut i = 0;
    while i < values.len() && i < attrs.len() {
        attrs[i] = values[i];
        i += 1;
    }
    attrs
}

// What is not inlined below is so for firmware that checks models: a function for all operators would otherwise take the
// stack of them all, and more with each operator that is added.
macro_rules! operators {
    ($( $(#[doc = $doc:literal])+ $name:ident($attrs:ident) = $code:literal, $kernel:literal; )+) => {
        /// The code of an operator, and of the kernel that it needs. Its kernel's place in an [`OpSet`](crate::OpSet).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        pub enum OpCode { $( $(#[doc = $doc])+ $name = $code, )+ }

        impl OpCode {
            /// All operator codes, in order.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The operator with this code.
            pub const fn from_code(code: u8) -> Option<Self> {
                Some(match code { $( $code => Self::$name, )+ _ => return None })
            }

            /// Its name, the same in every crate.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $kernel, )+ }
            }
        }

        /// An operator with its attributes.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Operator { $( $(#[doc = $doc])+ $name($attrs), )+ }

        impl Operator {
            /// The operator's code.
            pub const fn code(&self) -> OpCode {
                match self { $( Self::$name(_) => OpCode::$name, )+ }
            }

            /// Reads the attributes of operator `code`.
            ///
            /// # Errors
            /// [`OpFault::Attribute`] for a word with an invalid value. Rules that depend on the operands are checked
            /// by [`check`](Self::check).
            pub const fn parse(code: OpCode, attrs: &Attrs) -> Result<Self, OpFault> {
                Self::parse_with::<true>(code, attrs)
            }

            /// As [`parse`](Self::parse), but without checks if `CHECK` is not set, for attributes that were checked
            /// before. A session reads an operator again each time it reaches it, and does not need the checks for
            /// that.
            pub(crate) const fn parse_with<const CHECK: bool>(code: OpCode, attrs: &Attrs) -> Result<Self, OpFault> {
                Ok(match code {
                    $( OpCode::$name => {
                        #[inline(never)]
                        const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<$attrs, OpFault> {
                            $attrs::parse::<CHECK>(attrs)
                        }
                        Self::$name(tri!(parse::<CHECK>(attrs)))
                    } )+
                })
            }

            /// Reads the attribute words of an operator in the set `O`, which were checked before; [`None`] for any
            /// other operator. No code for reading those is linked.
            // Inlined, so that only one operator is read where the code is a constant.
            #[inline(always)]
            pub(crate) fn read_in<O: OpSetOf>(code: OpCode, attrs: &Attrs) -> Option<Self> {
                match code {
                    $( OpCode::$name => {
                        if const { !O::SET.has(OpCode::$name) } {
                            return None;
                        }
                        Some(Self::$name($attrs::parse::<false>(attrs).ok()?))
                    } )+
                }
            }

            /// Writes the attribute words that [`parse`](Self::parse) reads.
            #[inline(never)]
            pub const fn emit(&self) -> Attrs {
                match self { $( Self::$name(op) => op.emit(), )+ }
            }

            /// Checks the operands of a [parsed](Self::parse) operator against its rule and returns its work.
            pub(crate) const fn check_operands(&self, operands: &Operands) -> Result<Work, OpFault> {
                match self {
                    $( Self::$name(op) => {
                        #[inline(never)]
                        const fn check(op: &$attrs, operands: &Operands) -> Result<Work, OpFault> {
                            op.check(operands)
                        }
                        check(op, operands)
                    } )+
                }
            }

            /// The order in which the operator reads input `k`; `None` if the output must not share memory with it.
            #[inline(never)]
            pub const fn row_access(&self, operands: &Operands, k: usize) -> Option<RowAccess> {
                let Some(input) = operands.input(k) else { return None };
                if !input.is_arena() || !operands.output.is_arena() {
                    return None;
                }
                match self { $( Self::$name(op) => op.row_access(&input, operands, k), )+ }
            }

            /// The type of the operator's weights, if they are block-quantized.
            pub const fn block_type(&self) -> Option<BlockType> {
                match self { $( Self::$name(op) => op.block_type(), )+ }
            }

            /// The workspace that the operator needs, if any. The output of an operator with a workspace shares no
            /// memory with an input.
            pub const fn workspace(&self, operands: &Operands) -> Option<Workspace> {
                match self { $( Self::$name(op) => op.workspace(operands), )+ }
            }
        }

        // Facts that do not depend on the attributes. Each is a constant for each operator, so only those that a
        // program uses are linked.
        impl OpCode {
            /// The inputs, in order. For an operator with a variable number of inputs, the last describes all further
            /// ones.
            pub const fn inputs(self) -> &'static [Input] {
                match self { $( Self::$name => <$attrs as OpInfo>::INPUTS, )+ }
            }

            /// The fused activation.
            pub const fn fused(self) -> Fused {
                match self { $( Self::$name => <$attrs as OpInfo>::FUSED, )+ }
            }

            /// Whether the operator has preparation before some of its rows.
            pub const fn prepares(self) -> bool {
                match self { $( Self::$name => <$attrs as OpInfo>::PREPARES, )+ }
            }

            /// The row in SPEC.md.
            pub const fn spec(self) -> Spec {
                match self { $( Self::$name => <$attrs as OpInfo>::SPEC, )+ }
            }

            /// A description of the operator in a sentence or two: the documentation of its variant.
            pub const fn about(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),+), )+ }
            }

            /// The input that holds the (bias, multiplier, shift) table, for operators that have one.
            pub const fn channels_input(self) -> Option<usize> {
                match self {
                    $( Self::$name => const { input_with(<$attrs as OpInfo>::INPUTS, Role::Channels) }, )+
                }
            }

            /// The state input that the operator writes as well as reads.
            pub const fn state_input(self) -> Option<usize> {
                match self {
                    $( Self::$name => const { input_with(<$attrs as OpInfo>::INPUTS, Role::State) }, )+
                }
            }

            /// A mask of the inputs that are weights of an f32 layer (bit k for input k): constants that may be stored
            /// as F16 too, and some as I8 or I4.
            const fn float_weights(self) -> u8 {
                match self {
                    $( Self::$name => const { float_weights(<$attrs as OpInfo>::INPUTS) }, )+
                }
            }
        }
    };
}

operators! {
    /// 2-D convolution. Inputs: activations NHWC, weights OHWI (I = C / groups), channels `[O, 3]`.
    Conv2d(Conv2d) = 0, "Conv2d";
    /// Depthwise 2-D convolution. Inputs: activations NHWC, weights 1HWO, channels `[O, 3]`.
    DepthwiseConv2d(DepthwiseConv2d) = 1, "DepthwiseConv2d";
    /// Matrix product. Inputs: activations `[.., in]`, weights `[out, in]`, channels `[out, 3]`.
    FullyConnected(FullyConnected) = 2, "FullyConnected";
    /// Average over a 2-D window. Input: NHWC.
    AvgPool2d(Pool2d) = 3, "AvgPool2d";
    /// Maximum over a 2-D window. Input: NHWC.
    MaxPool2d(Pool2d) = 4, "MaxPool2d";
    /// Sum of two tensors, broadcast. Inputs: a, b.
    Add(AddSub) = 5, "Add";
    /// Difference of two tensors, broadcast. Inputs: a, b.
    Sub(AddSub) = 6, "Sub";
    /// Product of two tensors, broadcast. Inputs: a, b.
    Mul(Mul) = 7, "Mul";
    /// Softmax over the last dimension. Input: logits.
    Softmax(Softmax) = 8, "Softmax";
    /// Any function of one 8-bit value, as a table. Inputs: activations, table U8 `[256]`.
    Lookup(Lookup) = 9, "Lookup";
    /// Border of a constant value around a tensor. Input: any type.
    Pad(Pad) = 10, "Pad";
    /// Mean over some dimensions. Input: int8.
    Mean(Mean) = 11, "Mean";
    /// Tensors one after another along a dimension. Inputs: 1 to 8 of one type.
    Concat(Concat) = 12, "Concat";
    /// Every n-th element of a box. Input: any type.
    StridedSlice(StridedSlice) = 13, "StridedSlice";
    /// Dimensions in another order. Input: any type.
    Transpose(Transpose) = 14, "Transpose";
    /// Resize by the nearest neighbour. Input: NHWC.
    ResizeNearest(ResizeNearest) = 15, "ResizeNearest";
    /// Float to 8-bit. Input: F32.
    Quantize(Quantize) = 16, "Quantize";
    /// 8-bit to float. Input: I8 or U8.
    Dequantize(Dequantize) = 17, "Dequantize";
    /// Singular value decomposition filter: one step of a recurrent layer. Inputs: activations, feature weights,
    /// time weights, bias or none, state.
    Svdf(Svdf) = 18, "Svdf";
    /// Copy without change, into or out of state or to another place. Input: any type.
    Copy(Copy) = 19, "Copy";
    /// 2-D convolution in f32. Inputs: activations NHWC, weights OHWI (I = C / groups), bias `[O]` or none. With
    /// weights of type I8 or I4, channels `[O, 2]` in the place of the bias.
    Conv2dF32(Conv2dF32) = 20, "Conv2dF32";
    /// Depthwise 2-D convolution in f32. Inputs: activations NHWC, weights 1HWO, bias `[O]` or none, or channels as in
    /// `Conv2dF32`.
    DepthwiseConv2dF32(DepthwiseConv2dF32) = 21, "DepthwiseConv2dF32";
    /// Matrix product in f32. Inputs: activations `[.., in]`, weights `[out, in]`, bias `[out]` or none, or channels as
    /// in `Conv2dF32`.
    FullyConnectedF32(FullyConnectedF32) = 22, "FullyConnectedF32";
    /// Average over a 2-D window in f32. Input: NHWC.
    AvgPool2dF32(Pool2dF32) = 23, "AvgPool2dF32";
    /// Maximum over a 2-D window in f32. Input: NHWC.
    MaxPool2dF32(Pool2dF32) = 24, "MaxPool2dF32";
    /// Sum of two f32 tensors, broadcast. Inputs: a, b.
    AddF32(BinaryF32) = 25, "AddF32";
    /// Difference of two f32 tensors, broadcast. Inputs: a, b.
    SubF32(BinaryF32) = 26, "SubF32";
    /// Product of two f32 tensors, broadcast. Inputs: a, b.
    MulF32(BinaryF32) = 27, "MulF32";
    /// Softmax over the last dimension in f32. Input: logits.
    SoftmaxF32(SoftmaxF32) = 28, "SoftmaxF32";
    /// A function of each element in f32. Input: activations.
    UnaryF32(UnaryF32) = 29, "UnaryF32";
    /// Mean over some dimensions in f32. Input: F32.
    MeanF32(MeanF32) = 30, "MeanF32";
    /// Matrix product with block-quantized weights. Inputs: activations F32 `[.., in]`, weights U8 `[out, row bytes]`,
    /// bias F32 `[out]` or none.
    FullyConnectedBlock(FullyConnectedBlock) = 31, "FullyConnectedBlock";
    /// Products of matrices in f32. Inputs: a, b.
    BatchMatMulF32(BatchMatMulF32) = 32, "BatchMatMulF32";
    /// Rows of the last dimension normalized to mean 0 and variance 1, in f32. Inputs: activations, weight, bias or
    /// none.
    LayerNormF32(LayerNormF32) = 33, "LayerNormF32";
    /// Rows of the last dimension normalized to a mean square of 1, in f32. Inputs: activations, weight.
    RmsNormF32(RmsNormF32) = 34, "RmsNormF32";
    /// The positions that this inference reads of a sequence. Input: state I32 `[1]`.
    Positions(Positions) = 35, "Positions";
    /// Rotary position embedding in f32. Inputs: activations, cos, sin, positions.
    RopeF32(RopeF32) = 36, "RopeF32";
    /// Attention over a cache in f32. Inputs: queries, keys, values, positions, state F32 `[2, capacity, heads, D]`.
    AttentionF32(AttentionF32) = 37, "AttentionF32";
    /// Rows of an f32 table. Inputs: indices I32, table `[rows, D]`.
    GatherF32(GatherF32) = 38, "GatherF32";
    /// Rows of a block-quantized table, in f32. Inputs: indices I32, table U8 `[rows, row bytes]`.
    GatherBlock(GatherBlock) = 39, "GatherBlock";

    /// One step of a long short-term memory in f32. Inputs: activations `[.., in]`, weights `[4 * hidden, in]`,
    /// recurrent weights `[4 * hidden, hidden]`, bias `[4 * hidden]` or none, cell (state), hidden.
    LstmF32(LstmF32) = 40, "LstmF32";
    /// One step of a gated recurrent unit in f32. Inputs: activations `[.., in]`, weights `[3 * hidden, in]`, recurrent
    /// weights `[3 * hidden, hidden]`, their biases `[3 * hidden]` or none, hidden.
    GruF32(GruF32) = 41, "GruF32";
    /// Transposed 2-D convolution in f32. Inputs: activations NHWC, weights OHWI (I = C / groups), bias `[O]` or none,
    /// or channels as in `Conv2dF32`.
    ConvTranspose2dF32(ConvTranspose2dF32) = 42, "ConvTranspose2dF32";
    /// Quotient of two f32 tensors, broadcast. Inputs: a, b.
    DivF32(BinaryF32) = 43, "DivF32";
    /// Minimum of two f32 tensors, broadcast. Inputs: a, b.
    MinimumF32(BinaryF32) = 44, "MinimumF32";
    /// Maximum of two f32 tensors, broadcast. Inputs: a, b.
    MaximumF32(BinaryF32) = 45, "MaximumF32";
    /// ReLU with a learned slope below 0. Inputs: activations, alpha, broadcast.
    Prelu(Prelu) = 46, "Prelu";
    /// ReLU with a learned slope below 0, in f32. Inputs: activations, alpha, broadcast.
    PreluF32(PreluF32) = 47, "PreluF32";
    /// Resize by linear interpolation. Input: NHWC.
    ResizeBilinear(ResizeBilinear) = 48, "ResizeBilinear";
    /// Resize by linear interpolation, in f32. Input: NHWC.
    ResizeBilinearF32(ResizeBilinearF32) = 49, "ResizeBilinearF32";
    /// Index of the smallest or largest element along a dimension. Input: int8.
    ArgMinMax(ArgMinMax) = 50, "ArgMinMax";
    /// Index of the smallest or largest element along a dimension, in f32. Input: F32.
    ArgMinMaxF32(ArgMinMaxF32) = 51, "ArgMinMaxF32";
    /// The largest or smallest elements of each line, or their indices. Input: int8.
    TopK(TopK) = 52, "TopK";
    /// The largest or smallest elements of each line, or their indices, in f32. Input: F32.
    TopKF32(TopKF32) = 53, "TopKF32";
    /// 2-D convolution of int16 activations with int8 weights. Inputs: activations NHWC, weights OHWI (I = C / groups),
    /// channels `[O, 3]`, or `[O, 4]` with biases of 64 bits.
    Conv2dI16(Conv2dI16) = 54, "Conv2dI16";
    /// Depthwise 2-D convolution of int16 activations with int8 weights. Inputs: activations NHWC, weights 1HWO, channels
    /// as in `Conv2dI16`.
    DepthwiseConv2dI16(DepthwiseConv2dI16) = 55, "DepthwiseConv2dI16";
    /// Matrix product of int16 activations with int8 weights. Inputs: activations `[.., in]`, weights `[out, in]`,
    /// channels as in `Conv2dI16`.
    FullyConnectedI16(FullyConnectedI16) = 56, "FullyConnectedI16";
    /// Average over a 2-D window, int16. Input: NHWC.
    AvgPool2dI16(Pool2dI16) = 57, "AvgPool2dI16";
    /// Maximum over a 2-D window, int16. Input: NHWC.
    MaxPool2dI16(Pool2dI16) = 58, "MaxPool2dI16";
    /// Sum of two int16 tensors, broadcast. Inputs: a, b.
    AddI16(AddSubI16) = 59, "AddI16";
    /// Difference of two int16 tensors, broadcast. Inputs: a, b.
    SubI16(AddSubI16) = 60, "SubI16";
    /// Product of two int16 tensors, broadcast. Inputs: a, b.
    MulI16(MulI16) = 61, "MulI16";
    /// Softmax over the last dimension, int16. Inputs: logits, table I16 `[1026]`.
    SoftmaxI16(SoftmaxI16) = 62, "SoftmaxI16";
    /// Change of scale between int16 and int16 or int8, with another factor for negative values, clamped. Input: I16 or
    /// I8.
    RequantizeI16(RequantizeI16) = 63, "RequantizeI16";
    /// Mean over some dimensions, int16. Input: int16.
    MeanI16(MeanI16) = 64, "MeanI16";
    /// `1 / (1 + exp(-x))`, int16. Inputs: activations, table I16 `[256]`.
    LogisticI16(SigmoidI16) = 65, "LogisticI16";
    /// Hyperbolic tangent, int16. Inputs: activations, table I16 `[256]`.
    TanhI16(SigmoidI16) = 66, "TanhI16";
    /// Float to int16. Input: F32.
    QuantizeI16(QuantizeI16) = 67, "QuantizeI16";
    /// Int16 to float. Input: I16.
    DequantizeI16(DequantizeI16) = 68, "DequantizeI16";
    /// Detections of a detector in f32, without those that overlap a better one. Inputs: boxes, scores, anchors.
    DetectionsF32(DetectionsF32) = 69, "DetectionsF32";
    /// Products of int8 matrices. Inputs: a, b.
    BatchMatMul(BatchMatMul) = 70, "BatchMatMul";
    /// One step of a long short-term memory of int8 activations and weights. Inputs: activations `[.., in]`, weights
    /// `[4 * hidden, in]`, recurrent weights `[4 * hidden, hidden]`, channels `[8 * hidden, 3]`, table I16 `[256]`, cell
    /// (state I16), hidden.
    Lstm(Lstm) = 71, "Lstm";
    /// An image seen through an affine transform, in f32. Inputs: image NHWC, matrix of 16 elements.
    TransformBilinearF32(TransformBilinearF32) = 72, "TransformBilinearF32";
    /// The transform from an upright crop around landmarks to their image, in f32. Inputs: landmarks `[.., 3]`, subset I32.
    LandmarksToTransformF32(LandmarksToTransformF32) = 73, "LandmarksToTransformF32";
    /// The place of the maximum in each 2-D window, in f32. Input: NHWC.
    MaxPoolIndices2dF32(MaxPoolIndices2dF32) = 74, "MaxPoolIndices2dF32";
    /// Maxima at their places in an image of zeros, in f32. Inputs: maxima NHWC, places.
    MaxUnpool2dF32(MaxUnpool2dF32) = 75, "MaxUnpool2dF32";
    /// The first f32 tensor to the power of the second, broadcast. Inputs: a, b.
    PowF32(PowF32) = 76, "PowF32";
    /// A function of two I32 tensors, broadcast. Inputs: a, b.
    BinaryI32(BinaryI32) = 77, "BinaryI32";
    /// Samples times a window. Inputs: samples I16 `[.., n]`, window I16 `[n]`.
    SignalWindow(SignalWindow) = 78, "SignalWindow";
    /// Samples shifted as far as the largest of them allows, or the bits of that shift. Input: samples I16.
    SignalFftAutoScale(SignalFftAutoScale) = 79, "SignalFftAutoScale";
    /// Fourier transform of real samples in fixed point. Inputs: samples I16 `[.., n]`, twiddles I16.
    SignalRfft(SignalRfft) = 80, "SignalRfft";
    /// Squared magnitudes of complex numbers. Input: I16 `[2 * n]`.
    SignalEnergy(SignalEnergy) = 81, "SignalEnergy";
    /// Square roots of the sums of a filter bank. Inputs: energies I32, weights I16 `[w, 2]`, bands I16 `[c + 1, 2]`,
    /// bits of the samples' shift.
    SignalFilterBank(SignalFilterBank) = 82, "SignalFilterBank";
    /// Running average of each channel, which estimates its noise. Inputs: channels I32, state I32.
    SignalNoiseEstimate(SignalNoiseEstimate) = 83, "SignalNoiseEstimate";
    /// Channels less the estimate of their noise. Inputs: channels I32, estimates I32.
    SignalSpectralSubtraction(SignalSpectralSubtraction) = 84, "SignalSpectralSubtraction";
    /// Channels normalized by a power of their noise. Inputs: channels I32, estimates I32, gains I16 `[125]`.
    SignalPcan(SignalPcan) = 85, "SignalPcan";
    /// Natural logarithm of each channel. Inputs: channels I32, table I16 `[129]`.
    SignalLog(SignalLog) = 86, "SignalLog";
    /// Numbers as those of another type. Input: any type.
    Cast(Cast) = 87, "Cast";
    /// Codes as multiples of a finer step in I32, and back. Input: I8 or I32.
    RescaleI32(RescaleI32) = 88, "RescaleI32";
    /// Quotient of two tensors, broadcast. Inputs: a, b.
    Div(Div) = 89, "Div";
    /// Rows of the last dimension divided by their length. Input: int8.
    L2Norm(L2Norm) = 90, "L2Norm";
    /// Logarithm of Softmax over the last dimension. Input: int8.
    LogSoftmax(LogSoftmax) = 91, "LogSoftmax";
}

impl Operator {
    /// Checks attributes and operands against the operator's rule and returns its work.
    ///
    /// # Errors
    /// What is wrong, and with which operand or attribute word.
    pub const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        // An operator that was not parsed may have any attributes.
        tri!(Self::parse(self.code(), &self.emit()));
        self.check_operands(operands)
    }

    /// The input that holds the (bias, multiplier, shift) table, for operators that have one.
    pub const fn channels_input(&self) -> Option<usize> {
        self.code().channels_input()
    }

    /// The state input that the operator writes as well as reads.
    pub const fn state_input(&self) -> Option<usize> {
        self.code().state_input()
    }

    /// The inputs that are weights of an f32 layer: constants that may be stored as F16 too, and some as I8 or I4.
    pub fn weight_inputs(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let mask = self.code().float_weights();
        let mut left = mask;
        (0..mask.count_ones()).map(move |_| {
            let k = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            k
        })
    }

    /// The set that the operator needs: its kernel, and the type of its weights.
    pub const fn needs(&self, operands: &Operands) -> OpSet {
        let mut set = OpSet::of(&[self.code()]);
        if let Some(block) = self.block_type() {
            set = set.with_blocks(&[block]);
        }
        let weights = self.code().float_weights();
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(value) = operands.input(k) {
                let of_float = weights >> k & 1 == 1;
                match value.dtype {
                    DType::F16 if of_float => set = set.with_f16(),
                    DType::I8 if of_float => set = set.with_i8_weights(),
                    // Only weights have it.
                    DType::I4 => set = set.with_i4_weights(),
                    DType::U8 if k == 1 && matches!(self, Self::FullyConnected(_)) => set = set.with_paired_weights(),
                    _ => {}
                }
            }
            k += 1;
        }
        set
    }
}
