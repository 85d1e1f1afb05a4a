//! What the fuzz targets share: builders of nearly valid files, which property tests have too, and what must hold of
//! files.

#![allow(missing_docs, clippy::unwrap_used)] // a failed unwrap is a finding

pub mod graph;
#[cfg(feature = "text")]
pub mod text;

use cap::Cap;
use exercise::{Limits, Outcome, exercise};
use random::Choices;
use std::alloc::System;
use tealight::{Align16, AllOps, DType, Model, Session};
use tealight_compiler::quantize::QuantizeError;
use tealight_compiler::{CompileError, Compiled, Options};
use tealight_format::ops::BlockType;
pub use tealight_testing::{build, exercise, gguf, gguf_random, random, tflite_random as tflite};

/// What one input may hold at a time, with what the target keeps: 256 MiB. Beyond it, the process aborts, which is a
/// finding.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 256 << 20);

/// How large a model may be to be run on each input.
pub const LIMITS: Limits = Limits { arena: 1 << 20, cost: 1_000_000 };

/// The first bytes, for inputs and budgets, and the rest, of which the file is made.
pub fn split(data: &[u8]) -> (Choices<'_>, Choices<'_>) {
    let (rest, choices) = data.split_at(data.len().min(64));
    (Choices::new(rest), Choices::new(choices))
}

/// Options of a compilation.
pub fn options(choose: &mut Choices<'_>) -> Options {
    let block = choose.pick(&[BlockType::Q8_0, BlockType::Q4_0, BlockType::Q4K]);
    Options {
        quantize: choose.one_in(4).then_some(block),
        f16: choose.one_in(4),
        keep_names: choose.one_in(4),
        keep_tensor_map: choose.one_in(4),
        ..Options::default()
    }
}

/// What was compiled parses and runs; what was not, was refused for a reason that is not the compiler's own. Gives the
/// file.
pub fn check(compiled: Result<Compiled, CompileError>, choose: &mut Choices<'_>) -> Option<Vec<u8>> {
    match compiled {
        Ok(compiled) => {
            let outcome = exercise(&compiled.bytes, LIMITS, choose);
            assert_ne!(outcome, Outcome::Refused, "{:?}", Model::parse(&compiled.bytes).map(|_| ()));
            let model = Model::parse(&compiled.bytes).unwrap();
            assert_eq!(model.arena_len(), compiled.report.arena_len as usize);
            safetensors::SafeTensors::deserialize(&compiled.bytes).unwrap();
            Some(compiled.bytes)
        }
        Err(CompileError::Internal(what)) => panic!("{what}"),
        Err(error) => {
            let _ = error.to_string();
            None
        }
    }
}

/// As [`check`], of what was quantized.
pub fn check_quantized<T>(result: Result<(Compiled, T), QuantizeError>, choose: &mut Choices<'_>) {
    match result {
        Ok((compiled, _)) => drop(check(Ok(compiled), choose)),
        Err(QuantizeError::Compile(error)) => drop(check(Err(error), choose)),
        Err(error) => drop(error.to_string()),
    }
}

/// The outputs of two inferences in a row, each with one NaN for all of them; `None` if the file is refused.
pub fn two_inferences(file: &[u8], choose: &mut Choices<'_>) -> Option<Vec<Vec<u8>>> {
    let mut blocks = exercise::aligned(file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).ok()?;
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let mut session = Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).unwrap();
    let mut outputs = Vec::new();
    for _ in 0..2 {
        for i in 0..model.input_count() {
            let len = model.value(model.input(i).unwrap()).len as usize;
            session.input(i).unwrap().copy_from_bytes(&choose.bytes(len)[..]).unwrap();
        }
        session.run();
        for i in 0..model.output_count() {
            let output = session.output(i).unwrap();
            outputs.push(match output.dtype() {
                DType::F32 => {
                    let one = |x: &f32| if x.is_nan() { f32::NAN } else { *x }.to_le_bytes();
                    output.as_slice::<f32>().unwrap().iter().flat_map(one).collect()
                }
                _ => output.as_bytes().to_vec(),
            });
        }
    }
    Some(outputs)
}
