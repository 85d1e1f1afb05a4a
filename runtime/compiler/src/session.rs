//! Running what the compiler wrote, for calibration and measurement.

use crate::quantize::Params;
use tealight::{ALL_OPS, Align16, Model, Session};
use tealight_format::DType;

/// A file's bytes where a model may lie.
pub(crate) fn aligned(bytes: &[u8]) -> Vec<Align16> {
    let mut file = vec![Align16::ZERO; Align16::count(bytes.len())];
    Align16::bytes_mut(&mut file)[..bytes.len()].copy_from_slice(bytes);
    file
}

/// Memory for a session of `model`.
pub(crate) fn arena(model: &Model<'_>) -> Vec<Align16> {
    vec![Align16::ZERO; Align16::count(model.arena_len())]
}

/// Gives input `k` these real numbers, in its type.
///
/// # Errors
/// The input takes another count, or has a type that no real numbers become.
pub(crate) fn give(session: &mut Session<'_, ALL_OPS>, k: usize, numbers: &[f32]) -> Result<(), String> {
    let no_input = || format!("it has no input {k}");
    let value = session.model().value(session.model().input(k).ok_or_else(no_input)?);
    let params = Params { scale: value.scale, zero_point: value.zero_point };
    let mut input = session.input(k).ok_or_else(no_input)?;
    let copied = match value.dtype {
        DType::F32 => input.copy_from(numbers),
        DType::I8 if value.scale > 0.0 => {
            input.copy_from(&numbers.iter().map(|&number| params.quantize(number)).collect::<Vec<_>>())
        }
        DType::U8 if value.scale > 0.0 => {
            let steps = |number: f32| (number / value.scale).round() + value.zero_point as f32;
            input.copy_from(&numbers.iter().map(|&number| steps(number) as u8).collect::<Vec<_>>())
        }
        DType::I32 => input.copy_from(&numbers.iter().map(|&number| number as i32).collect::<Vec<_>>()),
        dtype => {
            return Err(format!(
                "its input {k} is {}; accepted: float32, int32, quantized int8 or uint8",
                dtype.name()
            ));
        }
    };
    copied.map_err(|error| error.to_string())
}

/// The real numbers that a value of type float32 or int8 stands for.
pub(crate) fn reals_of(session: &Session<'_, ALL_OPS>, value: usize) -> Vec<f32> {
    let of = session.model().value(value);
    let params = Params { scale: of.scale, zero_point: of.zero_point };
    let tensor = session.value(value);
    match tensor.as_slice::<i8>() {
        Some(bytes) => bytes.iter().map(|&byte| params.dequantize(byte)).collect(),
        None => tensor.as_slice::<f32>().unwrap_or(&[]).to_vec(),
    }
}
