//! Whole layers with AVX-512 and its products of bytes (VNNI): a register holds sixteen accumulators.
//!
//! `VPDPBUSD` adds four products of unsigned with signed bytes to each accumulator. Inputs are its unsigned operand:
//! they are copied with 128 added, the padding written out ([`region`]). What 128 adds to a sum, 128 times the sum of
//! a filter's weights, is subtracted from the bias. Weights are brought into the order of the registers once for a
//! call, which then serves all pixels of it.

mod addition;
mod convolution;
mod depthwise;
mod region;
mod requantize;
#[cfg(test)]
mod tests;
mod vector;

pub(super) use addition::add;
pub(super) use convolution::convolve;
pub(super) use depthwise::depthwise_lines;
pub(super) use vector::multiply_vector;
