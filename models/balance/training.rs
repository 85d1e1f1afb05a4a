//! Trains the network to imitate the regulator, from one seed: first on the states that the regulator itself meets, then
//! in rounds on those that the network meets (DAgger: S. Ross, G. Gordon, D. Bagnell, "A Reduction of Imitation Learning
//! and Structured Prediction to No-Regret Online Learning", 2011).

use super::{Balance, INPUTS, data};
use crate::random::{Random, VarInit};
use crate::trainer::Trainer;
use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, loss};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use tealight_balance::estimate::Estimate;
use tealight_balance::lqr::Lqr;
use tealight_balance::plant::ROBOT;
use tealight_balance::policy::{self, RANGE};

/// The seed of all randomness.
const SEED: u64 = 20_261_129;
/// The number of rounds; the regulator drives in the first.
const ROUNDS: usize = 4;
/// The number of episodes in a round.
const EPISODES: usize = 200;
/// The number of training steps in a round.
const STEPS: usize = 4_000;
/// The batch size in estimates.
const BATCH: usize = 256;
/// The share of a batch that is anywhere in the range of inputs.
const ANYWHERE: usize = BATCH / 4;
/// The maximum learning rate.
const RATE: f64 = 4e-3;

/// The share of the maximum torque up to which the regulator is imitated. The app clamps to 1, so that a small error where
/// the motors are saturated costs nothing.
const BEYOND: f32 = 1.2;

/// The regulator of a robot with motors of [`BEYOND`] the maximum torque. Its gains take thousands of iterations to
/// compute.
static REGULATOR: LazyLock<Lqr> = LazyLock::new(|| Lqr { max_torque: BEYOND * ROBOT.max_torque, ..Lqr::of(&ROBOT) });

/// Returns what the network is to return: the regulator's torque as a share of the maximum torque, up to
/// [`BEYOND`], for what the network sees: inputs are clamped.
pub fn wanted(estimate: &Estimate) -> f32 {
    let [angle, rate, speed] = policy::input(estimate);
    let [most_angle, most_rate, most_speed] = RANGE;
    let seen = Estimate { angle: angle * most_angle, rate: rate * most_rate, speed: speed * most_speed };
    REGULATOR.decide(&seen) / ROBOT.max_torque
}

/// Returns the inputs of estimates as a Candle tensor `[N, 3]`.
///
/// # Errors
/// Errors of Candle.
pub fn tensor(estimates: &[Estimate]) -> Result<Tensor> {
    let inputs: Vec<f32> = estimates.iter().flat_map(policy::input).collect();
    Ok(Tensor::from_vec(inputs, (estimates.len(), INPUTS), &Device::Cpu)?)
}

/// Returns the torques in N m that the float network decides.
///
/// # Errors
/// Errors of Candle.
pub fn torques(model: &Balance, estimates: &[Estimate]) -> Result<Vec<f32>> {
    let outputs = model.forward(&tensor(estimates)?)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(outputs.into_iter().map(policy::torque).collect())
}

/// Returns the estimates of episodes, in which the network drives, or the regulator if there is none.
///
/// # Errors
/// Errors of Candle.
pub fn met(episodes: &[data::Episode], driver: Option<&Balance>) -> Result<Vec<Estimate>> {
    let mut met = Vec::new();
    data::simulate(episodes, 0, |estimates| {
        // A robot that lies on the ground teaches nothing.
        met.extend(estimates.iter().filter(|estimate| estimate.angle.abs() < RANGE[0]));
        match driver {
            Some(model) => torques(model, estimates),
            None => Ok(estimates.iter().map(|estimate| policy::torque(wanted(estimate))).collect()),
        }
    })?;
    Ok(met)
}

/// Returns an estimate anywhere in the range of inputs.
fn anywhere(random: &mut Random) -> Estimate {
    let [angle, rate, speed] = RANGE.map(|most| random.between(-f64::from(most), f64::from(most)) as f32);
    Estimate { angle, rate, speed }
}

/// Trains and returns the weights by name.
///
/// # Errors
/// Errors of Candle.
pub fn train() -> Result<BTreeMap<String, Var>> {
    let init = VarInit::new(SEED);
    let vb = VarBuilder::from_backend(Box::new(init.clone()), DType::F32, Device::Cpu);
    let model = Balance::load(vb)?;
    let weights = init.weights();
    let mut trainer = Trainer::new("training balance", &weights, RATE, ROUNDS * STEPS)?;
    let mut random = Random::new(SEED);
    let mut known = Vec::new();
    for round in 0..ROUNDS {
        let episodes = data::episodes(SEED + round as u64, EPISODES);
        known.extend(met(&episodes, (round > 0).then_some(&model))?);
        let mut sum = 0.0;
        for _ in 0..STEPS {
            let chosen = (0..BATCH).map(|at| match at < ANYWHERE {
                true => anywhere(&mut random),
                false => known[random.below(known.len())],
            });
            let chosen: Vec<Estimate> = chosen.collect();
            let targets: Vec<f32> = chosen.iter().map(wanted).collect();
            let targets = Tensor::from_vec(targets, (BATCH, 1), &Device::Cpu)?;
            sum += trainer.step(&loss::mse(&model.forward(&tensor(&chosen)?)?, &targets)?)?;
        }
        trainer.print(&format!("round {} of {ROUNDS}: loss {:.6}", round + 1, sum / STEPS as f64));
    }
    trainer.finish();
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regulator_drives_the_first_round_through_states_of_both_signs() {
        let met = met(&data::episodes(2, 3), None).unwrap();
        assert!(met.len() > data::PERIODS);
        for sign in [-1.0, 1.0] {
            assert!(met.iter().any(|estimate| sign * estimate.angle > 0.05));
        }
        assert_eq!(wanted(&Estimate { angle: 0.7, ..Estimate::default() }), BEYOND);
    }
}
