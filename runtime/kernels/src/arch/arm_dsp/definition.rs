//! Products by their definition, for operands that the fast loops do not support.

use crate::lines::{run, tail};
use crate::matrix::{Filters, Inputs};
use crate::quant::requantize_accumulator;

/// Computes what [`composed::multiply`](crate::composed::multiply) does, element by element.
#[inline(never)]
pub(super) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let (mut values, mut outputs) = (inputs.values, outputs);
    for _ in 0..inputs.count {
        let mut weights = filters.weights.iter();
        for (channel, output) in filters.channels.iter().zip(outputs.iter_mut()) {
            let mut sum = channel.bias.wrapping_add(filters.offset);
            let mut line = values;
            for _ in 0..inputs.lines {
                for (&x, &w) in run(line, 0, inputs.run).iter().zip(&mut weights) {
                    sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
                line = tail(line, inputs.line);
            }
            *output = requantize_accumulator(sum, channel, filters.output.zero_point, filters.output.activation);
        }
        values = tail(values, inputs.step);
        outputs = outputs.get_mut(output_step..).unwrap_or(&mut []);
    }
}
