//! The kernels of the Tealight inference runtime: functions over slices, for int8 networks here, for
//! networks with int16 activations in [`int16`], for f32 networks in [`float`], for block-quantized matrices in
//! [`block`], and for features of sound in [`signal`].
//!
//! A kernel takes a parameter struct, a range of output rows, whole inputs, and an output slice that
//! holds exactly those rows. The bytes do not depend on how the rows are sliced, so a session can stop
//! between two rows and continue later. A kernel does not depend on a model, keeps no state, allocates
//! nothing, and cannot panic: with slices that are too short, part of the output stays unchanged.
//!
//! Every int8 kernel returns the same bytes as TensorFlow Lite Micro's reference kernel. [`quant`] and
//! [`fixed_point`] contain the arithmetic that they share.
//!
//! | operator | rows | a row |
//! |---|---|---|
//! | [`conv2d()`], [`conv2d_int4_in`], [`depthwise_conv2d()`], [`depthwise_conv2d_int4`], [`avg_pool2d`], [`max_pool2d()`], [`resize_bilinear()`], [`resize_nearest()`] | `N * OH` | `OW * C` elements |
//! | [`fully_connected()`], [`fully_connected_int4`], [`fully_connected_paired`] | batches × neurons | one element |
//! | [`softmax()`], [`log_softmax()`], [`l2_norm()`] | all dimensions but the last | `depth` elements |
//! | [`top_k_values`], [`top_k_indices`] | all dimensions but the last | what is found in the last |
//! | [`add()`], [`sub`], [`mul()`], [`div()`], [`prelu()`], [`binary_i32`] | see [`Broadcast::row_len`] | |
//! | [`pad()`], [`strided_slice()`], [`transpose()`] | all dimensions but the last | the last dimension |
//! | [`mean()`], [`arg_min_max()`] | output elements | one element |
//! | [`concat_part`] | dimensions before the axis | the rest |
//! | [`svdf()`], [`svdf_i8_state`], [`lstm()`] | batches × units | one element |
//! | [`batch_matmul()`] | all dimensions but the last | `columns` elements |
//! | [`lookup()`], [`cast`], [`widen_i32`], [`rescale_i32`], [`narrow_i32`], [`quantize_i8`], [`quantize_u8`], [`dequantize_i8`], [`dequantize_u8`] | | the caller slices |
//!
//! # Instruction sets
//!
//! The inner loops of the kernels are written in plain Rust, and again for the extensions of some cores. The
//! target and the compiler's flags select the version that is built:
//!
//! | core | target | flags |
//! |---|---|---|
//! | Cortex-M0, M0+ | `thumbv6m-*` | |
//! | Cortex-M3 | `thumbv7m-*` | |
//! | Cortex-M4, M7 | `thumbv7em-*` | |
//! | Cortex-M4F, M7, M33, M55 with a floating-point unit, for f32 | `thumbv*-eabihf` | |
//! | Cortex-M33, M35P with DSP | `thumbv8m.main-*` | `-C target-cpu=cortex-m33` |
//! | Cortex-M52, M55, M85 with MVE | `thumbv8m.main-*` | `-C target-cpu=cortex-m55 -C target-feature=-mve.fp` |
//! | 64-bit Arm with NEON | `aarch64-*` | |
//! | 64-bit Arm with dot products | `aarch64-*` | on Linux found at run time; elsewhere `-C target-feature=+dotprod` |
//! | RISC-V with M, without vectors | `riscv32*`, `riscv64*` | |
//! | RISC-V with V, 64 bits | `riscv64*` | `-C target-feature=+zve64x` |
//! | RISC-V with Zve32x | `riscv32*` | `-C target-feature=+zve32x,+zvl128b` |
//! | x86-64 with AVX2, AVX-VNNI or AVX-512 VNNI, found at run time | `x86_64-*` | |
//!
//! A program sets them for its target in its `.cargo/config.toml`:
//!
//! ```toml
//! [target."thumbv8m.main-none-eabihf"]
//! rustflags = ["-C", "target-cpu=cortex-m55", "-C", "target-feature=-mve.fp"]
//! ```
//!
//! The bytes are the same with and without them. The flags exclude floating-point vectors, which the compiler would use
//! in the f32 kernels. Those of MVE flush subnormal numbers to zero, so the build refuses flags that enable them.
//!
//! # Example
//!
//! A 1×1 convolution with two input channels and one output channel, by hand. The real input is
//! `0.5 * (x - 1)`, the weights are `0.25 * w`, the output is `y / 4 + 0`, so the factor from
//! accumulator to output is `0.5 * 0.25 / 0.25 = 0.5`.
//!
//! ```
//! use tealight_kernels::{ActivationRange, Channel, Conv2d, Window2d, conv2d, quant::quantize_multiplier};
//!
//! let (input_zero_point, weights) = (1, [3i8, -2]);
//! let (multiplier, shift) = quantize_multiplier(0.5);
//! let bias = 4 - input_zero_point * (3 - 2); // the layer's bias is 4; the zero point is folded in
//! let channels = [Channel { bias, multiplier, shift }];
//!
//! let p = Conv2d {
//!     input: [1, 2, 1, 2],
//!     output: [1, 2, 1, 1],
//!     window: Window2d { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0, 0] },
//!     groups: 1,
//!     input_zero_point,
//!     output_zero_point: 0,
//!     activation: ActivationRange::FULL,
//! };
//! let input = [11i8, 3, -5, 10];
//! let mut output = [0i8; 2];
//! conv2d(&p, 0..2, &input, &weights, &channels, &mut output);
//!
//! // 4 + 3 * 10 - 2 * 2 = 30, half of it is 15; 4 - 3 * 6 - 2 * 9 = -32, half of it is -16
//! assert_eq!(output, [15, -16]);
//!
//! // the second row alone
//! let mut row = [0i8; 1];
//! conv2d(&p, 1..2, &input, &weights, &channels, &mut row);
//! assert_eq!(row, [-16]);
//! ```

#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

mod add;
#[allow(unsafe_code)] // inline assembly, and loads to vectors
mod arch;
mod arg_min_max;
mod batch_matmul;
pub mod block;
mod broadcast;
#[cfg_attr(any(all(arm_dsp, not(arm_mve)), arm_v6m, arm_v7m, riscv_m), allow(dead_code))]
// for those instruction sets that have no version of their own
mod composed;
mod concat;
mod conv2d;
mod depthwise_conv2d;
mod div;
pub mod fixed_point;
pub mod float;
mod fully_connected;
#[cfg_attr(arm_vfp, allow(dead_code))] // always built, because the instruction set's version is compared with it
mod half_to_f32;
pub mod int16;
mod int4;
mod integer;
mod l2_norm;
mod lines;
mod log_softmax;
mod lookup;
mod lstm;
mod matrix;
mod max_pool2d;
mod mean;
mod mul;
mod pad;
mod padded;
mod paired;
mod paths;
mod pool2d;
#[cfg_attr(any(arm_dsp, arm_mve, arm_neon, arm_v6m, arm_v7m, riscv_m, riscv_v, x86_64_vectors), allow(dead_code))]
// always built, because the instruction set's versions are compared with it
mod portable;
mod prelu;
pub mod quant;
mod quantize;
mod resize_bilinear;
mod resize_nearest;
pub mod selftest;
pub mod signal;
#[cfg(any(riscv_v, soft_f32, test))]
#[cfg_attr(any(riscv_v, test), allow(dead_code))] // vectors have loops of their own
mod soft_f32;
mod softmax;
mod strided_slice;
mod svdf;
mod top_k;
mod transpose;
pub mod unary;
mod view;
mod window;

pub use add::{AddSub, add, sub};
#[cfg(any(test, feature = "compare-arch"))]
pub use arch::compare::compare_arch;
#[cfg(feature = "compare-arch")]
pub use arch::use_at_most;
pub use arch::{ROOM_FOR_ROWS, instruction_set, with_room_for_rows};
pub use arg_min_max::{ArgMinMax, arg_min_max};
pub use batch_matmul::{BatchMatMul, batch_matmul};
pub use broadcast::Broadcast;
pub use concat::{ConcatPart, concat_part};
pub use conv2d::{Conv2d, conv2d, conv2d_in};
pub use depthwise_conv2d::{DepthwiseConv2d, depthwise_conv2d, depthwise_conv2d_in};
pub use div::{Div, div};
pub use fully_connected::{FullyConnected, fully_connected, fully_connected_in};
pub use int4::{Int4, conv2d_int4_in, depthwise_conv2d_int4, fully_connected_int4};
pub use integer::{CastTo, IntegerFunction, Rescale, binary_i32, cast, narrow_i32, rescale_i32, widen_i32};
pub use l2_norm::{L2Norm, l2_norm};
pub use lines::copy_bytes;
pub use log_softmax::log_softmax;
pub use lookup::lookup;
pub use lstm::{Lstm, LstmWeights, lstm};
pub use max_pool2d::max_pool2d;
pub use mean::{Mean, mean};
pub use mul::{Mul, mul};
pub use pad::{Pad, pad};
pub use paired::{fully_connected_paired, pair_weights};
pub use paths::{AllPaths, LinkedPaths, Loops, Paths};
pub use pool2d::{Pool2d, avg_pool2d};
pub use prelu::{Prelu, prelu};
pub use quant::Channel;
pub use quantize::{dequantize_i8, dequantize_u8, quantize_i8, quantize_u8};
pub use resize_bilinear::{ResizeBilinear, resize_bilinear};
pub use resize_nearest::{ResizeNearest, resize_nearest};
pub use softmax::{Softmax, softmax};
pub use strided_slice::{StridedSlice, strided_slice};
pub use svdf::{Svdf, svdf, svdf_i8_state};
pub use tealight_types::{ActivationRange, ActivationRangeI16, Multiplier, Quantization, Window2d, can_pair};
pub use top_k::{TopK, top_k_indices, top_k_values};
pub use transpose::{Transpose, transpose};
