//! Rfft: the Fourier transform of lines of real samples, in fixed point of 15 fractional bits.
//!
//! Pairs of samples are complex numbers, of which there are `M = L / 2`. Their transform is a decimation in time: the
//! numbers are put in the order of their index with its digits reversed, and passes of butterflies of 4 combine 4
//! transforms each, from the shortest on; where M is no power of 4, the first pass is of butterflies of 2. Each
//! butterfly divides by its size first, so the result is the transform divided by M. Last, each pair of numbers `k` and
//! `M - k` is separated into the transforms of the even and the odd samples, and these are combined, in place.
//!
//! The order in which numbers are rounded is that of kissfft with `FIXED_POINT=16`: a division by *n* is
//! `round(x · ⌊32767 / n⌋)` with `round(x) = (x + 2^14) >> 15`, each part of a product is rounded once, and every result
//! wraps at 16 bits.
//!
//! Source: kissfft (Mark Borgerding), `kf_work`, `kf_bfly2`, `kf_bfly4` and `kiss_fftr`, as TensorFlow Lite Micro's
//! `RfftInt16Apply` calls it.

use core::ops::Range;

use crate::lines::{for_each_line, run};

/// A complex number: real and imaginary part.
type Complex = [i16; 2];

/// Computes the transforms of lines `rows` of `input`, which have `len` samples each and are continued with zeros.
///
/// `output` holds `M + 1` numbers for each of those lines. `twiddles` has `exp(-2πi · k / M)` for k < M, and then
/// `exp(-πi · ((k + 1) / M + 1 / 2))` for k < M / 2, of 15 fractional bits. M is a power of 2.
pub fn rfft(rows: Range<usize>, len: usize, input: &[i16], twiddles: &[Complex], output: &mut [Complex]) {
    // There are 3 · M / 2.
    let count = (twiddles.len() / 3).wrapping_mul(2);
    let Some((twiddles, last)) = twiddles.split_at_checked(count) else { return };
    for_each_line(rows, count.wrapping_add(1), output, |row, output| {
        let samples = run(input, row.wrapping_mul(len), len);
        let Some((numbers, _)) = output.split_at_mut_checked(count) else { return };
        reorder(samples, numbers);
        transform(twiddles, numbers);
        separate(last, output);
    });
}

/// Puts pairs of samples in the order of the digits of their indices in reverse: digits of 4, and the last of 2 where
/// there is an odd number of bits.
fn reorder(samples: &[i16], numbers: &mut [Complex]) {
    let bits = numbers.len().trailing_zeros();
    for (i, number) in numbers.iter_mut().enumerate() {
        let (mut from, mut left, mut at) = (0usize, bits, 0u32);
        while left >= 2 {
            left = left.wrapping_sub(2);
            from |= (i.wrapping_shr(left) & 3).wrapping_shl(at);
            at = at.wrapping_add(2);
        }
        if left == 1 {
            from |= (i & 1).wrapping_shl(at);
        }
        let sample = |at: usize| samples.get(at).copied().unwrap_or(0);
        *number = [sample(from.wrapping_mul(2)), sample(from.wrapping_mul(2).wrapping_add(1))];
    }
}

/// The passes of butterflies, on reordered numbers.
fn transform(twiddles: &[Complex], numbers: &mut [Complex]) {
    let mut size = 1usize;
    if numbers.len().trailing_zeros() % 2 == 1 {
        let one = twiddle(twiddles, 0);
        for pair in numbers.as_chunks_mut::<2>().0 {
            let [a, b] = pair.map(|x| divide(x, 2));
            let b = multiply(b, one);
            *pair = [add(a, b), subtract(a, b)];
        }
        size = 2;
    }
    while size < numbers.len() {
        let block = size.wrapping_mul(4);
        let step = numbers.len().checked_div(block).unwrap_or(0);
        let mut rest = &mut *numbers;
        while let Some((quarters, later)) = rest.split_at_mut_checked(block) {
            rest = later;
            combine(twiddles, step, size, quarters);
        }
        size = block;
    }
}

/// Combines four transforms of `size` numbers, one after another in `block`, to one.
fn combine(twiddles: &[Complex], step: usize, size: usize, block: &mut [Complex]) {
    let Some((first, rest)) = block.split_at_mut_checked(size) else { return };
    let Some((second, rest)) = rest.split_at_mut_checked(size) else { return };
    let Some((third, fourth)) = rest.split_at_mut_checked(size) else { return };
    let mut at = 0usize;
    for (((a, b), c), d) in first.iter_mut().zip(second).zip(third).zip(fourth) {
        let turned = |x: Complex, times: usize| multiply(divide(x, 4), twiddle(twiddles, at.wrapping_mul(times)));
        let (x, y, z, w) = (divide(*a, 4), turned(*b, 1), turned(*c, 2), turned(*d, 3));
        let (even, odd) = (add(x, z), add(y, w));
        let (of_even, of_odd) = (subtract(x, z), subtract(y, w));
        // Times -i.
        let turned = [of_odd[1], of_odd[0].wrapping_neg()];
        (*a, *c) = (add(even, odd), subtract(even, odd));
        (*b, *d) = (add(of_even, turned), subtract(of_even, turned));
        at = at.wrapping_add(step);
    }
}

/// From the transform of pairs to that of samples: `output` has one number more than there are pairs.
fn separate(twiddles: &[Complex], output: &mut [Complex]) {
    let Some(count) = output.len().checked_sub(1) else { return };
    if let Some(&first) = output.first() {
        let [re, im] = divide(first, 2);
        for (at, part) in [(0, re.wrapping_add(im)), (count, re.wrapping_sub(im))] {
            if let Some(number) = output.get_mut(at) {
                *number = [part, 0];
            }
        }
    }
    for (i, &turn) in twiddles.iter().enumerate() {
        let k = i.wrapping_add(1);
        let other = count.wrapping_sub(k);
        let (Some(&a), Some(&[re, im])) = (output.get(k), output.get(other)) else { return };
        let (a, b) = (divide(a, 2), divide([re, im.wrapping_neg()], 2));
        let (even, odd) = (add(a, b).map(i32::from), multiply(subtract(a, b), turn).map(i32::from));
        let half = |x: i32| (x >> 1) as i16;
        if let Some(number) = output.get_mut(k) {
            *number = [half(even[0].wrapping_add(odd[0])), half(even[1].wrapping_add(odd[1]))];
        }
        // The number in the middle is its own partner: this is what remains of it.
        if let Some(number) = output.get_mut(other) {
            *number = [half(even[0].wrapping_sub(odd[0])), half(odd[1].wrapping_sub(even[1]))];
        }
    }
}

fn twiddle(twiddles: &[Complex], at: usize) -> Complex {
    twiddles.get(at).copied().unwrap_or([0; 2])
}

fn round(x: i32) -> i16 {
    (x.wrapping_add(1 << 14) >> 15) as i16
}

/// Divides by 2 or 4.
fn divide(x: Complex, by: i32) -> Complex {
    let factor = if by == 2 { 16_383 } else { 8191 };
    x.map(|part| round(i32::from(part).wrapping_mul(factor)))
}

fn add(a: Complex, b: Complex) -> Complex {
    [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])]
}

fn subtract(a: Complex, b: Complex) -> Complex {
    [a[0].wrapping_sub(b[0]), a[1].wrapping_sub(b[1])]
}

fn multiply(a: Complex, b: Complex) -> Complex {
    let ([a, b], [c, d]) = (a.map(i32::from), b.map(i32::from));
    let re = a.wrapping_mul(c).wrapping_sub(b.wrapping_mul(d));
    let im = a.wrapping_mul(d).wrapping_add(b.wrapping_mul(c));
    [round(re), round(im)]
}
