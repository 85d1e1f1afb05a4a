//! Runs what the compiler wrote, for calibration and measurement.

use crate::quantize::{Activations, Params};
use tealight::OwnedSession;
use tealight_format::DType;

/// Sets input `k` to these f32 values, converted to its type.
///
/// # Errors
/// The input takes another number of values, or has a type that f32 values cannot be converted to.
pub(crate) fn write_input(session: &mut OwnedSession, k: usize, numbers: &[f32]) -> Result<(), String> {
    let no_input = || format!("it has no input {k}");
    let value = session.model().value(session.model().input(k).ok_or_else(no_input)?);
    let params = |of: Activations| Params::new(value.quantization, of);
    let mut input = session.input(k).ok_or_else(no_input)?;
    let copied = match value.dtype {
        DType::F32 => input.copy_from(numbers),
        DType::I8 if value.quantization.scale > 0.0 => {
            let params = params(Activations::Int8);
            input.copy_from(&numbers.iter().map(|&number| params.quantize(number) as i8).collect::<Vec<_>>())
        }
        DType::I16 if value.quantization.scale > 0.0 => {
            let params = params(Activations::Int16);
            input.copy_from(&numbers.iter().map(|&number| params.quantize(number) as i16).collect::<Vec<_>>())
        }
        DType::U8 if value.quantization.scale > 0.0 => {
            let steps =
                |number: f32| (number / value.quantization.scale).round() + value.quantization.zero_point as f32;
            input.copy_from(&numbers.iter().map(|&number| steps(number) as u8).collect::<Vec<_>>())
        }
        DType::I32 => input.copy_from(&numbers.iter().map(|&number| number as i32).collect::<Vec<_>>()),
        dtype => {
            return Err(format!(
                "its input {k} is {}; accepted: float32, int32, quantized int8, uint8 or int16",
                dtype.name()
            ));
        }
    };
    copied.map_err(|error| error.to_string())
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
