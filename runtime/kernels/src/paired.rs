//! FullyConnected with weights in pairs: two rows together, for cores that multiply two 16-bit numbers at a time.
//!
//! With `w0` and `w1` the weights of two rows for one input, a half-word holds `256 * w1 + w0`. Then one product with the
//! input adds to `256 * s1 + s0`, both rows' sums, and one with `w0` alone to `s0`; their difference is `256 * s1`,
//! which is exact while `s1` has at most 24 bits. A core that multiplies two half-words in an instruction widens half as
//! many weights as for rows by themselves.
//!
//! Rows lie in fours, four inputs after four: of the rows `4 * b` to `4 * b + 3` and the inputs `i` to `i + 3`, 16 bytes
//! hold the half-words of the first pair of rows for the inputs `i`, `i + 2`, `i + 1` and `i + 3`, as `SXTB16` widens
//! them, and then those of the second pair. In a half-word, the lower byte is `w0`, and the upper one `w1`, less 1 if `w0` is
//! negative.
//!
//! The bits are those of [`fully_connected`](crate::fully_connected()) with the same weights: [`pair_weights`] refuses those
//! for which they would not be. For any other bytes, the sum of a second row wraps at 24 bits.

use core::ops::Range;

use crate::arch::{multiply_paired, rolled};
use crate::fully_connected::FullyConnected;
use crate::lines::{run, tail};
use crate::matrix::Output;
use crate::quant::{Channel, requantize_accumulator};
use crate::window::div_rem;
use tealight_types::can_pair;

/// The number of rows, and of inputs, of which the weights lie together.
pub(crate) const FOUR: usize = 4;

/// Writes the rows of `[_, in_features]` weights to `paired`, in pairs. Returns whether it did: the number of rows must
/// be a multiple of 4 and that of inputs a multiple of 8, `paired` must have as many bytes as there are weights, each
/// second row must have weights so small that no sum of their products with 8-bit inputs takes more than 24 bits, and none
/// of -128 beside a negative one.
pub fn pair_weights(weights: &[i8], in_features: usize, paired: &mut [u8]) -> bool {
    let rows = weights.len().checked_div(in_features).unwrap_or(0);
    if !can_pair([rows, in_features]) || weights.len() != rows * in_features || paired.len() != weights.len() {
        return false;
    }
    let fours = weights.chunks_exact(FOUR * in_features);
    for (rows, paired) in fours.zip(paired.chunks_exact_mut(FOUR * in_features)) {
        for (pair, rows) in rows.chunks_exact(2 * in_features).enumerate() {
            let Some((first, second)) = rows.split_at_checked(in_features) else { return false };
            let largest: u64 = second.iter().map(|w| u64::from(w.unsigned_abs()) * 128).sum();
            if largest >= 1 << 23 {
                return false;
            }
            for (i, (&w0, &w1)) in first.iter().zip(second).enumerate() {
                let Some(upper) = w1.checked_sub(i8::from(w0 < 0)) else { return false };
                let at = place(pair, i);
                let Some(half) = paired.get_mut(at..at + 2) else { return false };
                half.copy_from_slice(&[w0.cast_unsigned(), upper.cast_unsigned()]);
            }
        }
    }
    true
}

/// Where the half-word of a pair of rows and an input is, among the bytes of four rows.
const fn place(pair: usize, input: usize) -> usize {
    let within = input % FOUR;
    16 * (input / FOUR) + 8 * pair + 4 * (within % 2) + 2 * (within / 2)
}

/// As [`fully_connected`](crate::fully_connected()) with `weights_zero_point` 0, with the same bits, for weights in pairs
/// ([`pair_weights`]): `weights` are `[out_features, in_features]`, of which the former is a multiple of 4 and the latter
/// one of 8.
pub fn fully_connected_paired(
    p: &FullyConnected,
    rows: Range<usize>,
    input: &[i8],
    weights: &[u8],
    channels: &[Channel],
    output: &mut [i8],
) {
    let (mut batch, mut neuron) = div_rem(rows.start, p.out_features);
    let mut output = output.get_mut(..rows.len().min(output.len())).unwrap_or(&mut []);
    let finish = Output { zero_point: p.output_zero_point, activation: p.activation };
    while !output.is_empty() && neuron < p.out_features && p.in_features > 0 {
        let input = run(input, batch.wrapping_mul(p.in_features), p.in_features);
        let left = (p.out_features - neuron).min(output.len());
        let (within, whole) = (neuron % FOUR, left - left % FOUR);
        let four = tail(weights, (neuron - within).wrapping_mul(p.in_features));
        let count = if within == 0 && whole > 0 {
            let outputs = output.get_mut(..whole).unwrap_or(&mut []);
            multiply_paired(four, run(channels, neuron, whole), input, finish, outputs);
            whole
        } else {
            if let (Some(channel), Some(output)) = (channels.get(neuron), output.first_mut()) {
                *output = output_of_row(four, within, input, channel, finish);
            }
            1
        };
        output = output.get_mut(count..).unwrap_or(&mut []);
        neuron += count;
        if neuron >= p.out_features {
            (batch, neuron) = (batch + 1, 0);
        }
    }
}

/// The products of an input with rows by fours, one row after another: what instruction sets without a loop of their own
/// do, and for operands that they do not support.
#[cfg_attr(all(arm_dsp, not(arm_mve)), inline(never))]
pub(crate) fn multiply_rows(weights: &[u8], channels: &[Channel], input: &[i8], output: Output, outputs: &mut [i8]) {
    for (row, (channel, to)) in channels.iter().zip(outputs).enumerate() {
        let four = tail(weights, (row - row % FOUR).wrapping_mul(input.len()));
        *to = output_of_row(four, row % FOUR, input, channel, output);
    }
}

/// The output of one of four rows.
fn output_of_row(four: &[u8], row: usize, input: &[i8], channel: &Channel, output: Output) -> i8 {
    let sum = sum_of_row(four, row, input).wrapping_add(channel.bias);
    requantize_accumulator(sum, channel, output.zero_point, output.activation)
}

/// The sum of the products of an input with one of four rows.
#[inline(never)]
pub(crate) fn sum_of_row(four: &[u8], row: usize, input: &[i8]) -> i32 {
    let (mut sum, second) = (0i32, row % 2 == 1);
    for (i, &x) in input.iter().enumerate() {
        rolled();
        let Some(&[lower, upper]) = tail(four, place(row / 2 % 2, i)).first_chunk() else { break };
        let (lower, upper) = (lower.cast_signed(), upper.cast_signed());
        let weight = if second { i32::from(upper) + i32::from(lower < 0) } else { i32::from(lower) };
        sum = sum.wrapping_add(i32::from(x) * weight);
    }
    if second { sum << 8 >> 8 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fully_connected;
    use std::vec;
    use std::vec::Vec;
    use tealight_types::ActivationRange;

    /// Numbers that repeat.
    fn numbers(len: usize, seed: u32) -> Vec<i8> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as i8
            })
            .collect()
    }

    #[test]
    fn paired_weights_return_the_bits_of_rows_by_themselves() {
        for (outputs, inputs, batches) in [(4, 8, 1), (8, 16, 3), (12, 72, 2), (4, 400, 1)] {
            let p = FullyConnected {
                in_features: inputs,
                out_features: outputs,
                weights_zero_point: 0,
                output_zero_point: -3,
                activation: ActivationRange::new(-100, 90).unwrap(),
            };
            let weights: Vec<i8> = numbers(outputs * inputs, 7).iter().map(|&w| w.max(-127)).collect();
            let x = numbers(batches * inputs, 11);
            let channels: Vec<Channel> = (0..outputs as i32)
                .map(|i| Channel {
                    bias: 1000 * i - 3000,
                    multiplier: 0x5000_0000 + i * 0x0100_0000,
                    shift: -10 - i % 3,
                })
                .collect();
            let mut paired = vec![0; weights.len()];
            assert!(pair_weights(&weights, inputs, &mut paired));
            let rows = outputs * batches;
            let (mut expected, mut found) = (vec![0; rows], vec![0; rows]);
            fully_connected(&p, 0..rows, &x, &weights, &channels, &mut expected);
            fully_connected_paired(&p, 0..rows, &x, &paired, &channels, &mut found);
            assert_eq!(found, expected);
            // Any slices of the rows.
            for from in (0..rows).step_by(if cfg!(miri) { 5 } else { 1 }) {
                for to in from..=rows {
                    let mut part = vec![0; to - from];
                    fully_connected_paired(&p, from..to, &x, &paired, &channels, &mut part);
                    assert_eq!(part, expected[from..to]);
                }
            }
        }
    }

    #[test]
    fn weights_whose_bits_would_differ_are_refused() {
        let mut paired = [0; 32];
        let mut weights = [1i8; 32];
        assert!(pair_weights(&weights, 8, &mut paired));
        assert!(!pair_weights(&weights, 8, &mut paired[1..]));
        // Rows or inputs that are no multiples, and none.
        assert!(!pair_weights(&weights, 16, &mut paired));
        assert!(!pair_weights(&weights[..16], 4, &mut paired[..16]));
        assert!(!pair_weights(&weights, 0, &mut paired));
        // -128 beside a negative weight has no byte; beside another it has.
        weights[8] = -128;
        assert!(pair_weights(&weights, 8, &mut paired));
        weights[0] = -1;
        assert!(!pair_weights(&weights, 8, &mut paired));
        // The sum of a second row that takes more than 24 bits.
        let large = vec![127i8; 4 * 520];
        assert!(!pair_weights(&large, 520, &mut vec![0; large.len()]));
        assert!(pair_weights(&large[..4 * 512], 512, &mut vec![0; 4 * 512]));
    }
}
