//! Compares the instruction set's f32 loops with their definitions.

use super::compare::Random;
use crate::arch;
use crate::float::products::{self, Pixels};
use crate::float::{ScaleBias, Weight, f16};
use crate::lines::{run, tail};
use crate::portable::{Steps, Window};

/// Whether many channels of many pixels are computed together.
const MANY: bool = cfg!(x86_64_vectors);

/// The number of elements of an operand, of outputs with those after them, which must not change, and of channels that
/// are listed.
const SIZE: usize = if MANY { 1024 } else { 256 };
const OUTPUTS: usize = if MANY { 640 } else { 96 };
const CHANNELS: usize = if MANY { 48 } else { 16 };

/// Compares a case with weights in f32, in f16 and in i8.
#[inline(never)]
pub(super) fn same(random: &mut Random) -> bool {
    let mut input = [0.0; SIZE];
    let (mut weights, mut halves, mut bytes) = ([0.0; SIZE], [f16::ZERO; SIZE], [0i8; SIZE]);
    // In some cases most operands are zeros of either sign, and so are many sums.
    let zeros = random.below(4) == 0;
    for x in input.iter_mut().chain(&mut weights) {
        *x = if zeros && random.below(8) > 0 { zero(random) } else { number(random) };
    }
    for half in &mut halves {
        *half = f16::from_bits(random.next() as u16);
    }
    for byte in &mut bytes {
        *byte = random.next() as i8;
    }
    let mut scaled = [ScaleBias::default(); CHANNELS];
    for channel in &mut scaled {
        let bias = if random.below(4) == 0 { zero(random) } else { number(random) };
        *channel = ScaleBias { scale: number(random), bias };
    }
    let (biases, scaled) = (run(&input, 0, random.below(CHANNELS)), run(&scaled, 0, random.below(CHANNELS)));
    let (input, from) = (tail(&input, random.below(8)), random.below(8));
    same_products(random, input, tail(&weights, from))
        && same_products(random, input, tail(&halves, from))
        && same_taps(random, input, tail(&weights, from))
        && same_taps(random, input, tail(&halves, from))
        && same_products(random, input, tail(&bytes, from))
        && same_taps(random, input, tail(&bytes, from))
        && same_pixels(random, input, tail(&weights, from), biases)
        && same_pixels(random, input, tail(&halves, from), biases)
        && same_pixels(random, input, tail(&bytes, from), scaled)
        && same_sums(random, input)
}

/// A number of ordinary magnitude, or any bits: subnormal, infinite, not a number.
fn number(random: &mut Random) -> f32 {
    let bits = random.next();
    // Sign and fraction, and an exponent from -8 to 7.
    let ordinary = (bits & 0x807F_FFFF) | (119 + random.below(16) as u32) << 23;
    f32::from_bits(if random.below(64) == 0 { bits } else { ordinary })
}

/// 0 or -0.
fn zero(random: &mut Random) -> f32 {
    if random.below(2) == 0 { 0.0 } else { -0.0 }
}

/// A bound of outputs: a number, a zero, or none.
fn bound(random: &mut Random, infinite: f32) -> f32 {
    match random.below(6) {
        0 | 1 => infinite,
        2 => zero(random),
        _ => number(random),
    }
}

fn window(random: &mut Random) -> Window {
    Window {
        lines: random.below(4),
        runs: random.below(4),
        line: [random.below(30), random.below(30)],
        run: [random.below(30), random.below(30)],
    }
}

#[inline(never)]
fn same_products<W: Weight>(random: &mut Random, input: &[f32], weights: &[W]) -> bool {
    // Few rows that lie far apart, or as many as are multiplied together.
    let [stride, count] = if random.below(2) == 0 { [40, 6] } else { [10, 24] }.map(|limit| random.below(limit));
    let (window, len) = (window(random), random.below(30));
    let (mut a, mut b) = ([7.0; OUTPUTS], [7.0; OUTPUTS]);
    arch::multiply_f32(&window, len, input, weights, stride, a.get_mut(..count).unwrap_or(&mut []));
    let reach = if window.is_empty() { 0 } else { count.saturating_sub(1) * stride };
    if reach <= weights.len() && window.fits(len, [input.len(), weights.len() - reach]) {
        for (r, output) in b.iter_mut().enumerate().take(count) {
            *output = eight_lanes(&window, len, input, tail(weights, r * stride));
        }
    }
    same_bits(&a, &b)
}

/// The definition of a product.
fn eight_lanes<W: Weight>(window: &Window, len: usize, input: &[f32], weights: &[W]) -> f32 {
    let mut lanes = [0.0; 8];
    window.for_each_tap(input, weights, |x, w| {
        for (i, (x, w)) in run(x, 0, len).iter().zip(w).enumerate() {
            if let Some(lane) = lanes.get_mut(i % 8) {
                *lane += x * w.to_f32();
            }
        }
    });
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[inline(never)]
fn same_taps<W: Weight>(random: &mut Random, input: &[f32], weights: &[W]) -> bool {
    let (window, count) = (window(random), random.below(40));
    let (mut a, mut b) = ([7.0; OUTPUTS], [7.0; OUTPUTS]);
    arch::depthwise_f32(&window, input, weights, a.get_mut(..count).unwrap_or(&mut []));
    if window.fits(count, [input.len(), weights.len()]) {
        for (c, output) in b.iter_mut().enumerate().take(count) {
            *output = 0.0;
            window.for_each_tap(input, weights, |x, w| {
                if let (Some(x), Some(w)) = (x.get(c), w.get(c)) {
                    *output += x * w.to_f32();
                }
            });
        }
    }
    same_bits(&a, &b)
}

/// Compares pixels of a line, in products and depthwise.
#[inline(never)]
fn same_pixels<W: Weight>(random: &mut Random, input: &[f32], weights: &[W], finish: &[W::Finish]) -> bool {
    // Few pixels that lie far apart, or as many as are computed together.
    let limits = if MANY && random.below(2) == 0 {
        [14, 8, 44]
    } else if random.below(2) == 0 {
        [4, 16, 14]
    } else {
        [10, 5, 14]
    };
    let [count, step, channels] = limits.map(|limit| random.below(limit));
    let pixels = Pixels {
        window: window(random),
        len: random.below(22),
        input,
        weights,
        stride: random.below(16),
        finish,
        activation: [bound(random, f32::NEG_INFINITY), bound(random, f32::INFINITY)],
        channels,
        steps: Steps { count, input: step, output: channels + random.below(2) },
        arranged: None,
    };
    let (mut a, mut b) = ([7.0; OUTPUTS], [7.0; OUTPUTS]);
    arch::multiply_pixels(&pixels, &mut a);
    products::multiply_pixels(&pixels, &mut b);
    let same = same_bits(&a, &b);
    arch::depthwise_pixels(&pixels, &mut a);
    products::depthwise_pixels(&pixels, &mut b);
    same && same_bits(&a, &b)
}

/// Compares the last step, with finite and infinite bounds, often in a wrong order or not numbers.
#[inline(never)]
fn same_sums(random: &mut Random, bias: &[f32]) -> bool {
    let activation = [bound(random, f32::NEG_INFINITY), bound(random, f32::INFINITY)];
    let (bias, count) = (run(bias, 0, random.below(48)), random.below(48));
    let mut a = [0.0; OUTPUTS];
    for sum in &mut a {
        *sum = number(random);
    }
    let mut b = a;
    arch::add_bias(a.get_mut(..count).unwrap_or(&mut []), bias, activation);
    products::add_bias(b.get_mut(..count).unwrap_or(&mut []), bias, activation);
    same_bits(&a, &b)
}

/// Whether all bits are the same, except those of NaNs.
#[inline(never)]
pub(super) fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}
