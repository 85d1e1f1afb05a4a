//! Trains the network on scenes of the voices that are not held out, from one seed. The others are not used.

use super::data::{Example, Second};
use super::{BANDS, FRAMES, Keyword};
use crate::random::{Random, VarInit};
use crate::trainer::Trainer;
use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, loss};
use std::collections::BTreeMap;

/// The seed of all randomness.
const SEED: u64 = 20_261_121;
/// The number of training steps.
const STEPS: usize = 8_000;
/// The batch size in seconds.
const BATCH: usize = 128;
/// The maximum learning rate.
const RATE: f64 = 3e-3;

/// Returns a second's features in Candle's order, one band after another, as the network's input.
pub fn numbers(features: &[i8]) -> Vec<f32> {
    (0..BANDS * FRAMES).map(|at| f32::from(features[at % FRAMES * BANDS + at / FRAMES]) / 32.0).collect()
}

/// Returns seconds as a Candle tensor.
///
/// # Errors
/// Errors of Candle.
pub fn tensor(seconds: &[Vec<f32>]) -> Result<Tensor> {
    Ok(Tensor::from_vec(seconds.concat(), (seconds.len(), BANDS, 1, FRAMES), &Device::Cpu)?)
}

/// Trains and returns the weights by name.
///
/// # Errors
/// Errors of Candle.
pub fn train(data: &[Example]) -> Result<BTreeMap<String, Var>> {
    let init = VarInit::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
    let model = Keyword::load(vb)?;
    let weights = init.weights();
    let mut trainer = Trainer::new("training keyword", &weights, RATE, STEPS)?;
    let mut random = Random::new(SEED);
    let mut sum = 0.0;
    for step in 1..=STEPS {
        let chosen: Vec<&Example> = (0..BATCH).map(|_| &data[random.below(data.len())]).collect();
        let seconds: Vec<Vec<f32>> = chosen.iter().map(|one| numbers(&masked(&one.features, &mut random))).collect();
        let classes: Vec<u32> = chosen.iter().map(|one| one.class as u32).collect();
        let wanted = Tensor::new(classes, &Device::Cpu)?;
        sum += trainer.step(&loss::cross_entropy(&model.logits(&tensor(&seconds)?)?, &wanted)?)?;
        if step % 500 == 0 {
            trainer.print(&format!("step {step} of {STEPS}: loss {:.4}", sum / 500.0));
            sum = 0.0;
        }
    }
    trainer.finish();
    Ok(weights)
}

/// Often without some neighbouring bands or frames, so that no one of them decides (Park and others, "SpecAugment",
/// arXiv:1904.08779).
fn masked(features: &[i8], random: &mut Random) -> Second {
    let mut second = features.to_vec();
    let mean = (second.iter().map(|&x| i32::from(x)).sum::<i32>() / second.len() as i32) as i8;
    if random.unit() < 0.5 {
        let width = 1 + random.below(6);
        let first = random.below(BANDS - width + 1);
        second.chunks_mut(BANDS).for_each(|frame| frame[first..first + width].fill(mean));
    }
    if random.unit() < 0.5 {
        let length = 1 + random.below(5);
        let first = random.below(FRAMES - length + 1);
        second[first * BANDS..(first + length) * BANDS].fill(mean);
    }
    second
}

/// What the float network takes each second for.
///
/// # Errors
/// Those of Candle.
pub fn answers(model: &Keyword, seconds: &[Second]) -> Result<Vec<usize>> {
    let mut answers = Vec::new();
    for seconds in seconds.chunks(500) {
        let seconds: Vec<Vec<f32>> = seconds.iter().map(|second| numbers(second)).collect();
        answers.extend(model.logits(&tensor(&seconds)?)?.argmax(1)?.to_vec1::<u32>()?);
    }
    Ok(answers.into_iter().map(|answer| answer as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_are_in_order() {
        let features: Vec<i8> = (0..FRAMES * BANDS).map(|at| (at / BANDS) as i8).collect();
        let numbers = numbers(&features);
        assert_eq!(numbers[..FRAMES], (0..FRAMES).map(|frame| frame as f32 / 32.0).collect::<Vec<_>>());
    }

    #[test]
    fn a_mask_leaves_most_of_a_second() {
        let features: Vec<i8> = (0..FRAMES * BANDS).map(|at| (at % 100) as i8).collect();
        for seed in 0..50 {
            let second = masked(&features, &mut Random::new(seed));
            let changed = second.iter().zip(&features).filter(|(a, b)| a != b).count();
            assert!(second.len() == features.len() && changed <= 6 * FRAMES + 5 * BANDS);
        }
    }
}
