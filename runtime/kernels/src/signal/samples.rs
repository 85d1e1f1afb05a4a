//! What surrounds the Fourier transform: a window, the scale of its samples, and the energies of its result.
//!
//! `window: y = clamp16((x · w) >> shift)`; `auto_scale: y = x · 2^bits`, with as many bits as the largest magnitude
//! leaves free below the sign; `energy: re² + im²`.
//!
//! Source: TensorFlow Lite Micro `ApplyWindow`, `FftAutoScale`, `MaxAbs16` and `SpectrumToEnergy`.

use core::ops::Range;

use super::bit_length;
use crate::lines::{for_each_line, run};

/// Multiplies lines `rows` of `input`, each as long as `window`, by the window, whose numbers have `shift` fractional
/// bits. `output` holds those lines only.
pub fn window(shift: u32, rows: Range<usize>, input: &[i16], window: &[i16], output: &mut [i16]) {
    for_each_line(rows, window.len(), output, |row, output| {
        let line = run(input, row.wrapping_mul(window.len()), window.len());
        for ((y, &x), &w) in output.iter_mut().zip(line).zip(window) {
            let product = i32::from(x).wrapping_mul(w.into()).wrapping_shr(shift);
            *y = product.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    });
}

/// Returns by how many bits [`auto_scale`] shifts these samples.
pub fn auto_scale_bits(input: &[i16]) -> u32 {
    // The magnitude of -32768 does not fit: it becomes a negative maximum, which the next larger sample replaces.
    let maximum = input.iter().fold(0i16, |maximum, &x| {
        if x > maximum {
            x
        } else if i32::from(x).wrapping_neg() > maximum.into() {
            x.wrapping_neg()
        } else {
            maximum
        }
    });
    // Of 0 nothing is known.
    if maximum == 0 { 0 } else { 15u32.saturating_sub(bit_length(i32::from(maximum) as u32)) }
}

/// Shifts all samples to the left by as many bits as the largest of them allows.
pub fn auto_scale(input: &[i16], output: &mut [i16]) {
    let bits = auto_scale_bits(input);
    for (y, &x) in output.iter_mut().zip(input) {
        *y = x.wrapping_shl(bits);
    }
}

/// Computes the squared magnitudes of the numbers in `range`, and 0 for the others.
pub fn energy(range: Range<usize>, input: &[[i16; 2]], output: &mut [u32]) {
    for ((i, y), &number) in output.iter_mut().enumerate().zip(input) {
        let [re, im] = number.map(|part| i32::from(part).wrapping_mul(part.into()));
        *y = if range.contains(&i) { re.wrapping_add(im) as u32 } else { 0 };
    }
}
