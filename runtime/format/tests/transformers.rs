//! The rules of the operators of transformers: the operands that they accept, the work, and what they refuse.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight_format::DType::{F16, F32, I8, I32, U8};
use tealight_format::ops::{
    AttentionF32, BatchMatMulF32, BlockType, GatherBlock, GatherF32, LayerNormF32, Positions, RmsNormF32, RopeF32,
};
use tealight_format::{DType, OUTPUT, OpFault, Operands, Operator, Place, Value, Work};
use tealight_testing::build::value;

const SHAPE: fn(u8) -> OpFault = |operand| OpFault::Shape { operand };
const TYPE: fn(u8) -> OpFault = |operand| OpFault::Type { operand };
const PLACE: fn(u8) -> OpFault = |operand| OpFault::Place { operand };
const ATTRIBUTE: fn(u8) -> OpFault = |index| OpFault::Attribute { index };

fn constant(dtype: DType, dims: &[u32]) -> Option<Value> {
    Some(value(Place::Constant, dtype, dims, 0, (0, 0)))
}

fn arena(dtype: DType, dims: &[u32]) -> Option<Value> {
    Some(value(Place::Arena, dtype, dims, 0, (0, 0)))
}

fn state(dtype: DType, dims: &[u32]) -> Option<Value> {
    Some(value(Place::State, dtype, dims, 0, (0, 0)))
}

/// An operator with operands that it accepts.
struct Rule {
    operator: Operator,
    inputs: Vec<Option<Value>>,
    output: Value,
}

impl Rule {
    fn new<const N: usize>(operator: Operator, inputs: [Option<Value>; N], output: Option<Value>) -> Self {
        Self { operator, inputs: inputs.to_vec(), output: output.unwrap() }
    }

    fn operands(&self) -> Operands {
        let mut inputs = [None; 8];
        inputs[..self.inputs.len()].copy_from_slice(&self.inputs);
        Operands { inputs, count: self.inputs.len(), output: self.output }
    }

    /// Checks that it is accepted with this work.
    fn works(&self, rows: u32, row_bytes: u32, row_cost: u32) -> &Self {
        let work = self.work();
        assert_eq!((work.rows, work.row_bytes, work.row_cost), (rows, row_bytes, row_cost));
        self
    }

    fn work(&self) -> Work {
        let again = Operator::parse(self.operator.code(), &self.operator.emit());
        assert_eq!(again, Ok(self.operator), "what was written must read back");
        self.operator.check(&self.operands()).unwrap()
    }

    fn refused(&self, fault: OpFault) {
        assert_eq!(self.operator.check(&self.operands()), Err(fault), "{:?}", self.operator);
    }

    /// Checks that it is refused with another input `k`.
    fn input(&self, k: usize, input: Option<Value>, fault: OpFault) -> &Self {
        let mut inputs = self.inputs.clone();
        inputs[k] = input;
        Self { inputs, ..*self }.refused(fault);
        self
    }

    /// Checks that it is refused with another output.
    fn output(&self, output: Option<Value>, fault: OpFault) -> &Self {
        Self { output: output.unwrap(), inputs: self.inputs.clone(), ..*self }.refused(fault);
        self
    }

    /// Checks that it is refused with other attributes.
    fn attributes(&self, operator: Operator, fault: OpFault) -> &Self {
        Self { operator, inputs: self.inputs.clone(), ..*self }.refused(fault);
        self
    }

    /// Checks that it is refused, for that reason, with `word` as attribute word `index`.
    fn word(&self, index: u8, word: i32) -> &Self {
        let mut attrs = self.operator.emit();
        attrs[usize::from(index)] = word;
        assert_eq!(Operator::parse(self.operator.code(), &attrs), Err(ATTRIBUTE(index)));
        self
    }

    /// Checks that it is refused with one input more or fewer, and without any input that is not in `optional`.
    fn counts(&self, optional: &[usize]) -> &Self {
        let fewer = self.inputs[1..].to_vec();
        let more = [&self.inputs[..], &[None]].concat();
        for inputs in [fewer, more] {
            Self { inputs, ..*self }.refused(OpFault::Inputs);
        }
        for k in (0..self.inputs.len()).filter(|k| !optional.contains(k)) {
            self.input(k, None, OpFault::Inputs);
        }
        self
    }
}

#[test]
fn positions_come_from_a_counter_in_the_state() {
    let rule = |capacity| Operator::Positions(Positions { capacity });
    Rule::new(rule(1), [state(I32, &[1])], arena(I32, &[3]))
        .works(1, 12, 20 + 3 * 4)
        .counts(&[])
        .input(0, arena(I32, &[1]), PLACE(0))
        .input(0, state(I32, &[2]), SHAPE(0))
        .input(0, state(F32, &[1]), TYPE(0))
        .output(arena(F32, &[3]), TYPE(OUTPUT))
        .attributes(rule(0), ATTRIBUTE(0))
        .attributes(rule(-1), ATTRIBUTE(0));
    assert_eq!(rule(1).state_input(), Some(0));
    Rule::new(rule(1), [state(I32, &[1]), arena(I32, &[1])], arena(I32, &[3]))
        .works(1, 12, 20 + 3 * 4)
        .input(0, arena(I32, &[1]), PLACE(0))
        .input(1, arena(I32, &[2]), SHAPE(1))
        .input(1, arena(F32, &[1]), TYPE(1))
        .input(1, None, OpFault::Inputs);
}

#[test]
fn gathers_return_a_row_of_the_table_for_each_index() {
    let rule = Rule::new(
        Operator::GatherF32(GatherF32),
        [arena(I32, &[2, 3]), constant(F32, &[9, 4])],
        arena(F32, &[2, 3, 4]),
    );
    rule.works(6, 16, 20 + 4)
        .counts(&[])
        .input(0, arena(I8, &[2, 3]), TYPE(0))
        .input(1, constant(I8, &[9, 4]), TYPE(1))
        .input(1, arena(F32, &[9, 4]), PLACE(1))
        .input(1, constant(F32, &[36]), SHAPE(1))
        .input(1, constant(F32, &[9, 5]), SHAPE(OUTPUT))
        .output(arena(F32, &[2, 4]), SHAPE(OUTPUT))
        .output(arena(I32, &[2, 3, 4]), TYPE(OUTPUT));
    Rule::new(rule.operator, [arena(I32, &[6]), constant(F16, &[9, 4])], arena(F32, &[24])).works(6, 16, 20 + 4 * 6);

    let block = |block| Operator::GatherBlock(GatherBlock { block });
    Rule::new(block(BlockType::Q4_0), [arena(I32, &[3]), constant(U8, &[5, 36])], arena(F32, &[3, 64]))
        .works(3, 256, 20 + 64 * 3)
        .counts(&[])
        .input(1, constant(U8, &[5, 37]), SHAPE(1))
        .input(1, constant(U8, &[180]), SHAPE(1))
        .input(1, arena(U8, &[5, 36]), PLACE(1))
        .input(1, constant(F32, &[5, 36]), TYPE(1))
        .output(arena(F32, &[3, 36]), SHAPE(OUTPUT))
        .word(0, 99)
        .word(0, -1);
}

#[test]
fn norms_have_a_weight_for_each_element_of_a_row() {
    let layer = |epsilon| Operator::LayerNormF32(LayerNormF32 { epsilon });
    let inputs = [arena(F32, &[2, 3, 8]), constant(F32, &[8]), constant(F32, &[8])];
    Rule::new(layer(1e-5), inputs, arena(F32, &[2, 3, 8]))
        .works(6, 32, 40 + 8 * 7)
        .counts(&[2])
        .input(2, constant(F32, &[7]), SHAPE(2))
        .input(2, arena(F32, &[8]), PLACE(2))
        .attributes(layer(f32::INFINITY), ATTRIBUTE(0));
    let rms = |epsilon| Operator::RmsNormF32(RmsNormF32 { epsilon });
    Rule::new(rms(0.0), [arena(F32, &[2, 3, 8]), constant(F32, &[8])], arena(F32, &[2, 3, 8]))
        .works(6, 32, 30 + 8 * 4)
        .counts(&[])
        .input(0, arena(I32, &[2, 3, 8]), TYPE(0))
        .input(1, constant(F32, &[6]), SHAPE(1))
        .input(1, arena(F32, &[8]), PLACE(1))
        .output(arena(F32, &[6, 8]), SHAPE(OUTPUT))
        .attributes(rms(-1e-9), ATTRIBUTE(0))
        .attributes(rms(f32::NAN), ATTRIBUTE(0));
}

#[test]
fn rope_has_a_position_for_each_group_of_rows() {
    let rule = |heads, interleaved| Operator::RopeF32(RopeF32 { heads, interleaved });
    let inputs = [arena(F32, &[2, 3, 8]), constant(F32, &[5, 4]), constant(F32, &[5, 4]), arena(I32, &[2])];
    Rule::new(rule(3, false), inputs, arena(F32, &[2, 3, 8]))
        .works(6, 32, 20 + 8 * 3)
        .counts(&[])
        .input(1, constant(F32, &[5, 8]), SHAPE(1))
        .input(1, constant(F32, &[20]), SHAPE(1))
        .input(1, arena(F32, &[5, 4]), PLACE(1))
        .input(2, constant(F32, &[4, 4]), SHAPE(2))
        .input(3, arena(I32, &[4]), SHAPE(3))
        .input(3, arena(F32, &[2]), TYPE(3))
        .output(arena(F32, &[6, 8]), SHAPE(OUTPUT))
        .attributes(rule(4, false), SHAPE(3))
        .attributes(rule(0, false), ATTRIBUTE(0))
        .attributes(rule(-3, false), ATTRIBUTE(0))
        .attributes(rule(i32::MAX, false), SHAPE(3))
        .word(1, 2);
    // Heads before positions: each position's rows are three apart. Several sequences, one after another.
    let inputs = [arena(F32, &[2, 3, 8]), constant(F32, &[5, 4]), constant(F32, &[5, 4]), arena(I32, &[3])];
    Rule::new(rule(1, true), inputs, arena(F32, &[2, 3, 8])).works(6, 32, 20 + 8 * 3);
    let odd = [arena(F32, &[2, 3, 7]), constant(F32, &[5, 3]), constant(F32, &[5, 3]), arena(I32, &[2])];
    Rule::new(rule(3, false), odd, arena(F32, &[2, 3, 7])).refused(SHAPE(0));
}

#[test]
fn attention_needs_a_cache_of_its_heads() {
    let rule = |heads, kv_heads, scale| Operator::AttentionF32(AttentionF32 { heads, kv_heads, scale });
    let inputs = [
        arena(F32, &[2, 6, 8]),
        arena(F32, &[2, 3, 8]),
        arena(F32, &[2, 24]),
        arena(I32, &[2]),
        state(F32, &[2, 10, 3, 8]),
    ];
    let attention = Rule::new(rule(6, 3, 0.5), inputs, arena(F32, &[2, 48]));
    let work = attention.work();
    // Before the first row, two new keys and values of 24 elements are stored.
    assert_eq!((work.prepare_cost, work.period), (2 * (40 + 24), 12));
    assert_eq!(work.macs, 12 * 2 * 10 * 8);
    attention
        .works(12, 32, 50 + 6 * 8 + 10 * (50 + 4 * 8))
        .counts(&[])
        .input(0, arena(F32, &[2, 5, 8]), SHAPE(0))
        .input(1, arena(F32, &[2, 4, 8]), SHAPE(1))
        .input(2, arena(F32, &[3, 24]), SHAPE(2))
        .input(2, arena(I32, &[2, 24]), TYPE(2))
        .input(3, arena(F32, &[2]), TYPE(3))
        .input(3, arena(I32, &[3]), SHAPE(0))
        .input(4, arena(F32, &[2, 10, 3, 8]), PLACE(4))
        .input(4, constant(F32, &[2, 10, 3, 8]), PLACE(4))
        .input(4, state(F32, &[1, 10, 3, 8]), SHAPE(4))
        .input(4, state(F32, &[2, 10, 24]), SHAPE(4))
        .input(4, state(F32, &[2, 10, 6, 4]), SHAPE(4))
        .input(4, state(I32, &[2, 10, 3, 8]), TYPE(4))
        .output(arena(F32, &[2, 24]), SHAPE(OUTPUT))
        .attributes(rule(0, 3, 0.5), ATTRIBUTE(0))
        .attributes(rule(6, 0, 0.5), ATTRIBUTE(1))
        .attributes(rule(6, 4, 0.5), ATTRIBUTE(1))
        .attributes(rule(6, 6, 0.5), SHAPE(4))
        .attributes(rule(i32::MAX / 3 * 3, 3, 0.5), SHAPE(0))
        .attributes(rule(6, 3, f32::NAN), ATTRIBUTE(2));
    assert_eq!(rule(6, 3, 0.5).state_input(), Some(4));
}

#[test]
fn products_of_activations_agree_in_their_inner_dimension() {
    let rule = |transpose_a, transpose_b| Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a, transpose_b });
    let (a, b) = (arena(F32, &[2, 3, 4, 5]), arena(F32, &[6, 5, 7]));
    Rule::new(rule(false, false), [a, b], arena(F32, &[2, 3, 4, 7]))
        .works(24, 28, 35 + 7 * (2 + 5 * 6) + 5 * 10)
        .counts(&[])
        .input(0, arena(F32, &[5]), SHAPE(0))
        .input(0, arena(F32, &[5, 4, 5]), SHAPE(0))
        .input(1, arena(F32, &[6, 7, 5]), SHAPE(1))
        .input(1, arena(F32, &[2, 5, 7]), SHAPE(1))
        .input(1, arena(I8, &[6, 5, 7]), TYPE(1))
        .output(arena(F32, &[6, 7, 4]), SHAPE(OUTPUT))
        .output(arena(F32, &[168]), SHAPE(OUTPUT))
        .word(0, 2)
        .word(1, -1);
    // Stored transposed, and one matrix for all.
    Rule::new(rule(true, true), [arena(F32, &[6, 5, 4]), arena(F32, &[7, 5])], arena(F32, &[6, 4, 7])).works(
        24,
        28,
        35 + 7 * (2 + 5 * 6) + 5 * 10,
    );
    Rule::new(rule(false, false), [constant(F32, &[4, 5]), b], arena(F32, &[6, 4, 7])).works(
        24,
        28,
        35 + 7 * (2 + 5 * 6) + 5 * 10,
    );
}

#[test]
fn outputs_may_share_memory_with_inputs_that_are_read_row_by_row() {
    let norm = Operator::RmsNormF32(RmsNormF32 { epsilon: 0.0 });
    let rule = Rule::new(norm, [arena(F32, &[6, 8]), constant(F32, &[8])], arena(F32, &[6, 8]));
    let work = norm.check(&rule.operands()).unwrap();
    assert_eq!(norm.row_access(&rule.operands(), 0).unwrap().distance(&work), 0);

    // A row of 7 elements from a row of 5: the output must start so much earlier that its second-last row ends before
    // the last row of the input.
    let product = Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a: false, transpose_b: false });
    let rule = Rule::new(product, [arena(F32, &[4, 5]), arena(F32, &[5, 7])], arena(F32, &[4, 7]));
    let work = product.check(&rule.operands()).unwrap();
    assert_eq!(product.row_access(&rule.operands(), 0).unwrap().distance(&work), 4 * (3 * 7 - 3 * 5));
    assert_eq!(product.row_access(&rule.operands(), 1), None);

    // Keys and values are read before the first row is written; positions are read by every row.
    let attention = Operator::AttentionF32(AttentionF32 { heads: 2, kv_heads: 1, scale: 1.0 });
    let (queries, keys) = (arena(F32, &[3, 2, 4]), arena(F32, &[3, 1, 4]));
    let inputs = [queries, keys, keys, arena(I32, &[3]), state(F32, &[2, 9, 1, 4])];
    let rule = Rule::new(attention, inputs, queries);
    let work = attention.check(&rule.operands()).unwrap();
    for k in 0..3 {
        assert_eq!(attention.row_access(&rule.operands(), k).unwrap().distance(&work), 0);
    }
    assert_eq!(attention.row_access(&rule.operands(), 3), None);

    let gather = Operator::GatherF32(GatherF32);
    let rule = Rule::new(gather, [arena(I32, &[6]), constant(F32, &[9, 1])], arena(F32, &[6]));
    assert_eq!(gather.row_access(&rule.operands(), 0), None);
}
