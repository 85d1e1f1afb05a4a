//! Calls the kernels for the plan's operators: one file for each operator.
//!
//! Each file converts attributes and shapes to the kernel's parameters. Only the operators in the set `O` are
//! reachable, so the linker drops the other kernels.

/// Evaluates `$body` with `$weight` as the type in which the weights, input 1 of `$call`, are stored: `f32`, or `f16`
/// if the set `$ops` contains it.
macro_rules! with_weights {
    ($ops:ident, $call:ident, $weight:ident => $body:expr) => {
        if $call.input(1).dtype() == tealight_format::DType::F16 {
            if const { $ops::SET.has_f16() } {
                type $weight = tealight_kernels::float::f16;
                $body;
            }
        } else {
            type $weight = f32;
            $body;
        }
    };
}

/// Evaluates `$body` with `$weights` as the weights of a layer with output channels, input 1 of `$call`, in one of the
/// types of `with_weights`, or as i8 or int4 if the set `$ops` contains that.
macro_rules! with_channel_weights {
    ($ops:ident, $call:ident, $weights:ident => $body:expr) => {
        if const { $ops::SET.has_i8_weights() } && $call.input(1).dtype() == tealight_format::DType::I8 {
            let $weights = $call.slice::<i8>(1);
            $body;
        } else if const { $ops::SET.has_i4_weights() } && $call.input(1).dtype() == tealight_format::DType::I4 {
            let $weights = tealight_kernels::Int4::new($call.bytes(1));
            $body;
        } else {
            with_weights!($ops, $call, W => {
                let $weights = $call.slice::<W>(1);
                $body;
            });
        }
    };
}

/// Evaluates `$int4` with `$packed` as the weights of an int8 layer, input 1 of `$call`, where they are int4 and the set
/// `$ops` contains that, and `$int8` where they are not.
macro_rules! with_int8_weights {
    ($ops:ident, $call:ident, $packed:ident => $int4:expr, $int8:expr) => {
        if const { $ops::SET.has_i4_weights() } && $call.input(1).dtype() == tealight_format::DType::I4 {
            let $packed = tealight_kernels::Int4::new($call.bytes(1));
            $int4;
        } else {
            $int8;
        }
    };
}

mod add;
mod arg_min_max;
mod attention;
mod batch_matmul;
mod binary_f32;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod copy;
mod detections;
mod filter_bank;
mod fully_connected;
mod fully_connected_block;
mod gather;
mod gru;
mod integer;
mod landmarks_to_transform;
mod lookup;
mod lstm;
mod mean;
mod mul;
mod norm;
mod pad;
mod pool2d;
mod positions;
mod prelu;
mod quantize;
mod requantize;
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

use crate::execute::Call;
use crate::linked::{Linked, Ops};
use crate::tensor::{slice_of, slice_of_mut};
use tealight_format::ops::elementwise_outer;
use tealight_format::{DType, OpCode, Operator, Shape, ValueRecord};
use tealight_kernels::int16::Channels;
use tealight_kernels::{Broadcast, Channel};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Up to so many operators in a set are called from one function. That of more would save the registers of the largest at
/// each call, and be slower with each operator that is added.
const FEW: u32 = 16;

/// Runs one call of the operator `code` if it is in the set `O`.
pub(crate) fn run<O: Ops>(code: OpCode, call: Call<'_>) {
    macro_rules! dispatch {
        ($($name:ident => $function:path),+ $(,)?) => {
            // Every operator has a row.
            const _: fn(OpCode) = |code| match code { $( OpCode::$name => {} )+ };
            // Not that `match`: its empty arms for operators outside the set would count in what the compiler inlines.
            $( if const { O::SET.has(OpCode::$name) } && code == OpCode::$name {
                #[inline(always)]
                fn call_kernel<O: Ops>(call: Call<'_>) {
                    if let Some(Operator::$name(op)) = call.op.operator_in::<Linked<O>>(OpCode::$name) {
                        $function(&op, call);
                    }
                }
                #[inline(never)]
                fn call_apart<O: Ops>(call: Call<'_>) {
                    call_kernel::<O>(call);
                }
                if const { O::SET.operators() > FEW } { call_apart::<O>(call) } else { call_kernel::<O>(call) }
            } else )+ {}
        };
    }
    dispatch! {
        Conv2d => conv2d::conv2d::<O>,
        DepthwiseConv2d => conv2d::depthwise_conv2d::<O>,
        FullyConnected => fully_connected::fully_connected::<O>,
        AvgPool2d => pool2d::avg_pool2d,
        MaxPool2d => pool2d::max_pool2d,
        Add => add::add,
        Sub => add::sub,
        Mul => mul::mul,
        Softmax => softmax::softmax,
        Lookup => lookup::lookup,
        Pad => pad::pad,
        Mean => mean::mean,
        Concat => concat::concat,
        StridedSlice => strided_slice::strided_slice,
        Transpose => transpose::transpose,
        ResizeNearest => resize_nearest::resize_nearest,
        Quantize => quantize::quantize,
        Dequantize => quantize::dequantize,
        Svdf => svdf::svdf,
        Copy => copy::copy,
        Conv2dF32 => conv2d::conv2d_f32::<O>,
        DepthwiseConv2dF32 => conv2d::depthwise_conv2d_f32::<O>,
        FullyConnectedF32 => fully_connected::fully_connected_f32::<O>,
        AvgPool2dF32 => pool2d::avg_pool2d_f32,
        MaxPool2dF32 => pool2d::max_pool2d_f32,
        AddF32 => binary_f32::add_f32,
        SubF32 => binary_f32::sub_f32,
        MulF32 => binary_f32::mul_f32,
        SoftmaxF32 => softmax::softmax_f32,
        UnaryF32 => unary_f32::unary_f32,
        MeanF32 => mean::mean_f32,
        FullyConnectedBlock => fully_connected_block::fully_connected_block::<O>,
        BatchMatMulF32 => batch_matmul::batch_matmul_f32,
        LayerNormF32 => norm::layer_norm_f32,
        RmsNormF32 => norm::rms_norm_f32,
        Positions => positions::positions,
        RopeF32 => rope::rope_f32,
        AttentionF32 => attention::attention_f32,
        GatherF32 => gather::gather_f32::<O>,
        GatherBlock => gather::gather_block::<O>,
        LstmF32 => lstm::lstm_f32::<O>,
        GruF32 => gru::gru_f32::<O>,
        ConvTranspose2dF32 => conv_transpose2d::conv_transpose2d_f32::<O>,
        DivF32 => binary_f32::div_f32,
        MinimumF32 => binary_f32::minimum_f32,
        MaximumF32 => binary_f32::maximum_f32,
        Prelu => prelu::prelu,
        PreluF32 => prelu::prelu_f32,
        ResizeBilinear => resize_bilinear::resize_bilinear,
        ResizeBilinearF32 => resize_bilinear::resize_bilinear_f32,
        ArgMinMax => arg_min_max::arg_min_max,
        ArgMinMaxF32 => arg_min_max::arg_min_max_f32,
        TopK => top_k::top_k,
        TopKF32 => top_k::top_k_f32,
        Conv2dI16 => conv2d::conv2d_i16,
        DepthwiseConv2dI16 => conv2d::depthwise_conv2d_i16,
        FullyConnectedI16 => fully_connected::fully_connected_i16,
        AvgPool2dI16 => pool2d::avg_pool2d_i16,
        MaxPool2dI16 => pool2d::max_pool2d_i16,
        AddI16 => add::add_i16,
        SubI16 => add::sub_i16,
        MulI16 => mul::mul_i16,
        SoftmaxI16 => softmax::softmax_i16,
        RequantizeI16 => requantize::requantize_i16,
        MeanI16 => mean::mean_i16,
        LogisticI16 => sigmoid::logistic_i16,
        TanhI16 => sigmoid::tanh_i16,
        QuantizeI16 => quantize::quantize_i16,
        DequantizeI16 => quantize::dequantize_i16,
        DetectionsF32 => detections::detections_f32,
        BatchMatMul => batch_matmul::batch_matmul,
        Lstm => lstm::lstm,
        TransformBilinearF32 => transform_bilinear::transform_bilinear_f32,
        LandmarksToTransformF32 => landmarks_to_transform::landmarks_to_transform_f32,
        MaxPoolIndices2dF32 => unpool2d::max_pool_indices2d_f32,
        MaxUnpool2dF32 => unpool2d::max_unpool2d_f32,
        PowF32 => binary_f32::pow_f32,
        BinaryI32 => integer::binary_i32,
        SignalWindow => signal::window,
        SignalFftAutoScale => signal::fft_auto_scale,
        SignalRfft => signal::rfft,
        SignalEnergy => signal::energy,
        SignalFilterBank => filter_bank::filter_bank,
        SignalNoiseEstimate => filter_bank::noise_estimate,
        SignalSpectralSubtraction => filter_bank::spectral_subtraction,
        SignalPcan => filter_bank::pcan,
        SignalLog => filter_bank::log,
        Cast => integer::cast,
        RescaleI32 => integer::rescale_i32,
        Div => mul::div,
        L2Norm => norm::l2_norm,
        LogSoftmax => softmax::log_softmax,
    }
}

/// The only operator with a workspace.
pub(crate) const WITH_WORKSPACE: OpCode = OpCode::FullyConnectedBlock;

/// Writes the workspace for the rows of `call`, for operators that have one. The call's output is the workspace.
pub(crate) fn prepare<O: Ops>(code: OpCode, call: Call<'_>) {
    if code == WITH_WORKSPACE
        && let Some(Operator::FullyConnectedBlock(op)) = call.op.operator_in::<Linked<O>>(WITH_WORKSPACE)
    {
        fully_connected_block::quantize_activations::<O>(&op, call);
    }
}

impl<'s> Call<'s> {
    /// Input `k`; an empty value for an absent one. A checked plan has every input that its operator needs.
    fn input(&self, k: usize) -> ValueRecord<'s> {
        if let Some(strips) = self.reader.strips
            && let Some(&input) = strips.inputs.get(k)
        {
            return input;
        }
        self.reader.value(self.op.input_index(k))
    }

    /// The value that the operator writes.
    fn target(&self) -> ValueRecord<'s> {
        if let Some(strips) = self.reader.strips {
            return strips.output;
        }
        self.reader.value(self.op.output())
    }

    fn bytes(&self, k: usize) -> &'s [u8] {
        self.reader.bytes(self.input(k))
    }

    /// The elements of a value that was read before.
    fn elements<T: FromBytes + Immutable + KnownLayout>(&self, value: ValueRecord<'s>) -> &'s [T] {
        slice_of(self.reader.bytes(value))
    }

    fn slice<T: FromBytes + Immutable + KnownLayout>(&self, k: usize) -> &'s [T] {
        slice_of(self.bytes(k))
    }

    fn i8s(&self, k: usize) -> &'s [i8] {
        self.slice(k)
    }

    fn i16s(&self, k: usize) -> &'s [i16] {
        self.slice(k)
    }

    fn f32s(&self, k: usize) -> &'s [f32] {
        self.slice(k)
    }

    /// The (bias, multiplier, shift) table.
    // Out of line: many operators have one.
    #[inline(never)]
    fn channels(&self, k: usize) -> &'s [Channel] {
        self.slice(k)
    }

    /// The channel table of an int16 layer: its rows say how wide the sums are.
    fn channels_i16(&self, k: usize) -> Channels<'s> {
        let table = self.input(k);
        if table.dim(1) == 4 { Channels::Wide(self.elements(table)) } else { Channels::Narrow(self.elements(table)) }
    }

    /// The output rows as elements.
    fn out<T: FromBytes + IntoBytes + KnownLayout>(&mut self) -> &'s mut [T] {
        slice_of_mut(core::mem::take(&mut self.output))
    }

    /// The state that the operator writes, as elements.
    fn state<T: FromBytes + IntoBytes + KnownLayout>(&mut self) -> &'s mut [T] {
        slice_of_mut(core::mem::take(&mut self.state))
    }

    /// The part of input `k` that belongs to the rows, for operators that work element by element. Rows are those of
    /// the output, because a copy may change the shape.
    fn rows_of<T: FromBytes + Immutable + KnownLayout>(&self, k: usize) -> &'s [T] {
        let output = self.target().shape();
        let rows = output.product(0, elementwise_outer(&output)).unwrap_or(1).max(1);
        let row_len = (self.input(k).byte_len() as usize).checked_div(rows as usize).unwrap_or(0);
        let start = self.rows.start.wrapping_mul(row_len);
        let end = self.rows.end.wrapping_mul(row_len);
        slice_of(self.bytes(k).get(start..end).unwrap_or(&[]))
    }

    /// How the two inputs of an elementwise operator map to its output.
    // Out of line: many operators have two inputs.
    #[inline(never)]
    fn broadcast(&self) -> Broadcast {
        let output = self.target().shape();
        let row_len = output.product(elementwise_outer(&output), output.rank()).unwrap_or(1) as usize;
        Broadcast {
            dims: sizes(output),
            a_strides: strides(self.input(0).shape()),
            b_strides: strides(self.input(1).shape()),
            row_len,
        }
    }
}

/// The elements from one index of each dimension to the next, preceded by 0s to make six; 0 for a single index, which is
/// repeated.
#[inline(never)]
fn strides(shape: Shape) -> [usize; 6] {
    let mut step = 1usize;
    let mut strides = [0; 6];
    for (stride, &dim) in strides.iter_mut().rev().zip(sizes(shape).iter().rev()) {
        *stride = if dim == 1 { 0 } else { step };
        step = step.wrapping_mul(dim);
    }
    strides
}

/// The dimensions, preceded by 1s to make six.
fn sizes(shape: Shape) -> [usize; 6] {
    shape.padded().map(|dim| dim as usize)
}

/// The four dimensions of an NHWC or OHWI tensor.
fn nhwc(value: ValueRecord<'_>) -> [usize; 4] {
    [0, 1, 2, 3].map(|i| value.dim(i) as usize)
}

/// The number of channel groups of a convolution with OHWI weights.
fn groups(input: ValueRecord<'_>, weights: ValueRecord<'_>) -> usize {
    input.dim(3).checked_div(weights.dim(3)).unwrap_or(1) as usize
}

/// The number of elements of a recurrent layer's input and hidden state, per batch: the row lengths of its weights.
fn recurrent_sizes(call: &Call<'_>) -> [usize; 2] {
    [1, 2].map(|k| call.input(k).dim(1) as usize)
}

/// Converts words that the check has found not to be negative.
fn unsigned<const N: usize>(words: [i32; N]) -> [usize; N] {
    words.map(|word| word.max(0) as usize)
}

/// The number of bytes of an element.
const fn item(dtype: DType) -> usize {
    dtype.size() as usize
}

/// `words`, one for each dimension of a tensor of rank `rank`, moved to the end of six and preceded by `fill`.
fn aligned<T: Copy>(words: [T; 6], rank: usize, fill: T) -> [T; 6] {
    let mut out = [fill; 6];
    for (to, from) in out.iter_mut().skip(6usize.saturating_sub(rank)).zip(words) {
        *to = from;
    }
    out
}
