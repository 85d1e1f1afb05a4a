//! A checked model.

use crate::bytes::{align16, i32_at, slice, u8_at, u16_at, u32_at};
use crate::error::{ModelError, ValueFault};
use crate::header::{self, Entries, Header};
use crate::op::{OP_RECORD, Op, OpSet};
use crate::ops::{MAX_INPUTS, OUTPUT, OpFault, Operands, Operator, RowAccess, Work};
use crate::plan::{FORMAT_VERSION, PLAN_HEADER, PlanHeader, has_magic};
use crate::value::{NONE, VALUE_RECORD, Value};
use crate::{DType, Shape};

/// A model file that has been checked: everything that running it relies on holds.
///
/// It is a view of the file's bytes; nothing is copied. The accessors cannot fail. An index past a table gives an
/// empty record, not a panic.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: Header,
    plan: PlanHeader,
}

/// What accessors give for an index past a table.
const NO_VALUE: Value = Value {
    place: crate::Place::Constant,
    dtype: DType::U8,
    shape: Shape::SCALAR,
    offset: 0,
    len: 0,
    scale: 0.0,
    zero_point: 0,
    first: 0,
    last: 0,
    alias: None,
    init: None,
};

const NO_OP: Op = Op {
    operator: Operator::Copy(crate::ops::Copy),
    inputs: [None; MAX_INPUTS],
    count: 0,
    output: NONE,
    scratch: None,
    rows: 0,
    row_cost: 1,
};

impl<'a> Model<'a> {
    /// Checks `bytes`, a whole model file, and gives a view of it.
    ///
    /// The check is complete: whatever the bytes are, this returns, and if it returns a model then running it cannot
    /// read or write out of bounds, cannot fail, and ends. The time is bounded by the file's length squared.
    ///
    /// # Errors
    /// The first thing that is wrong, and where: [`ModelError`].
    pub const fn parse(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let header = tri!(header::parse(bytes));
        let mut entries = Entries::new(bytes, &header);
        let Some(first) = entries.next() else { return Err(ModelError::NotTealight) };
        let plan_bytes = slice(bytes, header.data_at, first.len as usize);
        if !first.dtype.is(DType::U8) || !has_magic(plan_bytes) {
            return Err(ModelError::NotTealight);
        }
        let version = u32_at(plan_bytes, 8);
        if version != FORMAT_VERSION {
            return Err(ModelError::Version { found: version });
        }
        let Some(plan) = PlanHeader::parse(plan_bytes) else { return Err(ModelError::Counts) };
        ensure!(plan.constants <= plan.values, ModelError::Counts);
        ensure!(plan.values < NONE as u32 && plan.ops < NONE as u32, ModelError::Counts);
        ensure!(plan.plan_len() == plan_bytes.len() as u64, ModelError::PlanSize);
        let mut at = plan.interface_end() as usize;
        while at < plan_bytes.len() {
            ensure!(u8_at(plan_bytes, at) == 0, ModelError::PlanSize);
            at += 1;
        }
        let model = Self { bytes, header, plan };
        tri!(model.check_constants(entries));
        tri!(model.check_values());
        tri!(model.check_interface());
        tri!(model.check_ops());
        tri!(model.check_lives());
        tri!(model.check_memory());
        Ok(model)
    }

    // ---- accessors ----

    /// The whole file.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Rows of the value table.
    pub const fn value_count(&self) -> usize {
        self.plan.values as usize
    }

    /// How many of the values, from the first, are constants.
    pub const fn constant_count(&self) -> usize {
        self.plan.constants as usize
    }

    /// Rows of the operator table.
    pub const fn op_count(&self) -> usize {
        self.plan.ops as usize
    }

    /// Model inputs.
    pub const fn input_count(&self) -> usize {
        self.plan.inputs as usize
    }

    /// Model outputs.
    pub const fn output_count(&self) -> usize {
        self.plan.outputs as usize
    }

    /// Bytes of memory that a session needs, exactly: state, activations, scratch and alignment.
    pub const fn arena_len(&self) -> usize {
        self.plan.arena_len as usize
    }

    /// How many bytes of the arena, from its start, are streaming state.
    pub const fn state_len(&self) -> usize {
        self.plan.state_len as usize
    }

    /// The kernels that the operators need.
    pub const fn op_set(&self) -> OpSet {
        self.plan.op_set
    }

    /// Value `index`.
    pub const fn value(&self, index: usize) -> Value {
        if index >= self.plan.values as usize {
            return NO_VALUE;
        }
        match Value::parse(self.record(PLAN_HEADER + index * VALUE_RECORD, VALUE_RECORD)) {
            Some(value) => value,
            None => NO_VALUE,
        }
    }

    /// Operator `index`.
    pub const fn op(&self, index: usize) -> Op {
        if index >= self.plan.ops as usize {
            return NO_OP;
        }
        match Op::parse(self.op_record(index)) {
            Ok(op) => op,
            Err(_) => NO_OP,
        }
    }

    /// The values that operator `op` works on.
    pub const fn operands(&self, op: &Op) -> Operands {
        let mut operands =
            Operands { inputs: [None; MAX_INPUTS], count: op.count as usize, output: self.value(op.output as usize) };
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(index) = op.inputs[k] {
                operands.inputs[k] = Some(self.value(index as usize));
            }
            k += 1;
        }
        operands
    }

    /// The work of operator `op`.
    pub const fn work(&self, op: &Op) -> Work {
        let output = self.value(op.output as usize);
        let row_bytes = match output.len.checked_div(op.rows) {
            Some(row_bytes) => row_bytes,
            None => 0,
        };
        Work { rows: op.rows, row_bytes, row_cost: op.row_cost }
    }

    /// The value index of model input `i`, or 65,535 past the last.
    pub const fn input(&self, i: usize) -> usize {
        self.interface(i, 0, self.plan.inputs)
    }

    /// The value index of model output `i`, or 65,535 past the last.
    pub const fn output(&self, i: usize) -> usize {
        self.interface(i, self.plan.inputs, self.plan.outputs)
    }

    /// The bytes of a constant value, in place. Nothing for a value in the arena.
    pub const fn constant(&self, value: &Value) -> &'a [u8] {
        if !value.is_constant() {
            return &[];
        }
        // A value that is not this model's may say anything.
        slice(self.bytes, self.header.data_at.saturating_add(value.offset as usize), value.len as usize)
    }

    /// The name of constant `index`, as the safetensors header has it.
    pub const fn constant_name(&self, index: usize) -> &'a str {
        if index >= self.constant_count() {
            return "";
        }
        let mut entries = Entries::new(self.bytes, &self.header);
        // The plan comes before them.
        let mut left = index + 1;
        while let Some(tensor) = entries.next() {
            if left == 0 {
                return text(slice(self.bytes, tensor.name_at, tensor.name_len));
            }
            left -= 1;
        }
        ""
    }

    /// The metadata entry `key`, as it stands in the file: JSON escapes are not resolved.
    pub const fn metadata(&self, key: &str) -> Option<&'a str> {
        match header::metadata(self.bytes, &self.header, key.as_bytes()) {
            Some(value) => Some(text(value)),
            None => None,
        }
    }

    /// The cost of one inference in multiply-accumulates, other work counted at about its weight.
    pub const fn cost(&self) -> u64 {
        let mut cost = 0u64;
        let mut i = 0;
        while i < self.op_count() {
            let op = self.op(i);
            cost = cost.saturating_add(op.rows as u64 * op.row_cost as u64);
            i += 1;
        }
        cost
    }

    /// Nominal multiply-accumulates of one inference: taps on padding count, other arithmetic does not.
    pub const fn macs(&self) -> u64 {
        let mut macs = 0u64;
        let mut i = 0;
        while i < self.op_count() {
            let op = self.op(i);
            macs = macs.saturating_add(op.operator.macs(&self.work(&op)));
            i += 1;
        }
        macs
    }

    const fn record(&self, at: usize, len: usize) -> &'a [u8] {
        slice(self.bytes, self.header.data_at + at, len)
    }

    const fn op_record(&self, index: usize) -> &'a [u8] {
        self.record(self.plan.ops_at() as usize + index * OP_RECORD, OP_RECORD)
    }

    const fn interface(&self, i: usize, from: u32, count: u32) -> usize {
        if i >= count as usize {
            return NONE as usize;
        }
        let at = self.plan.interface_at() as usize + 2 * (from as usize + i);
        u16_at(self.record(at, 2), 0) as usize
    }

    /// The value that owns the bytes of value `index`: itself, or the one that it views.
    const fn base(&self, index: usize) -> usize {
        match self.value(index).alias {
            Some(base) => base as usize,
            None => index,
        }
    }

    const fn is_input(&self, value: usize) -> bool {
        let mut i = 0;
        while i < self.input_count() {
            if self.input(i) == value {
                return true;
            }
            i += 1;
        }
        false
    }

    // ---- checks, in the order of parse ----

    /// Constants come first and are the file's tensors after the plan, one to one.
    const fn check_constants(&self, mut entries: Entries<'_>) -> Result<(), ModelError> {
        let mut i = 0;
        while let Some(tensor) = entries.next() {
            let fault = ModelError::Value { value: i as u16, fault: ValueFault::Constant };
            ensure!(i < self.constant_count(), fault);
            let Some(value) = Value::parse(self.record(PLAN_HEADER + i * VALUE_RECORD, VALUE_RECORD)) else {
                return Err(ModelError::Value { value: i as u16, fault: ValueFault::Record });
            };
            ensure!(value.is_constant() && value.dtype.is(tensor.dtype), fault);
            ensure!(value.offset == tensor.begin && align16(value.len as u64) == tensor.len as u64, fault);
            i += 1;
        }
        ensure!(i == self.constant_count(), ModelError::Value { value: i as u16, fault: ValueFault::Constant });
        Ok(())
    }

    const fn check_values(&self) -> Result<(), ModelError> {
        let mut i = 0;
        while i < self.value_count() {
            if let Err(fault) = self.check_value(i) {
                return Err(ModelError::Value { value: i as u16, fault });
            }
            i += 1;
        }
        Ok(())
    }

    const fn check_value(&self, index: usize) -> Result<(), ValueFault> {
        let record = self.record(PLAN_HEADER + index * VALUE_RECORD, VALUE_RECORD);
        let Some(value) = Value::parse(record) else { return Err(ValueFault::Record) };
        ensure!(value.is_constant() == (index < self.constant_count()), ValueFault::Constant);
        let Some(elements) = value.shape.elements() else { return Err(ValueFault::Length) };
        // Half of the address space of a 32-bit core is more than any tensor takes; it keeps index sums from wrapping.
        ensure!(elements > 0 && elements < 1 << 28, ValueFault::Length);
        ensure!(!value.dtype.is(DType::F16) || value.is_constant(), ValueFault::Record);
        ensure!(value.len == elements * value.dtype.size(), ValueFault::Length);
        ensure!(value.scale >= 0.0 && value.scale.is_finite(), ValueFault::Scale);
        ensure!(value.offset.is_multiple_of(16), ValueFault::Range);
        let (from, to) = match value.place {
            // Where the file's tensors are has been checked.
            crate::Place::Constant => (0, u32::MAX),
            crate::Place::Arena => (self.plan.state_len, self.plan.arena_len),
            crate::Place::State => (0, self.plan.state_len),
        };
        ensure!(from <= value.offset && value.end() <= to as u64, ValueFault::Range);
        ensure!(value.first <= value.last && value.last as u32 <= self.plan.ops, ValueFault::Life);
        if let Some(alias) = value.alias {
            ensure!((alias as usize) < index && !value.is_constant(), ValueFault::Alias);
            let base = self.value(alias as usize);
            ensure!(base.alias.is_none() && base.place as u8 == value.place as u8, ValueFault::Alias);
            ensure!(base.offset == value.offset && base.len == value.len, ValueFault::Alias);
            ensure!(value.init.is_none(), ValueFault::Init);
        }
        if let Some(init) = value.init {
            ensure!(value.is_state() && (init as usize) < self.constant_count(), ValueFault::Init);
            let constant = self.value(init as usize);
            ensure!(constant.dtype.is(value.dtype) && constant.len == value.len, ValueFault::Init);
        }
        Ok(())
    }

    /// Model inputs are arena values of their own, alive from the start; outputs are alive to the end.
    const fn check_interface(&self) -> Result<(), ModelError> {
        let mut i = 0;
        while i < self.input_count() {
            let fault = ModelError::Interface { index: i as u16 };
            let index = self.input(i);
            ensure!(index < self.value_count(), fault);
            let value = self.value(index);
            ensure!(value.is_arena() && value.alias.is_none() && value.first == 0, fault);
            let mut j = 0;
            while j < i {
                ensure!(self.input(j) != index, fault);
                j += 1;
            }
            i += 1;
        }
        let mut i = 0;
        while i < self.output_count() {
            let fault = ModelError::Interface { index: (self.input_count() + i) as u16 };
            let index = self.output(i);
            ensure!(index < self.value_count(), fault);
            let base = self.value(self.base(index));
            ensure!(!base.is_arena() || base.last as u32 == self.plan.ops, fault);
            i += 1;
        }
        Ok(())
    }

    const fn check_ops(&self) -> Result<(), ModelError> {
        let mut set = 0;
        let mut i = 0;
        while i < self.op_count() {
            let op = match Op::parse(self.op_record(i)) {
                Ok(op) => op,
                Err(fault) => return Err(ModelError::Op { op: i as u16, fault }),
            };
            if let Err(fault) = self.check_op(i, &op) {
                return Err(ModelError::Op { op: i as u16, fault });
            }
            if let Some(k) = op.operator.channels_input()
                && let Some(index) = op.input(k)
                && !self.channels_in_range(index)
            {
                return Err(ModelError::Value { value: index, fault: ValueFault::Channels });
            }
            set |= op.operator.needs(&self.operands(&op));
            i += 1;
        }
        ensure!(set == self.plan.op_set, ModelError::OpSet);
        Ok(())
    }

    /// Checks one operator: operands exist and live, its own rule, its work, and what its output may overlap.
    const fn check_op(&self, at: usize, op: &Op) -> Result<(), OpFault> {
        ensure!((op.output as usize) < self.value_count(), OpFault::OperandIndex { operand: OUTPUT });
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(index) = op.inputs[k] {
                ensure!((index as usize) < self.value_count(), OpFault::OperandIndex { operand: k as u8 });
                ensure!(self.readable(index as usize, at), OpFault::NotLive { operand: k as u8 });
            }
            k += 1;
        }
        let operands = self.operands(op);
        let work = tri!(op.operator.check(&operands));
        ensure!(work.rows == op.rows && work.row_cost == op.row_cost, OpFault::Work);
        tri!(self.check_output(at, op, &operands.output));
        let mut shares = false;
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(input) = operands.inputs[k]
                && input.place as u8 == operands.output.place as u8
                && touch(&input, &operands.output)
            {
                let index = match op.inputs[k] {
                    Some(index) => index as usize,
                    None => 0,
                };
                let dies = self.value(self.base(index)).last as usize == at;
                match op.operator.row_access(&operands, k) {
                    Some(access) if dies && clears(&access, &work, &input, &operands.output) => shares = true,
                    _ => return Err(OpFault::Overlap { operand: k as u8 }),
                }
            }
            k += 1;
        }
        // State that an operator writes is its own: nothing else that it reads may be a view of it.
        if let Some(k) = op.operator.state_input()
            && let Some(written) = operands.input(k)
        {
            let mut other = 0;
            while other < MAX_INPUTS {
                if let Some(input) = operands.inputs[other]
                    && other != k
                {
                    ensure!(!input.is_state() || !touch(&input, &written), OpFault::Place { operand: other as u8 });
                }
                other += 1;
            }
        }
        let workspace = op.operator.workspace(&operands);
        match op.scratch {
            None => ensure!(!shares && workspace.is_none(), OpFault::Scratch),
            Some(scratch) => {
                ensure!((scratch as usize) < self.value_count() && scratch != op.output, OpFault::Scratch);
                let value = self.value(scratch as usize);
                ensure!(value.is_arena() && value.alias.is_none(), OpFault::Scratch);
                let len = match workspace {
                    Some(workspace) => workspace.len,
                    None => work.row_bytes,
                };
                ensure!(value.dtype.is(DType::U8) && value.len == len, OpFault::Scratch);
                ensure!(value.first as usize == at && value.last as usize == at, OpFault::Scratch);
                ensure!(!self.is_input(scratch as usize), OpFault::Scratch);
                // It must lie apart from what the row is read from and written to.
                ensure!(!touch(&value, &operands.output), OpFault::Scratch);
                let mut k = 0;
                while k < MAX_INPUTS {
                    if let Some(input) = operands.inputs[k] {
                        ensure!(!input.is_arena() || !touch(&value, &input), OpFault::Scratch);
                    }
                    k += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether operator `at` may read value `index`: a constant, state, or an arena value written before and not yet
    /// given up.
    const fn readable(&self, index: usize, at: usize) -> bool {
        let base = self.base(index);
        let value = self.value(base);
        if !value.is_arena() {
            return true;
        }
        let written = (value.first as usize) < at || self.is_input(base);
        written && at <= value.last as usize
    }

    /// The output is an arena value that starts to live here, or, for Copy, state.
    const fn check_output(&self, at: usize, op: &Op, output: &Value) -> Result<(), OpFault> {
        ensure!(output.alias.is_none(), OpFault::Output);
        if output.is_state() {
            let copies = matches!(op.operator, Operator::Copy(_));
            ensure!(copies, OpFault::Place { operand: OUTPUT });
            return Ok(());
        }
        ensure!(output.is_arena(), OpFault::Place { operand: OUTPUT });
        ensure!(output.first as usize == at && !self.is_input(op.output as usize), OpFault::Output);
        Ok(())
    }

    const fn channels_in_range(&self, index: u16) -> bool {
        let table = self.constant(&self.value(index as usize));
        let mut at = 0;
        while at + 12 <= table.len() {
            let (multiplier, shift) = (i32_at(table, at + 4), i32_at(table, at + 8));
            if multiplier < 0 || shift < -31 || shift > 30 {
                return false;
            }
            at += 12;
        }
        true
    }

    /// Every arena value that is not a model input is the output or the scratch of the operator it starts with.
    const fn check_lives(&self) -> Result<(), ModelError> {
        let mut i = self.constant_count();
        while i < self.value_count() {
            let value = self.value(i);
            if value.is_arena() && value.alias.is_none() && !self.is_input(i) {
                let op = self.op(value.first as usize);
                let made = op.output as usize == i || matches!(op.scratch, Some(s) if s as usize == i);
                let fault = ValueFault::Life;
                ensure!((value.first as usize) < self.op_count() && made, ModelError::Value { value: i as u16, fault });
            }
            i += 1;
        }
        Ok(())
    }

    /// Values that live at the same time lie apart, but for an output over an input of the operator that
    /// [`check_op`](Self::check_op) has judged; and the stated lengths are those needed.
    const fn check_memory(&self) -> Result<(), ModelError> {
        let mut arena = 0u64;
        let mut state = 0u64;
        let mut i = self.constant_count();
        while i < self.value_count() {
            let a = self.value(i);
            let end = align16(a.end());
            if end > arena {
                arena = end;
            }
            if a.is_state() && end > state {
                state = end;
            }
            let mut j = if a.alias.is_some() { self.value_count() } else { i + 1 };
            while j < self.value_count() {
                // Most pairs lie apart: look at their bytes before the whole record.
                if self.lies_apart(j, &a) {
                    j += 1;
                    continue;
                }
                let b = self.value(j);
                if b.alias.is_none() && a.place as u8 == b.place as u8 && touch(&a, &b) {
                    let together = a.is_state() || (a.first <= b.last && b.first <= a.last);
                    if together && !self.handed_over(i, &a, j, &b) && !self.handed_over(j, &b, i, &a) {
                        return Err(ModelError::Overlap { first: i as u16, second: j as u16 });
                    }
                }
                j += 1;
            }
            i += 1;
        }
        ensure!(state == self.plan.state_len as u64, ModelError::ArenaLength { needed: state as u32 });
        if arena < state {
            arena = state;
        }
        ensure!(arena == self.plan.arena_len as u64, ModelError::ArenaLength { needed: arena as u32 });
        Ok(())
    }

    /// Whether value `index` shares no byte with `a`, if both are in the same place.
    const fn lies_apart(&self, index: usize, a: &Value) -> bool {
        let place = self.record(PLAN_HEADER + index * VALUE_RECORD + 28, 8);
        let (offset, len) = (u32_at(place, 0) as u64, u32_at(place, 4) as u64);
        a.offset as u64 >= offset + len || offset >= a.end()
    }

    /// Whether `dying` ends with the operator that writes `born`, which reads it.
    const fn handed_over(&self, dying: usize, a: &Value, born: usize, b: &Value) -> bool {
        if a.last != b.first || a.is_state() {
            return false;
        }
        let op = self.op(b.first as usize);
        if op.output as usize != born {
            return false;
        }
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(index) = op.inputs[k]
                && self.base(index as usize) == dying
            {
                return true;
            }
            k += 1;
        }
        false
    }
}

/// Whether two values of one place share a byte.
const fn touch(a: &Value, b: &Value) -> bool {
    (a.offset as u64) < b.end() && (b.offset as u64) < a.end()
}

/// Whether the output stays behind the input at every row.
const fn clears(access: &RowAccess, work: &Work, input: &Value, output: &Value) -> bool {
    output.offset as u64 + access.distance(work) as u64 <= input.offset as u64
}

const fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}
