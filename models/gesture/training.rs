//! Trains the network on augmented windows of the people who are not held out, from one seed. The others are not used.

use super::data::{self, Data, Reading, Recording};
use super::{CHANNELS, Gesture, WINDOW};
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
///
/// # Errors
/// Errors of Candle.
pub fn tensor(windows: &[Vec<f32>]) -> Result<Tensor> {
    Ok(Tensor::from_vec(windows.concat(), (windows.len(), CHANNELS, 1, WINDOW), &Device::Cpu)?)
}

/// Trains and returns the weights by name.
///
/// # Errors
/// Errors of Candle.
pub fn train(data: &Data) -> Result<BTreeMap<String, Var>> {
    let init = VarInit::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
    let model = Gesture::load(vb)?;
    let weights = init.weights();
    let mut trainer = Trainer::new("training gesture", &weights, RATE, STEPS)?;
    let mut random = Random::new(SEED);
    let mut sum = 0.0;
    for step in 1..=STEPS {
        let chosen: Vec<&Recording> = (0..BATCH).map(|_| &data.training[random.below(data.training.len())]).collect();
        let windows: Vec<Vec<f32>> =
            chosen.iter().map(|one| data::numbers(&data::distorted(&one.readings, &mut random))).collect();
        let exercises: Vec<u32> = chosen.iter().map(|one| one.exercise as u32).collect();
        let wanted = Tensor::new(exercises, &Device::Cpu)?;
        sum += trainer.step(&loss::cross_entropy(&model.logits(&tensor(&windows)?)?, &wanted)?)?;
        if step % 500 == 0 {
            trainer.print(&format!("step {step} of {STEPS}: loss {:.4}", sum / 500.0));
            sum = 0.0;
        }
    }
    trainer.finish();
    Ok(weights)
}

/// Returns the class of each window by the float network.
///
/// # Errors
/// Errors of Candle.
pub fn answers<'a>(model: &Gesture, windows: impl Iterator<Item = &'a [Reading]>) -> Result<Vec<usize>> {
    let windows: Vec<Vec<f32>> = windows.map(data::numbers).collect();
    let answers = model.logits(&tensor(&windows)?)?.argmax(1)?.to_vec1::<u32>()?;
    Ok(answers.into_iter().map(|answer| answer as usize).collect())
}
