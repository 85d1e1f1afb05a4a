//! Is this the movement that it knows? An autoencoder: a window of a smartwatch's sensors to the same window, through
//! fewer numbers than it has. What it has seen in training comes back nearly as it was; other movements do not.

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

/// Readings that become one step: their mean.
pub const READINGS: usize = 4;
/// Steps of a window.
pub const STEPS: usize = crate::gesture::WINDOW / READINGS;
/// Numbers of a window, step by step.
pub const LEN: usize = STEPS * CHANNELS;
/// Numbers that a window must pass through.
const CODE: usize = 24;
/// Numbers on the way there and back.
const WIDTH: usize = 96;

/// Four matrices. Input and output `[N, LEN]`, step by step, six normalized channels each.
#[derive(Debug, Clone)]
pub struct Anomaly {
    enc1: Linear,
    enc2: Linear,
    dec1: Linear,
    dec2: Linear,
}

impl Anomaly {
    /// The network with the weights that `vb` gives.
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

    /// The window as it comes back.
    ///
    /// # Errors
    /// If `x` is of another shape.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let code = self.enc2.forward(&self.enc1.forward(x)?.relu()?)?;
        self.dec2.forward(&self.dec1.forward(&code)?.relu()?)
    }
}
