//! Layers with candle-nn's names and constructors. A layer is candle-nn's own, together with the name of its weights in
//! the checkpoint.

use crate::array::Array;
use candle_core::Result;
use candle_nn::{Conv2dConfig, VarBuilder};

/// A convolution; weights `[out, in / groups, height, width]`.
#[derive(Debug, Clone)]
pub struct Conv2d {
    candle: candle_nn::Conv2d,
    name: String,
    fast: bool,
}

/// A product with a matrix `[out, in]`.
#[derive(Debug, Clone)]
pub struct Linear {
    candle: candle_nn::Linear,
    name: String,
}

/// A convolution with a square window and a bias: `weight` and `bias` under `vb`.
///
/// # Errors
/// If the checkpoint lacks a weight or has it in another shape.
pub fn conv2d(inputs: usize, outputs: usize, size: usize, config: Conv2dConfig, vb: VarBuilder) -> Result<Conv2d> {
    let name = vb.prefix();
    Ok(Conv2d { candle: candle_nn::conv2d(inputs, outputs, size, config, vb)?, name, fast: false })
}

/// As [`conv2d`], without a bias.
///
/// # Errors
/// As [`conv2d`].
pub fn conv2d_no_bias(
    inputs: usize,
    outputs: usize,
    size: usize,
    config: Conv2dConfig,
    vb: VarBuilder,
) -> Result<Conv2d> {
    let name = vb.prefix();
    Ok(Conv2d { candle: candle_nn::conv2d_no_bias(inputs, outputs, size, config, vb)?, name, fast: false })
}

/// A convolution along the last dimension of `[N, C, 1, W]`, without padding, with a bias: `weight` `[out, in, 1,
/// size]` and `bias` under `vb`. Candle's gradient is correct only if windows leave no remainder.
///
/// # Errors
/// As [`conv2d`].
pub fn conv1d(inputs: usize, outputs: usize, size: usize, stride: usize, vb: VarBuilder) -> Result<Conv2d> {
    let bound = 1.0 / ((inputs * size) as f64).sqrt();
    let weight = vb.get_with_hints((outputs, inputs, 1, size), "weight", candle_nn::init::DEFAULT_KAIMING_NORMAL)?;
    let bias = vb.get_with_hints(outputs, "bias", candle_nn::Init::Uniform { lo: -bound, up: bound })?;
    let config = Conv2dConfig { stride, ..Conv2dConfig::default() };
    Ok(Conv2d { candle: candle_nn::Conv2d::new(weight, Some(bias), config), name: vb.prefix(), fast: false })
}

/// Like [`conv1d`], but computed by [`conv1d`](crate::conv1d), whose gradient is many times faster and correct for any
/// width.
///
/// # Errors
/// As [`conv2d`].
pub fn fast_conv1d(inputs: usize, outputs: usize, size: usize, stride: usize, vb: VarBuilder) -> Result<Conv2d> {
    Ok(Conv2d { fast: true, ..conv1d(inputs, outputs, size, stride, vb)? })
}

/// Like [`fast_conv1d`] with stride 1, each channel separately: `weight` `[channels, 1, 1, size]`. For more than one
/// channel.
///
/// # Errors
/// As [`conv2d`].
pub fn depthwise_conv1d(channels: usize, size: usize, vb: VarBuilder) -> Result<Conv2d> {
    let bound = 1.0 / (size as f64).sqrt();
    let weight = vb.get_with_hints((channels, 1, 1, size), "weight", candle_nn::init::DEFAULT_KAIMING_NORMAL)?;
    let bias = vb.get_with_hints(channels, "bias", candle_nn::Init::Uniform { lo: -bound, up: bound })?;
    let config = Conv2dConfig { groups: channels, ..Conv2dConfig::default() };
    Ok(Conv2d { candle: candle_nn::Conv2d::new(weight, Some(bias), config), name: vb.prefix(), fast: true })
}

/// A matrix with a bias: `weight` and `bias` under `vb`.
///
/// # Errors
/// As [`conv2d`].
pub fn linear(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let name = vb.prefix();
    Ok(Linear { candle: candle_nn::linear(inputs, outputs, vb)?, name })
}

/// As [`linear`], without a bias.
///
/// # Errors
/// As [`conv2d`].
pub fn linear_no_bias(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let name = vb.prefix();
    Ok(Linear { candle: candle_nn::linear_no_bias(inputs, outputs, vb)?, name })
}

impl Conv2d {
    /// Runs the layer.
    ///
    /// # Errors
    /// If the input has another number of channels.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        x.conv2d(self)
    }

    /// Returns whether [`conv1d`](crate::conv1d) computes it.
    pub(crate) fn is_fast(&self) -> bool {
        self.fast
    }

    /// candle-nn's layer.
    pub fn candle(&self) -> &candle_nn::Conv2d {
        &self.candle
    }

    /// Its name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Linear {
    /// Runs the layer.
    ///
    /// # Errors
    /// If the input has another last dimension.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        x.linear(self)
    }

    /// candle-nn's layer.
    pub fn candle(&self) -> &candle_nn::Linear {
        &self.candle
    }

    /// Its name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }
}
