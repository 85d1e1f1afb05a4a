//! x86-64 with AVX2 and F16C, and with its byte products (AVX-VNNI, or VNNI of AVX-512), found at run time; the portable loops
//! on processors without AVX2.

pub(super) mod blocks;
mod detect;
mod dot;
pub(super) mod float;
mod layers;
mod multiply;
mod requantize;

use crate::add::AddSub;
use crate::lines::{run, tail};
use crate::matrix::{Filters, Inputs, Output};
use crate::quant::Channel;
use crate::window::Lines;
use crate::{Conv2d, DepthwiseConv2d, composed, portable};
use core::ops::Range;
use detect::{Vectors, vectors};
use dot::{Avx2, Avx512Vnni, AvxVnni};
use layers::{Set, can_multiply_vector, multiply_vector_256};
use multiply::can_store;
use tealight_types::ActivationRange;

pub(crate) use crate::composed::depthwise;
pub(crate) use crate::portable::{ROWS, dot_rows, multiply_taps};

/// Every row of a window is used in place: [`multiply()`] copies windows itself.
pub(crate) const SHORTEST_RUN: usize = 1;

/// The number of elements of the buffer for lines with their padding: a row of most networks with small pictures.
pub(crate) const PADDED: usize = 8192;

/// The name of the instructions that the processor and the operating system support.
pub(crate) fn instruction_set() -> &'static str {
    vectors().name()
}

/// See [`use_at_most`](crate::use_at_most).
#[cfg(feature = "compare-arch")]
pub(crate) fn use_at_most(name: &str) -> bool {
    let named = Vectors::ALL.iter().find(|vectors| vectors.name() == name);
    named.iter().for_each(|&&vectors| detect::use_at_most(vectors));
    named.is_some()
}

/// [`composed::multiply`], in tiles of registers.
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    if !inputs.fit(filters, output_step, outputs.len()) {
        return;
    }
    let vector = run(inputs.values, 0, if inputs.count == 1 && inputs.lines == 1 { filters.len } else { 0 });
    // SAFETY: the processor has these instructions, the operands fit, and the windows can be stored.
    unsafe {
        match vectors() {
            Vectors::Avx512Vnni if !vector.is_empty() => layers::multiply_vector(filters, vector, outputs),
            Vectors::Avx512Vnni if can_store::<Avx512Vnni>(filters.len) => {
                multiply_avx512_vnni(filters, inputs, output_step, outputs);
            }
            Vectors::AvxVnni if can_multiply_vector::<AvxVnni>(vector.len()) => {
                multiply_vector_avx_vnni(filters, vector, outputs);
            }
            Vectors::AvxVnni if can_store::<AvxVnni>(filters.len) => {
                multiply_avx_vnni(filters, inputs, output_step, outputs);
            }
            Vectors::Avx2 if can_multiply_vector::<Avx2>(vector.len()) => {
                multiply_vector_avx2(filters, vector, outputs);
            }
            Vectors::Avx2 if can_store::<Avx2>(filters.len) => multiply_avx2(filters, inputs, output_step, outputs),
            _ => composed::multiply(filters, inputs, output_step, outputs),
        }
    }
}

/// Computes `rows` of a convolution from `[input, weights]`. Returns whether it did: with vectors, most layers of
/// several pixels.
pub(crate) fn convolve(
    p: &Conv2d,
    rows: &Range<usize>,
    operands: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    match vectors() {
        Vectors::Portable => false,
        Vectors::Avx2 => layers::convolve::<Avx2>(p, rows, operands, channels, output),
        Vectors::AvxVnni => layers::convolve::<AvxVnni>(p, rows, operands, channels, output),
        Vectors::Avx512Vnni => layers::convolve::<Avx512Vnni>(p, rows, operands, channels, output),
    }
}

/// Computes `rows` of a depthwise convolution, whose output has these lines, from `[input, weights]`. Returns whether
/// it did: with vectors, most layers.
pub(crate) fn depthwise_lines(
    p: &DepthwiseConv2d,
    rows: (&Lines, &Range<usize>),
    operands: [&[i8]; 2],
    channels: &[Channel],
    output: &mut [i8],
) -> bool {
    match vectors() {
        Vectors::Portable => false,
        Vectors::Avx2 => layers::depthwise_lines::<Avx2>(p, rows, operands, channels, output),
        Vectors::AvxVnni => layers::depthwise_lines::<AvxVnni>(p, rows, operands, channels, output),
        Vectors::Avx512Vnni => layers::depthwise_lines::<Avx512Vnni>(p, rows, operands, channels, output),
    }
}

/// # Safety
/// As for [`multiply::multiply`].
#[target_feature(enable = "avx2")]
unsafe fn multiply_avx2(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply::multiply::<Avx2>(filters, inputs, output_step, outputs) }
}

/// # Safety
/// As for [`multiply::multiply`].
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn multiply_avx_vnni(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply::multiply::<AvxVnni>(filters, inputs, output_step, outputs) }
}

/// # Safety
/// As for [`multiply::multiply`].
#[target_feature(enable = "avx2,avx512f,avx512vl,avx512vnni")]
unsafe fn multiply_avx512_vnni(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply::multiply::<Avx512Vnni>(filters, inputs, output_step, outputs) }
}

/// # Safety
/// As for [`multiply_vector_256`].
#[inline(never)]
#[target_feature(enable = "avx2")]
unsafe fn multiply_vector_avx2(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply_vector_256::<Avx2>(filters, input, outputs) }
}

/// # Safety
/// As for [`multiply_vector_256`].
#[inline(never)]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn multiply_vector_avx_vnni(filters: &Filters<'_>, input: &[i8], outputs: &mut [i8]) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply_vector_256::<AvxVnni>(filters, input, outputs) }
}

/// [`portable::requantize`], eight at a time.
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    if vectors() == Vectors::Portable {
        return portable::requantize(accumulators, channels, zero_point, activation, outputs);
    }
    // SAFETY: the processor has AVX2.
    unsafe { requantize::requantize(accumulators, channels, Output { zero_point, activation }, outputs) }
}

/// [`portable::add_some`], up to 64 at a time.
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], outputs: &mut [i8]) -> usize {
    // Those of every checked model; others may saturate.
    let usual = [p.a, p.b, p.output].iter().all(|m| m.multiplier >= 0 && (-31..=0).contains(&m.shift));
    let done = if usual {
        // SAFETY: the processor has the instructions.
        unsafe {
            match vectors() {
                Vectors::Portable => 0,
                Vectors::Avx2 => Avx2::add(p, a, b, outputs),
                Vectors::AvxVnni => AvxVnni::add(p, a, b, outputs),
                Vectors::Avx512Vnni => Avx512Vnni::add(p, a, b, outputs),
            }
        }
    } else {
        0
    };
    match outputs.get_mut(done..) {
        Some(rest) if !rest.is_empty() => done + portable::add_some(p, tail(a, done), tail(b, done), rest),
        _ => done,
    }
}
