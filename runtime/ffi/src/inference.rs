//! Running a model.

use crate::pointer::status;
use crate::session::{TealightSession, with_open};
use crate::status::TealightStatus;
use crate::tensor::answer;
use tealight::{Budget, Progress};

/// A budget, or a limit, that allows everything.
pub const TEALIGHT_UNLIMITED: u64 = 0xFFFF_FFFF_FFFF_FFFF;

/// How far an inference has come: the next row to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TealightPosition {
    /// The index of the operator, from 0.
    pub operator_index: u32,
    /// The row of the operator's output, from 0.
    pub row: u32,
    /// The pass of the operator's group, from 0; 0 for an operator outside of groups.
    pub pass: u32,
    /// The number of operators of the model. All numbers but this are 0 if no inference is in progress.
    pub operators: u32,
}

/// Does as much of the inference as `budget` allows, and returns. After the end of an inference, it starts a new one, whose
/// inputs must have been written. The output bits do not depend on how the work is sliced.
///
/// `budget`: the cost that the call may have, in units of about one multiply-accumulate, or other work of the same cost;
/// TEALIGHT_UNLIMITED for all that is left. If one row alone costs more, the call computes that row: at most
/// TealightModel.longest_row. On a Cortex-M4 a unit takes two to four instructions in common networks.
///
/// Returns TEALIGHT_STATUS_OK if the inference has ended, TEALIGHT_STATUS_PENDING if there is more to do, TEALIGHT_STATUS_ROWS if
/// rows of the input are missing (tealight_input_rows), or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_poll(session: *mut TealightSession, budget: u64) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { poll(session, Budget::macs(budget)) }
}

/// Continues to the end of the current operator, so that a program can measure each.
///
/// Returns what tealight_poll returns.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_poll_operator(session: *mut TealightSession) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { poll(session, Budget::layer()) }
}

/// Runs one inference to its end, or the rest of the one in progress; if the input comes in rows, to where rows are missing.
///
/// Returns TEALIGHT_STATUS_OK, TEALIGHT_STATUS_ROWS if rows of the input are missing (tealight_input_rows), or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_run(session: *mut TealightSession) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { poll(session, Budget::unlimited()) }
}

/// Abandons an inference in progress, and sets streaming state to its initial values.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_reset(session: *mut TealightSession) -> TealightStatus {
    // SAFETY: the caller's promise.
    status(unsafe {
        with_open(session, |body| {
            body.with_session(|session| {
                session.reset();
                Ok(())
            })
        })
    })
}

/// Writes how far the inference has come to `position`.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_position(
    session: *mut TealightSession,
    position: *mut TealightPosition,
) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe {
        answer(session, position, |body| {
            let position = body.position();
            Ok(TealightPosition {
                operator_index: position.op as u32,
                row: position.row,
                pass: position.pass,
                operators: body.model.op_count() as u32,
            })
        })
    }
}

/// # Safety
/// As for [`with_open`].
unsafe fn poll(session: *mut TealightSession, budget: Budget) -> TealightStatus {
    // SAFETY: the caller's promise.
    match unsafe { with_open(session, |body| Ok(body.with_session(|session| session.poll(budget)))) } {
        Ok(Progress::Done) => TealightStatus::Ok,
        Ok(Progress::Pending) => TealightStatus::Pending,
        Ok(Progress::Rows) => TealightStatus::Rows,
        Err(status) => status,
    }
}
