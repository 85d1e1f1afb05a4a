//! Nearly valid plans of every operator, with arbitrary bytes as weights. Every accepted plan also runs with Candle's
//! engine, and operators that Candle does not compute have Tealight's bytes.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use tealight_candle::{Budget, EngineChoice, Mapped};
use tealight_format::{DType, Operator};
use tealight_testing::random::{self, Choices};
use tealight_testing::rng::Rng;

fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.next() as u8).collect()
}

/// Returns the outputs of two consecutive inferences.
fn outputs(model: &Mapped, choice: EngineChoice, seed: u64, cut: bool) -> Vec<Vec<u8>> {
    let mut session = model.session(choice).unwrap();
    let (mut inputs, mut budgets) = (Rng(seed), Rng(seed));
    let mut outputs = Vec::new();
    for _ in 0..2 {
        for i in 0..session.model().input_count() {
            let mut input = session.input(i).unwrap();
            let random = bytes(&mut inputs, input.as_bytes_mut().len());
            input.copy_from_bytes(&random).unwrap();
        }
        let most = if cut { session.model().cost() / 4 + 1 } else { u64::MAX };
        while session.poll(Budget::macs(most / 2 + budgets.below(most / 2 + 1))).is_pending() {}
        for i in 0..session.model().output_count() {
            let output = session.output(i).unwrap();
            outputs.push(match output.dtype() {
                DType::F32 => {
                    support::bits(output.as_slice::<f32>().unwrap()).iter().flat_map(|x| x.to_le_bytes()).collect()
                }
                _ => output.as_bytes().to_vec(),
            });
        }
    }
    outputs
}

#[test]
fn every_accepted_model_runs_with_the_candle_engine() {
    let (mut ran, mut by_candle) = (0, 0);
    for seed in 0..4000 {
        let choices = bytes(&mut Rng(seed), 900);
        let file = random::plan(&mut Choices::new(&choices)).file();
        let Ok(model) = Mapped::from_bytes(&file) else { continue };
        if model.model().arena_len() > 1 << 20 || model.model().cost() > 1_000_000 {
            continue;
        }
        let is_candles = |op| {
            matches!(
                model.model().op(op).operator,
                Operator::FullyConnectedBlock(_)
                    | Operator::FullyConnectedF32(_)
                    | Operator::Conv2dF32(_)
                    | Operator::BatchMatMulF32(_)
            )
        };
        ran += 1;
        let [whole, cut] = [false, true].map(|cut| outputs(&model, EngineChoice::Candle, seed, cut));
        if (0..model.model().op_count()).any(is_candles) {
            by_candle += 1;
        } else {
            let expected = outputs(&model, EngineChoice::Tealight, seed, false);
            assert_eq!([&whole, &cut], [&expected; 2], "seed {seed}");
        }
    }
    assert!(ran > 1000 && by_candle > 100, "{ran} ran, {by_candle} by Candle");
}
