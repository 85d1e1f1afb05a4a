//! Small models, values for them, and comparisons of two engines.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses some of it

use tealight_candle::{Budget, EngineChoice, Mapped};
use tealight_format::{DType, Operands, Operator, Place, align16};
use tealight_kernels::float::f16;
use tealight_testing::build::{Parts, value};
pub use tealight_testing::rng::Rng;

/// An input of an operator.
pub enum Operand {
    Input(Vec<u32>),
    F32(Vec<u32>, Vec<f32>),
    F16(Vec<u32>, Vec<f16>),
    Bytes(Vec<u32>, Vec<u8>),
    None,
}

/// A model of one operator on f32 tensors, with a workspace if it needs one.
pub fn single(operator: Operator, operands: Vec<Operand>, output: &[u32]) -> Parts {
    let mut parts = Parts::default();
    let mut inputs = Vec::new();
    let mut offset = 0;
    let mut place = |dtype, dims: &[u32], live| {
        let value = value(Place::Arena, dtype, dims, offset, live);
        offset = align16(value.end()) as u32;
        value
    };
    let constants =
        operands.iter().filter(|op| matches!(op, Operand::F32(..) | Operand::F16(..) | Operand::Bytes(..))).count()
            as u16;
    for operand in operands {
        let (dims, dtype, bytes) = match operand {
            Operand::None => {
                inputs.push(None);
                continue;
            }
            Operand::Input(dims) => {
                let index = constants + parts.values.len() as u16;
                parts.values.push(place(DType::F32, &dims, (0, 0)));
                parts.inputs += 1;
                inputs.push(Some(index));
                continue;
            }
            Operand::F32(dims, numbers) => (dims, DType::F32, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Operand::F16(dims, numbers) => (dims, DType::F16, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Operand::Bytes(dims, bytes) => (dims, DType::U8, bytes),
        };
        inputs.push(Some(parts.constants.len() as u16));
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        parts.constants.push((NAMES[parts.constants.len()], dtype, dims, bytes));
    }
    let index = constants + parts.values.len() as u16;
    parts.values.push(place(DType::F32, output, (0, 1)));
    parts.outputs.push(index);
    let get = |i: u16| match parts.constants.get(usize::from(i)) {
        Some((_, dtype, dims, _)) => value(Place::Constant, *dtype, dims, 0, (0, 0)),
        None => parts.values[usize::from(i - constants)],
    };
    let mut all = Operands { inputs: [None; 8], count: inputs.len(), output: get(index) };
    for (to, from) in all.inputs.iter_mut().zip(&inputs) {
        *to = from.map(get);
    }
    let scratch = operator.workspace(&all).map(|workspace| {
        parts.values.push(place(DType::U8, &[workspace.len], (0, 0)));
        let scratch = parts.values.last_mut().unwrap();
        scratch.quantization.scale = 0.0;
        index + 1
    });
    parts.op(operator, &inputs, index, scratch);
    parts
}

/// How an inference is split.
#[derive(Clone, Copy, Debug)]
pub enum Slices {
    Whole,
    /// Into parts of random size.
    Random(u64),
}

/// Returns the outputs of one inference. With random slices there must be more than one.
pub fn infer(model: &Mapped, choice: EngineChoice, inputs: &[Vec<f32>], slices: Slices) -> Vec<f32> {
    let mut session = model.session(choice).unwrap();
    for (i, input) in inputs.iter().enumerate() {
        session.input(i).unwrap().copy_from(input).unwrap();
    }
    match slices {
        Slices::Whole => session.run(),
        Slices::Random(seed) => {
            let mut rng = Rng(seed);
            let most = session.model().cost() / 3 + 2;
            let mut polls = 0;
            while session.poll(Budget::macs(rng.below(most))).is_pending() {
                polls += 1;
            }
            assert!(polls > 0, "nothing was cut");
        }
    }
    session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
}

/// Returns bit patterns to compare. NaN has many, of which none is specified.
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}
