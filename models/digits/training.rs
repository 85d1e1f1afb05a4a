//! How the network is trained: AdamW on distorted digits, the step falling along a cosine, all from one seed.

use super::data::{Data, Sample, distort};
use super::{Digits, SIZE};
use crate::progress::Bar;
use crate::random::{Fresh, Random};
use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, VarBuilder, loss};
use std::collections::BTreeMap;

/// Everything random comes from this.
const SEED: u64 = 20_261_121;
/// Times that every digit is seen.
const EPOCHS: usize = 24;
/// Digits in a step.
const BATCH: usize = 64;
/// The greatest step.
const RATE: f64 = 2e-3;

/// Trains and gives the weights by name.
///
/// # Errors
/// Those of Candle.
pub fn train(data: &Data) -> Result<BTreeMap<String, Var>> {
    let fresh = Fresh::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(fresh.clone()), DType::F32, Device::Cpu);
    let model = Digits::load(vb)?;
    let weights = fresh.weights();
    let params = ParamsAdamW { lr: RATE, weight_decay: 1e-3, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(weights.values().cloned().collect(), params)?;
    let mut random = Random::new(SEED);
    let mut order: Vec<usize> = (0..data.training.len()).collect();
    let steps = EPOCHS * order.len().div_ceil(BATCH);
    let bar = Bar::new("training digits", steps);
    let mut step = 0;
    for epoch in 0..EPOCHS {
        random.shuffle(&mut order);
        let mut sum = 0.0;
        for batch in order.chunks(BATCH) {
            let samples: Vec<&Sample> = batch.iter().map(|&index| &data.training[index]).collect();
            let pixels: Vec<f32> = samples.iter().flat_map(|sample| distort(&sample.pixels, &mut random)).collect();
            let digits: Vec<u32> = samples.iter().map(|sample| u32::from(sample.digit)).collect();
            let x = Tensor::from_vec(pixels, (samples.len(), 1, SIZE, SIZE), &Device::Cpu)?;
            let wanted = Tensor::new(digits, &Device::Cpu)?;
            let warm = (step as f64 / 100.0).min(1.0);
            let fall = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
            optimizer.set_learning_rate(RATE * warm * fall);
            let loss = loss::cross_entropy(&model.logits(&x)?, &wanted)?;
            optimizer.backward_step(&loss)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * samples.len() as f64;
            step += 1;
            bar.step(step);
        }
        let right = correct(&model, &data.held_out)?;
        bar.say(&format!(
            "epoch {} of {EPOCHS}: loss {:.4}, held out {:.2} %",
            epoch + 1,
            sum / order.len() as f64,
            100.0 * right as f64 / data.held_out.len() as f64
        ));
    }
    bar.finish();
    Ok(weights)
}

/// How many of `samples` the float network gets right.
///
/// # Errors
/// Those of Candle.
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
