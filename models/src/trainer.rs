//! The training loop of every model: AdamW, with a linear warm-up over the first hundred steps and a cosine decay of
//! the learning rate.

use crate::progress::Bar;
use anyhow::Result;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use std::collections::BTreeMap;

/// The number of steps of the warm-up.
const WARM: f64 = 100.0;
/// The weight decay.
const DECAY: f64 = 1e-3;

/// A training run.
pub struct Trainer {
    optimizer: AdamW,
    rate: f64,
    steps: usize,
    done: usize,
    bar: Bar,
}

impl Trainer {
    /// Starts the training of `weights` for a known number of steps, with the maximum learning rate `rate`; `what` is
    /// shown.
    ///
    /// # Errors
    /// Errors of Candle.
    pub fn new(what: &str, weights: &BTreeMap<String, Var>, rate: f64, steps: usize) -> Result<Self> {
        let params = ParamsAdamW { lr: rate, weight_decay: DECAY, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(weights.values().cloned().collect(), params)?;
        Ok(Self { optimizer, rate, steps, done: 0, bar: Bar::new(what, steps) })
    }

    /// Updates the weights by the gradient of `loss`, and returns the loss.
    ///
    /// # Errors
    /// Errors of Candle.
    pub fn step(&mut self, loss: &Tensor) -> Result<f64> {
        let warm = (self.done as f64 / WARM).min(1.0);
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * self.done as f64 / self.steps as f64).cos());
        self.optimizer.set_learning_rate(self.rate * warm * fall);
        self.optimizer.backward_step(loss)?;
        self.done += 1;
        self.bar.step(self.done);
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// Prints a line.
    pub fn print(&self, text: &str) {
        self.bar.print(text);
    }

    /// Ends the training.
    pub fn finish(self) {
        self.bar.finish();
    }
}
