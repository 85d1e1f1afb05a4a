//! Shoulder exercises: classifies a window of 2.56 seconds of a smartwatch's accelerometer and gyroscope into seven
//! classes.

pub mod data;
mod entry;
pub mod training;

pub use entry::Entry;

use crate::array::Array;
use crate::layers::{Conv2d, Linear, conv1d, linear};
use candle_core::Result;
use candle_nn::VarBuilder;

/// The number of samples in a window, 50 per second.
pub const WINDOW: usize = 128;
/// The number of samples between the starts of two windows.
pub const STEP: usize = 64;
/// Acceleration along three axes, then rotation around them.
pub const CHANNELS: usize = 6;
/// The classes, by their number in the data.
pub const EXERCISES: [&str; 7] = [
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
];

/// Three convolutions along time, a mean over time and a fully connected layer. Input `[N, 6, 1, 128]`, normalized as
/// in [`data::normalized`]; output `[N, 7]`, probabilities.
///
/// Every convolution has stride two and no padding. The mean makes the result independent of where in the window a
/// movement is.
#[derive(Debug, Clone)]
pub struct Gesture {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    fc: Linear,
}

impl Gesture {
    /// Loads the network with the weights of `vb`.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn load(vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            conv1: conv1d(CHANNELS, 24, 8, 2, vb.pp("conv1"))?,
            conv2: conv1d(24, 32, 5, 2, vb.pp("conv2"))?,
            conv3: conv1d(32, 64, 5, 2, vb.pp("conv3"))?,
            fc: linear(64, EXERCISES.len(), vb.pp("fc"))?,
        })
    }

    /// Returns a score for each exercise.
    ///
    /// # Errors
    /// If `x` is of another shape.
    pub fn logits<A: Array>(&self, x: &A) -> Result<A> {
        let x = self.conv1.forward(x)?.relu()?; // 61
        let x = self.conv2.forward(&x)?.relu()?; // 29
        let x = self.conv3.forward(&x)?.relu()?.avg_pool2d([1, 13], [1, 13])?;
        self.fc.forward(&x.flatten()?)
    }

    /// Returns a probability for each exercise.
    ///
    /// # Errors
    /// As for [`Gesture::logits`].
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        self.logits(x)?.softmax()
    }
}
