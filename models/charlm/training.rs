//! Trains the network on random pieces of the chapters that are not held out, from one seed.

use super::data::Data;
use super::{CONTEXT, CharLm};
use crate::random::{Random, VarInit};
use crate::trainer::Trainer;
use anyhow::{Result, bail};
use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, loss};
use std::collections::BTreeMap;

/// The seed of all randomness.
const SEED: u64 = 20_261_121;
/// The number of training steps.
const STEPS: usize = 6_000;
/// The batch size in pieces.
const BATCH: usize = 8;
/// The maximum learning rate.
const RATE: f64 = 3e-3;
/// The number of pieces measured at once.
const MEASURED: usize = 16;

/// Returns pieces of text as input and target: `[pieces, CONTEXT]`, the second one character later.
fn tensors(pieces: &[&[u32]]) -> Result<[Tensor; 2]> {
    let part = |start: usize| {
        let numbers: Vec<u32> = pieces.iter().flat_map(|piece| piece[start..start + CONTEXT].iter().copied()).collect();
        Tensor::from_vec(numbers, (pieces.len(), CONTEXT), &Device::Cpu)
    };
    Ok([part(0)?, part(1)?])
}

/// Returns the mean cross-entropy of each next character, in nats.
fn surprise(model: &CharLm, pieces: &[&[u32]]) -> Result<Tensor> {
    let [x, next] = tensors(pieces)?;
    Ok(loss::cross_entropy(&model.forward(&x)?.flatten_to(D::Minus2)?, &next.flatten_all()?)?)
}

/// Returns `count` pieces spread over a text, each one character longer than the network's context.
///
/// # Errors
/// If the text is too short.
pub fn pieces(text: &[u32], count: usize) -> Result<Vec<&[u32]>> {
    let all: Vec<&[u32]> = text.windows(CONTEXT + 1).step_by(CONTEXT).collect();
    if count > all.len() {
        bail!("the text has {} pieces of {CONTEXT} characters, not {count}", all.len());
    }
    Ok((0..count).map(|index| all[index * all.len() / count]).collect())
}

/// Returns the mean number of bits that each next character of `pieces` costs the network.
///
/// # Errors
/// Errors of Candle.
pub fn bits(model: &CharLm, pieces: &[&[u32]]) -> Result<f64> {
    let mut sum = 0.0;
    for some in pieces.chunks(MEASURED) {
        sum += f64::from(surprise(model, some)?.to_scalar::<f32>()?) * some.len() as f64;
    }
    Ok(sum / pieces.len() as f64 / std::f64::consts::LN_2)
}

/// Trains and returns the weights by name.
///
/// # Errors
/// Errors of Candle.
pub fn train(data: &Data) -> Result<BTreeMap<String, Var>> {
    let init = VarInit::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
    let model = CharLm::load(vb)?;
    let weights = init.weights();
    let mut trainer = Trainer::new("training charlm", &weights, RATE, STEPS)?;
    let mut random = Random::new(SEED);
    let mut sum = 0.0;
    for step in 1..=STEPS {
        let starts = (0..BATCH).map(|_| random.below(data.training.len() - CONTEXT));
        let pieces: Vec<&[u32]> = starts.map(|start| &data.training[start..=start + CONTEXT]).collect();
        sum += trainer.step(&surprise(&model, &pieces)?)?;
        if step % 100 == 0 {
            let bits = sum / 100.0 / std::f64::consts::LN_2;
            trainer.print(&format!("step {step} of {STEPS}: {bits:.4} bits per character"));
            sum = 0.0;
        }
    }
    trainer.finish();
    Ok(weights)
}
