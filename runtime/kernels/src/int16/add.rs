//! Add and Sub of int16 tensors.
//!
//! Both operands are scaled to twice the larger of their scales, with 15 spare bits, then added or subtracted, and scaled
//! to the output.
//!
//! Sources: TensorFlow Lite Micro `AddElementwise`, `SubElementwise` and their `CalculateOpData`.

use core::ops::Range;

use crate::broadcast::Broadcast;
use crate::quant::multiply_by_multiplier_smaller_than_one;
use tealight_types::{ActivationRangeI16, Multiplier};

/// Spare bits of the common scale.
const LEFT_SHIFT: u32 = 15;

/// Parameters of [`add`] and [`sub`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddSub {
    /// Shapes.
    pub broadcast: Broadcast,
    /// `a_scale / (2 * max(a_scale, b_scale))`; its shift is not positive.
    pub a: Multiplier,
    /// `b_scale / (2 * max(a_scale, b_scale))`; its shift is not positive.
    pub b: Multiplier,
    /// `2 * max(a_scale, b_scale) / (2^15 * output_scale)`; its shift is not positive.
    pub output: Multiplier,
    /// The range of the output.
    pub activation: ActivationRangeI16,
}

impl AddSub {
    #[inline]
    fn scaled(x: i16, by: Multiplier) -> i32 {
        multiply_by_multiplier_smaller_than_one(i32::from(x) << LEFT_SHIFT, by.multiplier, by.shift)
    }

    #[inline]
    fn output(&self, raw: i32) -> i16 {
        let Multiplier { multiplier, shift } = self.output;
        self.activation.clamp(multiply_by_multiplier_smaller_than_one(raw, multiplier, shift))
    }
}

/// `a + b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn add(p: &AddSub, rows: Range<usize>, a: &[i16], b: &[i16], output: &mut [i16]) {
    let sum = |a, b| p.output(AddSub::scaled(a, p.a).wrapping_add(AddSub::scaled(b, p.b)));
    p.broadcast.for_each(rows, a, b, output, sum);
}

/// `a - b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn sub(p: &AddSub, rows: Range<usize>, a: &[i16], b: &[i16], output: &mut [i16]) {
    let difference = |a, b| p.output(AddSub::scaled(a, p.a).wrapping_sub(AddSub::scaled(b, p.b)));
    p.broadcast.for_each(rows, a, b, output, difference);
}
