//! A balancing robot: decides the motors' torque of a wheeled inverted pendulum from its angle, rate and speed.

pub mod data;
mod entry;
pub mod training;

pub use entry::Entry;

use crate::array::Array;
use crate::layers::{Linear, linear};
use candle_core::Result;
use candle_nn::VarBuilder;

/// Angle, rate of the angle, and wheel speed.
pub const INPUTS: usize = 3;
/// The features of both hidden layers.
const HIDDEN: usize = 16;

/// Three fully connected layers with ReLU between. Input `[N, 3]` as [`tealight_balance::policy::input`] makes it; output
/// `[N, 1]`, the share of the maximum torque, which the app clamps to -1 to 1.
#[derive(Debug, Clone)]
pub struct Balance {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Balance {
    /// Loads the network with the weights of `vb`.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn load(vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            fc1: linear(INPUTS, HIDDEN, vb.pp("fc1"))?,
            fc2: linear(HIDDEN, HIDDEN, vb.pp("fc2"))?,
            fc3: linear(HIDDEN, 1, vb.pp("fc3"))?,
        })
    }

    /// Returns the share of the maximum torque.
    ///
    /// # Errors
    /// If `x` is of another shape.
    pub fn forward<A: Array>(&self, x: &A) -> Result<A> {
        let x = self.fc1.forward(x)?.relu()?;
        let x = self.fc2.forward(&x)?.relu()?;
        self.fc3.forward(&x)
    }
}
