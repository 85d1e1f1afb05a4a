//! Kernels of networks with int16 activations and int8 weights ("16x8").
//!
//! Activations are symmetric: their zero point is 0. Sums of products have 64 bits, or wrap at 32, as the layer's
//! channels say. Every kernel returns the same bytes as TensorFlow Lite Micro's reference kernel.
//!
//! | operator | rows | a row |
//! |---|---|---|
//! | [`conv2d()`], [`depthwise_conv2d()`], [`avg_pool2d`], [`max_pool2d`] | `N * OH` | `OW * C` elements |
//! | [`fully_connected()`] | batches × neurons | one element |
//! | [`softmax()`] | all dimensions but the last | `depth` elements |
//! | [`add()`], [`sub`], [`mul()`] | see [`Broadcast::row_len`](crate::Broadcast::row_len) | |
//! | [`mean()`] | output elements | one element |
//! | [`requantize_i16`], [`widen`], [`narrow`], [`logistic`], [`tanh`], [`quantize()`], [`dequantize`] | | the caller slices |
//!
//! What only moves elements is in the [crate] itself.

mod add;
mod channels;
mod conv2d;
mod depthwise_conv2d;
mod dot;
mod fully_connected;
mod interpolate;
mod mean;
mod mul;
mod pool2d;
mod quantize;
mod requantize;
mod sigmoid;
mod softmax;

pub use add::{AddSub, add, sub};
pub use channels::{Channels, WideChannel, multiply_wide};
pub use conv2d::{Conv2d, conv2d};
pub use depthwise_conv2d::{DepthwiseConv2d, depthwise_conv2d};
pub use fully_connected::{FullyConnected, fully_connected};
pub use interpolate::{INTERPOLATED, interpolate};
pub use mean::mean;
pub use mul::{Mul, mul};
pub use pool2d::{Pool2d, avg_pool2d, max_pool2d};
pub use quantize::{dequantize, quantize};
pub use requantize::{Requantize, narrow, requantize_i16, widen};
pub use sigmoid::{SIGMOIDS, Sigmoid, logistic, tanh};
pub use softmax::{Softmax, softmax};
