//! Shared parts of the tests of the f32 kernels: random f32 values, comparison with an f64 reference, and weights in
//! both storage types.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of this")]

use std::ops::Range;

use super::common::{self, Rng};
use tealight_kernels::float::{ScaleBias, f16};

/// Random values in `[-1, 1)`, some of them 0. All have at most 11 significant bits, so f16 represents them exactly.
pub fn floats(rng: &mut Rng, len: usize) -> Vec<f32> {
    let real = |rng: &mut Rng| if rng.size(0, 9) == 0 { 0.0 } else { rng.int(-1024, 1023) as f32 / 1024.0 };
    (0..len).map(|_| real(rng)).collect()
}

pub fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

pub fn halves(x: &[f32]) -> Vec<f16> {
    x.iter().map(|&x| f16::from_f32(x)).collect()
}

/// Any codes of int8 weights.
pub fn codes(rng: &mut Rng, len: usize) -> Vec<i8> {
    (0..len).map(|_| rng.int(-128, 127) as i8).collect()
}

/// Any codes of int4 weights, and the same packed, with anything in the half of the last byte that no code fills.
pub fn int4_codes(rng: &mut Rng, len: usize) -> (Vec<i8>, Vec<u8>) {
    let codes: Vec<i8> = (0..len).map(|_| rng.int(-8, 7) as i8).collect();
    let padding = [rng.int(-8, 7) as i8];
    let pair = |pair: &[i8]| pair[0].cast_unsigned() & 15 | pair.get(1).unwrap_or(&padding[0]).cast_unsigned() << 4;
    let packed = codes.chunks(2).map(pair).collect();
    (codes, packed)
}

/// Checks that a kernel returns the same bits with int4 weights, in any slicing, as with i8 weights of the same codes.
pub fn assert_int4(
    rng: &mut Rng,
    [rows, row_len]: [usize; 2],
    mut i8s: impl FnMut(Range<usize>, &mut [f32]),
    int4s: impl FnMut(Range<usize>, &mut [f32]),
) {
    let output = common::by_rows(rng, rows, row_len, int4s);
    let mut of_i8s = vec![0.0; output.len()];
    i8s(0..rows, &mut of_i8s);
    let bits = |output: &[f32]| output.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&output), bits(&of_i8s), "int4 weights of the same codes");
}

/// Channels whose weights have scales between 2^-9 and 2^-6, and biases in `[-1, 1)`.
pub fn scaled(rng: &mut Rng, len: usize) -> Vec<ScaleBias> {
    let scales: Vec<f32> = (0..len).map(|_| rng.int(128, 1024) as f32 / 65536.0).collect();
    scales.into_iter().zip(floats(rng, len)).map(|(scale, bias)| ScaleBias { scale, bias }).collect()
}

/// The weights that codes stand for, each with the scale of its channel.
pub fn weights_of(codes: &[i8], channels: &[ScaleBias], channel: impl Fn(usize) -> usize) -> Vec<f64> {
    codes.iter().enumerate().map(|(i, &code)| f64::from(code) * f64::from(channels[channel(i)].scale)).collect()
}

/// Checks that every element is within `tolerance` of the reference, relative to `1 + |reference|`.
pub fn assert_near(actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(actual) - expected).abs();
        assert!(error <= tolerance * (1.0 + expected.abs()), "element {i}: {actual}, not {expected}");
    }
}

/// The result of [`common::by_rows`] for a kernel that must return the same bits with f32 and f16 weights.
pub fn by_rows_and_storage(
    rng: &mut Rng,
    [rows, row_len]: [usize; 2],
    mut f32s: impl FnMut(Range<usize>, &mut [f32]),
    mut f16s: impl FnMut(Range<usize>, &mut [f32]),
) -> Vec<f32> {
    let output = common::by_rows(rng, rows, row_len, &mut f32s);
    let mut of_halves = vec![0.0; output.len()];
    f16s(0..rows, &mut of_halves);
    assert_eq!(output, of_halves, "f16 weights of the same values");
    output
}
