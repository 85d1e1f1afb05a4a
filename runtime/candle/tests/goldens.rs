//! The golden operators and networks, run by Candle's engine.
//!
//! Integers must equal the golden bytes. Floats are near those of TensorFlow Lite Micro and of Tealight's engine.
//! Candle adds in another order, so the tolerance is the one between Tealight's kernels and TensorFlow Lite Micro.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use support::{Rng, Slices, infer};
use tealight_candle::{Budget, EngineChoice, Mapped};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::models::goldens;
use tealight_tests::ops::{Case, Step, check_all, float_networks};
use tealight_tests::tolerance::{Tolerance, near};

fn compiled(tflite: &[u8]) -> Mapped {
    Mapped::from_bytes(&compile_tflite(tflite, &Options::default()).unwrap().bytes).unwrap()
}

/// The outputs of all steps of a case, each polled with budgets from `budget`.
fn run(case: &Case, mut budget: impl FnMut() -> Budget) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let mut session = compiled(&case.model).session(EngineChoice::Candle).unwrap();
    let step = |step: &Step| {
        for (i, input) in step.inputs.iter().enumerate() {
            session.input(i).unwrap().copy_from_bytes(input).unwrap();
        }
        while session.poll(budget()).is_pending() {}
        Ok((0..step.outputs.len()).map(|i| session.output(i).unwrap().as_bytes().to_vec()).collect())
    };
    case.steps.iter().map(step).collect()
}

#[test]
fn operators_match_the_goldens() {
    check_all(|case| run(case, Budget::unlimited));
}

#[test]
fn operators_match_the_goldens_when_polled_in_random_slices() {
    let mut rng = Rng(7);
    check_all(|case| run(case, || Budget::macs(rng.below(6000))));
}

#[test]
fn float_networks_agree_with_tealights_engine() {
    let mut networks: Vec<(String, Mapped)> =
        float_networks().into_iter().map(|(name, case)| (name, compiled(&case.model))).collect();
    assert!(!networks.is_empty());
    // Only goldens of packages that are available; `cargo xtask test` fetches them.
    for (id, golden) in goldens().unwrap().iter().filter(|(_, golden)| golden.float) {
        match golden.path(id) {
            Some(path) => networks.push((id.clone(), compiled(&std::fs::read(path).unwrap()))),
            None => println!("{id}: skipped, it is not in the cache; `cargo xtask fetch` gets it"),
        }
    }
    for (name, network) in networks {
        let input = network.model().value(network.model().input(0).unwrap());
        for seed in 0..3 {
            let inputs = [Rng(seed).f32s(input.len as usize / 4)];
            let ours = infer(&network, EngineChoice::Tealight, &inputs, Slices::Whole);
            for slices in [Slices::Whole, Slices::Random(seed)] {
                let theirs = infer(&network, EngineChoice::Candle, &inputs, slices);
                // Over about ten layers, differences in the last bits accumulate.
                near(&theirs, &ours, Tolerance::Tensor, 10.0)
                    .unwrap_or_else(|error| panic!("{name}, {slices:?}: {error}"));
                assert!(ours.iter().any(|x| *x != ours[0]), "{name}: the test must be able to fail");
            }
        }
    }
}
