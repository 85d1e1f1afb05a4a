//! The golden operators and networks, run by Candle's engine.
//!
//! Integers must be the golden bytes. Floats are near those of TensorFlow Lite Micro and of Tealight's engine: Candle adds up
//! in its own order, so the tolerance is that which Tealight's kernels are held to against TensorFlow Lite Micro.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use support::{Rng, Slices, infer};
use tealight_candle::{Budget, EngineChoice, Mapped};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::models::goldens;
use tealight_tests::nearness::{Nearness, near, reals};
use tealight_tests::ops::{Case, cases, files, float_networks};

fn compiled(tflite: &[u8]) -> Mapped {
    Mapped::from_bytes(&compile_tflite(tflite, &Options::default()).unwrap().bytes).unwrap()
}

fn check(case: &Case, nearness: Nearness, mut budget: impl FnMut() -> Budget) -> Result<(), String> {
    let mut session = compiled(&case.model).session(EngineChoice::Candle).unwrap();
    for (k, step) in case.steps.iter().enumerate() {
        for (i, input) in step.inputs.iter().enumerate() {
            session.input(i).copy_from(input).unwrap();
        }
        while session.poll(budget()).is_pending() {}
        for (i, expected) in step.outputs.iter().enumerate() {
            let found = session.output(i).as_bytes();
            if nearness == Nearness::Exact {
                if found != expected {
                    return Err(format!("step {k}, output {i} differs"));
                }
            } else {
                near(&reals(found), &reals(expected), nearness, 1.0)
                    .map_err(|error| format!("step {k}, output {i} {error}"))?;
            }
        }
    }
    Ok(())
}

fn check_all(mut budget: impl FnMut() -> Budget) {
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in files() {
        for (name, case) in cases(&file) {
            count += 1;
            if let Err(error) = check(&case, Nearness::of_operator(&file), &mut budget) {
                failures.push(format!("{name} ({}): {error}", case.about));
            }
        }
    }
    assert!(count > 500, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn operators_equal_the_goldens() {
    check_all(Budget::unlimited);
}

#[test]
fn operators_equal_the_goldens_when_polled_in_random_slices() {
    let mut rng = Rng(7);
    check_all(|| Budget::macs(rng.below(300)));
}

#[test]
fn float_networks_agree_with_tealights_engine() {
    let mut networks: Vec<(String, Mapped)> =
        float_networks().into_iter().map(|(name, case)| (name, compiled(&case.model))).collect();
    assert!(!networks.is_empty());
    // Those of packages that are at hand; `cargo xtask test` fetches them.
    for (id, golden) in goldens().unwrap().iter().filter(|(_, golden)| golden.float) {
        let path = golden.path(id);
        networks.extend(path.map(|path| (id.clone(), compiled(&std::fs::read(path).unwrap()))));
    }
    for (name, network) in networks {
        let input = network.model().value(network.model().input(0));
        for seed in 0..3 {
            let inputs = [Rng(seed).reals(input.len as usize / 4)];
            let ours = infer(&network, EngineChoice::Tealight, &inputs, Slices::Whole);
            for slices in [Slices::Whole, Slices::Random(seed)] {
                let theirs = infer(&network, EngineChoice::Candle, &inputs, slices);
                // Over some ten layers the differences of the last bits add up.
                near(&theirs, &ours, Nearness::Tensor, 10.0)
                    .unwrap_or_else(|error| panic!("{name}, {slices:?}: {error}"));
                assert!(ours.iter().any(|x| *x != ours[0]), "{name}: the test must be able to fail");
            }
        }
    }
}
