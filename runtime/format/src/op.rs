//! One record of the operator table.

use crate::bytes::{i32_at, put, u8_at, u16_at, u32_at};
use crate::group::Group;
use crate::op_set::OpSetOf;
use crate::ops::{Attrs, MAX_INPUTS, OpCode, OpFault, Operator, Work};
use crate::value::{NONE, Value};
use zerocopy::FromBytes;

/// The number of bytes of an operator record.
pub const OP_RECORD: usize = 96;

/// An operator of the plan: what it computes, on which values, and in how many rows.
///
/// Every operator writes exactly one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Op {
    /// The operator with its attributes.
    pub operator: Operator,
    /// Value indices of the first `count` inputs; `None` among them is an absent optional input.
    pub inputs: [Option<u16>; MAX_INPUTS],
    /// The number of inputs listed.
    pub count: u8,
    /// Value index of the output.
    pub output: u16,
    /// Value index of the scratch value: one or more output rows, needed when the output shares memory with an input, or
    /// the operator's [`Workspace`](crate::ops::Workspace).
    pub scratch: Option<u16>,
    /// The operator's place in a group.
    pub group: Group,
    /// The number of rows. The bytes of a row are not stored; they follow from the output.
    pub rows: u32,
    /// Cost of one row, including that of computing it into a scratch value if there is one.
    pub row_cost: u32,
    /// Cost of the preparation before the first of every [`Work::period`] rows.
    pub prepare_cost: u32,
}

impl Op {
    /// An operator on these values, with the work that [`Operator::check`] has returned. Inputs beyond [`MAX_INPUTS`]
    /// are dropped.
    pub const fn new(operator: Operator, inputs: &[Option<u16>], output: u16, work: &Work) -> Self {
        let mut op = Self {
            operator,
            inputs: [None; MAX_INPUTS],
            count: 0,
            output,
            scratch: None,
            group: Group::NONE,
            rows: work.rows,
            row_cost: row_cost(work, None),
            prepare_cost: work.prepare_cost,
        };
        let mut k = 0;
        while k < inputs.len() && k < MAX_INPUTS {
            op.inputs[k] = inputs[k];
            k += 1;
        }
        op.count = k as u8;
        op
    }

    /// The same operator with a scratch value, through which the rows of `work` are computed.
    #[must_use]
    pub const fn with_scratch(mut self, scratch: u16, work: &Work) -> Self {
        self.scratch = Some(scratch);
        self.row_cost = row_cost(work, self.scratch);
        self
    }

    /// The same operator at this place in a group, with an output that has [`Rows`](crate::Rows).
    #[must_use]
    pub const fn in_group(mut self, group: Group, work: &Work, output: &Value) -> Self {
        self.group = group;
        self.prepare_cost = work.moving(output).prepare_cost;
        self
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with the record by itself. [`Operator::check`] checks it against its operands.
    pub const fn parse(record: &[u8; OP_RECORD]) -> Result<Self, OpFault> {
        Self::parse_with::<true>(record)
    }

    /// Reads a record that [`parse`](Self::parse) has accepted before.
    pub(crate) const fn read(record: &[u8; OP_RECORD]) -> Result<Self, OpFault> {
        Self::parse_with::<false>(record)
    }

    /// As [`read`](Self::read), for operators in the set `O`; `None` for others.
    pub(crate) fn read_in<O: OpSetOf>(record: &[u8; OP_RECORD]) -> Option<Self> {
        let operator = Operator::read_in::<O>(OpCode::from_code(u8_at(record, 0))?, &attributes(record))?;
        Self::with_operator::<false>(record, operator).ok()
    }

    const fn parse_with<const CHECK: bool>(record: &[u8; OP_RECORD]) -> Result<Self, OpFault> {
        let Some(code) = OpCode::from_code(u8_at(record, 0)) else { return Err(OpFault::UnknownOperator) };
        let count = u8_at(record, 1);
        ensure!(!CHECK || count as usize <= MAX_INPUTS, OpFault::Inputs);
        let attrs = attributes(record);
        let operator = tri!(Operator::parse_with::<CHECK>(code, &attrs));
        if CHECK {
            // Words that the operator does not use must be 0, so emitting it again must return the same words.
            let again = operator.emit();
            let mut i = 0;
            while i < attrs.len() {
                ensure!(attrs[i] == again[i], OpFault::Reserved);
                i += 1;
            }
        }
        Self::with_operator::<CHECK>(record, operator)
    }

    /// Reads all of a record but the operator.
    const fn with_operator<const CHECK: bool>(record: &[u8; OP_RECORD], operator: Operator) -> Result<Self, OpFault> {
        let count = u8_at(record, 1);
        let mut inputs = [None; MAX_INPUTS];
        let mut k = 0;
        while k < MAX_INPUTS {
            let index = u16_at(record, 4 + 2 * k);
            if index != NONE {
                ensure!(!CHECK || k < count as usize, OpFault::Reserved);
                inputs[k] = Some(index);
            }
            k += 1;
        }
        let scratch = u16_at(record, 20);
        Ok(Self {
            operator,
            inputs,
            count,
            output: u16_at(record, 2),
            scratch: if scratch == NONE { None } else { Some(scratch) },
            group: Group { before: u8_at(record, 22), after: u8_at(record, 23) },
            rows: u32_at(record, 24),
            row_cost: u32_at(record, 28),
            prepare_cost: u32_at(record, 92),
        })
    }

    /// Writes the record that [`parse`](Self::parse) reads.
    pub const fn emit(&self) -> [u8; OP_RECORD] {
        let mut record = [0; OP_RECORD];
        record[0] = self.operator.code() as u8;
        record[1] = self.count;
        put(&mut record, 2, &self.output.to_le_bytes());
        let mut k = 0;
        while k < MAX_INPUTS {
            let index = match self.inputs[k] {
                Some(index) => index,
                None => NONE,
            };
            put(&mut record, 4 + 2 * k, &index.to_le_bytes());
            k += 1;
        }
        let scratch = match self.scratch {
            Some(index) => index,
            None => NONE,
        };
        put(&mut record, 20, &scratch.to_le_bytes());
        record[22] = self.group.before;
        record[23] = self.group.after;
        put(&mut record, 24, &self.rows.to_le_bytes());
        put(&mut record, 28, &self.row_cost.to_le_bytes());
        let attrs = self.operator.emit();
        let mut i = 0;
        while i < attrs.len() {
            put(&mut record, 32 + 4 * i, &attrs[i].to_le_bytes());
            i += 1;
        }
        put(&mut record, 92, &self.prepare_cost.to_le_bytes());
        record
    }

    /// Whether rows and costs are those of `work`.
    pub(crate) const fn does(&self, work: &Work) -> bool {
        self.rows == work.rows
            && self.row_cost == row_cost(work, self.scratch)
            && self.prepare_cost == work.prepare_cost
    }

    /// Input `k`, if it is present.
    pub const fn input(&self, k: usize) -> Option<u16> {
        if k < MAX_INPUTS { self.inputs[k] } else { None }
    }
}

/// The attribute word of the padding above the image, of operators that move windows over it.
const PAD: usize = 4;

/// The attribute words of a record.
const fn attributes(record: &[u8; OP_RECORD]) -> Attrs {
    let mut attrs: Attrs = [0; 15];
    let mut i = 0;
    while i < attrs.len() {
        attrs[i] = i32_at(record, 32 + 4 * i);
        i += 1;
    }
    attrs
}

/// The cost of a row of `work`, including that of computing it into a scratch value if there is one.
const fn row_cost(work: &Work, scratch: Option<u16>) -> u32 {
    match scratch {
        Some(_) => work.row_cost.saturating_add(work.scratch_cost),
        None => work.row_cost,
    }
}

/// An operator of a checked model as its record in the file, of which a field is read where it is used. An [`Op`] takes
/// 130 bytes of memory; this is a reference.
#[derive(Clone, Copy, Debug)]
pub struct OpRecord<'a>(&'a [u32; OP_RECORD / 4]);

impl<'a> OpRecord<'a> {
    /// The record of an operator without rows.
    const NONE: OpRecord<'static> = OpRecord(&[0; _]);

    /// The operator with this record, which [`Op::parse`] has accepted before. The record must be aligned to four bytes.
    #[inline]
    pub(crate) fn new(record: &'a [u8; OP_RECORD]) -> Self {
        FromBytes::ref_from_bytes(record).map_or(Self::NONE, Self)
    }

    /// Word `i` of the record, which is below 24.
    #[inline]
    fn word(self, i: usize) -> u32 {
        self.0.get(i).map_or(0, |&word| u32::from_le(word))
    }

    /// The operator's code.
    #[inline]
    pub fn code(self) -> Option<OpCode> {
        OpCode::from_code(self.word(0) as u8)
    }

    /// The operator with its attributes, if it is in the set `O` and `code` is its code: code for reading other operators
    /// is not linked.
    #[inline(always)]
    pub fn operator_in<O: OpSetOf>(self, code: OpCode) -> Option<Operator> {
        let mut attrs: Attrs = [0; _];
        for (i, attr) in attrs.iter_mut().enumerate() {
            *attr = self.word(8 + i).cast_signed();
        }
        Operator::read_in::<O>(code, &attrs)
    }

    /// Attribute word `i`, which is below 15.
    #[inline]
    pub(crate) fn attribute(self, i: usize) -> u32 {
        self.word(8 + i)
    }

    /// The number of inputs listed.
    #[inline]
    pub fn count(self) -> usize {
        (self.word(0) >> 8) as u8 as usize
    }

    /// Value index of the output.
    #[inline]
    pub fn output(self) -> u16 {
        (self.word(0) >> 16) as u16
    }

    /// Value index of input `k`, if it is present.
    #[inline]
    pub fn input(self, k: usize) -> Option<u16> {
        let index = self.input_index(k);
        if index == NONE { None } else { Some(index) }
    }

    /// Value index of input `k`; an index past the last value if it is absent.
    #[inline]
    pub fn input_index(self, k: usize) -> u16 {
        let pair = if k < MAX_INPUTS { self.word(1 + k / 2) } else { u32::MAX };
        (pair >> (16 * (k as u32 % 2))) as u16
    }

    /// Value index of the scratch value.
    #[inline]
    pub fn scratch(self) -> Option<u16> {
        let index = self.word(5) as u16;
        if index == NONE { None } else { Some(index) }
    }

    /// The operator's place in a group.
    #[inline]
    pub fn group(self) -> Group {
        let [_, _, before, after] = self.word(5).to_le_bytes();
        Group { before, after }
    }

    /// The number of image rows from one window to the next, and the rows of padding above the image, of an operator of
    /// this code that moves windows over its first input; `None` for any other operator.
    pub fn window_rows(self, code: OpCode) -> Option<[u32; 2]> {
        let stride = match code {
            OpCode::Conv2d | OpCode::DepthwiseConv2d | OpCode::Conv2dF32 | OpCode::DepthwiseConv2dF32 => 0,
            OpCode::Conv2dI16 | OpCode::DepthwiseConv2dI16 => 0,
            OpCode::AvgPool2d | OpCode::MaxPool2d | OpCode::AvgPool2dF32 | OpCode::MaxPool2dF32 => 2,
            OpCode::AvgPool2dI16 | OpCode::MaxPool2dI16 => 2,
            _ => return None,
        };
        Some([self.word(8 + stride), self.word(8 + PAD)])
    }

    /// The record of the same operator, of this code, on an image with `lead` rows of padding above it.
    pub fn with_lead(self, code: OpCode, lead: u32) -> OpWords {
        let mut words = *self.0;
        if self.window_rows(code).is_some() {
            words[8 + PAD] = lead.to_le();
        }
        OpWords(words)
    }

    /// The number of rows.
    #[inline]
    pub fn rows(self) -> u32 {
        self.word(6)
    }

    /// Cost of one row.
    #[inline]
    pub fn row_cost(self) -> u32 {
        self.word(7)
    }

    /// Cost of the preparation before the first of every [`Work::period`] rows.
    #[inline]
    pub fn prepare_cost(self) -> u32 {
        self.word(23)
    }
}

/// An operator record that is not in a file: an [`OpRecord`] to change.
#[derive(Clone, Copy, Debug)]
pub struct OpWords([u32; OP_RECORD / 4]);

impl OpWords {
    /// The record.
    pub const fn record(&self) -> OpRecord<'_> {
        OpRecord(&self.0)
    }
}
