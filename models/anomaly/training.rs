//! Trains the network on augmented windows of normal exercises, of people who are not held out, from one seed. It never
//! sees an anomaly.

use super::data::numbers;
use super::{Anomaly, LEN};
use crate::gesture::data::{Reading, Recording, distorted};
use crate::random::{Random, VarInit};
use crate::trainer::Trainer;
use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, loss};
use std::collections::BTreeMap;

/// The seed of all randomness.
const SEED: u64 = 20_261_121;
/// The number of training steps.
const STEPS: usize = 4_000;
/// The batch size in windows.
const BATCH: usize = 64;
/// The maximum learning rate.
const RATE: f64 = 2e-3;

/// Returns windows as a Candle tensor.
fn tensor(windows: &[Vec<f32>]) -> Result<Tensor> {
    Ok(Tensor::from_vec(windows.concat(), (windows.len(), LEN), &Device::Cpu)?)
}

/// Trains on these recordings and returns the weights by name.
///
/// # Errors
/// Errors of Candle.
pub fn train(recordings: &[&Recording]) -> Result<BTreeMap<String, Var>> {
    let init = VarInit::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
    let model = Anomaly::load(vb)?;
    let weights = init.weights();
    let mut trainer = Trainer::new("training anomaly", &weights, RATE, STEPS)?;
    let mut random = Random::new(SEED);
    let mut sum = 0.0;
    for step in 1..=STEPS {
        let mut window = || numbers(&distorted(&recordings[random.below(recordings.len())].readings, &mut random));
        let windows = tensor(&(0..BATCH).map(|_| window()).collect::<Vec<_>>())?;
        sum += trainer.step(&loss::mse(&model.forward(&windows)?, &windows)?)?;
        if step % 500 == 0 {
            trainer.print(&format!("step {step} of {STEPS}: mean squared error {:.4}", sum / 500.0));
            sum = 0.0;
        }
    }
    trainer.finish();
    Ok(weights)
}

/// Returns windows, and their reconstructions by the float network.
///
/// # Errors
/// Errors of Candle.
pub fn returned<'a>(
    model: &Anomaly,
    windows: impl Iterator<Item = &'a [Reading]>,
) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
    let windows: Vec<Vec<f32>> = windows.map(numbers).collect();
    let back = model.forward(&tensor(&windows)?)?.to_vec2::<f32>()?;
    Ok(windows.into_iter().zip(back).collect())
}
