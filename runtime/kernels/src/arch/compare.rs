//! Compares the instruction set's loops with the portable ones on random slices: on the board itself, where they run.

use crate::{arch, portable};

/// Runs `cases` random cases and gives the number of the first in which the two differ.
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
        // Any length, any alignment, any distance of the rows.
        let (from, len, stride) = (random.below(8), random.below(33), random.below(40));
        let input = input.get(from..).and_then(|x| x.get(..len)).unwrap_or(&[]);
        let weights = weights.get(random.below(8)..).unwrap_or(&[]);
        let start = [random.next() as i32, 1, -1, i32::MAX];
        let (mut a, mut b) = (start, start);
        arch::dot_rows(&mut a, input, weights, stride);
        portable::dot_rows(&mut b, input, weights, stride);
        let (mut c, mut d) = ([7i32; 40], [7i32; 40]);
        let from = random.below(5);
        arch::multiply_add(c.get_mut(from..).unwrap_or(&mut []), input, weights);
        portable::multiply_add(d.get_mut(from..).unwrap_or(&mut []), input, weights);
        if a != b || c != d {
            return Some(case);
        }
    }
    None
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
