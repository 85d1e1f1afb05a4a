//! Ten spoken words, distinguished from other words and from no speech, in a second of sound.

pub mod data;
mod entry;
pub mod sound;
pub mod speech;
pub mod training;
pub mod voices;

pub use entry::Entry;

use crate::array::Array;
use crate::layers::{Conv2d, Linear, depthwise_conv1d, fast_conv1d, linear};
use candle_core::Result;
use candle_nn::VarBuilder;
use tealight_audio::{SAMPLE_RATE, frames_in};

/// The words.
pub const KEYWORDS: [&str; 10] = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];
/// The classes: the words, another word, no speech.
pub const LABELS: [&str; 12] =
    ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "unknown", "silence"];
/// The class of other words.
pub const UNKNOWN: usize = 10;
/// The class of no speech.
pub const SILENCE: usize = 11;
/// The number of samples of an input: a second.
pub const SAMPLES: usize = SAMPLE_RATE;
/// The number of frames in a second.
pub const FRAMES: usize = frames_in(SAMPLES);
/// The number of bands in a frame.
pub const BANDS: usize = 40;

/// The maximum magnitude of features; an int8 of the input is a feature times 32.
pub const RANGE: [f32; 2] = [-4.0, 127.0 / 32.0];

/// A depthwise convolution along time, then a pointwise one.
#[derive(Debug, Clone)]
struct Separable {
    depthwise: Conv2d,
    pointwise: Conv2d,
}

impl Separable {
    fn load(channels: usize, size: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            depthwise: depthwise_conv1d(channels, size, vb.pp("depthwise"))?,
            pointwise: fast_conv1d(channels, channels, 1, 1, vb.pp("pointwise"))?,
        })
    }

    fn forward<A: Array>(&self, x: &A) -> Result<A> {
        self.pointwise.forward(&self.depthwise.forward(x)?)?.relu()
    }
}

/// A convolution along time over all bands, separable convolutions, a mean over time, a fully connected layer. Input
/// `[N, 40, 1, 49]`: bands as channels, int8 features over 32; output `[N, 12]`, probabilities.
///
/// The bands are channels, so no kernel slides over frequency; there is no padding, so every frame counts equally.
#[derive(Debug, Clone)]
pub struct Keyword {
    stem: Conv2d,
    blocks: Vec<Separable>,
    fc: Linear,
}

/// The number of channels of every layer but the last.
const CHANNELS: usize = 80;

impl Keyword {
    /// Loads the network with the weights of `vb`.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn load(vb: VarBuilder) -> Result<Self> {
        let block = |index: usize| Separable::load(CHANNELS, 5, vb.pp(format!("block{}", index + 1)));
        Ok(Self {
            stem: fast_conv1d(BANDS, CHANNELS, 5, 2, vb.pp("stem"))?,
            blocks: (0..4).map(block).collect::<Result<_>>()?,
            fc: linear(CHANNELS, LABELS.len(), vb.pp("fc"))?,
        })
    }

    /// Returns a score for each of [`LABELS`].
    ///
    /// # Errors
    /// If `x` is of another shape.
    pub fn logits<A: Array>(&self, x: &A) -> Result<A> {
        let mut x = self.stem.forward(x)?.relu()?; // 23
        for block in &self.blocks {
            x = block.forward(&x)?; // 19, 15, 11, 7
        }
        self.fc.forward(&x.avg_pool2d([1, 7], [1, 7])?.flatten()?)
    }

    /// Returns a probability for each of [`LABELS`].
    ///
    /// # Errors
    /// As for [`Keyword::logits`].
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        self.logits(x)?.softmax()
    }
}
