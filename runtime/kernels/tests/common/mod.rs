//! Shared parts of the kernel tests: seeded random numbers, requantization from its definition, and the
//! check that rows computed piece by piece equal the rows computed at once.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of this")]

use std::fmt::Debug;
use std::ops::Range;

use tealight_kernels::{ActivationRange, Channel};
pub use tealight_testing::rng::Rng;

/// Runs `test` with `cases` seeds (few of them under Miri); a failure prints its seed.
pub fn for_seeds(cases: u64, mut test: impl FnMut(&mut Rng)) {
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("seed {}", self.0);
            }
        }
    }
    for seed in 0..if cfg!(miri) { cases.min(2) } else { cases } {
        let _seed = Seed(seed);
        test(&mut Rng(seed));
    }
}

/// Computes `rows` rows of `row_len` elements at once and in random pieces, which must agree.
pub fn by_rows<T: Copy + Default + PartialEq + Debug>(
    rng: &mut Rng,
    rows: usize,
    row_len: usize,
    mut kernel: impl FnMut(Range<usize>, &mut [T]),
) -> Vec<T> {
    let mut at_once = vec![T::default(); rows * row_len];
    kernel(0..rows, &mut at_once);
    let mut in_pieces = vec![T::default(); rows * row_len];
    let mut row = 0;
    while row < rows {
        let to = rng.size(row + 1, rows.min(row + 4));
        kernel(row..to, &mut in_pieces[row * row_len..to * row_len]);
        row = to;
    }
    assert_eq!(at_once, in_pieces, "rows in pieces differ from rows at once");
    at_once
}

/// `x * multiplier * 2^(shift - 31)` from the definition: a left shift before the product, the
/// product's half upward, the right shift's half away from zero.
pub fn scaled(x: i32, multiplier: i32, shift: i32) -> i32 {
    let x = (i128::from(x) << shift.max(0)) as i32;
    let product = i128::from(x) * i128::from(multiplier);
    let high = (2 * product + (1 << 31)).div_euclid(1 << 32);
    let divisor = 1i128 << (-shift).max(0);
    let magnitude = (2 * high.abs() + divisor) / (2 * divisor);
    (if high < 0 { -magnitude } else { magnitude }) as i32
}

/// Adds the output's zero point and clamps to the activation's range.
pub fn output(scaled: i32, zero_point: i32, activation: ActivationRange) -> i8 {
    let value = i64::from(scaled) + i64::from(zero_point);
    let [min, max] = activation.bounds();
    value.max(min.into()).min(max.into()) as i8
}

/// A layer's channels, drawn so that sums of `taps` products mostly land in the int8 range.
pub struct Channels {
    pub bias: Vec<i32>,
    pub multiplier: Vec<i32>,
    pub shift: Vec<i32>,
}

impl Channels {
    pub fn random(rng: &mut Rng, count: usize, taps: usize) -> Self {
        // A sum of n products of bytes is about 74 * 74 * sqrt(n).
        let spread = (5500.0 * (taps as f64).sqrt()) as i32;
        let shift = -((f64::from(spread) / 60.0).log2() as i32);
        Self {
            bias: (0..count).map(|_| rng.int(-spread, spread)).collect(),
            multiplier: (0..count).map(|_| rng.multiplier()).collect(),
            shift: (0..count).map(|_| shift + rng.int(-1, 1)).collect(),
        }
    }

    /// The channels for a kernel: each bias with `folded(channel)` added.
    pub fn folded(&self, folded: impl Fn(usize) -> i64) -> Vec<Channel> {
        (0..self.bias.len())
            .map(|i| Channel {
                bias: (i64::from(self.bias[i]) + folded(i)) as i32,
                multiplier: self.multiplier[i],
                shift: self.shift[i],
            })
            .collect()
    }

    /// The output of channel `i` whose products sum to `sum`.
    pub fn output(&self, i: usize, sum: i64, zero_point: i32, activation: ActivationRange) -> i8 {
        let sum = (i64::from(self.bias[i]) + sum) as i32;
        output(scaled(sum, self.multiplier[i], self.shift[i]), zero_point, activation)
    }
}

/// Every index of `dims`; the last dimension changes fastest.
pub fn indices<const N: usize>(dims: [usize; N]) -> impl Iterator<Item = [usize; N]> {
    (0..dims.iter().product()).map(move |mut flat: usize| {
        let mut index = [0; N];
        for i in (0..N).rev() {
            index[i] = flat % dims[i];
            flat /= dims[i];
        }
        index
    })
}

/// The element number of an index.
pub fn flat<const N: usize>(dims: [usize; N], index: [usize; N]) -> usize {
    index.iter().zip(dims).fold(0, |at, (&i, dim)| at * dim + i)
}

/// Input coordinate of a window's tap, if it is not in the padding.
pub fn tap(at: usize, tap: usize, [stride, dilation, pad, size]: [usize; 4]) -> Option<usize> {
    (at * stride + tap * dilation).checked_sub(pad).filter(|&i| i < size)
}
