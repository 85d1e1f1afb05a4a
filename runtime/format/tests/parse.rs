//! Files that the parser accepts and files that it refuses. The `safetensors` crate accepts every file that it accepts.

use proptest::prelude::*;
use safetensors::SafeTensors;
use tealight_format::ops::{
    ActivationRange, Copy, FullyConnected, FullyConnectedF32, Function, GatherF32, Lookup, LstmF32, Mul, Multiplier,
};
use tealight_format::{
    DType, HeaderFault, MAX_LIVE, Model, ModelError, OUTPUT, OpCode, OpFault, OpSet, Operator, Place, ValueFault,
};
use tealight_testing::build::{
    self, Parts, arena, in_rows, neuron_of_int4, neurons_in_pairs, neurons_of_bytes, op_at, overlapping, plan_at, relu,
    value_at, with_header,
};

fn error(file: &[u8]) -> ModelError {
    Model::parse(file).expect_err("the file must be refused")
}

fn with_byte(mut file: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    assert_ne!(file[at], byte, "the change must change something");
    file[at] = byte;
    file
}

#[test]
fn hand_made_files_parse_and_read_back() {
    let file = relu().file();
    let model = Model::parse(&file).unwrap();
    assert_eq!((model.value_count(), model.op_count(), model.arena_len(), model.state_len()), (3, 1, 32, 0));
    assert_eq!((model.input(0), model.output(0)), (Some(1), Some(2)));
    assert!(model.constant_names().eq(["relu.table"]));
    assert_eq!(model.constant(&model.value(0)).len(), 256);
    assert_eq!(model.metadata("format"), Some("tealight"));
    assert_eq!(model.metadata("name"), Some(r#"by \"hand\""#));
    assert_eq!(model.metadata("absent"), None);
    assert_eq!(model.op(0).operator, Operator::Lookup(Lookup { function: Function::Relu }));
    Model::parse(&overlapping().file()).unwrap();
}

#[test]
fn the_core_crate_has_these_example_files() {
    for (name, parts) in [("relu", relu()), ("rows", in_rows())] {
        let path = format!("{}/../core/tests/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("TEALIGHT_BLESS").is_some() {
            std::fs::write(&path, parts.file()).unwrap();
        }
        let committed = std::fs::read(&path).unwrap();
        assert!(parts.file() == committed, "{path} is not what the tests make: `cargo xtask renew` makes it anew");
    }
}

#[test]
fn an_index_past_a_table_returns_an_empty_record() {
    let file = relu().file();
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.value(99).len, 0);
    assert_eq!(model.op(99).rows, 0);
    assert_eq!((model.input(1), model.output(1)), (None, None));
}

#[test]
fn every_prefix_is_refused() {
    let file = relu().file();
    for len in (0..file.len()).step_by(if cfg!(miri) { 61 } else { 1 }) {
        assert!(Model::parse(&file[..len]).is_err(), "a prefix of {len} bytes");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut file = relu().file();
    file.extend([0; 16]);
    assert!(matches!(error(&file), ModelError::Header { fault: HeaderFault::Length, .. }));
}

#[test]
fn headers_that_break_a_rule_are_refused_with_the_rule() {
    let plan = relu().plan();
    let n = plan.len();
    let first = format!(r#""plan":{{"dtype":"U8","shape":[{n}],"data_offsets":[0,{n}]}}"#);
    let second = |name: &str, dtype: &str, shape: &str, begin: usize, end: usize| {
        let json =
            format!(r#"{{{first},"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}}}"#);
        let mut data = plan.clone();
        data.resize(end.clamp(n, n + 64), 0);
        error(&with_header(&json, &data))
    };
    let fault = |error: ModelError| match error {
        ModelError::Header { fault, .. } => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(second("a", "I8", "[16]", n + 16, n + 32)), HeaderFault::Offsets, "a gap");
    assert_eq!(fault(second("a", "I8", "[16]", n - 16, n)), HeaderFault::Offsets, "an overlap");
    assert_eq!(fault(second("a", "I8", "[8]", n, n + 16)), HeaderFault::Offsets, "a size that is not the shape's");
    assert_eq!(fault(second("a", "I8", "[0]", n, n)), HeaderFault::Offsets, "nothing in it");
    assert_eq!(fault(second("a", "I8", "[8]", n, n + 8)), HeaderFault::Alignment);
    assert_eq!(fault(second("plan", "I8", "[16]", n, n + 16)), HeaderFault::Name, "a second plan");
    assert_eq!(fault(second("a\\n", "I8", "[16]", n, n + 16)), HeaderFault::Name, "an escape");
    assert_eq!(fault(second("__metadata__", "I8", "[16]", n, n + 16)), HeaderFault::Name);
    assert_eq!(fault(second("a", "F8_E4M3", "[16]", n, n + 16)), HeaderFault::Type);
    assert_eq!(fault(second("a", "I8", "[016]", n, n + 16)), HeaderFault::Json, "a leading zero");
    assert_eq!(fault(second("a", "I8", "[4,-4]", n, n + 16)), HeaderFault::Json);
    assert_eq!(fault(second("a", "I8", "[65536,65536,65536]", n, n + 16)), HeaderFault::TooLong);
    assert_eq!(fault(error(&with_header(&format!(" {{{first}}}"), &plan))), HeaderFault::Json, "a space before");
    assert_eq!(fault(error(&with_header(&format!("{{{first}}}x"), &plan))), HeaderFault::Json, "text after");
    assert_eq!(fault(error(&with_header(&format!("{{{first},}}"), &plan))), HeaderFault::Json);
    let bad_utf8 = with_byte(with_header(&format!("{{{first}}}"), &plan), 10, 0xff);
    assert_eq!(fault(error(&bad_utf8)), HeaderFault::Utf8);
}

#[test]
fn other_safetensors_files_are_named_as_such() {
    let json = r#"{"weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
    assert_eq!(error(&with_header(json, &[0; 16])), ModelError::NotTealight);
}

#[test]
fn another_version_is_refused_with_its_number_and_what_to_do() {
    let file = relu().file();
    let at = plan_at(&file) + 8;
    let of = |version| error(&with_byte(file.clone(), at, version));
    assert_eq!([of(1), of(9)], [1, 9].map(|found| ModelError::Version { found }));
    assert!(of(1).to_string().contains("format version 1") && of(1).to_string().contains("compile it again"));
    assert!(of(9).to_string().contains("format version 9") && of(9).to_string().contains("update Tealight"));
    // Nothing else in such a file is read.
    for header in [r#""__metadata__":{"b":"x","a":"x"},"#, ""] {
        let mut file = named(header, &["b", "a"]);
        let at = plan_at(&file);
        file[at + 8] = 1;
        file[at + 12..at + 64].fill(0xff);
        assert_eq!(error(&file), ModelError::Version { found: 1 });
    }
}

#[test]
fn an_unknown_operator_is_refused_with_its_index() {
    let file = relu().file();
    let at = op_at(&file, 3, 0);
    assert_eq!(error(&with_byte(file, at, 99)), ModelError::Op { op: 0, fault: OpFault::UnknownOperator });
}

#[test]
fn plans_that_break_a_rule_are_refused_with_the_rule() {
    type Case = (fn(&mut Parts), ModelError);
    let cases: [Case; 11] = [
        (|p| p.values[1].offset = 0, ModelError::Op { op: 0, fault: OpFault::Scratch }),
        (|p| p.values[1].offset = 8, ModelError::Value { value: 2, fault: ValueFault::Range }),
        (|p| p.values[1].last = 0, ModelError::Interface { index: 1 }),
        (|p| p.values[0].first = 1, ModelError::Value { value: 1, fault: ValueFault::LiveRange }),
        (|p| p.values[0].quantization.scale = f32::NAN, ModelError::Value { value: 1, fault: ValueFault::Scale }),
        (|p| p.ops[0].rows = 2, ModelError::Op { op: 0, fault: OpFault::Work }),
        (|p| p.ops[0].row_cost -= 1, ModelError::Op { op: 0, fault: OpFault::Work }),
        (|p| p.ops[0].prepare_cost = 1, ModelError::Op { op: 0, fault: OpFault::Work }),
        (|p| p.ops[0].inputs[0] = Some(77), ModelError::Op { op: 0, fault: OpFault::OperandIndex { operand: 0 } }),
        (|p| p.ops[0].inputs[0] = Some(2), ModelError::Op { op: 0, fault: OpFault::NotLive { operand: 0 } }),
        (|p| p.ops[0].output = 0, ModelError::Op { op: 0, fault: OpFault::Shape { operand: OUTPUT } }),
    ];
    for (i, (change, expected)) in cases.into_iter().enumerate() {
        let mut parts = relu();
        change(&mut parts);
        assert_eq!(error(&parts.file()), expected, "case {i}");
    }
}

#[test]
fn values_that_are_live_at_the_same_time_must_not_overlap() {
    let mut parts = relu();
    // A second input overlaps the first.
    parts.values.insert(1, arena(&[3], 0, (0, 1)));
    parts.inputs = 2;
    parts.outputs = vec![3];
    parts.ops[0].output = 3;
    assert_eq!(error(&parts.file()), ModelError::Overlap { first: 1, second: 2 });
    parts.values[1].offset = 32;
    Model::parse(&parts.file()).unwrap();
    // The output overlaps an input that its operator does not read.
    parts.values[2].offset = 32;
    assert_eq!(error(&parts.file()), ModelError::Overlap { first: 2, second: 3 });
    // A scratch value overlaps an input that is still needed.
    let mut parts = overlapping();
    parts.values[3].offset = 96;
    assert_eq!(error(&parts.file()), ModelError::Overlap { first: 3, second: 5 });
    // A scratch value overlaps an input that its operator reads.
    let mut parts = overlapping();
    parts.values[3].offset = 64;
    assert_eq!(error(&parts.file()), ModelError::Overlap { first: 2, second: 5 });
}

/// `count` outputs of one byte, each a copy of the single input and live to the end, and the input.
fn all_live(count: u16) -> Parts {
    let mut values = vec![arena(&[1], 0, (0, count - 1))];
    values.extend((0..count).map(|i| arena(&[1], 16 * (u32::from(i) + 1), (i, count))));
    let mut parts = Parts { values, inputs: 1, outputs: (1..=count).collect(), ..Parts::default() };
    (0..count).for_each(|i| parts.op(Operator::Copy(Copy), &[Some(0)], i + 1, None));
    parts
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_number_of_live_values_is_limited() {
    let max = MAX_LIVE as u16;
    Model::parse(&all_live(max - 1).file()).unwrap();
    assert_eq!(error(&all_live(max).file()), ModelError::TooManyLive { op: max - 1 });
    // There may be more values if some are no longer live.
    let mut parts = all_live(max);
    parts.values[1].last = 7;
    parts.outputs.remove(0);
    Model::parse(&parts.file()).unwrap();
    // Inputs count too.
    let values = (0..=max).map(|i| arena(&[1], 16 * u32::from(i), (0, 0))).collect();
    let mut parts = Parts { values, inputs: max + 1, ..Parts::default() };
    assert_eq!(error(&parts.file()), ModelError::TooManyLive { op: 0 });
    parts.values.pop();
    parts.inputs -= 1;
    Model::parse(&parts.file()).unwrap();
}

#[test]
fn an_output_must_keep_the_distance_to_its_input_that_its_rows_need() {
    // Row y of a 3x3 convolution needs input rows from y - 1 on: with rows of 8 bytes, 8 bytes of distance.
    let mut parts = overlapping();
    let refused = ModelError::Op { op: 0, fault: OpFault::Overlap { operand: 0 } };
    parts.values[0].offset = 0;
    assert_eq!(error(&parts.file()), refused);
    // Without the scratch value it may not overlap at all.
    let mut parts = overlapping();
    let (Some(add), Some(conv)) = (parts.ops.pop(), parts.ops.pop()) else { unreachable!() };
    parts.op(conv.operator, &conv.inputs[..3], conv.output, None);
    parts.ops.push(add);
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: OpFault::Scratch });
    // Nor may it overlap if the input is needed later.
    let mut parts = overlapping();
    parts.values[0].last = 1;
    assert_eq!(error(&parts.file()), refused);
}

#[test]
fn a_scratch_value_holds_whole_rows_and_no_more_than_all() {
    // Eight rows of eight bytes. The value moves above all others, where any length is free.
    let with_scratch = |len| {
        let mut parts = overlapping();
        parts.values[3] = build::value(Place::Arena, DType::U8, &[len], 160, (0, 0));
        parts.file()
    };
    for rows in 1..=8 {
        Model::parse(&with_scratch(8 * rows)).unwrap();
    }
    for len in [1, 7, 9, 12, 65, 72] {
        assert_eq!(error(&with_scratch(len)), ModelError::Op { op: 0, fault: OpFault::Scratch }, "{len} bytes");
    }
}

#[test]
fn an_arena_length_that_is_not_the_needed_one_is_refused() {
    let file = relu().file();
    let at = plan_at(&file) + 28;
    assert_eq!(error(&with_byte(file, at, 48)), ModelError::ArenaLength { needed: 32 });
}

#[test]
fn a_value_that_nothing_writes_is_refused() {
    let mut parts = relu();
    parts.values.push(arena(&[16], 32, (0, 0)));
    assert_eq!(error(&parts.file()), ModelError::Value { value: 3, fault: ValueFault::LiveRange });
}

#[test]
fn padding_of_the_plan_that_is_not_zero_is_refused() {
    let file = relu().file();
    let end = plan_at(&file) + relu().plan().len();
    assert_eq!(error(&with_byte(file, end - 1, 1)), ModelError::PlanSize);
}

#[test]
fn a_reserved_byte_that_is_set_is_refused() {
    let file = relu().file();
    let at = value_at(&file, 1) + 60;
    assert_eq!(error(&with_byte(file, at, 1)), ModelError::Value { value: 1, fault: ValueFault::Record });
}

#[test]
fn the_range_of_an_int8_output_is_ordered_and_within_the_type() {
    let mul = Mul { output: Multiplier::new(1 << 30, 0), activation: ActivationRange::FULL };
    let parse = |min, max| {
        let mut attrs = Operator::Mul(mul).emit();
        attrs[2..4].copy_from_slice(&[min, max]);
        Operator::parse(OpCode::Mul, &attrs).map(|operator| operator.emit()[2..4].to_vec())
    };
    for (min, max) in [(-128, 127), (0, 127), (5, 5), (-128, -128), (127, 127)] {
        assert_eq!(parse(min, max), Ok(vec![min, max]));
    }
    for (min, max) in [(5, 4), (127, -128), (-129, 0), (0, 128), (256, 257), (i32::MIN, i32::MAX), (0, i32::MIN)] {
        assert_eq!(parse(min, max), Err(OpFault::Attribute { index: 2 }), "{min} {max}");
    }
}

#[test]
fn a_multiplier_or_shift_out_of_range_is_refused() {
    let refused = ModelError::Value { value: 0, fault: ValueFault::Channels };
    // The bias may be anything.
    for (at, byte, taken) in [(3, 0x80, true), (7, 0x80, false), (8, 31, false), (8, 30, true), (8, 0xe0, false)] {
        let mut parts = overlapping();
        parts.constants[0].3[at] = byte;
        if at == 8 {
            parts.constants[0].3[9..12].fill(if byte & 0x80 == 0 { 0 } else { 0xff });
        }
        assert_eq!(Model::parse(&parts.file()).err(), (!taken).then_some(refused), "{byte} at {at}");
    }
}

#[test]
fn a_channel_table_must_have_its_type_shape_and_place() {
    let refused = |value| ModelError::Value { value, fault: ValueFault::Channels };
    let file = overlapping().file();
    let kind_at = |i| value_at(&file, i) + 3;
    // A constant that is not declared a channel table may contain any numbers.
    let plain = with_byte(file.clone(), kind_at(0), 0);
    assert_eq!(error(&plain), ModelError::Op { op: 0, fault: OpFault::Type { operand: 2 } });
    // Constants of another type or shape, and values in memory, cannot be channel tables.
    assert_eq!(error(&with_byte(file.clone(), kind_at(1), 1)), refused(1));
    assert_eq!(error(&with_byte(file.clone(), kind_at(2), 1)), refused(2));
    // Rows with biases of 64 bits have four numbers.
    assert_eq!(error(&with_byte(file.clone(), kind_at(0), 2)), refused(0));
    let unknown = ModelError::Value { value: 0, fault: ValueFault::Record };
    assert_eq!(error(&with_byte(file.clone(), kind_at(0), 3)), unknown);
}

/// One neuron of four int16 activations, whose channel table has these words.
fn neuron_of_i16(words: &[i32]) -> Parts {
    use tealight_format::ops::{ActivationRangeI16, FullyConnectedI16};
    let codes = |dims: &[u32], offset, live| build::value(Place::Arena, DType::I16, dims, offset, live);
    let table = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut parts = Parts {
        constants: vec![
            ("channels", DType::I32, vec![1, words.len() as u32], table),
            ("weights", DType::I8, vec![1, 4], vec![1; 4]),
        ],
        values: vec![codes(&[1, 4], 0, (0, 0)), codes(&[1, 1], 16, (0, 1))],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    let attrs = FullyConnectedI16 { activation: ActivationRangeI16::FULL };
    parts.op(Operator::FullyConnectedI16(attrs), &[Some(2), Some(1), Some(0)], 3, None);
    parts
}

#[test]
fn an_int16_layer_has_biases_of_32_or_of_64_bits() {
    let narrow = neuron_of_i16(&[i32::MIN, 1 << 30, 30]);
    let wide = neuron_of_i16(&[-1, i32::MIN, 1 << 30, 7]);
    for parts in [&narrow, &wide] {
        assert_eq!(Model::parse(&parts.file()).err(), None);
    }
    // Multiplier and shift are the last of a row, and a shift of more than 7 bits does not fit.
    let refused = ModelError::Value { value: 0, fault: ValueFault::Channels };
    for (words, word) in [(&wide, (3, 8)), (&wide, (3, -32)), (&wide, (2, -1)), (&narrow, (2, 31)), (&narrow, (1, -1))]
    {
        let (mut parts, (at, word)) = (words.clone(), word);
        parts.constants[0].3[4 * at..4 * at + 4].copy_from_slice(&i32::to_le_bytes(word));
        assert_eq!(error(&parts.file()), refused, "{word} at {at}");
    }
    // An int8 layer takes rows of three words alone.
    let mut parts = overlapping();
    let rows = parts.constants[0].2[0];
    (parts.constants[0].2, parts.constants[0].3) = (vec![rows, 4], vec![0; 16 * rows as usize]);
    let operand = OpFault::Type { operand: 2 };
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: operand });
}

#[test]
fn an_int16_value_is_symmetric() {
    for (value, operand) in [(0, 0), (1, tealight_format::OUTPUT)] {
        let mut parts = neuron_of_i16(&[0, 0, 1 << 30, 0]);
        parts.values[value].quantization.zero_point = 1;
        let fault = OpFault::Quantization { operand };
        assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault });
    }
}

#[test]
fn codes_of_int8_stay_in_their_range() {
    use tealight_format::ops::{ActivationRangeI16, Multiplier, RequantizeI16};
    let factor = Multiplier::new(1 << 30, 0);
    let check = |from: DType, to: DType, range: [i16; 2]| {
        let of = |dtype| build::value(Place::Arena, dtype, &[4], 0, (0, 0));
        let mut operands = tealight_format::Operands { inputs: [None; 8], count: 1, output: of(to) };
        operands.inputs[0] = Some(of(from));
        let activation = ActivationRangeI16::new(range[0], range[1]).unwrap();
        let attrs = RequantizeI16 { positive: factor, negative: factor, activation };
        Operator::RequantizeI16(attrs).check(&operands).map(|_| ())
    };
    use DType::{I8, I16};
    for (from, to, range) in [(I16, I16, [-32768, 32767]), (I8, I16, [-300, 300]), (I16, I8, [-128, 127])] {
        assert_eq!(check(from, to, range), Ok(()));
    }
    for range in [[-129, 0], [0, 128]] {
        assert_eq!(check(I16, I8, range), Err(OpFault::Attribute { index: 4 }));
    }
    // A table does that.
    assert_eq!(check(I8, I8, [-128, 127]), Err(OpFault::Type { operand: 0 }));
    assert_eq!(check(DType::U8, I16, [0, 255]), Err(OpFault::Type { operand: 0 }));
    assert_eq!(check(I16, DType::U8, [0, 255]), Err(OpFault::Type { operand: tealight_format::OUTPUT }));
}

#[test]
fn values_are_in_the_order_of_the_format() {
    let out_of_order = |value| ModelError::Value { value, fault: ValueFault::Order };
    let state = |offset| build::value(Place::State, DType::I8, &[3], offset, (0, 1));
    // Input, two states, an output, a view of it.
    let whole = || {
        let mut parts = relu();
        parts.values.iter_mut().for_each(|v| v.offset += 32);
        parts.values.insert(1, state(0));
        parts.values.insert(2, state(16));
        parts.values.push(tealight_format::Value { alias: Some(4), ..parts.values[3] });
        parts.ops[0].output = 4;
        parts.outputs = vec![4];
        parts
    };
    Model::parse(&whole().file()).unwrap();
    type Case = (fn(&mut Parts), ModelError);
    let cases: [Case; 8] = [
        // A constant after an input, and a missing constant.
        (|p| p.values[1].place = Place::Constant, ModelError::Value { value: 2, fault: ValueFault::Constant }),
        // State in the place of an input.
        (|p| p.values.swap(0, 1), ModelError::Interface { index: 0 }),
        // An input that is written later.
        (|p| (p.values[0].first, p.values[0].last) = (1, 1), ModelError::Interface { index: 0 }),
        // State after an operator output, after a view, not in the order of its bytes, and with a gap before it.
        (|p| p.values.swap(2, 3), ModelError::Value { value: 4, fault: ValueFault::Order }),
        (|p| p.values.swap(3, 4), ModelError::Value { value: 4, fault: ValueFault::Alias }),
        (|p| p.values.swap(1, 2), ModelError::Value { value: 2, fault: ValueFault::Order }),
        (
            |p| {
                p.values[2].offset = 32;
                p.values.iter_mut().filter(|v| v.is_arena()).for_each(|v| v.offset += 16);
            },
            ModelError::Value { value: 3, fault: ValueFault::Order },
        ),
        // State that shares bytes with the state before it.
        (|p| p.values[2].offset = 0, ModelError::Value { value: 3, fault: ValueFault::Order }),
    ];
    for (i, (change, expected)) in cases.into_iter().enumerate() {
        let mut parts = whole();
        change(&mut parts);
        assert_eq!(error(&parts.file()), expected, "case {i}");
    }
    // A view of the input comes before an operator output.
    let mut parts = whole();
    parts.values[4].alias = Some(1);
    parts.values[4].offset = parts.values[0].offset;
    parts.values.swap(3, 4);
    parts.ops[0].output = 5;
    parts.outputs = vec![5];
    assert_eq!(error(&parts.file()), out_of_order(5));
}

#[test]
fn operator_outputs_are_in_the_order_of_the_operators() {
    let output = |op| ModelError::Op { op, fault: OpFault::Output };
    let copies = || {
        let mut parts = Parts {
            values: vec![arena(&[3], 0, (0, 1)), arena(&[3], 16, (0, 2)), arena(&[3], 32, (1, 2))],
            inputs: 1,
            outputs: vec![1, 2],
            ..Parts::default()
        };
        parts.op(Operator::Copy(Copy), &[Some(0)], 1, None);
        parts.op(Operator::Copy(Copy), &[Some(0)], 2, None);
        parts
    };
    Model::parse(&copies().file()).unwrap();
    // The second output before the first.
    let mut parts = copies();
    parts.values.swap(1, 2);
    (parts.ops[0].output, parts.ops[1].output) = (2, 1);
    assert_eq!(error(&parts.file()), output(0));
    // Both write the same value, and one writes an input.
    let mut parts = copies();
    parts.ops[1].output = 1;
    assert_eq!(error(&parts.file()), output(1));
    let mut parts = copies();
    parts.ops[0].output = 0;
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: OpFault::Output });
    // The scratch value before the output.
    let mut parts = overlapping();
    parts.values.swap(2, 3);
    (parts.ops[0].output, parts.ops[0].scratch) = (5, Some(4));
    parts.ops[1].inputs[0] = Some(5);
    assert_eq!(error(&parts.file()), output(0));
    // The scratch value of another operator.
    let mut parts = overlapping();
    parts.ops[1].scratch = Some(5);
    assert_eq!(error(&parts.file()), ModelError::Op { op: 1, fault: OpFault::Scratch });
}

#[test]
fn the_number_of_constants_must_be_that_of_the_file() {
    let file = relu().file();
    for constants in [0, 2, 255] {
        let at = plan_at(&file) + 12;
        assert_eq!(error(&with_byte(file.clone(), at, constants)), ModelError::Counts);
    }
    // More inputs than values are left.
    let mut parts = relu();
    parts.inputs = 3;
    assert_eq!(error(&parts.file()), ModelError::Counts);
}

#[test]
fn half_precision_is_for_constants_only() {
    let mut parts = relu();
    parts.values[0] = build::value(Place::Arena, DType::F16, &[3], 0, (0, 0));
    assert_eq!(error(&parts.file()), ModelError::Value { value: 1, fault: ValueFault::Record });
}

#[test]
fn the_operator_set_must_be_that_of_the_operators() {
    // One neuron with f16 weights.
    let f32_value = |dims: &[u32], offset, live| build::value(Place::Arena, DType::F32, dims, offset, live);
    let mut parts = Parts {
        constants: vec![("weights", DType::F16, vec![1, 2], vec![0, 0x3c, 0, 0x3c])],
        values: vec![f32_value(&[2], 0, (0, 0)), f32_value(&[1], 16, (0, 1))],
        inputs: 1,
        outputs: vec![2],
        ..Parts::default()
    };
    let layer = FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] };
    parts.op(Operator::FullyConnectedF32(layer), &[Some(1), Some(0), None], 2, None);
    let file = parts.file();
    let needs = Model::parse(&file).unwrap().op_set();
    assert_eq!(needs, OpSet::of(&[OpCode::FullyConnectedF32]).with_f16());
    // The bit of f16 is bit 0 of byte 14 of the set.
    let at = plan_at(&file) + 48 + 14;
    assert_eq!(error(&with_byte(file.clone(), at, 0)), ModelError::OpSet);
    // Operator 100, which this version does not know: bit 4 of byte 36.
    let file = with_byte(file.clone(), plan_at(&file) + 36, 1 << 4);
    assert_eq!(error(&file), ModelError::OpSet);
    let record = op_at(&file, 3, 0);
    let fault = OpFault::UnknownOperator;
    assert_eq!(error(&with_byte(file, record, 100)), ModelError::Op { op: 0, fault });
}

/// [`neurons_of_bytes`] with the channels that are given.
fn neurons_with(channels: Option<(DType, &[u32])>) -> Parts {
    let mut parts = neurons_of_bytes();
    match channels {
        Some((dtype, dims)) => {
            let count = dims.iter().product::<u32>() * dtype.size();
            parts.constants[0] = ("channels", dtype, dims.to_vec(), vec![0; count as usize]);
        }
        None => parts.ops[0].inputs[2] = None,
    }
    parts
}

#[test]
fn i8_weights_of_f32_layers_have_a_scale_and_a_bias_for_each_channel() {
    let file = neurons_of_bytes().file();
    let set = Model::parse(&file).unwrap().op_set();
    assert_eq!(set, OpSet::of(&[OpCode::FullyConnectedF32]).with_i8_weights());
    // Bit 2 of byte 14 of the set; a reader that does not know it refuses the file.
    let at = plan_at(&file) + 48 + 14;
    assert_eq!(file[at], 4);
    for set in [0, 1, 5, 12] {
        assert_eq!(error(&with_byte(file.clone(), at, set)), ModelError::OpSet, "{set}");
    }
    let refused = |channels, fault| {
        assert_eq!(error(&neurons_with(channels).file()), ModelError::Op { op: 0, fault }, "{channels:?}");
    };
    refused(None, OpFault::Inputs);
    for dims in [&[2][..], &[4], &[1, 2], &[3, 2], &[2, 1], &[2, 3], &[2, 2, 1], &[1, 2, 2]] {
        refused(Some((DType::F32, dims)), OpFault::Shape { operand: 2 });
    }
    for dtype in [DType::I32, DType::F16, DType::I8] {
        refused(Some((dtype, &[2, 2])), OpFault::Type { operand: 2 });
    }
}

#[test]
fn i8_weights_and_their_channels_must_be_constants() {
    // The model's input in the place of either.
    for (k, operand) in [(1, 1), (2, 2)] {
        let mut parts = neurons_of_bytes();
        let dtype = if k == 1 { DType::I8 } else { DType::F32 };
        parts.values.insert(1, build::value(Place::Arena, dtype, &[2, 2], 32, (0, 0)));
        parts.inputs = 2;
        parts.outputs = vec![4];
        parts.ops[0].output = 4;
        parts.ops[0].inputs[k] = Some(3);
        assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: OpFault::Place { operand } });
    }
}

#[test]
fn weights_in_pairs_have_whole_fours_of_rows_and_eights_of_inputs() {
    let file = neurons_in_pairs().file();
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.op_set(), OpSet::of(&[OpCode::FullyConnected]).with_paired_weights());
    // As many bytes, and channels for each row, of other shapes.
    for [rows, inputs] in [[8, 4], [2, 16], [32, 1]] {
        let mut parts = neurons_in_pairs();
        parts.constants[1].2 = vec![rows, inputs];
        parts.constants[0].2 = vec![rows, 3];
        parts.constants[0].3 = [0, 1 << 30, 0].map(i32::to_le_bytes).concat().repeat(rows as usize);
        parts.values[0] = build::value(Place::Arena, DType::I8, &[inputs], 0, (0, 0));
        parts.values[1] = build::value(Place::Arena, DType::I8, &[rows], 16, (0, 1));
        assert_eq!(
            error(&parts.file()),
            ModelError::Op { op: 0, fault: OpFault::Shape { operand: 1 } },
            "{rows} {inputs}"
        );
    }
    let mut parts = neurons_in_pairs();
    let layer = FullyConnected { weights_zero_point: 1, activation: ActivationRange::FULL };
    parts.ops[0].operator = Operator::FullyConnected(layer);
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: OpFault::Attribute { index: 0 } });
}

#[test]
fn int4_weights_have_half_a_byte_each_in_a_tensor_of_bytes() {
    let file = neuron_of_int4().file();
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.op_set(), OpSet::of(&[OpCode::FullyConnectedF32]).with_i4_weights());
    let weights = model.value(1);
    assert_eq!((weights.dtype, weights.shape.dims(), weights.len), (DType::I4, &[1, 3][..], 2));
    assert_eq!(model.constant(&weights), [0xe1, 0x73]);
    // Bit 3 of byte 14 of the set; a reader that does not know it refuses the file.
    let at = plan_at(&file) + 48 + 14;
    assert_eq!(file[at], 8);
    for set in [0, 4, 9, 12] {
        assert_eq!(error(&with_byte(file.clone(), at, set)), ModelError::OpSet, "{set}");
    }
    // The tensor's type is no type of safetensors.
    let name = file.windows(20).position(|window| window == br#"weights":{"dtype":"U"#).unwrap() + 19;
    for (at, byte) in [(name, b'I'), (name + 1, b'4')] {
        let other = with_byte(file.clone(), at, byte);
        assert!(Model::parse(&other).is_err(), "{at}");
    }
    let both = with_byte(with_byte(file.clone(), name, b'I'), name + 1, b'4');
    assert!(matches!(error(&both), ModelError::Header { fault: HeaderFault::Type, .. }));

    let refused = |change: &dyn Fn(&mut Parts), expected: ModelError| {
        let mut parts = neuron_of_int4();
        change(&mut parts);
        assert_eq!(error(&parts.file()), expected);
    };
    // Four weights of three inputs; a bias alone; scales in place of the weights.
    let shape = |operand| ModelError::Op { op: 0, fault: OpFault::Shape { operand } };
    refused(&|parts| parts.constants[1].2 = vec![1, 4], shape(0));
    refused(&|parts| parts.constants[0].2 = vec![2], shape(2));
    refused(&|parts| parts.ops[0].inputs[2] = Some(1), ModelError::Op { op: 0, fault: OpFault::Type { operand: 2 } });
    // Only constants have the type, and no output has it.
    refused(
        &|parts| parts.values[0] = build::value(Place::Arena, DType::I4, &[3], 0, (0, 0)),
        ModelError::Value { value: 2, fault: ValueFault::Record },
    );
    refused(&|parts| parts.outputs = vec![1, 3], ModelError::Interface { index: 1 });
}

#[test]
fn the_length_of_int4_values_is_that_of_their_codes() {
    let file = neuron_of_int4().file();
    let record = plan_at(&file) + 64 + 64;
    // One byte less or more, an element more or fewer.
    for len in [1, 3] {
        let expected = ModelError::Value { value: 1, fault: ValueFault::Length };
        assert_eq!(error(&with_byte(file.clone(), record + 32, len)), expected, "{len}");
    }
    for elements in [2, 5, 6] {
        let expected = ModelError::Value { value: 1, fault: ValueFault::Length };
        assert_eq!(error(&with_byte(file.clone(), record + 8, elements)), expected, "{elements}");
    }
    // The same bytes, but one weight more than there are inputs.
    let fault = OpFault::Shape { operand: 0 };
    assert_eq!(error(&with_byte(file.clone(), record + 8, 4)), ModelError::Op { op: 0, fault });
}

#[test]
fn recurrent_weights_and_tables_are_not_i8() {
    let mut parts = Parts {
        constants: vec![("table", DType::F32, vec![4, 2], vec![0; 32])],
        values: vec![
            build::value(Place::Arena, DType::I32, &[1], 0, (0, 0)),
            build::value(Place::Arena, DType::F32, &[2], 16, (0, 1)),
        ],
        inputs: 1,
        outputs: vec![2],
        ..Parts::default()
    };
    parts.op(Operator::GatherF32(GatherF32), &[Some(1), Some(0)], 2, None);
    Model::parse(&parts.file()).unwrap();
    parts.constants[0] = ("table", DType::I8, vec![4, 2], vec![0; 8]);
    let fault = OpFault::Type { operand: 1 };
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault });
}

#[test]
fn an_operator_must_not_read_the_state_that_it_writes_through_another_input() {
    let constant =
        |name, dims: &[u32]| (name, DType::F32, dims.to_vec(), vec![0; 4 * dims.iter().product::<u32>() as usize]);
    let mut parts = Parts {
        constants: vec![constant("recurrent", &[4, 1]), constant("weights", &[4, 1])],
        values: vec![
            build::value(Place::Arena, DType::F32, &[1], 32, (0, 0)),
            build::value(Place::State, DType::F32, &[1], 0, (0, 1)),
            build::value(Place::State, DType::F32, &[1], 16, (0, 1)),
            build::value(Place::Arena, DType::F32, &[1], 48, (0, 1)),
        ],
        inputs: 1,
        outputs: vec![5],
        ..Parts::default()
    };
    let inputs = [Some(2), Some(1), Some(0), None, Some(3), Some(4)];
    parts.op(Operator::LstmF32(LstmF32), &inputs, 5, None);
    Model::parse(&parts.file()).unwrap();
    parts.ops[0].inputs[5] = Some(3);
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: OpFault::Place { operand: 5 } });
    // A view of it has the same place.
    parts.values.push(tealight_format::Value { alias: Some(3), ..parts.values[1] });
    parts.ops[0].inputs[5] = Some(6);
    assert_eq!(error(&parts.file()), ModelError::Op { op: 0, fault: OpFault::Place { operand: 5 } });
}

#[test]
fn the_initial_state_must_be_a_constant_of_its_size() {
    let mut parts = relu();
    for v in &mut parts.values {
        v.offset += 256;
    }
    let mut state = build::value(Place::State, DType::U8, &[256], 0, (0, 1));
    state.init = Some(0);
    parts.values.insert(1, state);
    parts.ops[0].output = 3;
    parts.outputs = vec![3];
    Model::parse(&parts.file()).unwrap();
    parts.values[1].shape = tealight_format::Shape::new(&[240]).unwrap();
    parts.values[1].len = 240;
    assert_eq!(error(&parts.file()), ModelError::Value { value: 2, fault: ValueFault::Init });
}

#[test]
fn records_read_back_as_they_were_written() {
    let parts = overlapping();
    let file = parts.file();
    let model = Model::parse(&file).unwrap();
    for (i, value) in parts.values.iter().enumerate() {
        assert_eq!(model.value(i + 2), *value);
    }
    for (i, op) in parts.ops.iter().enumerate() {
        assert_eq!(model.op(i), *op);
    }
}

/// The safetensors crate accepts every file that we accept.
fn agrees(file: &[u8]) {
    if Model::parse(file).is_ok() {
        SafeTensors::deserialize(file).expect("the safetensors crate must take what we take");
    }
}

const CASES: u32 = if cfg!(miri) { 4 } else { 4000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(file in prop::collection::vec(any::<u8>(), 0..300)) {
        agrees(&file);
    }

    #[test]
    fn changed_bytes_never_panic(which in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = if which { relu().file() } else { overlapping().file() };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        agrees(&file);
    }

    #[test]
    fn changed_header_text_never_panics(at in any::<prop::sample::Index>(), text in "[\\[\\]{}:,\"0-9a-zA-Z \\\\]{1,8}", cut in 0usize..8) {
        let file = relu().file();
        let data_at = plan_at(&file);
        let json = core::str::from_utf8(&file[8..data_at]).unwrap();
        let at = at.index(json.len());
        let json = format!("{}{text}{}", &json[..at], &json[(at + cut).min(json.len())..]);
        agrees(&with_header(&json, &file[data_at..]));
    }

    #[test]
    fn spliced_files_never_panic(a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (one, two) = (relu().file(), overlapping().file());
        let mut file = one[..a.index(one.len())].to_vec();
        file.extend(&two[b.index(two.len())..]);
        agrees(&file);
    }
}

/// The plan of `relu`, then constants with these names; and this metadata.
fn named(metadata: &str, names: &[&str]) -> Vec<u8> {
    let mut data = relu().plan();
    let mut json = format!(r#"{{{metadata}"plan":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}"#, data.len());
    for name in names {
        let begin = data.len();
        data.resize(begin + 16, 0);
        json += &format!(r#","{name}":{{"dtype":"I8","shape":[16],"data_offsets":[{begin},{}]}}"#, begin + 16);
    }
    json += "}";
    with_header(&json, &data)
}

#[test]
fn names_must_be_in_byte_order() {
    let fault = |names: &[&str]| match error(&named("", names)) {
        ModelError::Header { fault, .. } => Some(fault),
        // The names are accepted; the error is about the plan, which has one constant.
        ModelError::Counts => None,
        other => panic!("{other:?}"),
    };
    for names in [&["a", "b"][..], &["B", "a"], &["a", "a.b", "aa"], &["!", "plan.a", "plana"], &["z", "\u{e9}"]] {
        assert_eq!(fault(names), None, "{names:?}");
    }
    for names in [&["b", "a"][..], &["a", "a"], &["a", "B"], &["aa", "a"], &["a", "b", "a"], &["\u{e9}", "z"]] {
        assert_eq!(fault(names), Some(HeaderFault::Order), "{names:?}");
    }
    assert_eq!(fault(&["a", "plan"]), Some(HeaderFault::Name));
}

#[test]
fn metadata_keys_must_be_in_byte_order() {
    let fault = |keys: &[&str]| {
        let entries: Vec<String> = keys.iter().map(|key| format!(r#""{key}":"x""#)).collect();
        match error(&named(&format!(r#""__metadata__":{{{}}},"#, entries.join(",")), &["a", "b"])) {
            ModelError::Header { fault, .. } => Some(fault),
            ModelError::Counts => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([fault(&[]), fault(&["a"]), fault(&["", "a", "a.b", "b"])], [None; 3]);
    for keys in [&["a", "a"][..], &["b", "a"], &["a", "b", "a"]] {
        assert_eq!(fault(keys), Some(HeaderFault::Order), "{keys:?}");
    }
    assert_eq!(fault(&[r"a\n"]), Some(HeaderFault::Name), "an escape");
}

#[test]
fn the_first_tensor_is_the_plan() {
    let plan = relu().plan();
    let json = format!(r#"{{"plam":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, plan.len());
    assert_eq!(error(&with_header(&json, &plan)), ModelError::NotTealight);
}

#[test]
fn a_header_of_many_tensors_is_read_to_its_end() {
    let many = if cfg!(miri) { 10 } else { 65_534 };
    let names: Vec<String> = (0..many).map(|i| format!("{i:05x}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    // As many tensors as a plan can address: the error is about the plan, which has one constant.
    assert_eq!(error(&named("", &names)), ModelError::Counts);
    names.push("more");
    if !cfg!(miri) {
        assert!(matches!(error(&named("", &names)), ModelError::Header { fault: HeaderFault::TooLong, .. }));
    }
}

#[test]
fn tables_of_any_length_are_accepted() {
    // As many state values as 16-bit indices can address, one after another.
    let count = if cfg!(miri) { 10 } else { 65_534 };
    let parts = Parts {
        values: (0..count).map(|i| build::value(Place::State, DType::I8, &[1], 16 * i, (0, 0))).collect(),
        ..Parts::default()
    };
    Model::parse(&parts.file()).unwrap();
}

#[test]
fn work_and_shapes_of_any_size_are_checked_without_loops_over_elements() {
    // No loop runs over a dimension: huge ones are refused or accepted by arithmetic alone.
    for dims in [&[u32::MAX; 6][..], &[1 << 16, 1 << 16], &[1 << 28], &[0, 5], &[u32::MAX]] {
        let mut parts = relu();
        parts.values[0].shape = tealight_format::Shape::new(dims).unwrap();
        assert_eq!(error(&parts.file()), ModelError::Value { value: 1, fault: ValueFault::Length }, "{dims:?}");
    }
    // The largest tensor that a value may be.
    let len = (1 << 28) - 1;
    let mut parts = relu();
    parts.values[0] = arena(&[len], 0, (0, 0));
    parts.values[1] = arena(&[len], 1 << 28, (0, 1));
    parts.ops.clear();
    parts.op(Operator::Lookup(Lookup { function: Function::Relu }), &[Some(1), Some(0)], 2, None);
    assert_eq!(Model::parse(&parts.file()).unwrap().longest_row(), 1500 + 2 + 2 * u64::from(len));
}

#[test]
fn accessors_accept_any_index_and_any_value() {
    let file = relu().file();
    let model = Model::parse(&file).unwrap();
    let foreign = tealight_format::Value { offset: u32::MAX, len: u32::MAX, ..model.value(0) };
    assert!(model.constant(&foreign).is_empty());
}

#[test]
fn an_int8_average_of_more_elements_than_its_sum_holds_is_refused() {
    use tealight_format::Operands;
    use tealight_format::ops::{MAX_AVERAGED, Mean, MeanF32, Pool2d};
    let check = |operator: Operator, input: &[u32], output: &[u32]| {
        let of = |dims| {
            if matches!(operator, Operator::MeanF32(_)) {
                build::value(Place::Arena, DType::F32, dims, 0, (0, 0))
            } else {
                arena(dims, 0, (0, 0))
            }
        };
        let mut operands = Operands { inputs: [None; 8], count: 1, output: of(output) };
        operands.inputs[0] = Some(of(input));
        operator.check(&operands).map(|_| ())
    };
    let refused = Err(OpFault::Attribute { index: 0 });
    let mean = Operator::Mean(Mean { reduced: 0b11, output: Multiplier::new(1 << 30, 0) });
    assert_eq!(check(mean, &[2, MAX_AVERAGED / 2, 3], &[3]), Ok(()));
    assert_eq!(check(mean, &[3, MAX_AVERAGED / 2, 3], &[3]), refused);
    let mean = Operator::MeanF32(MeanF32 { reduced: 0b11 });
    assert_eq!(check(mean, &[3, MAX_AVERAGED / 2, 3], &[3]), Ok(()));

    let pool = |window| Pool2d { window, stride: [1, 1], pad: [0, 0], activation: ActivationRange::FULL };
    let side = 1 << 12;
    for of in [Operator::AvgPool2d, Operator::MaxPool2d] {
        assert_eq!(check(of(pool([side, side / 2])), &[1, 4096, 4096, 1], &[1, 1, 1, 1]), Ok(()));
        assert_eq!(check(of(pool([side, side / 2 + 1])), &[1, 4096, 4096, 1], &[1, 1, 1, 1]), refused);
        // Elements outside the input are not summed.
        assert_eq!(check(of(pool([side, side])), &[1, 4096, 2048, 1], &[1, 1, 1, 1]), Ok(()));
    }
}

#[test]
fn an_index_is_along_a_dimension_that_there_is_and_one_for_each_place_in_the_others() {
    use tealight_format::ops::{ArgMinMax, ArgMinMaxF32};
    use tealight_format::{Operands, Work};
    let attrs = |axis| ArgMinMax { axis, smallest: false, last: true };
    let check = |operator: Operator, input: (DType, &[u32]), output: (DType, &[u32])| -> Result<Work, OpFault> {
        let of = |(dtype, dims)| build::value(Place::Arena, dtype, dims, 0, (0, 0));
        let mut operands = Operands { inputs: [None; 8], count: 1, output: of(output) };
        operands.inputs[0] = Some(of(input));
        operator.check(&operands)
    };
    let (codes, indices) = ((DType::I8, &[2, 3, 4][..]), (DType::I32, &[2, 1, 4][..]));
    let work = check(Operator::ArgMinMax(attrs(1)), codes, indices).unwrap();
    assert_eq!((work.rows, work.row_bytes, work.row_cost), (8, 4, 20 + 4 * 3));
    let floats = (DType::F32, codes.1);
    let work = check(Operator::ArgMinMaxF32(ArgMinMaxF32(attrs(2))), floats, (DType::I32, &[2, 3])).unwrap();
    assert_eq!((work.rows, work.row_bytes, work.row_cost), (6, 4, 20 + 6 * 4));
    for axis in [-1, 3, i32::MAX, i32::MIN] {
        let refused = Err(OpFault::Attribute { index: 0 });
        assert_eq!(check(Operator::ArgMinMax(attrs(axis)), codes, indices).map(|_| ()), refused, "{axis}");
    }
    let refused = |input, output, fault| {
        assert_eq!(check(Operator::ArgMinMax(attrs(1)), input, output).map(|_| ()), Err(fault));
    };
    refused(floats, indices, OpFault::Type { operand: 0 });
    refused(codes, (DType::F32, indices.1), OpFault::Type { operand: tealight_format::OUTPUT });
    refused(codes, (DType::I32, &[2, 4, 3]), OpFault::Shape { operand: tealight_format::OUTPUT });
    for word in [1, 2] {
        let mut words = Operator::ArgMinMax(attrs(1)).emit();
        words[word] = 2;
        let fault = Err(OpFault::Attribute { index: word as u8 });
        assert_eq!(Operator::parse(OpCode::ArgMinMax, &words), fault);
        assert_eq!(Operator::parse(OpCode::ArgMinMaxF32, &words), fault);
    }
}

#[test]
fn as_many_elements_are_found_as_a_line_has_at_most() {
    use tealight_format::ops::{TopK, TopKF32};
    use tealight_format::{OUTPUT, Operands, Work};
    let check = |operator: Operator, input: (DType, &[u32]), output: (DType, &[u32])| -> Result<Work, OpFault> {
        let of = |(dtype, dims)| build::value(Place::Arena, dtype, dims, 0, (0, 0));
        let mut operands = Operands { inputs: [None; 8], count: 1, output: of(output) };
        operands.inputs[0] = Some(of(input));
        operator.check(&operands)
    };
    let (codes, floats) = ((DType::I8, &[2, 3, 7][..]), (DType::F32, &[2, 3, 7][..]));
    let of_codes = Operator::TopK(TopK { smallest: true });
    let work = check(of_codes, codes, (DType::I8, &[2, 3, 2])).unwrap();
    assert_eq!((work.rows, work.row_bytes, work.row_cost), (6, 2, 20 + 2 * (20 + 4 * 7)));
    let work = check(Operator::TopKF32(TopKF32(TopK { smallest: false })), floats, (DType::I32, &[2, 3, 7])).unwrap();
    assert_eq!((work.rows, work.row_bytes, work.row_cost), (6, 28, 20 + 7 * (20 + 8 * 7)));
    let refused = |input, output, fault| assert_eq!(check(of_codes, input, output).map(|_| ()), Err(fault));
    refused(floats, (DType::F32, &[2, 3, 2]), OpFault::Type { operand: 0 });
    refused(codes, (DType::F32, &[2, 3, 2]), OpFault::Type { operand: OUTPUT });
    for dims in [&[2, 3, 8][..], &[2, 2, 2], &[6, 2], &[2, 3, 1, 2]] {
        refused(codes, (DType::I32, dims), OpFault::Shape { operand: OUTPUT });
    }
    refused((DType::I8, &[]), (DType::I8, &[]), OpFault::Shape { operand: 0 });
    let mut words = of_codes.emit();
    words[0] = -1;
    assert_eq!(Operator::parse(OpCode::TopK, &words), Err(OpFault::Attribute { index: 0 }));
}
