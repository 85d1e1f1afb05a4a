//! What a model needs, before it is opened.

use crate::error::TealightError;
use crate::linked::{Work, built_in};
use crate::pointer::{Region, Target, status};
use crate::session::{TEALIGHT_ALIGNMENT, report};
use crate::status::TealightStatus;
use tealight::Model;

/// What a model needs and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TealightModel {
    /// The first byte of the model file.
    pub bytes: *const u8,
    /// The length of the model file in bytes.
    pub length: usize,
    /// The memory that a session needs, in bytes: state, activations and scratch.
    pub arena_length: usize,
    /// The part of it that is kept from one inference to the next, in bytes; 0 for a model without streaming state.
    pub state_length: usize,
    /// The number of model inputs.
    pub inputs: u32,
    /// The number of model outputs.
    pub outputs: u32,
    /// The number of operators.
    pub operators: u32,
    /// Not used: 0.
    pub reserved: u32,
    /// The cost of one inference, in the units of a budget: see tealight_poll.
    pub cost: u64,
    /// The cost of the longest row, the smallest step that tealight_poll can take.
    pub longest_row: u64,
    /// The multiply-accumulates of one inference.
    pub macs: u64,
}

/// Checks a model as tealight_open does, and writes what it needs to `info`.
///
/// `model`, `model_length`: the whole model file, aligned to TEALIGHT_ALIGNMENT.
///
/// `error`: where the reason for a refusal and its place are written, or null. On success its status is TEALIGHT_STATUS_OK.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _BAD_LENGTH, _MISALIGNED_MODEL, _NOT_SAFETENSORS,
/// _NOT_COMPILED, _FORMAT_VERSION or _DAMAGED_MODEL. Operators that the library was built without are not looked for.
///
/// # Safety
/// Pointers are null, or valid for as many bytes as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_check_model(
    model: *const u8,
    model_length: usize,
    info: *mut TealightModel,
    error: *mut TealightError,
) -> TealightStatus {
    let checked = || {
        let target = Target::new(info)?;
        // SAFETY: the caller's promise.
        let model = unsafe { check(Region::new(model, model_length)?)? };
        // SAFETY: as above.
        unsafe { target.write(describe(&model, Work::of(&model))) };
        Ok(())
    };
    // SAFETY: as above.
    unsafe { report(checked(), error) }
}

/// Writes what the model needs that is part of the library to `info`: see tealight_open_built_in.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER or _NO_BUILT_IN_MODEL.
///
/// # Safety
/// The pointer is null, or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_built_in_model(info: *mut TealightModel) -> TealightStatus {
    let described = || {
        let target = Target::new(info)?;
        let own = built_in().ok_or(TealightStatus::NoBuiltInModel)?;
        // SAFETY: the caller's promise.
        unsafe { target.write(describe(own.model, own.work)) };
        Ok(())
    };
    status(described())
}

/// Checks a model file in place.
///
/// # Safety
/// The bytes are readable, and do not change while the model is used.
pub(crate) unsafe fn check(file: Region) -> Result<Model<'static>, TealightError> {
    if !file.start.addr().get().is_multiple_of(TEALIGHT_ALIGNMENT) {
        return Err(TealightStatus::MisalignedModel.into());
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { file.bytes() };
    Model::parse(bytes).map_err(TealightError::of_model)
}

fn describe(model: &Model<'static>, work: Work) -> TealightModel {
    TealightModel {
        bytes: model.bytes().as_ptr(),
        length: model.bytes().len(),
        arena_length: model.arena_len(),
        state_length: model.state_len(),
        inputs: model.input_count() as u32,
        outputs: model.output_count() as u32,
        operators: model.op_count() as u32,
        reserved: 0,
        cost: work.cost,
        longest_row: work.longest_row,
        macs: work.macs,
    }
}
