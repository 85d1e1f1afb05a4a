//! Files that take the parser long for their length, of any length: what its time is bounded by is measured with them.
//!
//! Each does one kind of work as often as its bytes can ask for. All but those that say so are models.

use tealight_format::ops::{ActivationRange, Concat, Conv2d, Copy};
use tealight_format::{DType, MAX_LIVE, Model, OpCode, Operator, Place, Value, align16};
use tealight_testing::build::{self, Constant, Parts, arena, value};

/// A kind of file.
#[derive(Debug)]
pub struct Kind {
    /// What there is much of.
    pub name: &'static str,
    /// Whether the file is a model.
    pub is_model: bool,
    /// Makes a file of about so many bytes.
    pub file: fn(usize) -> Vec<u8>,
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind { name: "constants with short names", is_model: true, file: short_names },
    Kind { name: "constants with long names, nearly equal", is_model: true, file: long_names },
    Kind { name: "constants of one byte and six dimensions", is_model: true, file: six_dimensions },
    Kind { name: "a tensor of very many dimensions", is_model: false, file: many_dimensions },
    Kind { name: "spaces between tokens", is_model: true, file: spaces },
    Kind { name: "metadata of one long text", is_model: true, file: |length| metadata(length, "x") },
    Kind { name: "metadata of escapes", is_model: true, file: |length| metadata(length, r"\n") },
    Kind { name: "metadata of letters of two bytes", is_model: true, file: |length| metadata(length, "\u{e9}") },
    Kind { name: "metadata of letters of four bytes", is_model: true, file: |length| metadata(length, "\u{1f30a}") },
    Kind { name: "metadata of short keys", is_model: true, file: short_keys },
    Kind { name: "state", is_model: true, file: state },
    Kind { name: "views", is_model: true, file: views },
    Kind { name: "outputs", is_model: true, file: outputs },
    Kind { name: "channel tables", is_model: true, file: channels },
    Kind { name: "operators", is_model: true, file: |length| operators(length, 1, 1, false) },
    Kind { name: "operators of eight inputs", is_model: true, file: |length| operators(length, 8, 1, false) },
    Kind {
        name: "operators while much is live",
        is_model: true,
        file: |length| operators(length, 1, MAX_LIVE_BESIDE, false),
    },
    Kind {
        name: "operators of eight inputs while much is live",
        is_model: true,
        file: |length| operators(length, 8, MAX_LIVE_BESIDE, false),
    },
    Kind {
        name: "operators with scratch values while much is live",
        is_model: true,
        file: |length| operators(length, 1, MAX_LIVE_BESIDE, true),
    },
    Kind { name: "operators that write state while much is live", is_model: true, file: into_state },
    Kind { name: "operators that share one channel table", is_model: true, file: shared_channels },
];

/// The maximum number of values that may be live beside an operator's output.
const MAX_LIVE_BESIDE: usize = MAX_LIVE - 1;

/// Bytes of a value and of an operator record.
const VALUE: usize = 64;
const OP: usize = 96;

/// A name for the rest of the program: parts of a file are named for good.
fn name(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn of_constants(constants: Vec<Constant>) -> Vec<u8> {
    Parts { constants, ..Parts::default() }.file()
}

fn short_names(length: usize) -> Vec<u8> {
    let count = length / (VALUE + 16 + 66);
    of_constants((0..count).map(|i| (name(format!("{i:04x}")), DType::I8, vec![16], vec![0; 16])).collect())
}

fn long_names(length: usize) -> Vec<u8> {
    let (count, same) = (length / (VALUE + 16 + 66 + 1000), "n".repeat(1000));
    of_constants((0..count).map(|i| (name(format!("{same}{i:04x}")), DType::I8, vec![16], vec![0; 16])).collect())
}

fn six_dimensions(length: usize) -> Vec<u8> {
    let count = length / (VALUE + 16 + 80);
    let dims = vec![1, 1, 1, 1, 1, 16];
    of_constants((0..count).map(|i| (name(format!("{i:04x}")), DType::I8, dims.clone(), vec![0; 16])).collect())
}

/// The header of `file` with another text in the place of a part of it.
fn with_text(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let data_at = build::plan_at(file);
    let json = String::from_utf8_lossy(&file[8..data_at]).trim_end().replacen(from, to, 1);
    build::with_header(&json, &file[data_at..])
}

fn many_dimensions(length: usize) -> Vec<u8> {
    let file = of_constants(vec![("a", DType::I8, vec![16], vec![0; 16])]);
    // More dimensions than a value can have: the container does not mind, the plan has one tensor too few.
    let json = |dims: &str| format!(r#","b":{{"dtype":"I8","shape":[16{dims}],"data_offsets":["#);
    let data_at = build::plan_at(&file);
    let begin = file.len() - data_at;
    let entry = format!("{}{begin},{}]}}}}", json(&",1".repeat(length / 2)), begin + 16);
    let text = String::from_utf8_lossy(&file[8..data_at]).trim_end().to_string();
    let text = format!("{}{entry}", text.strip_suffix('}').unwrap_or_default());
    build::with_header(&text, &[&file[data_at..], &[0; 16]].concat())
}

fn spaces(length: usize) -> Vec<u8> {
    let file = of_constants(vec![("a", DType::I8, vec![16], vec![0; 16])]);
    with_text(&file, r#""dtype":"#, &format!("\"dtype\":{}", " ".repeat(length)))
}

fn metadata(length: usize, letter: &str) -> Vec<u8> {
    let file = of_constants(vec![("a", DType::I8, vec![16], vec![0; 16])]);
    with_text(&file, r#""format":"tealight""#, &format!(r#""format":"{}""#, letter.repeat(length / letter.len())))
}

fn short_keys(length: usize) -> Vec<u8> {
    let file = of_constants(vec![("a", DType::I8, vec![16], vec![0; 16])]);
    let keys: Vec<String> = (0..length / 10).map(|i| format!(r#""{i:04x}":"""#)).collect();
    with_text(&file, r#""format":"tealight""#, &keys.join(","))
}

fn state(length: usize) -> Vec<u8> {
    let count = (length / VALUE) as u32;
    let of = |i| Value { init: Some(0), ..value(Place::State, DType::I8, &[1, 1, 1, 1, 1, 16], 16 * i, (0, 0)) };
    let constants: Vec<Constant> = vec![("a", DType::I8, vec![16], vec![0; 16])];
    Parts { constants, values: (0..count).map(of).collect(), ..Parts::default() }.file()
}

fn views(length: usize) -> Vec<u8> {
    let base = arena(&[1, 1, 1, 1, 1, 16], 0, (0, 0));
    let mut values = vec![base];
    values.resize(length / VALUE, Value { alias: Some(0), ..base });
    Parts { values, inputs: 1, ..Parts::default() }.file()
}

fn outputs(length: usize) -> Vec<u8> {
    let base = arena(&[16], 0, (0, 0));
    let values = vec![base, Value { alias: Some(0), ..base }];
    Parts { values, inputs: 1, outputs: vec![1; (length / 2).min(65_535)], ..Parts::default() }.file()
}

/// A channel table of `count` channels, multipliers of one half.
fn table(count: usize) -> Vec<u8> {
    [0i32, 1 << 30, 0].map(i32::to_le_bytes).as_flattened().repeat(count)
}

/// Convolutions of one pixel, `ops` of them, to as many channels as the table `"channels"` has.
fn convolutions(ops: usize, channels: u32) -> Parts {
    let last = ops as u16;
    let mut values = vec![arena(&[1, 1, 1, 1], 0, (0, last))];
    let offset = |i: usize| 16 + channels.next_multiple_of(16) * (i % 2) as u32;
    values.extend((0..ops).map(|i| arena(&[1, 1, 1, channels], offset(i), (i as u16, i as u16))));
    let weights = vec![1; channels as usize];
    let mut parts = Parts {
        constants: vec![
            ("channels", DType::I32, vec![channels, 3], table(channels as usize)),
            ("weights", DType::I8, vec![channels, 1, 1, 1], weights),
        ],
        values,
        inputs: 1,
        ..Parts::default()
    };
    let conv = Conv2d { stride: [1, 1], dilation: [1, 1], pad: [0, 0], activation: ActivationRange::FULL };
    parts.op(Operator::Conv2d(conv), &[Some(2), Some(1), Some(0)], 3, None);
    parts.ops = vec![parts.ops[0]; ops];
    parts.ops.iter_mut().zip(3..).for_each(|(op, output)| op.output = output);
    parts
}

fn channels(length: usize) -> Vec<u8> {
    convolutions(1, (length / 13) as u32).file()
}

fn shared_channels(length: usize) -> Vec<u8> {
    convolutions(length / 2 / (OP + VALUE), (length / 2 / 13) as u32).file()
}

/// Inputs that are live to the end, `live` of them, views of the first, and operators that read eight views or one and
/// write what dies at once.
fn operators(length: usize, inputs: usize, live: usize, with_scratch: bool) -> Vec<u8> {
    let written = 1 + usize::from(with_scratch);
    let count = length.saturating_sub(live * VALUE) / (OP + written * VALUE);
    let last = count as u16;
    let mut values: Vec<Value> = (0..live as u32).map(|i| arena(&[1; 6], 16 * i, (0, last))).collect();
    let offset = |i: usize| 16 * (live + i % 2) as u32;
    let scratch_offset = 16 * (live + 2) as u32;
    for i in 0..count {
        let live = (i as u16, i as u16);
        values.push(arena(&[1, 1, 1, 1, 1, inputs as u32], offset(i), live));
        if with_scratch {
            values.push(value(Place::Arena, DType::U8, &[1], scratch_offset, live));
        }
    }
    let view = values.len() as u16;
    values.extend([Value { alias: Some(0), ..values[0] }; 8]);
    let (operator, read) = if inputs == 1 {
        (Operator::Copy(Copy), vec![Some(view)])
    } else {
        (Operator::Concat(Concat { axis: 5 }), (0..inputs as u16).map(|k| Some(view + k)).collect())
    };
    let mut parts = Parts { values, inputs: live as u16, ..Parts::default() };
    parts.op(operator, &read, live as u16, with_scratch.then_some(live as u16 + 1));
    let op = parts.ops[0];
    let at = |i: usize| (live + written * i) as u16;
    parts.ops = vec![op; count];
    for (i, op) in parts.ops.iter_mut().enumerate() {
        (op.output, op.scratch) = (at(i), with_scratch.then_some(at(i) + 1));
    }
    parts.file()
}

fn into_state(length: usize) -> Vec<u8> {
    let live = MAX_LIVE_BESIDE;
    let count = length.saturating_sub((live + 1) * VALUE) / OP;
    let last = count as u16;
    let mut values: Vec<Value> = (0..live as u32).map(|i| arena(&[1], 16 * (i + 1), (0, last))).collect();
    values.push(value(Place::State, DType::I8, &[1], 0, (0, 0)));
    let mut parts = Parts { values, inputs: live as u16, ..Parts::default() };
    parts.op(Operator::Copy(Copy), &[Some(0)], live as u16, None);
    parts.ops = vec![parts.ops[0]; count];
    parts.file()
}

/// The operator `code` of a model again and again, in a file of about `length` bytes, while much is live. `None` where
/// the model has no such operator that writes to the arena.
pub fn repeated(model: &Model<'_>, code: OpCode, length: usize) -> Option<Vec<u8>> {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut ops = (0..model.op_count()).map(|i| model.op(i));
    let op = ops.find(|op| op.operator.code() == code && model.value(op.output.into()).is_arena())?;
    let operands = model.operands(&op);
    let workspace = op.operator.workspace(&operands);
    // What it reads, once each.
    let mut read: Vec<u16> = op.inputs.iter().flatten().copied().collect();
    read.sort_unstable();
    read.dedup();
    let of = |wanted: fn(&Value) -> bool| read.iter().copied().filter(move |&i| wanted(&model.value(i.into())));
    let (constants, states) = (of(Value::is_constant), of(Value::is_state));
    let inputs: Vec<u16> = of(Value::is_arena).collect();
    let mut order: Vec<u16> = constants.collect();
    let mut parts = Parts::default();
    for (&i, name) in order.iter().zip(NAMES) {
        let v = model.value(i.into());
        parts.constants.push((name, v.dtype, v.shape.dims().to_vec(), model.constant(&v).to_vec()));
    }
    let written = 1 + usize::from(workspace.is_some());
    let fixed = length.saturating_sub((MAX_LIVE_BESIDE + order.len()) * VALUE);
    let count = fixed / (OP + written * VALUE);
    let live = |from: usize, to: usize| (from as u16, to as u16);
    let mut end = 0;
    let mut placed = |v: Value, live: (u16, u16)| {
        // No operator here is in a group.
        let [alias, init] = [None; 2];
        let v = Value { offset: end, len: v.whole_len(), first: live.0, last: live.1, alias, init, rows: None, ..v };
        end = align16(v.end()) as u32;
        v
    };
    let states: Vec<(u16, Value)> = states.map(|i| (i, placed(model.value(i.into()), live(0, count)))).collect();
    for &i in &inputs {
        order.push(i);
        parts.values.push(placed(model.value(i.into()), live(0, count)));
    }
    for _ in inputs.len()..MAX_LIVE_BESIDE {
        order.push(u16::MAX);
        parts.values.push(placed(arena(&[1], 0, (0, 0)), live(0, count)));
    }
    parts.inputs = parts.values.len() as u16;
    for (i, state) in states {
        order.push(i);
        parts.values.push(state);
    }
    let outputs = [(); 2].map(|()| placed(operands.output, live(0, 0)));
    let scratch =
        workspace.map(|workspace| placed(value(Place::Arena, DType::U8, &[workspace.len], 0, (0, 0)), live(0, 0)));
    let first = order.len();
    for i in 0..count {
        for v in [Some(outputs[i % 2]), scratch].into_iter().flatten() {
            parts.values.push(Value { first: i as u16, last: i as u16, ..v });
        }
    }
    let index = |i: u16| order.iter().position(|&of| of == i).map_or(i, |at| at as u16);
    let inputs: Vec<Option<u16>> = op.inputs[..op.count.into()].iter().map(|i| i.map(index)).collect();
    parts.op(op.operator, &inputs, first as u16, None);
    parts.ops = vec![parts.ops[0]; count];
    for (i, op) in parts.ops.iter_mut().enumerate() {
        let output = (first + written * i) as u16;
        (op.output, op.scratch) = (output, scratch.map(|_| output + 1));
    }
    Some(parts.file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn every_operator_can_be_repeated() {
        for &code in OpCode::ALL {
            let seed = std::fs::read(root().join(format!("tests/fuzz/seeds/{}.safetensors", code.name()))).unwrap();
            let file = repeated(&Model::parse(&seed).unwrap(), code, 40_000);
            let file = file.unwrap_or_else(|| panic!("{} only writes state", code.name()));
            let model = Model::parse(&file).unwrap_or_else(|error| panic!("{}: {error}", code.name()));
            assert!(model.op_count() > 60 && model.op(model.op_count() - 1).operator.code() == code);
        }
    }

    #[test]
    fn files_of_every_kind_have_the_stated_length_and_kind() {
        for Kind { name, is_model, file } in KINDS {
            for length in [20_000, 100_000] {
                let file = file(length);
                assert!(file.len() > length / 2 && file.len() < 2 * length, "{name}: {} for {length}", file.len());
                assert_eq!(Model::parse(&file).is_ok(), *is_model, "{name}: {:?}", Model::parse(&file).err());
            }
        }
    }
}
