//! A checked model.

use crate::bytes::{align16, array, i32_at, slice, u8_at, u16_at, u32_at};
use crate::error::{ModelError, ValueFault};
use crate::group::Group;
use crate::header::{self, Entries, Header};
use crate::op::{OP_RECORD, Op, OpRecord};
use crate::op_set::{OpSet, OpSetOf};
use crate::ops::{
    CALL_COST, FullyConnectedBlock, MAX_INPUTS, MAX_WIDE_SHIFT, OUTPUT, OpFault, Operands, Operator, RowAccess, Work,
    check_multiplier, is_channel_table,
};
use crate::plan::{FORMAT_VERSION, MAX_LIVE, PLAN_HEADER, PlanHeader, has_magic};
use crate::value::{NONE, Place, VALUE_RECORD, Value, ValueRecord};
use crate::{DType, Shape};

/// A model file that has been checked: everything that running it relies on holds.
///
/// It is a view of the file's bytes; nothing is copied. The accessors cannot fail: for an index past the end of a table
/// they return an empty record.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    header: Header,
    plan: PlanHeader,
}

/// The result of checking a file, without the file's bytes. The owner of the bytes keeps it and gets the model back
/// with [`Model::of_checked`], without another check.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    header: Header,
    plan: PlanHeader,
}

/// The value that accessors return for an index past the end of the table.
const NO_VALUE: Value = Value::new(Place::Constant, DType::U8, Shape::SCALAR, 0);

const NO_OP: Op = Op {
    operator: Operator::Copy(crate::ops::Copy),
    inputs: [None; MAX_INPUTS],
    count: 0,
    output: NONE,
    scratch: None,
    group: Group::NONE,
    rows: 0,
    row_cost: 1,
    prepare_cost: 0,
};

impl<'a> Model<'a> {
    /// Checks `bytes`, a whole model file, and returns a view of it.
    ///
    /// The check is complete: it ends for any bytes, and if it returns a model, then running that model cannot read or
    /// write out of bounds, cannot fail, and ends.
    ///
    /// The time is linear in the part of the file that is read: the header, the plan, and channel tables, but not the
    /// other constants. `SPEC.md` states the maximum number of instructions for each byte of it. About 5 KiB of stack
    /// are needed.
    ///
    /// # Errors
    /// The first fault that is found, and its place: [`ModelError`].
    pub const fn parse(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let opening = tri!(header::open(bytes));
        let plan_bytes = slice(bytes, opening.data_at, opening.first.len as usize);
        ensure!(
            opening.is_plan() && opening.first.dtype.is(DType::U8) && has_magic(plan_bytes),
            ModelError::NotTealight
        );
        // First, because everything after it may differ in another version.
        let version = u32_at(plan_bytes, 8);
        ensure!(version == FORMAT_VERSION, ModelError::Version { found: version });
        let (header, tensors) = tri!(opening.finish());
        Self::check(bytes, header, tensors, plan_bytes)
    }

    /// Checks a plan of a file with a checked header and as many tensors: `plan_bytes`, which start at `header.plan_at`
    /// with a version that this reader reads.
    // A function of its own would have 450 bytes of the stack more, below its deepest callee.
    #[inline(always)]
    const fn check(bytes: &'a [u8], header: Header, tensors: u32, plan_bytes: &[u8]) -> Result<Self, ModelError> {
        let plan = PlanHeader::parse(plan_bytes);
        ensure!(plan.constants < NONE as u32 && plan.constants + 1 == tensors, ModelError::Counts);
        ensure!(plan.values < NONE as u32 && plan.ops < NONE as u32, ModelError::Counts);
        ensure!(plan.constants + plan.inputs <= plan.values, ModelError::Counts);
        ensure!(plan.plan_len() == plan_bytes.len() as u64, ModelError::PlanSize);
        let mut at = plan.interface_end() as usize;
        while at < plan_bytes.len() {
            ensure!(u8_at(plan_bytes, at) == 0, ModelError::PlanSize);
            at += 1;
        }
        let model = Self { bytes, header, plan };
        let written = tri!(model.check_values());
        tri!(model.check_outputs());
        tri!(model.check_ops(written));
        Ok(model)
    }

    /// The file's second plan, which reads several elements of a sequence at a time: a model with the same constants and
    /// the same state, but its own inputs, operators and activations. `None` if the file has none.
    ///
    /// It is checked by this call, as completely as the first plan by [`parse`](Self::parse), and in time linear in the
    /// file's header and that plan. A session of either can continue with the state that the other has left, in the same
    /// memory, of the larger of both lengths: see `Session::resume` of the crate `tealight`.
    ///
    /// # Errors
    /// The first fault that is found in it, as [`parse`](Self::parse) returns it; or that its state is not that of the
    /// first plan.
    pub const fn batch(&self) -> Result<Option<Self>, ModelError> {
        let tensors = self.plan.constants + 1;
        let mut entries = Entries::new(self.bytes, &self.header, tensors);
        // Names are sorted, except for the plan's, which comes first.
        while let Some(tensor) = entries.next() {
            if !header::same(entries.name(&tensor).as_bytes(), header::BATCH_PLAN) {
                continue;
            }
            let plan_at = self.header.data_at + tensor.begin as usize;
            let plan_bytes = slice(self.bytes, plan_at, tensor.len as usize);
            ensure!(tensor.dtype.is(DType::U8) && has_magic(plan_bytes), ModelError::NotTealight);
            let version = u32_at(plan_bytes, 8);
            ensure!(version == FORMAT_VERSION, ModelError::Version { found: version });
            let header = Header { plan_at, ..self.header };
            let batch = tri!(Self::check(self.bytes, header, tensors, plan_bytes));
            tri!(batch.check_same_state(self));
            return Ok(Some(batch));
        }
        Ok(None)
    }

    /// Checks that the states of two plans of a file are the same: in number, type, shape, place and initial value.
    const fn check_same_state(&self, other: &Self) -> Result<(), ModelError> {
        let (mut a, mut b) = (self.first_state(), other.first_state());
        loop {
            let fault = ModelError::Value { value: a as u16, fault: ValueFault::State };
            let (mine, theirs) = (self.own_state(a), other.own_state(b));
            let (Some(mine), Some(theirs)) = (mine, theirs) else {
                return if mine.is_none() && theirs.is_none() { Ok(()) } else { Err(fault) };
            };
            let mut at = 0;
            while at < VALUE_RECORD {
                // All of the record but the live range.
                ensure!((at >= 44 && at < 48) || u8_at(mine, at) == u8_at(theirs, at), fault);
                at += 1;
            }
            (a, b) = (a + 1, b + 1);
        }
    }

    /// The index of the first state, if there is any.
    const fn first_state(&self) -> usize {
        self.constant_count() + self.input_count()
    }

    /// The record of value `index` if it is state and not a view.
    const fn own_state(&self, index: usize) -> Option<&'a [u8; VALUE_RECORD]> {
        if index >= self.value_count() {
            return None;
        }
        let record = self.value_record(index);
        if u8_at(record, 0) == Place::State as u8 && u16_at(record, 48) == NONE { Some(record) } else { None }
    }

    /// The result of the check, for [`of_checked`](Self::of_checked).
    pub const fn checked(&self) -> Checked {
        Checked { header: self.header, plan: self.plan }
    }

    /// Returns the model in `bytes` without checking again. The bytes must be those of the model that returned
    /// `checked`; for other bytes, the accessors return inconsistent values.
    pub const fn of_checked(bytes: &'a [u8], Checked { header, plan }: Checked) -> Self {
        Self { bytes, header, plan }
    }

    // ---- accessors ----

    /// The whole file.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of values in the value table.
    pub const fn value_count(&self) -> usize {
        self.plan.values as usize
    }

    /// The number of constants: the first of the values.
    pub const fn constant_count(&self) -> usize {
        self.plan.constants as usize
    }

    /// The number of operators.
    pub const fn op_count(&self) -> usize {
        self.plan.ops as usize
    }

    /// The number of model inputs.
    pub const fn input_count(&self) -> usize {
        self.plan.inputs as usize
    }

    /// The number of model outputs.
    pub const fn output_count(&self) -> usize {
        self.plan.outputs as usize
    }

    /// The exact number of bytes that a session needs: state, activations, scratch and alignment.
    pub const fn arena_len(&self) -> usize {
        self.plan.arena_len as usize
    }

    /// The number of bytes of streaming state, at the start of the arena.
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
        match Value::read(self.value_record(index)) {
            Some(value) => value,
            None => NO_VALUE,
        }
    }

    /// Operator `index`.
    pub const fn op(&self, index: usize) -> Op {
        if index >= self.plan.ops as usize {
            return NO_OP;
        }
        match Op::read(self.op_record(index)) {
            Ok(op) => op,
            Err(_) => NO_OP,
        }
    }

    /// Operator `index`, as [`op`](Self::op), if it is in the set `O`: code for reading other operators is not linked. One
    /// that is not in the set has no rows.
    pub fn op_in<O: OpSetOf>(&self, index: usize) -> Op {
        if index >= self.plan.ops as usize {
            return NO_OP;
        }
        Op::read_in::<O>(self.op_record(index)).unwrap_or(NO_OP)
    }

    /// Value `index` as its record in the file, whose bytes must be aligned to four. For an index past the last, a
    /// constant without bytes.
    #[inline]
    pub fn record_of_value(&self, index: usize) -> ValueRecord<'a> {
        ValueRecord::new(if index < self.value_count() { self.value_record(index) } else { &[0; _] })
    }

    /// Operator `index` as its record in the file, whose bytes must be aligned to four. The index must be below
    /// [`op_count`](Self::op_count).
    #[inline]
    pub fn record_of_op(&self, index: usize) -> OpRecord<'a> {
        OpRecord::new(self.op_record(index))
    }

    /// The bytes of a constant value, in place; empty for a value in the arena.
    #[inline]
    pub fn constant_bytes(&self, value: ValueRecord<'_>) -> &'a [u8] {
        if !value.is_constant() {
            return &[];
        }
        let at = self.header.data_at.saturating_add(value.offset() as usize);
        slice(self.bytes, at, value.byte_len() as usize)
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

    /// The number of bytes of one row of operator `op`: one of the equal, consecutive pieces of its output.
    pub const fn row_bytes(&self, op: &Op) -> u32 {
        match self.value(op.output as usize).whole_len().checked_div(op.rows) {
            Some(row_bytes) => row_bytes,
            None => 0,
        }
    }

    /// The number of rows of operator `op` from one preparation to the next, at least 1.
    pub const fn period(&self, op: &Op) -> u32 {
        let rows = match (&op.operator, op.inputs[1]) {
            // The rows of one batch: as many as the weights have.
            (Operator::FullyConnectedBlock(FullyConnectedBlock { together: false, .. }), Some(weights)) => {
                self.value(weights as usize).shape.dim(0)
            }
            _ => op.rows,
        };
        if rows == 0 { 1 } else { rows }
    }

    /// The value index of model input `i`; `None` past the last.
    pub const fn input(&self, i: usize) -> Option<usize> {
        if i < self.input_count() { Some(self.constant_count() + i) } else { None }
    }

    /// The value index of model output `i`; `None` past the last.
    pub const fn output(&self, i: usize) -> Option<usize> {
        if i >= self.output_count() {
            return None;
        }
        let [low, high] = *self.record(self.plan.interface_at() as usize + 2 * i);
        Some(u16::from_le_bytes([low, high]) as usize)
    }

    /// Model input `i`: its type, shape, quantization and place; `None` past the last.
    pub const fn input_value(&self, i: usize) -> Option<Value> {
        match self.input(i) {
            Some(index) => Value::read(self.value_record(index)),
            None => None,
        }
    }

    /// Model output `i`: its type, shape, quantization and place; `None` past the last.
    pub const fn output_value(&self, i: usize) -> Option<Value> {
        match self.output(i) {
            Some(index) => Value::read(self.value_record(index)),
            None => None,
        }
    }

    /// The value indices of all model inputs, in order.
    pub fn inputs(&self) -> impl Iterator<Item = usize> + use<'a> {
        let model = *self;
        (0..model.input_count()).filter_map(move |i| model.input(i))
    }

    /// The value indices of all model outputs, in order.
    pub fn outputs(&self) -> impl Iterator<Item = usize> + use<'a> {
        let model = *self;
        (0..model.output_count()).filter_map(move |i| model.output(i))
    }

    /// The bytes of a constant value, in place; empty for a value in the arena.
    pub const fn constant(&self, value: &Value) -> &'a [u8] {
        if !value.is_constant() {
            return &[];
        }
        // The value may come from another model, so nothing is known about its offset.
        slice(self.bytes, self.header.data_at.saturating_add(value.offset as usize), value.len as usize)
    }

    /// The names of the constants, in the order of the safetensors header.
    pub const fn constant_names(&self) -> ConstantNames<'a> {
        let mut entries = Entries::new(self.bytes, &self.header, self.plan.constants + 1);
        // Skips the plan, which comes before them.
        let _ = entries.next();
        ConstantNames { entries }
    }

    /// The metadata entry `key`, with its JSON escapes not resolved.
    pub const fn metadata(&self, key: &str) -> Option<&'a str> {
        match header::metadata(self.bytes, &self.header, key.as_bytes()) {
            Some(value) => Some(text(value)),
            None => None,
        }
    }

    /// The cost of one inference without interruption. Each call of `poll` that continues within an operator, or within
    /// its rows of a pass, adds [`CALL_COST`](crate::ops::CALL_COST).
    ///
    /// The unit is about a multiply-accumulate; see [`Work`](crate::Work).
    pub const fn cost(&self) -> u64 {
        let mut cost = 0u64;
        let mut i = 0;
        while i < self.op_count() {
            let op = self.op(i);
            let passes = self.passes(i) as u64;
            let preparations = match op.prepare_cost {
                0 => 0,
                _ if passes > 1 => passes,
                _ => op.rows.div_ceil(self.period(&op)) as u64,
            };
            let rows = op.rows as u64 * op.row_cost as u64;
            let prepared = preparations * op.prepare_cost as u64;
            let calls = passes * CALL_COST as u64;
            cost = cost.saturating_add(calls).saturating_add(rows).saturating_add(prepared);
            i += 1;
        }
        cost
    }

    /// The maximum cost of a call of `poll` with the smallest budget: that of the longest row, including its
    /// preparation.
    pub const fn longest_row(&self) -> u64 {
        let mut longest = 0;
        let mut i = 0;
        while i < self.op_count() {
            let op = self.op(i);
            let row = CALL_COST as u64 + op.prepare_cost as u64 + op.row_cost as u64;
            if row > longest {
                longest = row;
            }
            i += 1;
        }
        longest
    }

    /// The nominal number of multiply-accumulates of one inference: taps on padding count, other arithmetic does not.
    pub const fn macs(&self) -> u64 {
        let mut macs = 0u64;
        let mut i = 0;
        while i < self.op_count() {
            macs = macs.saturating_add(self.op_macs(&self.op(i)));
            i += 1;
        }
        macs
    }

    /// The nominal number of multiply-accumulates of operator `op`.
    pub const fn op_macs(&self, op: &Op) -> u64 {
        match op.operator.check_operands(&self.operands(op)) {
            Ok(work) => work.macs,
            Err(_) => 0,
        }
    }

    /// The `N` bytes at `at` of the plan.
    const fn record<const N: usize>(&self, at: usize) -> &'a [u8; N] {
        array(self.bytes, self.header.plan_at + at)
    }

    const fn value_record(&self, index: usize) -> &'a [u8; VALUE_RECORD] {
        self.record(PLAN_HEADER + index * VALUE_RECORD)
    }

    pub(crate) const fn op_record(&self, index: usize) -> &'a [u8; OP_RECORD] {
        self.record(self.plan.ops_at() as usize + index * OP_RECORD)
    }

    /// The place of operator `at` in a group, before the operator is checked; none past the last operator.
    pub(crate) const fn group_of(&self, at: usize) -> Group {
        if at >= self.op_count() {
            return Group::NONE;
        }
        let record = self.op_record(at);
        Group { before: u8_at(record, 22), after: u8_at(record, 23) }
    }

    /// The value that owns the bytes of value `index`: the value itself, or the one it is a view of.
    pub(crate) const fn owner(&self, index: u16) -> u16 {
        let alias = u16_at(self.value_record(index as usize), 48);
        if alias == NONE { index } else { alias }
    }

    /// The live range of the value that owns the bytes of value `index`: the value itself, or the one it is a view of.
    const fn residence(&self, index: u16) -> Residence {
        let owner = self.owner(index);
        let record = self.value_record(owner as usize);
        Residence {
            owner,
            in_arena: u8_at(record, 0) == Place::Arena as u8,
            first: u16_at(record, 44),
            last: u16_at(record, 46),
        }
    }

    pub(crate) const fn is_input(&self, value: usize) -> bool {
        value >= self.constant_count() && value - self.constant_count() < self.input_count()
    }

    // ---- checks, in the order of parse ----

    /// Checks each value by itself, and the order of values: constants, which are the file's tensors after the plan;
    /// model inputs; state; operator outputs; views. Returns the range of the operator outputs.
    const fn check_values(&self) -> Result<Range, ModelError> {
        let mut entries = Entries::new(self.bytes, &self.header, self.plan.constants + 1);
        // The plan.
        let _ = entries.next();
        let (constants, inputs) = (self.constant_count(), self.input_count());
        let mut written = Range { start: constants + inputs, end: constants + inputs };
        let (mut state, mut arena) = (0u64, 0u64);
        let mut i = 0;
        while i < self.value_count() {
            let Some(value) = Value::parse(self.value_record(i)) else {
                return Err(ModelError::Value { value: i as u16, fault: ValueFault::Record });
            };
            if let Err(fault) = self.check_value(i, &value) {
                return Err(ModelError::Value { value: i as u16, fault });
            }
            let out_of_order = ModelError::Value { value: i as u16, fault: ValueFault::Order };
            if i < constants {
                let fault = ModelError::Value { value: i as u16, fault: ValueFault::Constant };
                let Some(tensor) = entries.next() else { return Err(fault) };
                ensure!(value.dtype.stored().is(tensor.dtype) && value.offset == tensor.begin, fault);
                ensure!(align16(value.len as u64) == tensor.len as u64, fault);
            } else if i < constants + inputs {
                let fault = ModelError::Interface { index: (i - constants) as u16 };
                ensure!(value.is_arena() && value.alias.is_none() && value.first == 0, fault);
                ensure!(value.rows.is_none() || inputs == 1, fault);
            } else if value.alias.is_none() {
                // An operator output must come before all views.
                ensure!(written.end == i, out_of_order);
                written.end += 1;
                if value.is_state() {
                    ensure!(written.start == i && value.offset as u64 == state, out_of_order);
                    written.start += 1;
                    state = align16(value.end());
                }
            }
            if !value.is_constant() && align16(value.end()) > arena {
                arena = align16(value.end());
            }
            i += 1;
        }
        ensure!(state == self.plan.state_len as u64, ModelError::ArenaLength { needed: state as u32 });
        ensure!(arena == self.plan.arena_len as u64, ModelError::ArenaLength { needed: arena as u32 });
        Ok(written)
    }

    const fn check_value(&self, index: usize, value: &Value) -> Result<(), ValueFault> {
        ensure!(value.is_constant() == (index < self.constant_count()), ValueFault::Constant);
        let Some(elements) = value.shape.elements() else { return Err(ValueFault::Length) };
        // A limit on the elements keeps index sums from wrapping on a 32-bit core.
        ensure!(elements > 0 && elements < 1 << 28, ValueFault::Length);
        ensure!(!value.dtype.is_storage() || value.is_constant(), ValueFault::Record);
        let len = match value.rows {
            None => value.whole_len(),
            Some(rows) => {
                let Some(row) = value.image_row() else { return Err(ValueFault::Rows) };
                ensure!(value.is_arena() && value.alias.is_none(), ValueFault::Rows);
                ensure!(rows.held <= value.shape.dim(1), ValueFault::Rows);
                ensure!(rows.first <= rows.held && rows.step <= rows.held, ValueFault::Rows);
                // At most the bytes of all rows.
                row * rows.held
            }
        };
        ensure!(value.len == len, ValueFault::Length);
        ensure!(value.quantization.scale >= 0.0 && value.quantization.scale.is_finite(), ValueFault::Scale);
        ensure!(value.offset.is_multiple_of(16), ValueFault::Range);
        let (from, to) = match value.place {
            // Constants are compared with the file's tensor instead.
            Place::Constant => (0, u32::MAX),
            Place::Arena => (self.plan.state_len, self.plan.arena_len),
            Place::State => (0, self.plan.state_len),
        };
        ensure!(from <= value.offset && value.end() <= to as u64, ValueFault::Range);
        ensure!(value.first <= value.last && value.last as u32 <= self.plan.ops, ValueFault::LiveRange);
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
        if let Some(words) = value.kind.channel_words() {
            ensure!(value.is_constant() && is_channel_table(value, words), ValueFault::Channels);
            ensure!(channels_in_range(self.constant(value), words), ValueFault::Channels);
        }
        Ok(())
    }

    /// Checks the model outputs, which must be live to the end.
    const fn check_outputs(&self) -> Result<(), ModelError> {
        let mut i = 0;
        while i < self.output_count() {
            let fault = ModelError::Interface { index: (self.input_count() + i) as u16 };
            let Some(index) = self.output(i) else { return Err(fault) };
            ensure!(index < self.value_count(), fault);
            // No reader of outputs has a type for it.
            ensure!(u8_at(self.value_record(index), 1) != DType::I4 as u8, fault);
            let residence = self.residence(index as u16);
            ensure!(!residence.in_arena || residence.last as u32 == self.plan.ops, fault);
            i += 1;
        }
        Ok(())
    }

    /// Checks each operator. The operators must write the values `written`, one after another.
    const fn check_ops(&self, mut written: Range) -> Result<(), ModelError> {
        let mut live = Live::NONE;
        let mut i = self.constant_count();
        while i < self.constant_count() + self.input_count() {
            tri!(live.step(self, 0, &Writes { output: i as u16, scratch: NONE, owners: [NONE; MAX_INPUTS] }));
            i += 1;
        }
        let mut set = OpSet::EMPTY;
        let mut at = 0;
        while at < self.op_count() {
            let op = match Op::parse(self.op_record(at)) {
                Ok(op) => op,
                Err(fault) => return Err(ModelError::Op { op: at as u16, fault }),
            };
            let writes = match self.check_op(at, &op, &mut written, &mut set) {
                Ok(writes) => writes,
                Err(fault) => return Err(ModelError::Op { op: at as u16, fault }),
            };
            tri!(live.step(self, at, &writes));
            at += 1;
        }
        // Values left over are written by no operator.
        let left = ModelError::Value { value: written.start as u16, fault: ValueFault::LiveRange };
        ensure!(written.start == written.end, left);
        if self.has_row_input() {
            ensure!(self.takes_rows(), ModelError::Interface { index: 0 });
            set = set.with_row_input();
        }
        ensure!(set.is(&self.plan.op_set), ModelError::OpSet);
        Ok(())
    }

    /// Checks one operator: its operands exist and are live, its own rule, its work, and the inputs that its output may
    /// overlap. Removes the value that it writes from `written`, and adds the kernels that it needs to `set`.
    const fn check_op(&self, at: usize, op: &Op, written: &mut Range, set: &mut OpSet) -> Result<Writes, OpFault> {
        ensure!((op.output as usize) < self.value_count(), OpFault::OperandIndex { operand: OUTPUT });
        let mut writes = Writes { output: NONE, scratch: NONE, owners: [NONE; MAX_INPUTS] };
        let mut dies = [false; MAX_INPUTS];
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(index) = op.inputs[k] {
                ensure!((index as usize) < self.value_count(), OpFault::OperandIndex { operand: k as u8 });
                let residence = self.residence(index);
                ensure!(self.is_readable(&residence, at), OpFault::NotLive { operand: k as u8 });
                writes.owners[k] = residence.owner;
                dies[k] = residence.last as usize == at;
            }
            k += 1;
        }
        let operands = self.operands(op);
        let output = &operands.output;
        let work = tri!(op.operator.check_operands(&operands)).moving(output);
        ensure!(op.does(&work), OpFault::Work);
        *set = set.union(op.operator.needs(&operands));
        tri!(self.check_group(at, op, &operands, &writes.owners, &work));
        let grouped = !op.group.is_none();
        if grouped {
            *set = set.with_groups();
        }

        ensure!(output.alias.is_none(), OpFault::Output);
        if output.is_state() {
            let copies = matches!(op.operator, Operator::Copy(_));
            ensure!(copies, OpFault::Place { operand: OUTPUT });
        } else {
            ensure!(output.is_arena(), OpFault::Place { operand: OUTPUT });
            ensure!(written.takes(op.output) && output.first as usize == at, OpFault::Output);
            writes.output = op.output;
        }

        // If the output overlaps an input, this operator must be the input's last reader, and reading must stay ahead
        // of writing.
        let mut shares = false;
        let mut k = 0;
        while k < MAX_INPUTS {
            if let Some(input) = &operands.inputs[k]
                && input.place as u8 == output.place as u8
                && touch(input, output)
                // In a group, this is checked for all live values together.
                && !grouped
            {
                match op.operator.row_access(&operands, k) {
                    Some(access) if dies[k] && clears(&access, &work, input, output) => shares = true,
                    _ => return Err(OpFault::Overlap { operand: k as u8 }),
                }
            }
            k += 1;
        }
        // No other input may be a view of the state that the operator writes.
        if let Some(k) = op.operator.state_input()
            && let Some(state) = operands.input(k)
        {
            let mut other = 0;
            while other < MAX_INPUTS {
                if let Some(input) = &operands.inputs[other]
                    && other != k
                {
                    ensure!(!input.is_state() || !touch(input, &state), OpFault::Place { operand: other as u8 });
                }
                other += 1;
            }
        }
        let workspace = op.operator.workspace(&operands);
        match op.scratch {
            None => ensure!(!shares && workspace.is_none(), OpFault::Scratch),
            Some(scratch) => {
                ensure!((scratch as usize) < self.value_count() && written.takes(scratch), OpFault::Scratch);
                let value = self.value(scratch as usize);
                let fits = match workspace {
                    Some(workspace) => value.len == workspace.len,
                    None => work.holds_rows(value.len),
                };
                ensure!(value.dtype.is(DType::U8) && value.rows.is_none() && fits, OpFault::Scratch);
                ensure!(value.first as usize == at && value.last as usize == at, OpFault::Scratch);
                // It must not overlap the output. The inputs are live, so they are compared with it elsewhere.
                ensure!(!output.is_arena() || !touch(&value, output), OpFault::Scratch);
                writes.scratch = scratch;
            }
        }
        Ok(writes)
    }

    /// Whether operator `at` may read a value: a constant, state, or an arena value that is live.
    const fn is_readable(&self, value: &Residence, at: usize) -> bool {
        if !value.in_arena {
            return true;
        }
        let written = (value.first as usize) < at || self.is_input(value.owner as usize);
        written && at <= value.last as usize
    }
}

/// The place and live range of a value's bytes.
struct Residence {
    /// The value that owns the bytes.
    owner: u16,
    in_arena: bool,
    first: u16,
    last: u16,
}

/// Consecutive values.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
}

impl Range {
    /// Removes the first value if it is `index`, and returns whether it was.
    const fn takes(&mut self, index: u16) -> bool {
        let next = self.start < self.end && self.start == index as usize;
        if next {
            self.start += 1;
        }
        next
    }
}

/// The arena values that an operator writes, and the owners of those that it reads; [`NONE`] for none.
struct Writes {
    output: u16,
    scratch: u16,
    owners: [u16; MAX_INPUTS],
}

impl Writes {
    const fn reads(&self, value: u16) -> bool {
        let mut k = 0;
        while k < MAX_INPUTS {
            if self.owners[k] == value {
                return true;
            }
            k += 1;
        }
        false
    }
}

/// The values that are live, without scratch values.
struct Live {
    spans: [Span; MAX_LIVE],
    count: usize,
}

impl Live {
    const NONE: Self = Self { spans: [Span::EMPTY; MAX_LIVE], count: 0 };

    /// Advances to operator `at`: drops values that are no longer live, checks that what the operator writes does not
    /// overlap the others, and adds its output. Overlaps of the output with the operator's inputs are checked
    /// elsewhere.
    const fn step(&mut self, model: &Model<'_>, at: usize, writes: &Writes) -> Result<(), ModelError> {
        if writes.output == NONE && writes.scratch == NONE {
            return Ok(());
        }
        let grouped = !model.group_of(at).is_none() && !model.is_input(writes.output as usize);
        let output = Span::of(model, writes.output);
        let scratch = Span::of(model, writes.scratch);
        let mut count = self.count;
        let mut i = 0;
        while i < count && i < MAX_LIVE {
            let span = &self.spans[i];
            if (span.last as usize) < at {
                count -= 1;
                // The order of the spans does not matter.
                if count < MAX_LIVE {
                    self.spans[i] = self.spans[count];
                }
                continue;
            }
            if span.touches(&output)
                && (grouped || !writes.reads(span.value))
                && !model.may_reuse(at, output.value, span.value)
            {
                return Err(ModelError::Overlap { first: span.value, second: output.value });
            }
            if span.touches(&scratch) {
                return Err(ModelError::Overlap { first: span.value, second: scratch.value });
            }
            i += 1;
        }
        if writes.output != NONE {
            ensure!(count < MAX_LIVE, ModelError::TooManyLive { op: at as u16 });
            self.spans[count] = output;
            count += 1;
        }
        self.count = count;
        Ok(())
    }
}

/// The byte range of a checked arena value, and the last operator during which it must keep its bytes.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    last: u16,
    value: u16,
}

impl Span {
    const EMPTY: Self = Self { start: 0, end: 0, last: 0, value: NONE };

    /// The span of value `index`; empty for [`NONE`].
    const fn of(model: &Model<'_>, index: u16) -> Self {
        if index == NONE {
            return Self::EMPTY;
        }
        let record = model.value_record(index as usize);
        let start = u32_at(record, 28);
        // The operators of a group run together, so a value that one of them is the last to read is live to their end.
        let last = u16_at(record, 46);
        let last = last.saturating_add(model.group_of(last as usize).after as u16);
        // The end is at most the arena's length.
        Self { start, end: start.saturating_add(u32_at(record, 32)), last, value: index }
    }

    const fn touches(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// An iterator over the names of a model's constants, in order, from [`Model::constant_names`].
#[derive(Clone, Debug)]
pub struct ConstantNames<'a> {
    entries: Entries<'a>,
}

impl<'a> Iterator for ConstantNames<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let tensor = self.entries.next()?;
        Some(self.entries.name(&tensor))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.entries.left() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for ConstantNames<'_> {}

/// Whether the multiplier and the shift, the last of the `words` words of every channel, are in range.
const fn channels_in_range(table: &[u8], words: u32) -> bool {
    let row = 4 * words as usize;
    let mut end = row;
    while end <= table.len() {
        let (multiplier, shift) = (i32_at(table, end - 8), i32_at(table, end - 4));
        if check_multiplier(multiplier, shift, 0).is_err() || (words == 4 && shift > MAX_WIDE_SHIFT) {
            return false;
        }
        end += row;
    }
    true
}

/// Whether two values of one place share a byte.
const fn touch(a: &Value, b: &Value) -> bool {
    (a.offset as u64) < b.end() && (b.offset as u64) < a.end()
}

/// Whether, at every row, writing the output stays behind reading the input.
const fn clears(access: &RowAccess, work: &Work, input: &Value, output: &Value) -> bool {
    output.offset as u64 + access.distance(work) as u64 <= input.offset as u64
}

const fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}
