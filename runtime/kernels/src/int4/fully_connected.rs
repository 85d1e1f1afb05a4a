//! FullyConnected with int4 weights.

use core::ops::Range;

use super::{Inputs, Int4, Products, dot_rows_int4, multiply_filters};
use crate::fully_connected::FullyConnected;
use crate::lines::run;
use crate::matrix::Output;
use crate::portable::sum;
use crate::quant::Channel;
use crate::window::div_rem;

/// As [`fully_connected`](crate::fully_connected()), with the same bits, for weights that are packed.
pub fn fully_connected_int4(
    p: &FullyConnected,
    rows: Range<usize>,
    input: &[i8],
    weights: Int4<'_>,
    channels: &[Channel],
    output: &mut [i8],
) {
    let (mut batch, mut neuron) = div_rem(rows.start, p.out_features);
    let mut output = output.get_mut(..rows.len().min(output.len())).unwrap_or(&mut []);
    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    while !output.is_empty() && neuron < p.out_features {
        let count = (p.out_features - neuron).min(output.len());
        let Some((now, later)) = output.split_at_mut_checked(count) else { return };
        let input = run(input, batch.wrapping_mul(p.in_features), p.in_features);
        let offset = match p.weights_zero_point {
            0 => 0,
            zero_point => zero_point.wrapping_neg().wrapping_mul(sum(input)),
        };
        let channels = run(channels, neuron, count);
        let weights = weights.tail(neuron.wrapping_mul(p.in_features));
        multiply_filters(&Vector(input), weights, channels, offset, finish, now);
        (batch, neuron, output) = (batch + 1, 0, later);
    }
}

/// A vector that is multiplied with rows of weights.
struct Vector<'a>(&'a [i8]);

impl Products for Vector<'_> {
    fn filter_len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn add<const N: usize>(&self, accumulators: &mut [i32; N], filters: Int4<'_>) {
        dot_rows_int4(accumulators, Inputs::Run(self.0), filters, self.0.len());
    }
}
