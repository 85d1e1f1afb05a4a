//! Every operator, over random shapes and every attribute, gives the bytes of TensorFlow Lite Micro's reference kernels.
//!
//! Sums and functions of f32 operators (files `*_f32`) are compared under a tolerance instead: `nearness.rs` says why. That
//! our own bits are the same everywhere is another test: see `digests.rs`.

use tealight::Budget;
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::host::Host;
use tealight_tests::models::splitmix64;
use tealight_tests::ops::{Case, Step, check_all};

/// The outputs of all steps of a case, each polled with budgets from `budget`.
fn run(case: &Case, mut budget: impl FnMut() -> Budget) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let compiled = compile_tflite(&case.model, &Options::default()).map_err(|e| format!("does not compile: {e}"))?;
    let mut host = Host::new(&compiled.bytes).map_err(|e| format!("does not parse: {e}"))?;
    let mut session = host.session();
    let step = |step: &Step| {
        for (i, input) in step.inputs.iter().enumerate() {
            session.input(i).copy_from(input).map_err(|e| format!("input {i}: {e}"))?;
        }
        while session.poll(budget()).is_pending() {}
        Ok((0..step.outputs.len()).map(|i| session.output(i).as_bytes().to_vec()).collect())
    };
    case.steps.iter().map(step).collect()
}

#[test]
fn operators_equal_the_reference_kernels() {
    check_all(|case| run(case, Budget::unlimited));
}

#[test]
fn operators_equal_the_reference_kernels_when_polled_in_random_slices() {
    let mut state = 7;
    check_all(|case| run(case, || Budget::macs(splitmix64(&mut state) % 6000)));
}
