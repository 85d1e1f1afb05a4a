//! FilterBank: the square roots of weighted sums of energies.
//!
//! Triangular filters overlap by half: the energies of a band belong with one weight to the channel of the band's
//! number, and with another to the channel after it. So channel *c* is `Σ u·x` over band *c*, plus `Σ w·x` over the
//! band after it, modulo 2^64, then `round(√sum) >> bits`. Band 0 has no channel for its first weights.
//!
//! The weights follow each other in the order of the bands, so the work is bounded by their number, whatever a file
//! says of the bands.
//!
//! Source: TensorFlow Lite Micro `FilterbankAccumulateChannels`, `FilterbankSqrt` and `Sqrt64`.

use crate::lines::tail;

/// Computes all channels: one for each of `bands` but the first. A band is the index of its first energy and their
/// number, both unsigned; a weight is that for the band's own channel and that for the next one.
pub fn filter_bank(bits: u32, energies: &[u32], weights: &[[i16; 2]], bands: &[[i16; 2]], output: &mut [u32]) {
    let mut left = weights;
    // Of a band: the sums for its own channel and for the next.
    let mut sums = |&[first, count]: &[i16; 2]| {
        let count = usize::from(count as u16).min(left.len());
        let (weights, later) = left.split_at_checked(count).unwrap_or_default();
        left = later;
        let mut sums = [0u64; 2];
        for (weights, &x) in weights.iter().zip(tail(energies, usize::from(first as u16))) {
            for (sum, &w) in sums.iter_mut().zip(weights) {
                *sum = sum.wrapping_add(i64::from(w).cast_unsigned().wrapping_mul(x.into()));
            }
        }
        sums
    };
    let Some((first, bands)) = bands.split_first() else { return };
    let [_, mut carried] = sums(first);
    for (y, band) in output.iter_mut().zip(bands) {
        let [own, next] = sums(band);
        *y = square_root(carried.wrapping_add(own)).wrapping_shr(bits);
        carried = next;
    }
}

/// The square root, rounded to nearest, but at most 65535 for numbers below 2^32, and at most 2^32 - 1 for others.
///
/// One bit a step from the highest on: `root` is twice the root so far times the value of the current bit.
fn square_root(x: u64) -> u32 {
    if x == 0 {
        return 0;
    }
    let limit = if x >> 32 == 0 { u64::from(u16::MAX) } else { u64::from(u32::MAX) };
    let mut bit = 1u64.wrapping_shl(63u32.wrapping_sub(x.leading_zeros() | 1));
    let (mut rest, mut root) = (x, 0u64);
    while bit != 0 {
        let next = root.wrapping_add(bit);
        root >>= 1;
        if rest >= next {
            rest = rest.wrapping_sub(next);
            root = root.wrapping_add(bit);
        }
        bit >>= 2;
    }
    let up = rest > root && root != limit;
    root.wrapping_add(up.into()) as u32
}
