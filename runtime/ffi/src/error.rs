//! Where a model is wrong, and why it cannot be opened.

use crate::status::TealightStatus;
use tealight::{FORMAT_VERSION, LoadError, Model, ModelError, OpCode};

/// What the `index` of a TealightError counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TealightPlace {
    /// Nothing: the error is not at one place, and the index is 0.
    None = 0,
    /// Bytes of the model file, from 0.
    Byte = 1,
    /// Operators of the plan, from 0, in the order in which `tealight inspect` lists them.
    Operator = 2,
    /// Values of the plan, from 0.
    Value = 3,
    /// Model inputs, then model outputs, from 0.
    Interface = 4,
}

/// Why a model was refused, and where. A caller that does not want it passes null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TealightError {
    /// What the function returns, too.
    pub status: TealightStatus,
    /// What `index` counts.
    pub place: TealightPlace,
    /// Where the error is.
    pub index: u32,
    /// Not used: 0.
    pub reserved: u32,
    /// What would be right: bytes, a version or a limit, as the status says; 0 if it says nothing.
    pub expected: u64,
    /// What there is instead; 0 if the status says nothing.
    pub found: u64,
}

impl TealightError {
    /// An error without a place.
    pub(crate) const fn new(status: TealightStatus) -> Self {
        Self { status, place: TealightPlace::None, index: 0, reserved: 0, expected: 0, found: 0 }
    }

    const fn at(self, place: TealightPlace, index: u32) -> Self {
        Self { place, index, ..self }
    }

    pub(crate) const fn with(self, expected: u64, found: u64) -> Self {
        Self { expected, found, ..self }
    }

    /// The error for a damaged model.
    pub(crate) const fn of_model(error: ModelError) -> Self {
        let damaged = Self::new(TealightStatus::DamagedModel);
        match error {
            ModelError::Header { at, .. } => Self::new(TealightStatus::NotSafetensors).at(TealightPlace::Byte, at),
            ModelError::NotTealight => Self::new(TealightStatus::NotCompiled),
            ModelError::Version { found } => {
                Self::new(TealightStatus::FormatVersion).with(FORMAT_VERSION as u64, found as u64)
            }
            ModelError::PlanSize | ModelError::Counts | ModelError::ArenaLength { .. } | ModelError::OpSet => damaged,
            ModelError::Value { value, .. } => damaged.at(TealightPlace::Value, value as u32),
            ModelError::Op { op, .. } | ModelError::TooManyLive { op } => {
                damaged.at(TealightPlace::Operator, op as u32)
            }
            ModelError::Interface { index } => damaged.at(TealightPlace::Interface, index as u32),
            ModelError::Overlap { first, .. } => damaged.at(TealightPlace::Value, first as u32),
        }
    }

    /// The error for a model that cannot be loaded.
    pub(crate) fn of_load(error: LoadError, model: &Model<'_>) -> Self {
        let new = Self::new;
        match error {
            LoadError::ArenaTooSmall { needed, given } => {
                new(TealightStatus::ArenaTooSmall).with(needed as u64, given as u64)
            }
            LoadError::MisalignedMemory => new(TealightStatus::MisalignedArena),
            LoadError::MisalignedModel => new(TealightStatus::MisalignedModel),
            LoadError::MissingOperator { operator } => {
                new(TealightStatus::MissingOperator).at(TealightPlace::Operator, first(model, operator))
            }
            LoadError::MissingBlockType { .. }
            | LoadError::MissingF16
            | LoadError::MissingI8Weights
            | LoadError::MissingI4Weights
            | LoadError::MissingPairedWeights => new(TealightStatus::MissingType),
            LoadError::MissingGroups => new(TealightStatus::MissingGroups),
            LoadError::MissingRowInput => new(TealightStatus::MissingRowInput),
            LoadError::CostTooHigh { found, allowed } => new(TealightStatus::CostTooHigh).with(allowed, found),
            LoadError::RowTooLong { found, allowed } => new(TealightStatus::RowTooLong).with(allowed, found),
        }
    }
}

impl From<TealightStatus> for TealightError {
    fn from(status: TealightStatus) -> Self {
        Self::new(status)
    }
}

/// The index of the first operator of this kind.
fn first(model: &Model<'_>, operator: OpCode) -> u32 {
    let of_kind = |&index: &usize| model.record_of_op(index).code() == Some(operator);
    (0..model.op_count()).find(of_kind).map_or(0, |index| index as u32)
}
