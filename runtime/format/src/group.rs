//! Groups: consecutive operators that run together in passes, so that little of the values between them is in memory at
//! a time.
//!
//! In each pass, every operator of the group in turn computes some rows. How many is a linear function of the pass, up to
//! the value's height: [`Rows`]. A value between two operators is then a line buffer: memory for its latest rows, of which
//! those that are still needed move to its start before a pass adds rows. Alwani et al., "Fused-layer CNN accelerators"
//! (2016), describe such a schedule; since it keeps the rows that windows share, nothing is computed twice.
//!
//! Two questions decide whether a schedule is right: is every row that is read in memory, and does what is written over
//! an input that dies in the group stay behind the reading of it? Both compare two functions of the pass that are linear
//! except for a few bends. The largest difference of such functions is next to a bend or at an end, so a check looks at
//! a constant number of passes, however many there are.

use crate::ops::{MAX_INPUTS, OpFault, Operands, Operator, RowAccess, Work};
use crate::value::{NONE, Rows, Value};
use crate::{Model, Op, Place};

/// The maximum number of operators in a [`Group`].
pub const MAX_GROUP: usize = 16;

/// The place of an operator in a group. SPEC.md, section 2.6, has the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The number of operators of the group before this one.
    pub before: u8,
    /// The number of operators of the group after this one. Both numbers are 0 for an operator outside of groups.
    pub after: u8,
}

impl Group {
    /// The place of an operator outside of groups.
    pub const NONE: Self = Self { before: 0, after: 0 };

    /// Whether the operator is outside of groups.
    pub const fn is_none(self) -> bool {
        self.before == 0 && self.after == 0
    }

    /// Whether an operator of the group at `self` follows one at `previous` directly.
    const fn follows(self, previous: Self) -> bool {
        match self.before {
            0 => previous.after == 0,
            before => previous.before == before - 1 && previous.after > 0 && previous.after - 1 == self.after,
        }
    }
}

/// How the rows of a value of some height come to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The rows of each pass.
    pub rows: Rows,
    /// The number of all rows.
    pub height: u32,
}

impl Schedule {
    /// The number of rows written when pass `pass` ends.
    const fn written(&self, pass: u64) -> u64 {
        self.rows.written(clamped(pass), self.height) as u64
    }

    /// The number of rows written when pass `pass` starts.
    const fn before(&self, pass: u64) -> u64 {
        self.rows.written_before(clamped(pass), self.height) as u64
    }

    /// The index of the pass that completes the value.
    pub const fn last(&self) -> u64 {
        self.rows.passes(self.height) as u64 - 1
    }

    /// The last pass at whose end at most `count` rows are written, whatever the height; 0 if there is none.
    const fn reaches(&self, count: u64) -> u64 {
        let step = if self.rows.step == 0 { 1 } else { self.rows.step };
        count.saturating_sub(self.rows.first as u64) / step as u64
    }
}

/// The reading of a value by an operator of the group that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Which rows the operator reads.
    pub access: RowAccess,
    /// The value.
    pub input: Schedule,
    /// The operator's output.
    pub output: Schedule,
}

impl Reading {
    /// The number of latest rows that must be in memory for the operator to find all that it reads; `None` if it reads
    /// a row before that is written.
    pub const fn held(&self) -> Option<u32> {
        let Self { access, input, output } = self;
        let (stride, lead) = (stride(access), access.lead as u64);
        let complete = (input.height as u64 + lead).saturating_sub(access.extent as u64) / stride + 1;
        let bends = [0, output.last(), input.last(), output.reaches(lead / stride) + 1, output.reaches(complete)];
        let (mut held, mut i) = (0, 0);
        while let Some(pass) = pass_near(&bends, i, output.last()) {
            let (from, to) = (output.before(pass), output.written(pass));
            let written = input.written(pass);
            let end = (to.saturating_sub(1) * stride + access.extent as u64).saturating_sub(lead);
            let needed = if end < input.height as u64 { end } else { input.height as u64 };
            if needed > written {
                return None;
            }
            let rows = written.saturating_sub((from * stride).saturating_sub(lead));
            held = if rows > held { rows } else { held };
            i += 1;
        }
        Some(clamped(held))
    }
}

/// The writing of a value into memory of an input of the group's first operator, which no other operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Which rows of the input the first operator reads.
    pub access: RowAccess,
    /// The number of rows of that input.
    pub input_rows: u32,
    /// The first operator's output.
    pub reader: Schedule,
    /// The value that is written.
    pub output: Schedule,
    /// The number of bytes of one of its rows.
    pub row_bytes: u32,
    /// Whether the first operator itself writes it.
    pub by_reader: bool,
    /// The index of the group's last pass.
    pub last: u64,
}

impl Reuse {
    /// The minimum distance d such that an input at offset `i` and the value at offset `o` with `i >= o + d` can share
    /// memory: at any time, what has been written ends at or below the first byte that is still to be read.
    pub const fn distance(&self) -> u64 {
        let Self { access, reader, output, .. } = self;
        let (stride, lead) = (stride(access), access.lead as u64);
        let held = output.rows.held as u64;
        let bends = [0, self.last, output.reaches(held), output.last(), reader.last(), reader.reaches(lead / stride)];
        let (mut distance, mut i) = (0, 0);
        while let Some(pass) = pass_near(&bends, i, self.last) {
            let written = output.written(pass);
            let end = if written < held { written } else { held } * self.row_bytes as u64;
            // The first operator reads while it writes, and has read all rows of the pass when others write.
            let read = if self.by_reader { reader.before(pass) } else { reader.written(pass) };
            let (free, all) = ((read * stride).saturating_sub(lead), self.input_rows as u64);
            let free = if free < all && read < reader.height as u64 { free } else { all };
            let apart = end.saturating_sub(free * access.row_bytes as u64);
            distance = if apart > distance { apart } else { distance };
            i += 1;
        }
        distance
    }
}

/// Pass number `i` of those next to the bends, from 0 to `last`; `None` past the end of the list.
const fn pass_near(bends: &[u64], i: usize, last: u64) -> Option<u64> {
    const NEAR: usize = 5;
    if i / NEAR >= bends.len() {
        return None;
    }
    let pass = (bends[i / NEAR] + (i % NEAR) as u64).saturating_sub(2);
    Some(if pass < last { pass } else { last })
}

const fn stride(access: &RowAccess) -> u64 {
    if access.stride == 0 { 1 } else { access.stride as u64 }
}

const fn clamped(count: u64) -> u32 {
    if count < u32::MAX as u64 { count as u32 } else { u32::MAX }
}

impl Value {
    /// How the value comes to be written, if an operator of a group writes it.
    pub const fn schedule(&self) -> Option<Schedule> {
        match self.rows {
            Some(rows) => Some(Schedule { rows, height: self.shape.dim(1) }),
            None => None,
        }
    }
}

impl Operator {
    /// Whether the operator, on these operands, can be in a group: it works on image rows, row by row. An operator on two
    /// tensors must not broadcast.
    pub const fn can_group(&self, operands: &Operands) -> bool {
        match self {
            Self::Conv2d(_) | Self::DepthwiseConv2d(_) | Self::AvgPool2d(_) | Self::MaxPool2d(_) => true,
            Self::Conv2dF32(_) | Self::DepthwiseConv2dF32(_) | Self::AvgPool2dF32(_) | Self::MaxPool2dF32(_) => true,
            Self::Conv2dI16(_) | Self::DepthwiseConv2dI16(_) | Self::AvgPool2dI16(_) | Self::MaxPool2dI16(_) => true,
            Self::Lookup(_) | Self::UnaryF32(_) | Self::RequantizeI16(_) => true,
            Self::AddI16(_)
            | Self::SubI16(_)
            | Self::MulI16(_)
            | Self::Add(_)
            | Self::Sub(_)
            | Self::Mul(_)
            | Self::AddF32(_)
            | Self::SubF32(_)
            | Self::MulF32(_) => {
                let shape = &operands.output.shape;
                match (operands.input(0), operands.input(1)) {
                    (Some(a), Some(b)) => a.shape.is(shape) && b.shape.is(shape),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

impl Model<'_> {
    /// The number of passes in which operator `at` computes rows; 1 outside of groups.
    pub const fn passes(&self, at: usize) -> u32 {
        let op = self.op(at);
        match self.value(op.output as usize).schedule() {
            Some(schedule) if !op.group.is_none() => clamped(schedule.last() + 1),
            _ => 1,
        }
    }

    /// The index of the last pass of the group that operator `at` is in: the one that completes its last output.
    const fn last_pass(&self, at: usize) -> u64 {
        self.passes(at + self.group_of(at).after as usize) as u64 - 1
    }

    /// Operator `at` must be where its group continues, and what it reads and writes must follow the rules of groups.
    pub(crate) const fn check_group(
        &self,
        at: usize,
        op: &Op,
        operands: &Operands,
        owners: &[u16; MAX_INPUTS],
        work: &Work,
    ) -> Result<(), OpFault> {
        let previous = if at == 0 { Group::NONE } else { self.group_of(at - 1) };
        ensure!(op.group.follows(previous), OpFault::Group);
        if op.group.is_none() {
            ensure!(operands.output.rows.is_none(), OpFault::Group);
            return Ok(());
        }
        let (before, after) = (op.group.before as usize, op.group.after as usize);
        ensure!(before + after < MAX_GROUP && at + after < self.op_count(), OpFault::Group);
        ensure!(op.operator.can_group(operands) && op.scratch.is_none(), OpFault::Group);
        let output = &operands.output;
        let Some(schedule) = output.schedule() else { return Err(OpFault::Group) };
        ensure!(output.is_arena() && work.rows == schedule.height, OpFault::Group);
        // All rows are written in the last pass, and those that are not kept are read in the group alone.
        ensure!(schedule.last() <= self.last_pass(at), OpFault::Group);
        ensure!(output.len == output.whole_len() || output.last as usize <= at + after, OpFault::Group);
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(input) = operands.inputs[k]
                && (self.is_written_in(owners[k], at - before, at) || self.comes_in_rows(owners[k]))
            {
                let fault = OpFault::Rows { operand: k as u8 };
                let (Some(from), Some(access)) = (input.schedule(), op.operator.row_access(operands, k)) else {
                    return Err(fault);
                };
                let reading = Reading { access, input: from, output: schedule };
                let Some(held) = reading.held() else { return Err(fault) };
                ensure!(held <= from.rows.held, fault);
                // Both count the same rows.
                ensure!(matches!(input.image_row(), Some(bytes) if bytes == access.row_bytes), fault);
            }
            k += 1;
        }
        Ok(())
    }

    /// Whether the output of operator `at` of a group may lie where the live value `index` lies: an input of the group's
    /// first operator that dies there, and that the output stays behind.
    pub(crate) const fn may_reuse(&self, at: usize, output: u16, index: u16) -> bool {
        let group = self.group_of(at);
        let first = at - if (group.before as usize) < at { group.before as usize } else { at };
        let owner = self.value(index as usize);
        let output = self.value(output as usize);
        let reader = match Op::parse(self.op_record(first)) {
            Ok(reader) if !group.is_none() && owner.last as usize == first => reader,
            _ => return false,
        };
        if self.is_written_in(index, first, at) || self.comes_in_rows(index) {
            return false;
        }
        let operands = self.operands(&reader);
        let (Some(written), Some(read)) = (output.schedule(), operands.output.schedule()) else { return false };
        let Some(row_bytes) = output.image_row() else { return false };
        let last = self.last_pass(at);
        let mut reads = false;
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(input) = reader.inputs[k]
                && self.owner(input) == index
            {
                let (Some(view), Some(access)) = (operands.inputs[k], reader.operator.row_access(&operands, k)) else {
                    return false;
                };
                let Some(input_rows) = view.len.checked_div(access.row_bytes) else { return false };
                let by_reader = at == first;
                let reuse = Reuse { access, input_rows, reader: read, output: written, row_bytes, by_reader, last };
                if output.offset as u64 + reuse.distance() > view.offset as u64 {
                    return false;
                }
                reads = true;
            }
            k += 1;
        }
        reads
    }

    /// Whether the model's input comes in rows: see [`Rows`].
    pub const fn has_row_input(&self) -> bool {
        match self.input(0) {
            Some(input) => self.comes_in_rows(input as u16),
            None => false,
        }
    }

    /// Whether the input may come in rows as it states: the group that the model begins with reads it and no other operator
    /// does, and all its rows have come by the group's last pass. The operators have been checked.
    pub(crate) const fn takes_rows(&self) -> bool {
        let group = self.group_of(0);
        match self.input_value(0) {
            Some(Value { rows: Some(rows), shape, last, .. }) => {
                let schedule = Schedule { rows, height: shape.dim(1) };
                !group.is_none() && last <= group.after as u16 && schedule.last() <= self.last_pass(0)
            }
            _ => false,
        }
    }

    /// Whether value `owner` is a model input that comes in rows.
    const fn comes_in_rows(&self, owner: u16) -> bool {
        owner != NONE && self.is_input(owner as usize) && self.value(owner as usize).rows.is_some()
    }

    /// Whether an operator from `first` on and before `at` writes value `owner`.
    const fn is_written_in(&self, owner: u16, first: usize, at: usize) -> bool {
        if owner == NONE || self.is_input(owner as usize) {
            return false;
        }
        let value = self.value(owner as usize);
        matches!(value.place, Place::Arena) && first <= value.first as usize && (value.first as usize) < at
    }
}
