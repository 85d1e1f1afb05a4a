//! Every operator, over random shapes and every attribute, gives the bytes of TensorFlow Lite Micro's reference kernels.
//!
//! Sums and functions of f32 operators (files `*_f32`) are compared under a tolerance instead: `nearness.rs` says why. That
//! our own bits are the same everywhere is another test: see `digests.rs`.

use tealight::Budget;
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::host::Host;
use tealight_tests::models::splitmix64;
use tealight_tests::nearness::{Nearness, near, reals};
use tealight_tests::ops::{Case, cases, files};

/// Runs all steps of a case, each polled with budgets from `budget`, and tells what is wrong.
fn check(case: &Case, nearness: Nearness, mut budget: impl FnMut() -> Budget) -> Result<(), String> {
    let compiled = compile_tflite(&case.model, &Options::default()).map_err(|e| format!("does not compile: {e}"))?;
    let mut host = Host::new(&compiled.bytes).map_err(|e| format!("does not parse: {e}"))?;
    let mut session = host.session();
    for (k, step) in case.steps.iter().enumerate() {
        for (i, input) in step.inputs.iter().enumerate() {
            session.input(i).copy_from(input).map_err(|e| format!("input {i}: {e}"))?;
        }
        while session.poll(budget()).is_pending() {}
        for (i, expected) in step.outputs.iter().enumerate() {
            let found = session.output(i).as_bytes();
            if nearness != Nearness::Exact {
                near(&reals(found), &reals(expected), nearness, 1.0)
                    .map_err(|error| format!("step {k}, output {i} {error}"))?;
            } else if found != expected {
                let at = found.iter().zip(expected).position(|(a, b)| a != b);
                let bytes = |x: &[u8]| x.iter().skip(at.unwrap_or(0)).take(8).copied().collect::<Vec<_>>();
                return Err(format!(
                    "step {k}, output {i} ({} of {} bytes) differs from byte {at:?}: {:?}, expected {:?}",
                    found.len(),
                    expected.len(),
                    bytes(found),
                    bytes(expected)
                ));
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
fn operators_equal_the_reference_kernels() {
    check_all(Budget::unlimited);
}

#[test]
fn operators_equal_the_reference_kernels_when_polled_in_random_slices() {
    let mut state = 7;
    check_all(|| Budget::macs(splitmix64(&mut state) % 300));
}
