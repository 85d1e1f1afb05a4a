//! Inputs and outputs.

use crate::linked::Linked;
use crate::pointer::{Region, Target, status};
use crate::session::{Body, TealightSession, with_open};
use crate::status::TealightStatus;
use core::slice;
use tealight::{DType, Session, TensorError, TensorMut, Value};

/// The maximum number of dimensions of a tensor.
pub const TEALIGHT_MAX_RANK: usize = 6;

const _: () = assert!(TEALIGHT_MAX_RANK == tealight::Shape::SCALAR.padded().len());

/// The type of a tensor's elements, which are in the byte order of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TealightType {
    /// int8_t.
    I8 = 0,
    /// uint8_t.
    U8 = 1,
    /// int16_t.
    I16 = 2,
    /// int32_t.
    I32 = 3,
    /// float, IEEE 754 single precision.
    F32 = 4,
    /// IEEE 754 half precision.
    F16 = 5,
}

/// A model input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct TealightTensor {
    /// The type of its elements.
    pub dtype: TealightType,
    /// The number of its dimensions, 0 to TEALIGHT_MAX_RANK.
    pub rank: u32,
    /// Its dimensions, the outermost first (NHWC for pictures); 1 past the rank. Elements are in row-major order.
    pub shape: [u32; TEALIGHT_MAX_RANK],
    /// The number of its elements.
    pub elements: usize,
    /// Its length in bytes.
    pub length: usize,
    /// An element q represents scale * (q - zero_point). 0 if the tensor is not quantized.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
}

/// Whether a tensor is an input or an output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

/// Writes the number of model inputs to `count`.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// Pointers are null or valid, and no other thread uses the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_input_count(session: *mut TealightSession, count: *mut u32) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { answer(session, count, |body| Ok(body.model.input_count() as u32)) }
}

/// Writes the number of model outputs to `count`.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_output_count(session: *mut TealightSession, count: *mut u32) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { answer(session, count, |body| Ok(body.model.output_count() as u32)) }
}

/// Writes type, shape and quantization of model input `index`, from 0, to `info`.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY or _BAD_INDEX.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_input_info(
    session: *mut TealightSession,
    index: u32,
    info: *mut TealightTensor,
) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { answer(session, info, |body| value(body, Side::Input, index).map(|value| describe(&value))) }
}

/// Writes type, shape and quantization of model output `index`, from 0, to `info`.
///
/// Returns what tealight_input_info returns.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_output_info(
    session: *mut TealightSession,
    index: u32,
    info: *mut TealightTensor,
) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe { answer(session, info, |body| value(body, Side::Output, index).map(|value| describe(&value))) }
}

/// Writes the address of the first byte of model input `index` to `bytes`, aligned to TEALIGHT_ALIGNMENT. It is in the arena,
/// and the same until the session is closed; its length is TealightTensor.length.
///
/// All inputs must be written before each inference, because their memory is used again while the model runs. They must not
/// be written while a function of this session runs.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY, _BAD_INDEX or
/// _INPUT_IN_ROWS.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_input(
    session: *mut TealightSession,
    index: u32,
    bytes: *mut *mut u8,
) -> TealightStatus {
    // SAFETY: the caller's promise.
    unsafe {
        answer(session, bytes, |body| {
            let value = value(body, Side::Input, index)?;
            if value.rows.is_some() { Err(TealightStatus::InputInRows) } else { Ok(body.address(&value)) }
        })
    }
}

/// Writes the address of the first byte of model output `index` to `bytes`, aligned to TEALIGHT_ALIGNMENT; its length is
/// TealightTensor.length. What is there is the output from the end of an inference to the start of the next.
///
/// Returns what tealight_input returns.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_output(
    session: *mut TealightSession,
    index: u32,
    bytes: *mut *const u8,
) -> TealightStatus {
    let output = |body: &mut Body| {
        let value = value(body, Side::Output, index)?;
        // An output may be a constant, which is in the model.
        Ok(if value.is_constant() { body.model.constant(&value).as_ptr() } else { body.address(&value).cast_const() })
    };
    // SAFETY: the caller's promise.
    unsafe { answer(session, bytes, output) }
}

/// Copies `length` bytes, which must be the length of the tensor, into model input `index`.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY, _BAD_INDEX,
/// _INPUT_IN_ROWS or _BAD_LENGTH; the input is unchanged then.
///
/// # Safety
/// As for tealight_input_count; `bytes` is valid for reading `length` bytes, none of them in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_set_input(
    session: *mut TealightSession,
    index: u32,
    bytes: *const u8,
    length: usize,
) -> TealightStatus {
    let set = |body: &mut Body| {
        let source = Region::new(bytes, length)?;
        body.with_session(|session| {
            let mut input = whole_input(session, index)?;
            // SAFETY: the caller's promise.
            input.copy_from_bytes(unsafe { source.bytes() }).map_err(of_tensor)
        })
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_open(session, set) })
}

/// Copies model output `index` to `bytes`, which must have the length of the tensor.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN, _BUSY, _BAD_INDEX or
/// _BAD_LENGTH; nothing is copied then.
///
/// # Safety
/// As for tealight_input_count; `bytes` is valid for writing `length` bytes, none of them in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_get_output(
    session: *mut TealightSession,
    index: u32,
    bytes: *mut u8,
    length: usize,
) -> TealightStatus {
    let get = |body: &mut Body| {
        let target = Region::new(bytes, length)?;
        body.with_session(|session| {
            let output = session.output(index as usize).ok_or(TealightStatus::BadIndex)?.as_bytes();
            if output.len() != length {
                return Err(TealightStatus::BadLength);
            }
            // SAFETY: both are `length` bytes, and do not overlap, as the caller promises.
            unsafe { target.start.as_ptr().copy_from_nonoverlapping(output.as_ptr(), length) };
            Ok(())
        })
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_open(session, get) })
}

/// Quantizes `count` numbers, which must be the number of elements, into model input `index`: round(x / scale) + zero_point,
/// halves away from zero, clamped to the range of the type, NaN to the zero point. For an f32 input the numbers are copied.
///
/// Returns what tealight_set_input returns, or TEALIGHT_STATUS_NOT_QUANTIZED.
///
/// # Safety
/// As for tealight_input_count; `numbers` is valid for reading `count` floats, none of them in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_set_input_f32(
    session: *mut TealightSession,
    index: u32,
    numbers: *const f32,
    count: usize,
) -> TealightStatus {
    let set = |body: &mut Body| {
        check_floats(numbers, count)?;
        body.with_session(|session| {
            let mut input = whole_input(session, index)?;
            // SAFETY: the pointer is neither null nor misaligned, and the caller promises the rest.
            input.quantize_from(unsafe { slice::from_raw_parts(numbers, count) }).map_err(of_tensor)
        })
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_open(session, set) })
}

/// Writes the numbers that the elements of model output `index` represent to `numbers`: scale * (q - zero_point), or the
/// elements themselves if it is not quantized. `count` must be the number of elements.
///
/// Returns what tealight_get_output returns.
///
/// # Safety
/// As for tealight_input_count; `numbers` is valid for writing `count` floats, none of them in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_get_output_f32(
    session: *mut TealightSession,
    index: u32,
    numbers: *mut f32,
    count: usize,
) -> TealightStatus {
    let get = |body: &mut Body| {
        check_floats(numbers, count)?;
        body.with_session(|session| {
            let output = session.output(index as usize).ok_or(TealightStatus::BadIndex)?;
            if output.len() != count {
                return Err(TealightStatus::BadLength);
            }
            for (i, number) in output.iter_f32().enumerate() {
                // SAFETY: there are `count` numbers, and the caller promises that so many can be written.
                unsafe { numbers.add(i).write(number) };
            }
            Ok(())
        })
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_open(session, get) })
}

/// Rows of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct TealightRows {
    /// The first of them, from 0.
    pub first: u32,
    /// Their number; 0 if no rows are wanted.
    pub count: u32,
    /// Where they are, one after another; null if no rows are wanted.
    pub bytes: *mut u8,
    /// Their length in bytes.
    pub length: usize,
}

/// Writes to `rows` which rows of the input are to be written next, and where: before an inference, and whenever tealight_poll or
/// tealight_run returns TEALIGHT_STATUS_ROWS. At any other time, and for a model whose input does not come in rows
/// (`tealight compile --input-rows`), their number is 0.
///
/// Rows that are still needed move in the arena when rows are asked for the first time; without that, an inference that waits for
/// rows does not go on.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// As for tealight_input_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_input_rows(session: *mut TealightSession, rows: *mut TealightRows) -> TealightStatus {
    const NONE: TealightRows = TealightRows { first: 0, count: 0, bytes: core::ptr::null_mut(), length: 0 };
    let wanted = |body: &mut Body| {
        body.with_session(|session| match session.input_rows() {
            Some(mut rows) => {
                let (range, bytes) = (rows.range.clone(), rows.tensor.as_bytes_mut());
                let (count, length) = (range.end.saturating_sub(range.start), bytes.len());
                Ok(TealightRows { first: range.start, count, bytes: bytes.as_mut_ptr(), length })
            }
            None => Ok(NONE),
        })
    };
    // SAFETY: the caller's promise.
    unsafe { answer(session, rows, wanted) }
}

/// Model input `index`, all of which is in memory.
fn whole_input<'s>(session: &'s mut Session<'_, Linked>, index: u32) -> Result<TensorMut<'s>, TealightStatus> {
    let in_rows = session.model().has_row_input() && index == 0;
    session.input(index as usize).ok_or(if in_rows { TealightStatus::InputInRows } else { TealightStatus::BadIndex })
}

/// Writes what `question` returns for the open session to `target`.
///
/// # Safety
/// As for [`with_open`]; the target is null or valid for writing.
pub(crate) unsafe fn answer<T>(
    session: *mut TealightSession,
    target: *mut T,
    question: impl FnOnce(&mut Body) -> Result<T, TealightStatus>,
) -> TealightStatus {
    let answered = || {
        let target = Target::new(target)?;
        // SAFETY: the caller's promise.
        let value = unsafe { with_open(session, question)? };
        // SAFETY: as above.
        unsafe { target.write(value) };
        Ok(())
    };
    status(answered())
}

/// Whether `count` floats may be at a pointer.
fn check_floats(numbers: *const f32, count: usize) -> Result<(), TealightStatus> {
    let length = count.checked_mul(size_of::<f32>()).ok_or(TealightStatus::BadLength)?;
    Region::new(numbers.cast(), length)?;
    if numbers.is_aligned() { Ok(()) } else { Err(TealightStatus::MisalignedNumbers) }
}

/// Model input or output `index`.
fn value(body: &Body, side: Side, index: u32) -> Result<Value, TealightStatus> {
    let value = match side {
        Side::Input => body.model.input_value(index as usize),
        Side::Output => body.model.output_value(index as usize),
    };
    value.ok_or(TealightStatus::BadIndex)
}

fn describe(value: &Value) -> TealightTensor {
    let dtype = match value.dtype {
        DType::I8 => TealightType::I8,
        // No input or output is I4.
        DType::U8 | DType::I4 => TealightType::U8,
        DType::I16 => TealightType::I16,
        DType::I32 => TealightType::I32,
        DType::F32 => TealightType::F32,
        DType::F16 => TealightType::F16,
    };
    let mut shape = [1; TEALIGHT_MAX_RANK];
    for (i, dimension) in shape.iter_mut().enumerate() {
        *dimension = value.shape.dim(i);
    }
    // Of an input that comes in rows, not all bytes are in memory.
    let length = value.whole_len() as usize;
    TealightTensor {
        dtype,
        rank: value.shape.rank() as u32,
        shape,
        elements: length.checked_div(value.dtype.size() as usize).unwrap_or(0),
        length,
        scale: value.quantization.scale,
        zero_point: value.quantization.zero_point,
    }
}

const fn of_tensor(error: TensorError) -> TealightStatus {
    match error {
        TensorError::NotQuantized { .. } => TealightStatus::NotQuantized,
        TensorError::Type { .. } | TensorError::Length { .. } | TensorError::Bytes { .. } => TealightStatus::BadLength,
    }
}
