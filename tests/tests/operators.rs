//! Every operator, over random shapes and every attribute, gives the bytes of TensorFlow Lite Micro's reference
//! kernels.
//!
//! Sums and functions of f32 operators (files `*_f32`) are compared under a tolerance instead: `tolerance.rs` says why.
//! That our own bits are the same everywhere is another test: see `digests.rs`.

use tealight::{Budget, OwnedSession};
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::models::splitmix64;
use tealight_tests::ops::{Case, Step, cases, check_all, files};

/// The outputs of all steps of a case, compiled with `options` and each polled with budgets from `budget`.
fn run(case: &Case, options: &Options, mut budget: impl FnMut() -> Budget) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let compiled = compile_tflite(&case.model, options).map_err(|e| format!("does not compile: {e}"))?;
    let mut session = OwnedSession::from_bytes(&compiled.bytes).map_err(|e| format!("does not parse: {e}"))?;
    let step = |step: &Step| {
        for (i, input) in step.inputs.iter().enumerate() {
            let mut tensor = session.input(i).ok_or_else(|| format!("there is no input {i}"))?;
            tensor.copy_from_bytes(input).map_err(|e| format!("input {i}: {e}"))?;
        }
        while session.poll(budget()).is_pending() {}
        let output = |i| Ok(session.output(i).ok_or_else(|| format!("there is no output {i}"))?.as_bytes().to_vec());
        (0..step.outputs.len()).map(output).collect()
    };
    case.steps.iter().map(step).collect()
}

#[test]
fn operators_equal_the_reference_kernels() {
    check_all(|case| run(case, &Options::default(), Budget::unlimited));
}

#[test]
fn operators_equal_the_reference_kernels_when_polled_in_random_slices() {
    let mut state = 7;
    // With a map of the tensors too, which changes nothing.
    let options = Options { keep_tensor_map: true, ..Options::default() };
    check_all(|case| run(case, &options, || Budget::macs(splitmix64(&mut state) % 6000)));
}

#[test]
fn functions_of_one_int8_value_are_compared_for_all_of_its_values() {
    for file in ["abs", "elu", "rsqrt", "hard_swish", "leaky_relu", "logistic", "relu", "relu6", "requantize", "tanh"] {
        let complete = cases(file).values().filter(|case| case.steps.iter().any(has_all_values)).count();
        assert!(complete >= 16, "{file} has only {complete} cases with all 256 values");
    }
}

/// Whether each of the 256 values of a byte is in the first input.
fn has_all_values(step: &Step) -> bool {
    (0..=u8::MAX).all(|value| step.inputs[0].contains(&value))
}

#[test]
fn a_model_compiles_to_the_same_bytes_each_time() {
    let mut count = 0;
    for case in files().iter().flat_map(|file| cases(file).into_values().step_by(11)) {
        let compiled =
            || compile_tflite(&case.model, &Options::default()).unwrap_or_else(|e| panic!("{}: {e}", case.about));
        assert_eq!(compiled().bytes, compiled().bytes, "{}", case.about);
        count += 1;
    }
    assert!(count > 50, "only {count} models");
}
