//! Runs the program on this machine with models and files.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::{ElementType::F32, TensorId};
use tealight_format::Operator;
use tealight_format::ops::{UnaryF32, UnaryFunction};

/// Returns a model whose output is -x of the result of `source`.
fn negative(source: impl Fn(&mut Builder) -> TensorId) -> Vec<u8> {
    let mut b = Builder::new();
    let x = source(&mut b);
    let neg = UnaryF32 { function: UnaryFunction::Neg };
    let y = b.op("y", Operator::UnaryF32(neg), [x], F32, &[1]);
    b.output(y);
    compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap().bytes
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Runs one model on `input`; returns the program's output and the model's.
fn run(model: &[u8], input: &[u8]) -> (Output, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let file = |part: &str| folder.path().join(format!("0.{part}"));
    std::fs::write(file("model"), model).unwrap();
    std::fs::write(file("input"), input).unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_tealight-linux")).arg(folder.path()).arg("1").output().unwrap();
    (ended, std::fs::read(file("output")).unwrap_or_default())
}

#[test]
fn each_input_in_a_row_gives_its_output() {
    let model = negative(|b| b.input("x", F32, &[1]));
    let (ended, outputs) = run(&model, &floats(&[1.0, 2.0, 3.0]));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(outputs, floats(&[-1.0, -2.0, -3.0]));
    let (ended, _) = run(&model, &[0; 5]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
}

#[test]
fn a_model_without_inputs_runs_once_and_takes_none() {
    let model = negative(|b| b.state_with("state", F32, &[1], floats(&[7.0])));
    let (ended, outputs) = run(&model, &[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(outputs, floats(&[-7.0]));
    let (ended, _) = run(&model, &[0; 4]);
    let message = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(1) && message.contains("no inputs"), "{message}");
}
