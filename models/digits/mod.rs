//! Handwritten digits: classifies an image of 28 × 28.

pub mod data;
mod entry;
pub mod training;

pub use entry::Entry;

use crate::array::Array;
use crate::layers::{Conv2d, Linear, conv2d, linear};
use candle_core::Result;
use candle_nn::{Conv2dConfig, VarBuilder};

/// The number of rows and columns of an image.
pub const SIZE: usize = 28;

/// Three convolutions and a fully connected layer. Input `[N, 1, 28, 28]`, 0 (paper) to 1 (ink); output `[N, 10]`,
/// probabilities.
///
/// The first convolution has stride two, so no layer's memory is larger than a few times the image.
#[derive(Debug, Clone)]
pub struct Digits {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    fc: Linear,
}

impl Digits {
    /// Loads the network with the weights of `vb`.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn load(vb: VarBuilder) -> Result<Self> {
        let config = |padding, stride| Conv2dConfig { padding, stride, ..Conv2dConfig::default() };
        Ok(Self {
            conv1: conv2d(1, 16, 5, config(2, 2), vb.pp("conv1"))?,
            conv2: conv2d(16, 24, 3, config(1, 1), vb.pp("conv2"))?,
            conv3: conv2d(24, 48, 3, config(1, 2), vb.pp("conv3"))?,
            fc: linear(48 * 4 * 4, 10, vb.pp("fc"))?,
        })
    }

    /// Returns a score for each digit.
    ///
    /// # Errors
    /// If `x` is of another shape.
    pub fn logits<A: Array>(&self, x: &A) -> Result<A> {
        let x = self.conv1.forward(x)?.relu()?; // 14 x 14
        let x = self.conv2.forward(&x)?.relu()?.max_pool2d([2, 2], [2, 2])?; // 7 x 7
        let x = self.conv3.forward(&x)?.relu()?; // 4 x 4
        self.fc.forward(&x.flatten()?)
    }

    /// Returns a probability for each digit.
    ///
    /// # Errors
    /// As for [`Digits::logits`].
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        self.logits(x)?.softmax()
    }
}
