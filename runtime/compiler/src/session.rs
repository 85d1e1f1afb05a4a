//! Runs what the compiler wrote, for calibration and measurement.

use crate::quantize::{Activations, Params};
use tealight::OwnedSession;
use tealight_format::{DType, Model};

/// Sets input `k` to these f32 values, converted to its type.
///
/// # Errors
/// The input takes another number of values, or has a type that f32 values cannot be converted to.
pub(crate) fn write_input(session: &mut OwnedSession, k: usize, numbers: &[f32]) -> Result<(), String> {
    let bytes = input_bytes(&session.model(), k, numbers)?;
    let mut input = session.input(k).ok_or_else(|| format!("it has no input {k}"))?;
    input.copy_from_bytes(&bytes).map_err(|error| error.to_string())
}

/// The bytes of input `k` with these f32 values, converted to its type.
///
/// # Errors
/// The input has a type that f32 values cannot be converted to.
pub(crate) fn input_bytes(model: &Model<'_>, k: usize, numbers: &[f32]) -> Result<Vec<u8>, String> {
    let value = model.input_value(k).ok_or_else(|| format!("it has no input {k}"))?;
    let is_quantized = value.quantization.scale > 0.0;
    let params = |of: Activations| Params::new(value.quantization, of);
    let numbers = numbers.iter().copied();
    Ok(match value.dtype {
        DType::F32 => numbers.flat_map(f32::to_le_bytes).collect(),
        DType::I8 if is_quantized => {
            let params = params(Activations::Int8);
            numbers.map(|number| params.quantize(number) as i8 as u8).collect()
        }
        DType::I16 if is_quantized => {
            let params = params(Activations::Int16);
            numbers.flat_map(|number| (params.quantize(number) as i16).to_le_bytes()).collect()
        }
        DType::U8 if is_quantized => {
            let steps =
                |number: f32| (number / value.quantization.scale).round() + value.quantization.zero_point as f32;
            numbers.map(|number| steps(number) as u8).collect()
        }
        DType::I32 => numbers.flat_map(|number| (number as i32).to_le_bytes()).collect(),
        dtype => {
            return Err(format!(
                "its input {k} is {}; accepted: float32, int32, quantized int8, uint8 or int16",
                dtype.name()
            ));
        }
    })
}

/// Returns the values of a tensor of type float32, int8 or int16, as f32.
pub(crate) fn values_of(session: &OwnedSession, value: usize) -> Vec<f32> {
    let of = session.model().value(value);
    let tensor = session.value(value);
    match of.dtype {
        DType::I8 | DType::I16 => tensor.iter_f32().collect(),
        _ => tensor.as_slice::<f32>().unwrap_or(&[]).to_vec(),
    }
}
