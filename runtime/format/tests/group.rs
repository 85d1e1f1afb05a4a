//! The rules of groups: plans that break one, and the rules compared with a simulation of the passes row by row.

use proptest::prelude::*;
use tealight_format::ops::{ActivationRange, Conv2d};
use tealight_format::{
    DType, Group, Model, ModelError, OpFault, Operator, Reading, Reuse, RowAccess, Rows, Schedule, Value, ValueFault,
};
use tealight_testing::build::{Parts, arena, in_rows, plan_at};

fn schedules(most: u32) -> impl Strategy<Value = Schedule> {
    (1..=most).prop_flat_map(move |height| {
        let rows = (1..=height, 1..=height, 1..=height.min(6));
        rows.prop_map(move |(held, first, step)| Schedule { rows: Rows { held, first, step }, height })
    })
}

fn accesses() -> impl Strategy<Value = RowAccess> {
    (1u32..5, 0u32..6, 1u32..7, 1u32..9).prop_map(|(stride, lead, extent, row_bytes)| RowAccess {
        row_bytes,
        stride,
        lead,
        extent,
    })
}

/// The rows that output row `y` reads of an input of `height` rows.
fn rows_read(access: &RowAccess, y: u32, height: u32) -> std::ops::Range<u32> {
    let start = (y * access.stride).saturating_sub(access.lead);
    let end = (y * access.stride + access.extent).saturating_sub(access.lead).min(height);
    start..end.max(start)
}

/// The schedule, of as many rows as there are windows that start inside an input of `input` rows.
fn inside(access: &RowAccess, input: u32, schedule: Schedule) -> Schedule {
    let height = schedule.height.min((input + access.lead - 1) / access.stride + 1);
    let Rows { held, first, step } = schedule.rows;
    Schedule { rows: Rows { held: held.min(height), first: first.min(height), step: step.min(height) }, height }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_held_are_those_that_a_simulation_reads(
        access in accesses(), input in schedules(40), output in schedules(24),
    ) {
        let output = inside(&access, input.height, output);
        let (mut held, mut pass, mut done) = (Some(0), 0, 0);
        while done < output.height {
            let written = input.rows.written(pass, input.height);
            let end = output.rows.written(pass, output.height);
            for y in done..end {
                let rows = rows_read(&access, y, input.height);
                held = held.filter(|_| rows.end <= written).map(|held| written.saturating_sub(rows.start).max(held));
            }
            (done, pass) = (end, pass + 1);
        }
        prop_assert_eq!(Reading { access, input, output }.held(), held);
    }

    #[test]
    fn the_distance_is_that_at_which_a_simulation_never_overwrites_what_is_still_read(
        access in accesses(), reader in schedules(24), output in schedules(24),
        input_rows in 1u32..40, row_bytes in 1u32..9, by_reader: bool, more in 0u64..3,
    ) {
        let reader = inside(&access, input_rows, reader);
        let output = if by_reader { reader } else { output };
        let last = reader.last().max(output.last()) + more;
        let reuse = Reuse { access, input_rows, reader, output, row_bytes, by_reader, last };
        let mut distance = 0;
        for pass in 0..=last as u32 {
            let before = reader.rows.written_before(pass, reader.height);
            let read = if by_reader { before } else { reader.rows.written(pass, reader.height) };
            // All that rows from `read` on will read is above this.
            let rows = (read * access.stride).saturating_sub(access.lead).min(input_rows);
            let free = if read == reader.height { input_rows } else { rows } * access.row_bytes;
            let end = output.rows.written(pass, output.height).min(output.rows.held) * row_bytes;
            distance = distance.max(end.saturating_sub(free));
        }
        prop_assert_eq!(reuse.distance(), u64::from(distance));
    }
}

/// Two convolutions of 3 × 3 taps with padding on 12 rows of 8 bytes, one row of the second in each pass. In between are
/// 3 rows in memory; the second is written over the input.
fn two_convolutions() -> Parts {
    let channels = [0i32, 1 << 30, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let written = |offset, live, held, first| {
        let v = arena(&[1, 12, 8, 1], offset, live);
        Value { rows: Some(Rows { held, first, step: 1 }), len: 8 * held, ..v }
    };
    let mut parts = Parts {
        constants: vec![
            ("conv.channels", DType::I32, vec![1, 3], channels),
            ("conv.weights", DType::I8, vec![1, 3, 3, 1], vec![1u8; 9]),
        ],
        values: vec![arena(&[1, 12, 8, 1], 0, (0, 0)), written(96, (0, 1), 3, 2), written(0, (1, 2), 12, 1)],
        inputs: 1,
        outputs: vec![4],
        ..Parts::default()
    };
    let conv = Conv2d { stride: [1, 1], dilation: [1, 1], pad: [1, 1], activation: ActivationRange::FULL };
    parts.op(Operator::Conv2d(conv), &[Some(2), Some(1), Some(0)], 3, None);
    parts.op(Operator::Conv2d(conv), &[Some(3), Some(1), Some(0)], 4, None);
    for (before, op) in parts.ops.iter_mut().enumerate() {
        op.group = Group { before: before as u8, after: 1 - before as u8 };
    }
    // Moving at most 3 rows of 8 bytes.
    parts.ops[0].prepare_cost = 30 + 12;
    parts
}

/// The error for this plan after a change.
fn refused(change: impl FnOnce(&mut Parts)) -> ModelError {
    let mut parts = two_convolutions();
    change(&mut parts);
    Model::parse(&parts.file()).expect_err("the plan must be refused")
}

fn rows(parts: &mut Parts, value: usize) -> &mut Rows {
    parts.values[value].rows.as_mut().expect("the value has rows")
}

#[test]
fn a_group_is_accepted_and_its_passes_are_counted() {
    let file = two_convolutions().file();
    let model = Model::parse(&file).unwrap();
    assert!(model.op_set().has_groups());
    // The first convolution has written its 12 rows after the 11th pass, the second after the 12th.
    assert_eq!((model.passes(0), model.passes(1)), (11, 12));
    let cost = |op: usize| u64::from(model.op(op).row_cost) * 12;
    assert_eq!(model.cost(), cost(0) + cost(1) + 11 * (1500 + 42) + 12 * 1500);
    assert_eq!((model.value(3).len, model.value(3).whole_len(), model.arena_len()), (24, 96, 128));
}

#[test]
fn rows_that_are_not_written_or_no_longer_in_memory_are_refused() {
    let fault = |fault| ModelError::Op { op: 1, fault };
    let of_rows = fault(OpFault::Rows { operand: 0 });
    // Row 0 of the second convolution reads rows 0 and 1.
    assert_eq!(refused(|parts| rows(parts, 1).first = 1), of_rows);
    // With three rows in the first pass, row 0 is gone when it is read.
    assert_eq!(refused(|parts| (rows(parts, 1).first, rows(parts, 2).step) = (3, 1)), of_rows);
    // Two rows in memory are too few for windows of three.
    let two_rows = |parts: &mut Parts| {
        rows(parts, 1).held = 2;
        parts.values[1].len = 16;
        parts.ops[0].prepare_cost = 30 + 8;
    };
    assert_eq!(refused(two_rows), of_rows);
    // Two rows of the second convolution read three of the first, which has written two.
    assert_eq!(refused(|parts| rows(parts, 2).first = 2), of_rows);
}

#[test]
fn an_output_over_the_input_must_stay_behind_the_reading() {
    // In each pass, the row that is written is the one that was read for the last time.
    Model::parse(&two_convolutions().file()).unwrap();
    let over = ModelError::Overlap { first: 2, second: 4 };
    // 16 bytes higher, it would be written over two rows that are still to be read.
    assert_eq!(refused(|parts| (parts.values[2].offset, parts.values[1].offset) = (16, 112)), over);
    // The input may not be read later either.
    assert_eq!(refused(|parts| parts.values[0].last = 1), over);
    // Rows of the first convolution would be written over rows that it reads itself.
    assert_eq!(refused(|parts| parts.values[1].offset = 0), ModelError::Overlap { first: 2, second: 3 });
}

#[test]
fn the_records_of_a_group_must_agree() {
    let group = |op| ModelError::Op { op, fault: OpFault::Group };
    assert_eq!(refused(|parts| parts.ops[0].group = Group::NONE), group(0));
    assert_eq!(refused(|parts| parts.ops[1].group = Group::NONE), group(0));
    assert_eq!(refused(|parts| parts.ops[1].group.after = 1), group(1));
    // What is read outside of the group must be whole.
    assert_eq!(refused(|parts| parts.values[1].last = 2), group(0));
    assert_eq!(refused(|parts| parts.ops[0].prepare_cost = 0), ModelError::Op { op: 0, fault: OpFault::Work });
    let value = |value| ModelError::Value { value, fault: ValueFault::Rows };
    assert_eq!(refused(|parts| rows(parts, 1).held = 13), value(3));
    assert_eq!(refused(|parts| rows(parts, 1).first = 4), value(3));
    let record = ModelError::Value { value: 3, fault: ValueFault::Record };
    assert_eq!(refused(|parts| rows(parts, 1).step = 0), record);
    // The operator set must say that there are groups.
    let mut file = two_convolutions().file();
    let at = plan_at(&file) + 62;
    assert_eq!(file[at], 2);
    file[at] = 0;
    assert_eq!(Model::parse(&file).unwrap_err(), ModelError::OpSet);
}

#[test]
fn an_input_comes_in_rows_only_to_the_group_that_the_model_begins_with() {
    let refused = |change: fn(&mut Parts)| {
        let mut parts = in_rows();
        change(&mut parts);
        Model::parse(&parts.file()).expect_err("the plan must be refused")
    };
    let file = in_rows().file();
    let model = Model::parse(&file).unwrap();
    assert!(model.has_row_input() && model.op_set().has_row_input());
    assert_eq!((model.value(3).len, model.value(3).whole_len(), model.arena_len()), (12, 32, 48));
    // Rows that have not come, or are no longer in memory.
    let of_rows = ModelError::Op { op: 0, fault: OpFault::Rows { operand: 0 } };
    assert_eq!(refused(|parts| rows(parts, 0).first = 1), of_rows);
    assert_eq!(refused(|parts| (rows(parts, 0).held, parts.values[0].len) = (2, 8)), of_rows);
    // All rows must have come by the last pass: without padding above, the last row is not read.
    let incomplete = |parts: &mut Parts| {
        let conv = Conv2d { stride: [2, 2], dilation: [1, 1], pad: [0, 0], activation: ActivationRange::FULL };
        parts.values[1].shape = tealight_format::Shape::new(&[1, 3, 1, 1]).unwrap();
        parts.values[2].shape = parts.values[1].shape;
        (parts.values[1].len, parts.values[2].len) = (1, 3);
        rows(parts, 2).held = 3;
        rows(parts, 0).first = 3;
        parts.ops.clear();
        parts.op(Operator::Conv2d(conv), &[Some(3), Some(1), Some(0)], 4, None);
        let relu = tealight_format::ops::Lookup { function: tealight_format::ops::Function::Relu };
        parts.op(Operator::Lookup(relu), &[Some(4), Some(2)], 5, None);
        for (before, op) in parts.ops.iter_mut().enumerate() {
            op.group = Group { before: before as u8, after: 1 - before as u8 };
        }
        parts.ops[0].prepare_cost = 30 + 1;
    };
    let interface = ModelError::Interface { index: 0 };
    assert_eq!(refused(incomplete), interface);
    let mut complete = in_rows();
    incomplete(&mut complete);
    let Rows { held, first, .. } = rows(&mut complete, 0);
    (*held, *first) = (4, 4);
    complete.values[0].len = 16;
    Model::parse(&complete.file()).unwrap();
    // What is read outside of the group must be whole, and a model that begins with no group takes a whole input.
    assert_eq!(refused(|parts| parts.values[0].last = 2), interface);
    let apart = |parts: &mut Parts| {
        for op in &mut parts.ops {
            (op.group, op.prepare_cost) = (Group::NONE, 0);
        }
        for (v, offset) in parts.values.iter_mut().zip([0, 16, 32]).skip(1) {
            *v = Value { rows: None, len: v.whole_len(), offset, ..*v };
        }
    };
    assert_eq!(refused(apart), interface);
    // A second input.
    let second = |parts: &mut Parts| {
        parts.values.insert(1, arena(&[3], 64, (0, 0)));
        parts.inputs = 2;
    };
    assert_eq!(refused(second), interface);
    // Nothing may be written over rows that are in memory.
    let over = ModelError::Overlap { first: 3, second: 5 };
    assert_eq!(refused(|parts| parts.values[2].offset = 0), over);
    // The operator set must say it.
    let mut file = in_rows().file();
    let at = plan_at(&file) + 62;
    assert_eq!(file[at], 2 + 32);
    file[at] = 2;
    assert_eq!(Model::parse(&file).unwrap_err(), ModelError::OpSet);
}
