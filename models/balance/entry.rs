//! The creation and the measurement of the model's files.

use super::{Balance, INPUTS, data, training};
use crate::export::{self, Recipe};
use crate::random::Random;
use crate::{Figures, PartFigures, Paths, trace, weights};
use anyhow::{Context as _, Result, anyhow, bail};
use tealight::{AlignedBytes, AllOps, Arena, Model, Session};
use tealight_balance::estimate::Estimate;
use tealight_balance::lqr::Lqr;
use tealight_balance::plant::ROBOT;
use tealight_balance::policy::{self, Network, Policy};
use tealight_compiler::graph::Graph;

/// The entry of the policy.
#[derive(Debug)]
pub struct Entry;

/// The name of its folder and of its files.
const NAME: &str = "balance";
/// The number of estimates for calibration.
const CALIBRATION: usize = 2_000;
/// The number of held-out estimates in the golden vectors.
const GOLDENS: usize = 14;
/// The seed of the episodes of calibration.
const CALIBRATION_SEED: u64 = 7;
/// The seed of the held-out episodes of the golden vectors. Sampling, loss and the range of forces were chosen with an eye
/// on them.
const HELD_OUT_SEED: u64 = 1_000_003;
/// The seed of the pushes that are measured. Nothing was chosen by them.
const TEST_SEED: u64 = 2_000_003;
/// The number of these pushes.
const PUSHES: usize = 1_000;
/// The range of the input; an int8 of it is the input times 128.
const INPUT_RANGE: [f32; 2] = [-1.0, 127.0 / 128.0];
/// The minimum share of both networks of the pushes that the regulator recovers from.
const MIN_SCORE: f64 = 0.99;
/// The maximum loss by quantization.
const MAX_LOSS: f64 = 0.01;
/// The maximum size of the arena in bytes.
const ARENA: usize = 1_024;
/// The maximum size of the compiled file in bytes.
const MAX_BYTES: u64 = 8_000;

/// The input's bytes.
fn bytes(estimate: &Estimate) -> Vec<u8> {
    policy::input(estimate).map(|value| ((value * 128.0).round() as i8).cast_unsigned()).to_vec()
}

/// Returns the network of a checkpoint.
fn network(checkpoint: &[u8]) -> Result<Graph> {
    let model = weights::load(checkpoint, Balance::load)?;
    Ok(trace::trace(&[1, INPUTS], |x| model.forward(x))?)
}

/// Quantizes and compiles the float weights of a checkpoint.
fn compile(checkpoint: &[u8]) -> Result<Vec<u8>> {
    let network = network(checkpoint)?;
    let mut met = training::met(&data::episodes(CALIBRATION_SEED, 20), None)?;
    Random::new(1).shuffle(&mut met);
    let samples: Vec<Vec<f32>> = met.iter().take(CALIBRATION).map(|one| policy::input(one).to_vec()).collect();
    let labels = vec!["torque".into()];
    Recipe { name: NAME, network: &network, checkpoint, samples: &samples, input_range: INPUT_RANGE, labels }.compile()
}

/// Returns `count` held-out estimates, spread over episodes that the regulator drives.
fn spread(count: usize) -> Result<Vec<Estimate>> {
    let met = training::met(&data::episodes(HELD_OUT_SEED, 5), None)?;
    if count > met.len() {
        bail!("there are {} held-out estimates, not {count}", met.len());
    }
    Ok((0..count).map(|index| met[index * met.len() / count]).collect())
}

/// Returns whether the robot stands at the end of each episode if the policy decides, at the cost of the network: all
/// policies have the same delay.
fn stand(episodes: &[data::Episode], cost: u64, policy: &mut impl Policy) -> Result<Vec<bool>> {
    data::simulate(episodes, cost, |estimates| Ok(estimates.iter().map(|one| policy.torque(one)).collect()))
}

/// Returns whether the robot stands at the end of each episode if a compiled file decides.
fn stand_compiled(episodes: &[data::Episode], file: &[u8]) -> Result<Vec<bool>> {
    let file = AlignedBytes::copy_of(file).map_err(|error| anyhow!("{error}"))?;
    let model = Model::parse(file.as_ref()).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
    let mut arena = Arena::<ARENA>::new();
    let session = Session::<AllOps>::load(&model, arena.bytes_mut()).map_err(|error| anyhow!("{error}"))?;
    let mut network = Network::new(session).context("the file is no policy: its input or output is another")?;
    let cost = network.cost();
    stand(episodes, cost, &mut network)
}

/// Returns the share of the episodes in which the robot stands, of those in which `of` is true.
fn share(stand: &[bool], of: &[bool]) -> f64 {
    let both = stand.iter().zip(of).filter(|(stand, of)| **stand && **of).count();
    both as f64 / of.iter().filter(|of| **of).count().max(1) as f64
}

impl crate::Entry for Entry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()> {
        let float = paths.file(NAME, "balance.float.safetensors");
        if !keep_weights {
            export::write(&float, &weights::save(&training::train()?)?)?;
        }
        let file = compile(&export::read(&float)?)?;
        let label = |one: &Estimate| format!("{:+.3} N m", policy::torque(training::wanted(one)));
        let cases: Vec<_> = spread(GOLDENS)?.iter().map(|one| (bytes(one), label(one))).collect();
        export::write_all(paths, NAME, &file, &cases, 0)?;
        eprintln!("  held out: {}", self.evaluate(paths)?);
        Ok(())
    }

    fn network(&self, checkpoint: &[u8]) -> Result<Graph> {
        network(checkpoint)
    }

    fn evaluate(&self, paths: &Paths) -> Result<Figures> {
        let episodes = data::episodes(TEST_SEED, PUSHES);
        let model = weights::load(&export::read(&paths.file(NAME, "balance.float.safetensors"))?, Balance::load)?;
        let file = export::read(&paths.file(NAME, "balance.safetensors"))?;
        let cost = Model::parse(&file).map_err(|error| anyhow!("not a Tealight model: {error}"))?.cost();
        let regulator = stand(&episodes, cost, &mut Lqr::of(&ROBOT))?;
        let float = data::simulate(&episodes, cost, |estimates| training::torques(&model, estimates))?;
        let quantized = stand_compiled(&episodes, &file)?;
        let all = vec![true; episodes.len()];
        let part = |name: &str, float: &[bool], quantized: &[bool]| PartFigures {
            name: name.into(),
            float: share(float, &all),
            quantized: share(quantized, &all),
            samples: all.len(),
        };
        let figures = Figures {
            name: NAME.into(),
            metric: "recovers as LQR".into(),
            float: share(&float, &regulator),
            quantized: share(&quantized, &regulator),
            samples: regulator.iter().filter(|stands| **stands).count(),
            bytes: file.len() as u64,
            recordings: None,
            parts: vec![part("all pushes", &float, &quantized), part("all pushes, LQR", &regulator, &regulator)],
        };
        let worst = figures.float.min(figures.quantized);
        if worst < MIN_SCORE || figures.float - figures.quantized > MAX_LOSS || figures.bytes > MAX_BYTES {
            bail!(
                "{figures}; required: at least {MIN_SCORE} of the pushes that LQR recovers from, at most {MAX_LOSS} \
                 lost by quantization, at most {MAX_BYTES} bytes"
            );
        }
        Ok(figures)
    }

    fn inputs(&self, _: &Paths, count: usize) -> Result<Vec<u8>> {
        Ok(spread(count)?.iter().flat_map(bytes).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_only_what_the_regulator_recovers_from() {
        assert_eq!(share(&[true, false, true, true], &[true, true, false, true]), 2.0 / 3.0);
        assert_eq!(share(&[true], &[false]), 0.0);
    }

    #[test]
    fn bytes_are_what_the_app_quantizes() {
        let estimate = Estimate { angle: -9.0, rate: 0.5, speed: 4.0 };
        assert_eq!(bytes(&estimate), [128, 8, 127]);
    }

    #[test]
    fn the_second_network_of_the_robot_takes_what_gesture_was_trained_on() {
        use crate::gesture::data::{DEVIATION, MEAN, quantized};
        assert_eq!((tealight_balance::gesture::MEAN, tealight_balance::gesture::DEVIATION), (MEAN, DEVIATION));
        let mut random = Random::new(1);
        for _ in 0..1_000 {
            let reading = std::array::from_fn(|_| 4.0 * random.normal() as f32);
            assert_eq!(tealight_balance::gesture::quantized(reading), quantized(reading));
        }
    }
}
