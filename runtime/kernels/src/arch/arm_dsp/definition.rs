//! Products by their definition, for operands that the fast loops do not support.

use crate::lines::{run, tail};
use crate::matrix::{Filters, Inputs};
use crate::quant::requantize_accumulator;
use core::arch::asm;

/// Computes what [`composed::multiply`](crate::composed::multiply) does, element by element.
#[inline(never)]
pub(super) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let (mut values, mut outputs) = (inputs.values, outputs);
    for _ in 0..inputs.count {
        let mut weights = filters.weights;
        for (channel, output) in filters.channels.iter().zip(outputs.iter_mut()) {
            let mut sum = channel.bias.wrapping_add(filters.offset);
            let mut line = values;
            for _ in 0..inputs.lines {
                let Some((now, later)) = weights.split_at_checked(inputs.run) else { return };
                sum = dot_product(sum, run(line, 0, inputs.run), now);
                (line, weights) = (tail(line, inputs.line), later);
            }
            *output = requantize_accumulator(sum, channel, filters.output.zero_point, filters.output.activation);
        }
        values = tail(values, inputs.step);
        outputs = outputs.get_mut(output_step..).unwrap_or(&mut []);
    }
}

/// Adds the products of two slices' elements to `sum`, one by one: a loop that the compiler would unroll.
fn dot_product(sum: i32, inputs: &[i8], weights: &[i8]) -> i32 {
    let len = inputs.len().min(weights.len());
    let mut sum = sum;
    if len > 0 {
        // SAFETY: the loop reads `len` bytes of each slice, which have as many, and `len` is not 0. Nothing reads the
        // overflow flag.
        unsafe {
            asm!(
                "2:",
                "ldrsb {x}, [{inputs}], #1",
                "ldrsb {w}, [{weights}], #1",
                "subs {len}, {len}, #1",
                "smlabb {sum}, {x}, {w}, {sum}",
                "bne 2b",
                inputs = inout(reg) inputs.as_ptr() => _,
                weights = inout(reg) weights.as_ptr() => _,
                len = inout(reg) len => _,
                sum = inout(reg) sum,
                x = out(reg) _,
                w = out(reg) _,
                options(readonly, nostack),
            );
        }
    }
    sum
}
