//! Every operator, over random shapes and every attribute, gives the bytes of TensorFlow Lite Micro's reference kernels.
//!
//! The f32 operators (files `*_f32`) are compared under a tolerance instead: TensorFlow Lite Micro adds the products of
//! a sum one after another where ours go to eight partial sums, and takes the C library's `exp` where ours is `libm`'s.
//! That our own bytes are the same everywhere is another test: see `digests.rs`.

use tealight::Budget;
use tealight_compiler::{Options, compile_tflite};
use tealight_tests::host::Host;
use tealight_tests::models::splitmix64;
use tealight_tests::ops::{Case, cases, files};

/// How far an f32 output may be off, as a part of what [`Nearness`] names: about 16 units in the last place.
const TOLERANCE: f32 = 2e-6;

/// What the outputs of a file must be.
#[derive(Clone, Copy, PartialEq)]
enum Nearness {
    /// The same bytes: integers, and single operations of f32, which IEEE 754 defines to the last bit.
    Exact,
    /// Near, to the part of each element: functions of one number.
    Elements,
    /// Near, to the part of the tensor's largest magnitude: sums that cancel are off by units of their parts.
    Tensor,
}

impl Nearness {
    fn of(file: &str) -> Self {
        match file {
            "add_f32" | "sub_f32" | "mul_f32" | "max_pool2d_f32" => Self::Exact,
            "unary_f32" => Self::Elements,
            _ if file.ends_with("_f32") => Self::Tensor,
            _ => Self::Exact,
        }
    }
}

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
                near(found, expected, nearness).map_err(|error| format!("step {k}, output {i} {error}"))?;
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

fn near(found: &[u8], expected: &[u8], nearness: Nearness) -> Result<(), String> {
    let reals = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let (found, expected) = (reals(found), reals(expected));
    if found.len() != expected.len() {
        return Err(format!("has {} elements instead of {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        // Where functions cross 0 their arguments' last bits show: no element counts as less than 0.01.
        let magnitude = if nearness == Nearness::Elements { b.abs().max(0.01) } else { largest };
        // A NaN is not near.
        let near = (a - b).abs() <= TOLERANCE * magnitude;
        if !near {
            return Err(format!("is off at element {i}: {a}, expected {b}; the largest is {largest}"));
        }
    }
    Ok(())
}

fn check_all(mut budget: impl FnMut() -> Budget) {
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in files() {
        for (name, case) in cases(&file) {
            count += 1;
            if let Err(error) = check(&case, Nearness::of(&file), &mut budget) {
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
