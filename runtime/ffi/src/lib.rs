//! The C interface of Tealight: what `include/tealight.h` declares.
//!
//! The header is generated from this crate, documentation included, so the documentation of what is exported speaks to a
//! reader of C. Each function is a thin wrapper of [`tealight`]: it checks its pointers, then does what the function of the
//! same name does there. All memory is the caller's. A [`TealightSession`] holds the checked model, the address of the arena
//! and the position in the inference, and each call resumes a [`tealight::Session`] from these, without another check of the
//! model.
//!
//! A C program links the static library, which `cargo xtask ffi` builds with the operators of one model or with all. This
//! crate is an ordinary Rust library in the workspace, for its tests.
#![no_std]

mod error;
mod inference;
mod linked;
mod model;
#[cfg(feature = "panic-handler")]
mod panic;
mod pointer;
mod session;
mod status;
mod tensor;

pub use error::{TealightError, TealightPlace};
pub use inference::{
    TEALIGHT_UNLIMITED, TealightPosition, tealight_poll, tealight_poll_operator, tealight_position, tealight_reset,
    tealight_run,
};
pub use model::{TealightModel, tealight_built_in_model, tealight_check_model};
pub use session::{
    TEALIGHT_ALIGNMENT, TEALIGHT_SESSION_ALIGNMENT, TEALIGHT_SESSION_SIZE, TealightLimits, TealightSession,
    tealight_close, tealight_open, tealight_open_built_in,
};
pub use status::{TEALIGHT_ABI_VERSION, TealightStatus, tealight_abi_version, tealight_status_text, tealight_version};
pub use tensor::{
    TEALIGHT_MAX_RANK, TealightRows, TealightTensor, TealightType, tealight_get_output, tealight_get_output_f32,
    tealight_input, tealight_input_count, tealight_input_info, tealight_input_rows, tealight_output,
    tealight_output_count, tealight_output_info, tealight_set_input, tealight_set_input_f32,
};
