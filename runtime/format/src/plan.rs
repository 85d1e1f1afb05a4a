//! The plan's header, at the start of the tensor `plan`.
//!
//! It is followed, without gaps, by the value records, the operator records, the 16-bit value indices of the model's
//! outputs, and zeros up to a multiple of 16.

use crate::bytes::{align16, put, u16_at, u32_at, u64_at};
use crate::op::OP_RECORD;
use crate::op_set::OpSet;
use crate::value::VALUE_RECORD;

/// The first eight bytes of a plan.
pub const MAGIC: [u8; 8] = *b"TEALIGHT";

/// The version of the plan that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 2;

/// The maximum number of values live at one operator: model inputs and operator outputs, but not views and scratch
/// values. Each operator's output is compared with them, so this bounds the time to check an operator.
pub const MAX_LIVE: usize = 256;

/// The number of bytes of the plan header.
pub const PLAN_HEADER: usize = 64;

/// Counts and sizes of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanHeader {
    /// The number of constants: the first of the values.
    pub constants: u32,
    /// The number of records in the value table.
    pub values: u32,
    /// The number of records in the operator table.
    pub ops: u32,
    /// The number of model inputs: the values after the constants.
    pub inputs: u32,
    /// The number of model outputs.
    pub outputs: u32,
    /// Bytes of memory that a session needs: state, activations and scratch. A multiple of 16.
    pub arena_len: u32,
    /// Bytes of state, at the start of the arena. A multiple of 16.
    pub state_len: u32,
    /// The kernels that the operators need.
    pub op_set: OpSet,
}

impl PlanHeader {
    /// Reads the 64 bytes, whose magic and version the caller checks.
    pub const fn parse(plan: &[u8]) -> Self {
        Self {
            constants: u32_at(plan, 12),
            values: u32_at(plan, 16),
            ops: u32_at(plan, 20),
            inputs: u16_at(plan, 24) as u32,
            outputs: u16_at(plan, 26) as u32,
            arena_len: u32_at(plan, 28),
            state_len: u32_at(plan, 32),
            op_set: OpSet::parse(plan),
        }
    }

    /// Writes magic, version and the fields.
    pub const fn emit(&self) -> [u8; PLAN_HEADER] {
        let mut header = [0; PLAN_HEADER];
        put(&mut header, 0, &MAGIC);
        put(&mut header, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut header, 12, &self.constants.to_le_bytes());
        put(&mut header, 16, &self.values.to_le_bytes());
        put(&mut header, 20, &self.ops.to_le_bytes());
        put(&mut header, 24, &(self.inputs as u16).to_le_bytes());
        put(&mut header, 26, &(self.outputs as u16).to_le_bytes());
        put(&mut header, 28, &self.arena_len.to_le_bytes());
        put(&mut header, 32, &self.state_len.to_le_bytes());
        self.op_set.emit(&mut header);
        header
    }

    /// The number of bytes of the whole plan, padding included.
    pub const fn plan_len(&self) -> u64 {
        align16(self.interface_end())
    }

    pub(crate) const fn ops_at(&self) -> u64 {
        PLAN_HEADER as u64 + self.values as u64 * VALUE_RECORD as u64
    }

    pub(crate) const fn interface_end(&self) -> u64 {
        self.interface_at() + 2 * self.outputs as u64
    }

    pub(crate) const fn interface_at(&self) -> u64 {
        self.ops_at() + self.ops as u64 * OP_RECORD as u64
    }
}

/// Whether `plan` starts with the magic bytes.
pub(crate) const fn has_magic(plan: &[u8]) -> bool {
    plan.len() >= PLAN_HEADER && u64_at(plan, 0) == u64::from_le_bytes(MAGIC)
}
