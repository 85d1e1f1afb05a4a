//! The f32 kernels, with weights stored as f32 or f16, those of convolutions and fully connected layers as i8 or int4
//! too.
//!
//! Every sum has a fixed order, no product is fused with a sum, and `exp`, `tanh` and the like are those
//! of `libm`, on the host too. The bits are therefore the same on every target (except those of a NaN,
//! which depend on the processor).
//!
//! Dot products and long sums have one order everywhere: element `i` goes to sum `i % 8`, and in the end
//! the eight sums are added as `((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7))`. Vector units of 4 or 8 lanes
//! compute that directly. If a kernel sums in another order, its module documents it.
//!
//! f16, i8 and int4 are storage only: a weight is converted as it is read, which is exact, and arithmetic is f32. Weights
//! of type i8 and int4 have a scale for each output channel, by which their sum is multiplied before the bias is added
//! ([`ScaleBias`]).
//!
//! | operator | rows | a row |
//! |---|---|---|
//! | [`conv2d()`], [`depthwise_conv2d()`], [`conv_transpose2d()`], [`avg_pool2d`], [`max_pool2d`], [`resize_bilinear()`] | `N * OH` | `OW * C` elements |
//! | [`fully_connected()`] | batches × neurons | one element |
//! | [`batch_matmul()`] | batches × rows of the first operand | a row of the product |
//! | [`add`], [`sub`], [`mul`], [`div`], [`minimum`], [`maximum`], [`pow`], [`prelu()`] | see [`Broadcast::row_len`] | |
//! | [`top_k_values`], [`top_k_indices`] | all dimensions but the last | what is found in the last |
//! | [`softmax()`], [`layer_norm`], [`rms_norm`] | all dimensions but the last | the last dimension |
//! | [`rope()`] | positions × heads | the elements of a head |
//! | [`gather()`] | indices | a row of the table |
//! | [`cache()`] | new positions | the elements of a position |
//! | [`attention()`] | new positions × heads | the elements of a head |
//! | [`lstm()`], [`gru()`] | batches × hidden units | one element |
//! | [`mean()`], [`arg_min_max()`] | output elements | one element |
//! | [`transform_bilinear()`] | `OH` | `OW * C` elements |
//! | [`max_pool_indices2d`], [`max_unpool2d`] | `N * OH` | `OW * C` elements |
//! | [`detections()`], [`landmarks_to_transform()`] | 1 | all of the output |
//! | [`unary()`] | | the caller slices |
//!
//! Pad, StridedSlice, Transpose and the other kernels that only move elements work on bytes, and so on f32 too.
//!
//! [`Broadcast::row_len`]: crate::Broadcast::row_len

mod arg_min_max;
mod attention;
mod batch_matmul;
mod binary;
mod conv2d;
mod conv_transpose2d;
mod depthwise_conv2d;
mod detections;
mod finish;
mod fully_connected;
mod gather;
mod gru;
mod landmarks_to_transform;
mod lstm;
mod mean;
mod norm;
mod pool2d;
mod prelu;
#[cfg_attr(any(arm_neon, arm_vfp), allow(dead_code))] // always built, so that no target can break it
pub(crate) mod products;
mod resize_bilinear;
mod rope;
mod softmax;
mod sum;
mod top_k;
mod transform_bilinear;
pub mod unary;
mod unpool2d;
mod weights;

pub use arg_min_max::arg_min_max;
pub use attention::{Attention, Cache, attention, cache};
pub use batch_matmul::{BatchMatMul, batch_matmul};
pub use binary::{Binary, add, div, maximum, minimum, mul, pow, sub};
pub use conv_transpose2d::{ConvTranspose2d, conv_transpose2d};
pub use conv2d::{Conv2d, conv2d};
pub use depthwise_conv2d::{DepthwiseConv2d, depthwise_conv2d};
pub use detections::{Detections, detections};
pub use finish::{Finish, ScaleBias};
pub use fully_connected::{FullyConnected, fully_connected};
pub(crate) use gather::index as gather_index;
pub use gather::{Gather, gather};
pub use gru::{Gru, gru};
pub use half::f16;
pub use landmarks_to_transform::{LandmarksToTransform, landmarks_to_transform};
pub use lstm::{Lstm, lstm};
pub use mean::{Mean, mean};
pub use norm::{Norm, layer_norm, rms_norm};
pub use pool2d::{Pool2d, avg_pool2d, max_pool2d};
pub use prelu::prelu;
pub use resize_bilinear::resize_bilinear;
pub use rope::{Rope, rope, rope_tables};
pub use softmax::{Softmax, softmax};
pub use sum::Weight;
pub use top_k::{top_k_indices, top_k_values};
pub use transform_bilinear::{TransformBilinear, transform_bilinear};
pub use unary::{UnaryFunction, unary};
pub use unpool2d::{Unpool2d, max_pool_indices2d, max_unpool2d};
pub use weights::Weights;

/// Adds the biases to sums, 0 where there are none, and clamps them to an inclusive range.
#[inline]
pub fn add_bias(sums: &mut [f32], bias: &[f32], activation: [f32; 2]) {
    crate::arch::add_bias(sums, bias, activation);
}

/// No bounds: the range of an operator without a fused activation.
pub const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// Clamps to an inclusive range; NaN stays. If the range is empty, the minimum is returned.
#[inline]
fn clamp(x: f32, [min, max]: [f32; 2]) -> f32 {
    if x < min {
        min
    } else if x > max {
        max
    } else {
        x
    }
}

/// Element `i` of an optional operand; 0 if the operand is absent.
#[inline]
fn at<W: Weight>(operand: &[W], i: usize) -> f32 {
    operand.get(i).map_or(0.0, |x| x.to_f32())
}
