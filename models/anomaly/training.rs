//! How the network is trained: on distorted windows of the normal exercises of the people who are not held out, all
//! from one seed. It never sees an anomaly.

use super::data::numbers;
use super::{Anomaly, LEN};
use crate::gesture::data::{Reading, Recording, distorted};
use crate::random::{Random, VarInit};
use crate::trainer::Trainer;
use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, loss};
use std::collections::BTreeMap;

/// Everything random comes from this.
const SEED: u64 = 20_261_121;
/// How often the weights are moved.
const STEPS: usize = 4_000;
/// Windows that move them once.
const BATCH: usize = 64;
/// The greatest step.
const RATE: f64 = 2e-3;

/// Windows as Candle takes them.
fn tensor(windows: &[Vec<f32>]) -> Result<Tensor> {
    Ok(Tensor::from_vec(windows.concat(), (windows.len(), LEN), &Device::Cpu)?)
}

/// Trains on these recordings and gives the weights by name.
///
/// # Errors
/// Those of Candle.
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

/// Windows, and how the float network gives each back.
///
/// # Errors
/// Those of Candle.
pub fn returned<'a>(
    model: &Anomaly,
    windows: impl Iterator<Item = &'a [Reading]>,
) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
    let windows: Vec<Vec<f32>> = windows.map(numbers).collect();
    let back = model.forward(&tensor(&windows)?)?.to_vec2::<f32>()?;
    Ok(windows.into_iter().zip(back).collect())
}
