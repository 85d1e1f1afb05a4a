//! Compares the instruction set's loops with the portable ones on random slices, on the board on which they run.

use crate::portable::Window;
use crate::quant::Channel;
use crate::{arch, portable};
use tealight_types::ActivationRange;

/// Runs `cases` random cases and returns the number of the first in which the two differ.
///
/// ```
/// assert_eq!(tealight_kernels::compare_arch(100), None);
/// ```
pub fn compare_arch(cases: u32) -> Option<u32> {
    let mut random = Random(0x2545_f491);
    let mut bytes = [[0i8; 160]; 2];
    for case in 0..cases {
        for byte in bytes.iter_mut().flatten() {
            *byte = random.next() as i8;
        }
        let [input, weights] = &bytes;
        // Any length, any alignment, any distance between rows.
        let (from, len, stride) = (random.below(8), random.below(33), random.below(40));
        let input = input.get(from..).and_then(|x| x.get(..len)).unwrap_or(&[]);
        let weights = weights.get(random.below(8)..).unwrap_or(&[]);
        let start = [random.next() as i32, 1, -1, i32::MAX];
        let (mut a, mut b) = (start, start);
        arch::dot_rows(&mut a, input, weights, stride);
        portable::dot_rows(&mut b, input, weights, stride);
        // A window of up to nine taps, over up to 40 channels.
        let window = Window {
            lines: random.below(4),
            runs: random.below(4),
            line: [random.below(20), random.below(20)],
            run: [random.below(20), random.below(20)],
        };
        let (mut c, mut d) = ([7i32; 40], [7i32; 40]);
        let from = random.below(40);
        arch::multiply_taps(c.get_mut(from..).unwrap_or(&mut []), &window, input, weights);
        portable::multiply_taps(d.get_mut(from..).unwrap_or(&mut []), &window, input, weights);
        if a != b || c != d || !same_bytes(&mut random) {
            return Some(case);
        }
    }
    None
}

/// Compares requantization on accumulators and channels that a checked model may have.
fn same_bytes(random: &mut Random) -> bool {
    let mut accumulators = [0; 24];
    let mut channels = [Channel { bias: 0, multiplier: 0, shift: 0 }; 24];
    for (accumulator, channel) in accumulators.iter_mut().zip(&mut channels) {
        // Of any magnitude, so that some outputs are inside the range.
        *accumulator = (random.next() as i32) >> random.below(32);
        channel.multiplier = (random.next() >> 1) as i32;
        channel.shift = random.below(62) as i32 - 31;
    }
    let accumulators = accumulators.get(..random.below(25)).unwrap_or(&[]);
    let zero_point = random.below(256) as i32 - 128;
    let (a, b) = (random.next() as i8, random.next() as i8);
    let activation = ActivationRange::new(a.min(b), a.max(b)).unwrap_or(ActivationRange::FULL);
    let (mut a, mut b) = ([7i8; 24], [7i8; 24]);
    arch::requantize(accumulators, &channels, zero_point, activation, &mut a);
    portable::requantize(accumulators, &channels, zero_point, activation, &mut b);
    a == b
}

/// Marsaglia, "Xorshift RNGs" (2003).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() as usize).checked_rem(n).unwrap_or(0)
    }
}
