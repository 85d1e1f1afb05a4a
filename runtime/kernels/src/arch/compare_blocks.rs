//! Compares the instruction set's block products and quantization with those in plain Rust.

use super::compare::Random;
use super::compare_float::same_bits;
use crate::arch;
use crate::block::{
    BLOCK, Block, BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1, blocks, quantize_block,
};
use crate::float::f16;
use crate::half_to_f32::half_to_f32;
use crate::lines::{run, tail};

/// The number of rows, and bytes enough for those of two blocks.
const ROWS: usize = 20;
const SIZE: usize = 36 * 2 * ROWS;

/// Compares a case of each.
#[inline(never)]
pub(super) fn same(random: &mut Random) -> bool {
    let (mut weights, mut activations) = ([0; SIZE], [0; SIZE]);
    for byte in weights.iter_mut().chain(&mut activations) {
        *byte = random.next() as u8;
    }
    let (weights, activations) = (tail(&weights, random.below(8)), tail(&activations, random.below(8)));
    same_products::<BlockQ8_0>(random, weights, activations)
        && same_products::<BlockQ4_0>(random, weights, activations)
        && same_products::<BlockQ4_1>(random, weights, activations)
        && same_products::<BlockQ5_0>(random, weights, activations)
        && same_products::<BlockQ5_1>(random, weights, activations)
        && same_products::<BlockQ8_1>(random, weights, activations)
        && same_elements(random)
        && same_halves(random)
}

#[inline(never)]
fn same_products<B: Block>(random: &mut Random, weights: &[u8], activations: &[u8]) -> bool {
    let (count, row_blocks) = (random.below(ROWS), random.below(5));
    let (weights, activations) = (blocks::<B>(weights), run(blocks::<B::Activation>(activations), 0, row_blocks));
    if count * row_blocks > weights.len() {
        return true;
    }
    let (mut a, mut b) = ([7.0; ROWS], [7.0; ROWS]);
    B::multiply(weights, activations, a.get_mut(..count).unwrap_or(&mut []));
    for (r, output) in b.iter_mut().enumerate().take(count) {
        *output = B::vec_dot(run(weights, r * row_blocks, row_blocks), activations);
    }
    same_bits(&a, &b) && same_batches::<B>(random, weights, activations)
}

/// Compares the products of several rows of activations of one block each.
#[inline(never)]
fn same_batches<B: Block>(random: &mut Random, weights: &[B], activations: &[B::Activation]) -> bool {
    let (width, mut a, mut b) = (1 + random.below(9), [7.0; ROWS], [7.0; ROWS]);
    let batches = activations.len().min(ROWS / width);
    let count = batches * width;
    let (weights, activations) = (run(weights, 0, width), run(activations, 0, batches));
    B::multiply_batches(weights, activations, 1, width, a.get_mut(..count).unwrap_or(&mut []));
    for (i, output) in b.iter_mut().enumerate().take(count) {
        *output = B::vec_dot(run(weights, i % width, 1), run(activations, i / width, 1));
    }
    same_bits(&a, &b)
}

/// Compares the quantization of a block of numbers of one magnitude, many of them halves of integers times the factor.
#[inline(never)]
fn same_elements(random: &mut Random) -> bool {
    let exponent = if random.below(8) == 0 { random.below(256) } else { 120 + random.below(16) };
    let unit = f32::from_bits((exponent as u32) << 23);
    let mut x = [0.0; BLOCK];
    for x in &mut x {
        let whole = f32::from(random.next() as i8);
        *x = match random.below(16) {
            0 => f32::from_bits(random.next()),
            1..8 => whole * 0.5 * unit,
            _ => whole * 0.01 * unit,
        };
    }
    if let [first, ..] = &mut x
        && random.below(2) == 0
    {
        *first = 127.0 * unit;
    }
    let (mut a, mut b) = ([7; BLOCK], [7; BLOCK]);
    let [ours, theirs] = [arch::quantize_q8_0(&x, &mut a), quantize_block(&x, &mut b)].map(f32::to_bits);
    ours == theirs && a == b
}

#[inline(never)]
fn same_halves(random: &mut Random) -> bool {
    let (half, single) = (f16::from_bits(random.next() as u16), f32::from_bits(random.next()));
    let of_half = same_bits(&[arch::half_to_f32(half)], &[half_to_f32(half)]);
    of_half && arch::f32_to_half(single).to_bits() == f16::from_f32(single).to_bits()
}
