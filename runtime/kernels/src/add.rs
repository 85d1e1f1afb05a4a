//! Add and Sub, elementwise with broadcasting.
//!
//! Both operands are converted to a common scale, twice the larger of the two, with `left_shift` spare
//! bits: `s(x) = ((x - zero_point) << left_shift) * factor`. Then
//! `out = clamp(zero_point + (s(a) ± s(b)) * output_factor)`.
//!
//! Sources: TensorFlow Lite 8-bit quantization specification, ADD; TensorFlow Lite Micro
//! `reference_integer_ops::Add` and `reference_ops::Sub`.

use core::ops::Range;

use crate::arch::add_some;
use crate::broadcast::Broadcast;
use crate::quant::multiply_by_multiplier_smaller_than_one;
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`add`] and [`sub`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddSub {
    /// Shapes.
    pub broadcast: Broadcast,
    /// Quantized value of a real zero in the first operand.
    pub a_zero_point: i32,
    /// Quantized value of a real zero in the second operand.
    pub b_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// Spare bits of the common scale; 20 for 8-bit operands.
    pub left_shift: i32,
    /// `a_scale / (2 * max(a_scale, b_scale))`; its shift is not positive.
    pub a: Multiplier,
    /// `b_scale / (2 * max(a_scale, b_scale))`; its shift is not positive.
    pub b: Multiplier,
    /// `2 * max(a_scale, b_scale) / (2^left_shift * output_scale)`; its shift is not positive.
    pub output: Multiplier,
    /// The range of the output.
    pub activation: ActivationRange,
}

impl AddSub {
    #[inline]
    fn scaled_a(&self, a: i8) -> i32 {
        let shifted = self.shifted(a, self.a_zero_point);
        multiply_by_multiplier_smaller_than_one(shifted, self.a.multiplier, self.a.shift)
    }

    #[inline]
    fn scaled_b(&self, b: i8) -> i32 {
        let shifted = self.shifted(b, self.b_zero_point);
        multiply_by_multiplier_smaller_than_one(shifted, self.b.multiplier, self.b.shift)
    }

    #[inline]
    fn shifted(&self, x: i8, zero_point: i32) -> i32 {
        i32::from(x).wrapping_sub(zero_point).wrapping_shl(self.left_shift as u32)
    }

    /// `a + b`.
    #[inline]
    pub(crate) fn sum(&self, a: i8, b: i8) -> i8 {
        self.output(self.scaled_a(a).wrapping_add(self.scaled_b(b)))
    }

    #[inline]
    fn output(&self, raw: i32) -> i8 {
        let scaled = multiply_by_multiplier_smaller_than_one(raw, self.output.multiplier, self.output.shift);
        self.activation.clamp(scaled.wrapping_add(self.output_zero_point))
    }
}

/// An operand of a sum: its elements, its zero point, and its factor.
#[cfg(any(arm_v6m, arm_v7m, riscv_m, all(arm_dsp, not(arm_mve))))]
pub(crate) type Operand<'a> = (&'a [i8], i32, Multiplier);

#[cfg(any(arm_v6m, arm_v7m, riscv_m, all(arm_dsp, not(arm_mve))))]
impl AddSub {
    /// The operands of `count` sums, that first whose factor is one half of its multiplier. `None` unless the other factor
    /// is smaller, that of the output less than a quarter, and all other numbers are those of 8-bit operands.
    pub(crate) fn in_order<'a>(&self, a: &'a [i8], b: &'a [i8], count: usize) -> Option<[Operand<'a>; 2]> {
        let (a, b) = ((a, self.a_zero_point, self.a), (b, self.b_zero_point, self.b));
        let operands @ [first, second] = if self.a.shift == 0 { [a, b] } else { [b, a] };
        let fits = operands.iter().all(|(elements, zero_point, factor)| {
            elements.len() >= count && (-128..128).contains(zero_point) && factor.multiplier >= 0
        });
        let fits = fits
            && self.left_shift == 20
            && first.2.shift == 0
            && (-31..=-1).contains(&second.2.shift)
            && (-31..=-2).contains(&self.output.shift)
            && self.output.multiplier >= 0;
        (fits && count > 0).then_some(operands)
    }
}

/// `a + b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn add(p: &AddSub, rows: Range<usize>, a: &[i8], b: &[i8], output: &mut [i8]) {
    p.broadcast.for_each_run(rows, a, b, output, |a, b| p.sum(a, b), |a, b, output| add_some(p, a, b, output));
}

/// `a - b` for output rows `rows`; `output` holds those rows only.
///
/// A row is `broadcast.row_len` output elements.
pub fn sub(p: &AddSub, rows: Range<usize>, a: &[i8], b: &[i8], output: &mut [i8]) {
    p.broadcast.for_each(rows, a, b, output, |a, b| p.output(p.scaled_a(a).wrapping_sub(p.scaled_b(b))));
}
