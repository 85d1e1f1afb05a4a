//! Trains the network on augmented digits, from one seed.

use super::data::{Data, Sample, distort};
use super::{Digits, SIZE};
use crate::random::{Random, VarInit};
use crate::trainer::Trainer;
use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, loss};
use std::collections::BTreeMap;

/// The seed of all randomness.
const SEED: u64 = 20_261_121;
/// The number of epochs.
const EPOCHS: usize = 24;
/// The batch size in digits.
const BATCH: usize = 64;
/// The maximum learning rate.
const RATE: f64 = 2e-3;

/// Trains and returns the weights by name.
///
/// # Errors
/// Errors of Candle.
pub fn train(data: &Data) -> Result<BTreeMap<String, Var>> {
    let init = VarInit::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
    let model = Digits::load(vb)?;
    let weights = init.weights();
    let mut random = Random::new(SEED);
    let mut order: Vec<usize> = (0..data.training.len()).collect();
    let steps = EPOCHS * order.len().div_ceil(BATCH);
    let mut trainer = Trainer::new("training digits", &weights, RATE, steps)?;
    for epoch in 0..EPOCHS {
        random.shuffle(&mut order);
        let mut sum = 0.0;
        for batch in order.chunks(BATCH) {
            let samples: Vec<&Sample> = batch.iter().map(|&index| &data.training[index]).collect();
            let pixels: Vec<f32> = samples.iter().flat_map(|sample| distort(&sample.pixels, &mut random)).collect();
            let digits: Vec<u32> = samples.iter().map(|sample| u32::from(sample.digit)).collect();
            let x = Tensor::from_vec(pixels, (samples.len(), 1, SIZE, SIZE), &Device::Cpu)?;
            let wanted = Tensor::new(digits, &Device::Cpu)?;
            let loss = loss::cross_entropy(&model.logits(&x)?, &wanted)?;
            sum += trainer.step(&loss)? * samples.len() as f64;
        }
        let right = correct(&model, &data.held_out)?;
        trainer.print(&format!(
            "epoch {} of {EPOCHS}: loss {:.4}, held out {:.2} %",
            epoch + 1,
            sum / order.len() as f64,
            100.0 * right as f64 / data.held_out.len() as f64
        ));
    }
    trainer.finish();
    Ok(weights)
}

/// Returns how many of `samples` the float network classifies correctly.
///
/// # Errors
/// Errors of Candle.
pub fn correct(model: &Digits, samples: &[Sample]) -> Result<usize> {
    let mut right = 0;
    for batch in samples.chunks(500) {
        let pixels: Vec<f32> = batch.iter().flat_map(Sample::numbers).collect();
        let x = Tensor::from_vec(pixels, (batch.len(), 1, SIZE, SIZE), &Device::Cpu)?;
        let answers = model.logits(&x)?.argmax(1)?.to_vec1::<u32>()?;
        right += answers.iter().zip(batch).filter(|(answer, sample)| **answer == u32::from(sample.digit)).count();
    }
    Ok(right)
}
