//! Change of scale between int16 and int16 or int8 codes, and the functions that are one with it: ReLU, with and without an
//! upper bound, and leaky ReLU.
//!
//! `out = clamp(zero_point + (x - input_zero_point) * factor)`, with one factor from 0 on and another below.
//!
//! Sources: TensorFlow Lite Micro `reference_ops::Requantize`, `ReluQuantized`, `QuantizeLeakyRelu`.

use crate::quant::multiply_by_quantized_multiplier;
use tealight_types::{ActivationRangeI16, Multiplier};

/// Parameters of [`requantize_i16`], [`widen`] and [`narrow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requantize {
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// `input_scale / output_scale`, for values from 0 on.
    pub positive: Multiplier,
    /// The same for values below 0, times their slope.
    pub negative: Multiplier,
    /// The range of the output, within that of its type.
    pub activation: ActivationRangeI16,
}

impl Requantize {
    #[inline]
    fn code(&self, x: i32) -> i16 {
        let x = x.wrapping_sub(self.input_zero_point);
        let Multiplier { multiplier, shift } = if x < 0 { self.negative } else { self.positive };
        let scaled = multiply_by_quantized_multiplier(x, multiplier, shift);
        self.activation.clamp(scaled.wrapping_add(self.output_zero_point))
    }

    #[inline]
    fn each<A: Copy + Into<i32>, B>(&self, input: &[A], output: &mut [B], code: impl Fn(i16) -> B) {
        for (output, &x) in output.iter_mut().zip(input) {
            *output = code(self.code(x.into()));
        }
    }
}

/// From int16 to int16. The caller slices input and output to the rows it wants.
pub fn requantize_i16(p: &Requantize, input: &[i16], output: &mut [i16]) {
    p.each(input, output, |code| code);
}

/// From int8 to int16. The caller slices input and output to the rows it wants.
pub fn widen(p: &Requantize, input: &[i8], output: &mut [i16]) {
    p.each(input, output, |code| code);
}

/// From int16 to int8. The caller slices input and output to the rows it wants.
pub fn narrow(p: &Requantize, input: &[i16], output: &mut [i8]) {
    // The range is that of int8, or within it.
    p.each(input, output, |code| code as i8);
}
