//! What functions return.

use core::ffi::{CStr, c_char};

/// The version of this interface. It changes when a program that was compiled with an older header would not work.
pub const TEALIGHT_ABI_VERSION: u32 = 1;

/// What a function returns: success is 0 or positive, an error is negative. A function that returns an error has written
/// nothing but its `error` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TealightStatus {
    /// Success. Of tealight_poll: the inference has ended, and the outputs are complete.
    Ok = 0,
    /// The inference has not ended: poll again.
    Pending = 1,
    /// The inference waits for rows of the input: write those of tealight_input_rows, and poll again.
    Rows = 2,
    /// A pointer that must not be null is null.
    NullPointer = -1,
    /// The session is not open: it was never opened, opening it failed, it was closed, or it is a copy of another.
    NotOpen = -2,
    /// Another function has not returned yet from its call with this session: an interrupt came in between.
    Busy = -3,
    /// The model has no input or output of this index.
    BadIndex = -4,
    /// The length is not that of the tensor, or no object in memory can be so long.
    BadLength = -5,
    /// The session is not aligned to TEALIGHT_SESSION_ALIGNMENT.
    MisalignedSession = -6,
    /// The model's bytes are not aligned to TEALIGHT_ALIGNMENT.
    MisalignedModel = -7,
    /// The arena is not aligned to TEALIGHT_ALIGNMENT.
    MisalignedArena = -8,
    /// The arena is shorter than the model needs: `expected` is what it needs, `found` what it has, in bytes.
    ArenaTooSmall = -9,
    /// Two of session, arena and model share memory.
    Overlap = -10,
    /// The tensor is neither f32, nor 8-bit integers with a scale, so that f32 numbers cannot be converted.
    NotQuantized = -11,
    /// The numbers are not aligned as a float must be.
    MisalignedNumbers = -12,
    /// The input comes in rows, and there is no memory for all of it: see tealight_input_rows.
    InputInRows = -13,
    /// The model's bytes are not a safetensors file of this format: `place` is a byte.
    NotSafetensors = -20,
    /// A safetensors file, but not a compiled model: `tealight compile` makes one.
    NotCompiled = -21,
    /// The model was compiled for another version of the format: `expected` is the version that the library reads, `found`
    /// that of the model. Compile it again with the `tealight` of this version.
    FormatVersion = -22,
    /// The model is damaged: `place` is an operator, a value, a model input or output, or the plan. `tealight inspect` reports
    /// what is wrong with a file.
    DamagedModel = -23,
    /// The model needs an operator, or a variant of one, that the library was built without: `place` is the first operator of
    /// this kind.
    MissingOperator = -30,
    /// The model has weights of a type that the library was built without.
    MissingType = -31,
    /// The model has operators that run in groups (`tealight compile --patch`), which the library was built without.
    MissingGroups = -32,
    /// An inference costs more than the limit: `expected` is the limit, `found` the cost.
    CostTooHigh = -33,
    /// The longest row costs more than the limit: `expected` is the limit, `found` the cost.
    RowTooLong = -34,
    /// The library was built without a model of its own.
    NoBuiltInModel = -35,
    /// The model's input comes in rows (`tealight compile --input-rows`), which the library was built without.
    MissingRowInput = -36,
}

/// What a status means, as one English sentence without a full stop. The text is constant and never null; of a number that
/// is no status, it says so.
#[unsafe(no_mangle)]
pub extern "C" fn tealight_status_text(status: i32) -> *const c_char {
    text(status).as_ptr()
}

/// The version of the library, such as "0.1.0". The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn tealight_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the interface that the library has: equal to TEALIGHT_ABI_VERSION if the header is that of the library.
#[unsafe(no_mangle)]
pub extern "C" fn tealight_abi_version() -> u32 {
    TEALIGHT_ABI_VERSION
}

/// The texts, in the order of the statuses.
const TEXTS: [(TealightStatus, &CStr); 27] = [
    (TealightStatus::Ok, c"success"),
    (TealightStatus::Pending, c"the inference has not ended: poll again"),
    (TealightStatus::Rows, c"the inference waits for rows of the input: write them, and poll again"),
    (TealightStatus::NullPointer, c"a pointer is null"),
    (TealightStatus::NotOpen, c"the session is not open"),
    (TealightStatus::Busy, c"another function is still working on the session"),
    (TealightStatus::BadIndex, c"the model has no input or output of this index"),
    (TealightStatus::BadLength, c"the length is not that of the tensor, or is impossible"),
    (TealightStatus::MisalignedSession, c"the session is not aligned to TEALIGHT_SESSION_ALIGNMENT"),
    (TealightStatus::MisalignedModel, c"the model's bytes are not aligned to 16 bytes"),
    (TealightStatus::MisalignedArena, c"the arena is not aligned to 16 bytes"),
    (TealightStatus::ArenaTooSmall, c"the arena is shorter than the model needs"),
    (TealightStatus::Overlap, c"session, arena or model share memory"),
    (TealightStatus::NotQuantized, c"the tensor is neither f32 nor quantized, so f32 numbers cannot be converted"),
    (TealightStatus::MisalignedNumbers, c"the numbers are not aligned as a float must be"),
    (TealightStatus::InputInRows, c"the input comes in rows, and is never in memory as a whole"),
    (TealightStatus::NotSafetensors, c"not a valid safetensors file"),
    (TealightStatus::NotCompiled, c"a safetensors file, but not a compiled model: make one with `tealight compile`"),
    (TealightStatus::FormatVersion, c"the model was compiled for another version of the format: compile it again"),
    (TealightStatus::DamagedModel, c"the model is damaged: `tealight inspect` reports what is wrong with its file"),
    (TealightStatus::MissingOperator, c"the model needs an operator that the library was built without"),
    (TealightStatus::MissingType, c"the model has weights of a type that the library was built without"),
    (TealightStatus::MissingGroups, c"the model has groups of operators, which the library was built without"),
    (TealightStatus::CostTooHigh, c"an inference costs more than the limit"),
    (TealightStatus::RowTooLong, c"the model's longest row costs more than the limit"),
    (TealightStatus::NoBuiltInModel, c"the library was built without a model of its own"),
    (TealightStatus::MissingRowInput, c"the model's input comes in rows, which the library was built without"),
];

fn text(status: i32) -> &'static CStr {
    let found = TEXTS.iter().find(|(known, _)| *known as i32 == status);
    found.map_or(c"not a status of Tealight", |(_, text)| text)
}
