//! How every network here is trained: AdamW, its step growing over the first hundred steps and then falling along a
//! cosine.

use crate::progress::Bar;
use anyhow::Result;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use std::collections::BTreeMap;

/// Steps over which the step grows.
const WARM: f64 = 100.0;
/// How fast weights shrink.
const DECAY: f64 = 1e-3;

/// A training under way.
pub struct Trainer {
    optimizer: AdamW,
    rate: f64,
    steps: usize,
    done: usize,
    bar: Bar,
}

impl Trainer {
    /// A training of `weights` in a known number of steps, `rate` the greatest; `what` is announced.
    ///
    /// # Errors
    /// Those of Candle.
    pub fn new(what: &str, weights: &BTreeMap<String, Var>, rate: f64, steps: usize) -> Result<Self> {
        let params = ParamsAdamW { lr: rate, weight_decay: DECAY, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(weights.values().cloned().collect(), params)?;
        Ok(Self { optimizer, rate, steps, done: 0, bar: Bar::new(what, steps) })
    }

    /// Moves the weights against the slope of `loss`; gives the loss.
    ///
    /// # Errors
    /// Those of Candle.
    pub fn step(&mut self, loss: &Tensor) -> Result<f64> {
        let warm = (self.done as f64 / WARM).min(1.0);
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * self.done as f64 / self.steps as f64).cos());
        self.optimizer.set_learning_rate(self.rate * warm * fall);
        self.optimizer.backward_step(loss)?;
        self.done += 1;
        self.bar.step(self.done);
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// Says something in between.
    pub fn print(&self, text: &str) {
        self.bar.print(text);
    }

    /// The training is done.
    pub fn finish(self) {
        self.bar.finish();
    }
}
