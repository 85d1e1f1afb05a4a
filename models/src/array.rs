//! What a model computes with: a Candle tensor in training and evaluation, a recorder for compilation.
//!
//! Candle does not record how a tensor was computed, so a model's `forward` is generic over [`Array`] and runs twice:
//! on [`Tensor`] it computes, on [`Traced`](crate::trace::Traced) it records the network.

use crate::conv1d;
use crate::layers::{Conv2d, Linear};
use crate::sequence::{self, Attention, Embedding, RmsNorm};
use candle_core::{D, Result, Tensor};

/// A tensor, or a recorded value. Images are `[N, C, H, W]`, as in Candle.
pub trait Array: Clone {
    /// Dimensions, outermost first.
    fn dims(&self) -> Vec<usize>;
    /// A convolution, with its bias.
    fn conv2d(&self, layer: &Conv2d) -> Result<Self>;
    /// A product with a matrix `[out, in]`, with its bias; on `[.., in]`.
    fn linear(&self, layer: &Linear) -> Result<Self>;
    /// `max(x, 0)`.
    fn relu(&self) -> Result<Self>;
    /// `clamp(x, 0, 6)`.
    fn relu6(&self) -> Result<Self>;
    /// `1 / (1 + exp(-x))`.
    fn sigmoid(&self) -> Result<Self>;
    /// Hyperbolic tangent.
    fn tanh(&self) -> Result<Self>;
    /// `x * clamp(x + 3, 0, 6) / 6`.
    fn hard_swish(&self) -> Result<Self>;
    /// The maximum of each window `[height, width]`, which must be inside the image. Candle's gradient is correct only
    /// if windows neither overlap nor leave a remainder.
    fn max_pool2d(&self, window: [usize; 2], stride: [usize; 2]) -> Result<Self>;
    /// The mean of each window `[height, width]`, which must be inside the image.
    fn avg_pool2d(&self, window: [usize; 2], stride: [usize; 2]) -> Result<Self>;
    /// The sum of two arrays of the same shape.
    fn add(&self, other: &Self) -> Result<Self>;
    /// The element-wise product of two arrays of the same shape.
    fn mul(&self, other: &Self) -> Result<Self>;
    /// Flattens all dimensions but the first.
    fn flatten(&self) -> Result<Self>;
    /// Softmax along the last dimension.
    fn softmax(&self) -> Result<Self>;
    /// `x / (1 + exp(-x))`.
    fn silu(&self) -> Result<Self>;
    /// The rows of a table with these indices; on `[N, T]`.
    fn embedding(&self, layer: &Embedding) -> Result<Self>;
    /// The dot products of each vector with every row of a table.
    fn products(&self, layer: &Embedding) -> Result<Self>;
    /// Each vector divided by its root mean square, times a weight for each feature.
    fn rms_norm(&self, layer: &RmsNorm) -> Result<Self>;
    /// Causal attention of queries to keys and values; queries and keys are rotated by their positions.
    fn attention(&self, keys: &Self, values: &Self, layer: &Attention) -> Result<Self>;
}

impl Array for Tensor {
    fn dims(&self) -> Vec<usize> {
        Tensor::dims(self).to_vec()
    }

    fn conv2d(&self, layer: &Conv2d) -> Result<Self> {
        if !layer.is_fast() {
            return self.apply(layer.candle());
        }
        let (weight, config) = (layer.candle().weight(), layer.candle().config());
        let sums = match config.groups {
            1 => conv1d::conv1d(self, weight, config.stride)?,
            _ => conv1d::depthwise_conv1d(self, weight)?,
        };
        match layer.candle().bias() {
            Some(bias) => sums.broadcast_add(&bias.reshape((1, (), 1, 1))?),
            None => Ok(sums),
        }
    }

    fn linear(&self, layer: &Linear) -> Result<Self> {
        self.apply(layer.candle())
    }

    fn relu(&self) -> Result<Self> {
        Tensor::relu(self)
    }

    fn relu6(&self) -> Result<Self> {
        self.clamp(0f32, 6f32)
    }

    fn sigmoid(&self) -> Result<Self> {
        candle_nn::ops::sigmoid(self)
    }

    fn tanh(&self) -> Result<Self> {
        Tensor::tanh(self)
    }

    fn hard_swish(&self) -> Result<Self> {
        ((self + 3.0)?.clamp(0f32, 6f32)? * self)? / 6.0
    }

    fn max_pool2d(&self, [height, width]: [usize; 2], [down, right]: [usize; 2]) -> Result<Self> {
        self.max_pool2d_with_stride((height, width), (down, right))
    }

    fn avg_pool2d(&self, [height, width]: [usize; 2], [down, right]: [usize; 2]) -> Result<Self> {
        self.avg_pool2d_with_stride((height, width), (down, right))
    }

    fn add(&self, other: &Self) -> Result<Self> {
        self + other
    }

    fn mul(&self, other: &Self) -> Result<Self> {
        self * other
    }

    fn flatten(&self) -> Result<Self> {
        self.flatten_from(1)
    }

    fn softmax(&self) -> Result<Self> {
        candle_nn::ops::softmax(self, D::Minus1)
    }

    fn silu(&self) -> Result<Self> {
        Tensor::silu(self)
    }

    fn embedding(&self, layer: &Embedding) -> Result<Self> {
        sequence::rows(layer.table(), self)
    }

    fn products(&self, layer: &Embedding) -> Result<Self> {
        sequence::products(layer.table(), self)
    }

    fn rms_norm(&self, layer: &RmsNorm) -> Result<Self> {
        layer.candle().forward_diff(self)
    }

    fn attention(&self, keys: &Self, values: &Self, layer: &Attention) -> Result<Self> {
        layer.whole(self, keys, values)
    }
}
