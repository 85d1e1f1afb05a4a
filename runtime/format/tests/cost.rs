//! Costs: those in a plan's records, their agreement with the operands, and the sums over a model.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight_format::ops::{AttentionF32, BlockType, CALL_COST, FullyConnectedBlock, Function, Lookup, OpFault};
use tealight_format::{DType, Model, ModelError, Op, Operator, Place};
use tealight_testing::build::{self, Parts, overlapping, value};

const CALL: u64 = CALL_COST as u64;

/// Two batches of 32 elements, times weights of three rows.
fn blocks(together: bool) -> Parts {
    let mut parts = Parts {
        constants: vec![("w", DType::U8, vec![3, 34], vec![0; 3 * 34])],
        values: vec![
            value(Place::Arena, DType::F32, &[2, 32], 0, (0, 0)),
            value(Place::Arena, DType::F32, &[2, 3], 256, (0, 1)),
            value(Place::Arena, DType::U8, &[if together { 68 } else { 34 }], 288, (0, 0)),
        ],
        inputs: 1,
        outputs: vec![2],
        ..Parts::default()
    };
    let layer =
        FullyConnectedBlock { block: BlockType::Q8_0, activation: [f32::NEG_INFINITY, f32::INFINITY], together };
    parts.op(Operator::FullyConnectedBlock(layer), &[Some(1), Some(0), None], 2, Some(3));
    parts
}

/// Attention of `count` new positions of one head of `depth` elements, over a cache of two.
fn attention(count: u32, depth: u32) -> Parts {
    let dims = [count, depth];
    let cache = value(Place::State, DType::F32, &[2, 2, 1, depth], 0, (0, 1));
    let mut end = cache.end().next_multiple_of(16) as u32;
    let mut place = |dtype, dims: &[u32], live| {
        let v = value(Place::Arena, dtype, dims, end, live);
        end = v.end().next_multiple_of(16) as u32;
        v
    };
    let [q, k, v] = [(); 3].map(|()| place(DType::F32, &dims, (0, 0)));
    let values = vec![cache, q, k, v, place(DType::I32, &[count], (0, 0)), place(DType::F32, &dims, (0, 1))];
    let mut parts = Parts { values, outputs: vec![5], ..Parts::default() };
    let attrs = AttentionF32 { heads: 1, kv_heads: 1, scale: 1.0 };
    parts.op(Operator::AttentionF32(attrs), &[Some(1), Some(2), Some(3), Some(4), Some(0)], 5, None);
    parts.arranged(&[1, 2, 3, 4])
}

fn with_model<T>(parts: &Parts, look: impl FnOnce(&Model<'_>) -> T) -> T {
    look(&Model::parse(&parts.file()).unwrap())
}

#[test]
fn preparation_before_a_row_is_counted_each_time() {
    with_model(&blocks(false), |model| {
        let op = model.op(0);
        // Quantizing 32 activations, and a row of 32 products.
        assert_eq!((op.rows, op.row_cost, op.prepare_cost, model.period(&op)), (6, 20 + 32, 100 + 11 * 32, 3));
        assert_eq!(model.cost(), CALL + 6 * 52 + 2 * 452);
        assert_eq!(model.longest_row(), CALL + 52 + 452);
        assert_eq!(model.macs(), 6 * 32);
    });
    with_model(&blocks(true), |model| {
        let op = model.op(0);
        assert_eq!((op.rows, op.row_cost, op.prepare_cost, model.period(&op)), (6, 20 + 32, 2 * (100 + 11 * 32), 6));
        assert_eq!(model.cost(), CALL + 6 * 52 + 904);
        assert_eq!(model.longest_row(), CALL + 52 + 904);
    });
    with_model(&attention(5, 3), |model| {
        let op = model.op(0);
        assert_eq!((op.rows, op.prepare_cost, model.period(&op)), (5, 5 * (40 + 3), 5));
        assert_eq!(model.cost(), CALL + 5 * u64::from(op.row_cost) + u64::from(op.prepare_cost));
        assert_eq!(model.longest_row(), CALL + u64::from(op.row_cost) + u64::from(op.prepare_cost));
    });
}

#[test]
fn new_keys_and_values_count_however_small_the_cache_is() {
    let longest = |count| Model::parse(&attention(count, 4).file()).unwrap().longest_row();
    assert!(longest(4096) > longest(1) + 4096 * 40);
}

#[test]
fn a_row_through_a_scratch_value_costs_more() {
    with_model(&overlapping(), |model| {
        let [conv, add] = [0, 1].map(|i| model.op(i));
        // 8 pixels of one channel, a window of three lines of three taps; then the call and the copy of 8 bytes.
        let pixel = 60 + (100 + 25 * 3) + (8 + 5 * 3 + 9);
        assert_eq!(conv.row_cost, 60 + 8 * pixel + 300 + 4);
        // An image row of 8 elements, each at 24.
        assert_eq!(add.row_cost, 2 + 8 * 24 + 300 + 4);
        let rows = |op: &Op| u64::from(op.rows) * u64::from(op.row_cost);
        assert_eq!(model.cost(), 2 * CALL + rows(&conv) + rows(&add));
        assert_eq!(model.macs(), 64 * 9);
    });
}

#[test]
fn operators_of_one_element_cost_a_call_each() {
    /// Miri takes a thousand times as long.
    const COUNT: u16 = if cfg!(miri) { 10 } else { 300 };
    let mut parts = Parts {
        constants: vec![("table", DType::U8, vec![256], vec![0; 256])],
        values: vec![build::arena(&[1], 0, (0, 0))],
        inputs: 1,
        outputs: vec![COUNT + 1],
        ..Parts::default()
    };
    for i in 0..COUNT {
        parts.values.push(build::arena(&[1], 16 * u32::from(i + 1), (i, i + 1)));
        parts.op(Operator::Lookup(Lookup { function: Function::Relu }), &[Some(i + 1), Some(0)], i + 2, None);
    }
    with_model(&parts, |model| assert_eq!(model.cost(), u64::from(COUNT) * (CALL + 2 + 2)));
}

#[test]
fn a_record_with_other_costs_than_the_work_is_refused() {
    let refused = ModelError::Op { op: 0, fault: OpFault::Work };
    for parts in [blocks(false), attention(5, 3), overlapping()] {
        let changes: [fn(&mut Op); 4] = [
            |op| op.row_cost -= 1,
            |op| op.row_cost += 1,
            |op| op.prepare_cost = op.prepare_cost.wrapping_sub(1),
            |op| op.prepare_cost += 1,
        ];
        for change in changes {
            let mut parts = parts.clone();
            change(&mut parts.ops[0]);
            assert_eq!(Model::parse(&parts.file()).unwrap_err(), refused);
        }
    }
}
