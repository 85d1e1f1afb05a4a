//! Detects unknown movements. An autoencoder reconstructs a window of a smartwatch's sensors from fewer values than it
//! has. Movements from training are reconstructed well, others are not.

pub mod data;
mod entry;
pub mod score;
pub mod training;

pub use entry::Entry;

use crate::array::Array;
use crate::gesture::CHANNELS;
use crate::layers::{Linear, linear};
use candle_core::Result;
use candle_nn::VarBuilder;

/// The number of readings averaged into one step.
pub const READINGS: usize = 4;
/// The number of steps in a window.
pub const STEPS: usize = crate::gesture::WINDOW / READINGS;
/// The number of values in a window, step by step.
pub const LEN: usize = STEPS * CHANNELS;
/// The size of the bottleneck.
const CODE: usize = 24;
/// The size of the hidden layers.
const WIDTH: usize = 96;

/// Four fully connected layers. Input and output `[N, LEN]`, step by step, six normalized channels each.
#[derive(Debug, Clone)]
pub struct Anomaly {
    enc1: Linear,
    enc2: Linear,
    dec1: Linear,
    dec2: Linear,
}

impl Anomaly {
    /// Loads the network with the weights of `vb`.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn load(vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            enc1: linear(LEN, WIDTH, vb.pp("enc1"))?,
            enc2: linear(WIDTH, CODE, vb.pp("enc2"))?,
            dec1: linear(CODE, WIDTH, vb.pp("dec1"))?,
            dec2: linear(WIDTH, LEN, vb.pp("dec2"))?,
        })
    }

    /// Returns the reconstructed window.
    ///
    /// # Errors
    /// If `x` is of another shape.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let code = self.enc2.forward(&self.enc1.forward(x)?.relu()?)?;
        self.dec2.forward(&self.dec1.forward(&code)?.relu()?)
    }
}
