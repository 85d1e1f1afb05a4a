//! RISC-V with multiplication, without vectors (RV32IMAC, RV64GC).
//!
//! A product and its addition are two instructions, and a byte is loaded from an address with a constant offset only. A
//! tile of three inputs and four rows has its sums, operands and all seven addresses in registers: seven loads for twelve
//! products, and the addresses advance every four elements. A single input is multiplied with eight rows.

use super::channels;
use crate::add::AddSub;
use crate::matrix::{Filters, Inputs, Output};
use crate::portable::{Steps, Window};
use crate::quant::{Channel, halve, requantize_accumulator};
use core::arch::asm;
use tealight_types::ActivationRange;

pub(crate) use crate::portable::{ROWS, SHORTEST_RUN, dot_rows};

/// Some inputs, and the rows that are still to be multiplied with them.
#[derive(Clone, Copy)]
struct Tile<'a> {
    filters: &'a Filters<'a>,
    inputs: &'a Inputs<'a>,
    /// The first input.
    values: *const i8,
    weights: *const i8,
    channels: &'a [Channel],
    /// The first input's outputs.
    outputs: *mut i8,
    /// The distance from the outputs of an input to those of the next one.
    output_step: usize,
}

/// Computes for each input `i` and each row `r` of the weights
/// `outputs[i * output_step + r] = requantized(bias[r] + offset + dot product)`.
///
/// If the operands do not fit their slices, nothing is written.
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    if !inputs.fit(filters, output_step, outputs.len()) {
        return;
    }
    let (mut values, mut outputs, mut left) = (inputs.values.as_ptr(), outputs.as_mut_ptr(), inputs.count);
    while left > 0 {
        // The rows that are left over are multiplied with one input.
        let now = if filters.channels.len() >= 4 { left.min(3) } else { 1 };
        let mut tile = Tile {
            filters,
            inputs,
            values,
            weights: filters.weights.as_ptr(),
            channels: filters.channels,
            outputs,
            output_step,
        };
        // SAFETY: `left` inputs from `values` on, the rows of weights and the outputs lie within their slices, as `fit` has
        // checked.
        unsafe {
            match now {
                3 => tile.by::<3, 4>(dot_3x4),
                2 => tile.by::<2, 4>(dot_2x4),
                _ => {
                    tile.by::<1, 8>(dot_1x8);
                    tile.by::<1, 4>(dot_1x4);
                }
            }
            for i in 0..now {
                let (values, outputs) = (i * inputs.step, i * output_step);
                let (values, outputs) = (tile.values.wrapping_add(values), tile.outputs.wrapping_add(outputs));
                Tile { values, outputs, ..tile }.by::<1, 1>(dot_1x1);
            }
        }
        values = values.wrapping_add(now * inputs.step);
        outputs = outputs.wrapping_add(now * output_step);
        left -= now;
    }
}

impl Tile<'_> {
    /// Multiplies `R` rows with `P` inputs as long as there are that many rows. `dot` adds the products of one run.
    ///
    /// # Safety
    /// `P` inputs, all rows and their outputs must lie within allocated memory.
    #[inline(always)]
    unsafe fn by<const P: usize, const R: usize>(
        &mut self,
        dot: unsafe fn(&mut [[i32; P]; R], *const i8, usize, *const i8, usize, usize),
    ) {
        let Inputs { step, lines, line, run, .. } = *self.inputs;
        let len = self.filters.len;
        while let Some((channels, rest)) = self.channels.split_first_chunk::<R>() {
            let mut sums = [[0; P]; R];
            for (sums, channel) in sums.iter_mut().zip(channels) {
                *sums = [channel.bias.wrapping_add(self.filters.offset); P];
            }
            let (mut values, mut weights) = (self.values, self.weights);
            for _ in 0..lines {
                // SAFETY: a run of each input, and the part of each row that belongs to it, lie within memory.
                unsafe { dot(&mut sums, values, step, weights, len, run) };
                values = values.wrapping_add(line);
                weights = weights.wrapping_add(run);
            }
            // SAFETY: `P` times `R` outputs lie within memory.
            unsafe { store(&sums, channels, self.filters.output, self.outputs, self.output_step) };
            self.channels = rest;
            self.weights = self.weights.wrapping_add(R * len);
            self.outputs = self.outputs.wrapping_add(R);
        }
    }
}

/// Requantizes the sums of `R` rows and `P` inputs.
///
/// # Safety
/// `outputs` must point to `R` bytes for each input, `step` bytes apart.
#[inline(always)]
unsafe fn store<const P: usize, const R: usize>(
    sums: &[[i32; P]; R],
    channels: &[Channel; R],
    output: Output,
    outputs: *mut i8,
    step: usize,
) {
    let mut outputs = outputs;
    for (sums, channel) in sums.iter().zip(channels) {
        let mut pixel = outputs;
        let scale = Scale::of(channel, output);
        for &sum in sums {
            let byte = match &scale {
                Some(scale) => scale.requantize(sum),
                None => seldom(sum, channel, output),
            };
            // SAFETY: as the caller promises.
            unsafe { pixel.write(byte) };
            pixel = pixel.wrapping_add(step);
        }
        outputs = outputs.wrapping_add(1);
    }
}

/// Requantizes with a factor that has no [`Scale`].
#[cold]
#[inline(never)]
fn seldom(sum: i32, channel: &Channel, output: Output) -> i8 {
    requantize_accumulator(sum, channel, output.zero_point, output.activation)
}

/// A channel's factor below 1/2 and at least `2^-22`, for requantization by one shift.
struct Scale {
    multiplier: i32,
    /// What is added before the last shift: half of a unit, and the zero point.
    rounding: i32,
    /// By how many places the upper half of the product is shifted.
    places: i32,
    range: [i32; 2],
}

impl Scale {
    #[inline(always)]
    fn of(channel: &Channel, output: Output) -> Option<Self> {
        let half = -2 - channel.shift;
        (0..21).contains(&half).then(|| Self {
            multiplier: channel.multiplier,
            rounding: (2 * output.zero_point + 1).wrapping_shl(half.cast_unsigned()),
            places: half + 1,
            range: [output.activation.min(), output.activation.max()].map(i32::from),
        })
    }

    /// The output for a sum.
    ///
    /// `2^30` is added to the product for the first rounding. If the sum is negative, `2^31` is subtracted, so that halves
    /// go down in the second one. The carry of both into the upper half is that of its two highest bits.
    #[inline(always)]
    fn requantize(&self, sum: i32) -> i8 {
        let byte: i32;
        // SAFETY: no memory is accessed.
        unsafe {
            asm!(
                #[cfg(target_pointer_width = "32")]
                "mulh {x}, {sum}, {multiplier}\nmul {low}, {sum}, {multiplier}\nsrli {low}, {low}, 30",
                #[cfg(target_pointer_width = "64")]
                "mul {low}, {sum}, {multiplier}\nsrai {x}, {low}, 32\nsrliw {low}, {low}, 30",
                "srai {sign}, {sum}, 31",
                "ori {sign}, {sign}, 1",
                "add {low}, {low}, {sign}",
                "srai {low}, {low}, 2",
                "add {x}, {x}, {low}",
                "add {x}, {x}, {rounding}",
                "sra {x}, {x}, {places}",
                "bge {x}, {min}, 2f",
                "mv {x}, {min}",
                "2:",
                "ble {x}, {max}, 3f",
                "mv {x}, {max}",
                "3:",
                sum = in(reg) sum as isize,
                multiplier = in(reg) self.multiplier as isize,
                rounding = in(reg) self.rounding as isize,
                places = in(reg) self.places,
                min = in(reg) self.range[0] as isize,
                max = in(reg) self.range[1] as isize,
                x = out(reg) byte,
                low = out(reg) _,
                sign = out(reg) _,
                options(pure, nomem, nostack),
            );
        }
        byte as i8
    }
}

/// Adds the products of a run of three inputs with four rows.
///
/// # Safety
/// `run` elements of each input and row must lie within allocated memory.
#[inline(always)]
unsafe fn dot_3x4(
    sums: &mut [[i32; 3]; 4],
    values: *const i8,
    step: usize,
    weights: *const i8,
    len: usize,
    run: usize,
) {
    let [[s00, s01, s02], [s10, s11, s12], [s20, s21, s22], [s30, s31, s32]] = sums;
    // SAFETY: the loops read `run` elements of each input and row, and have no other effect.
    unsafe {
        asm!(
            "beq {v0}, {end}, 3f",
            "2:",
            ".irp at, 0, 1, 2, 3",
            "lb {x0}, \\at({v0})",
            "lb {x1}, \\at({v1})",
            "lb {x2}, \\at({v2})",
            "lb {w}, \\at({r0})",
            "mul {t}, {x0}, {w}",
            "add {s00}, {s00}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s01}, {s01}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s02}, {s02}, {w}",
            "lb {w}, \\at({r1})",
            "mul {t}, {x0}, {w}",
            "add {s10}, {s10}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s11}, {s11}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s12}, {s12}, {w}",
            "lb {w}, \\at({r2})",
            "mul {t}, {x0}, {w}",
            "add {s20}, {s20}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s21}, {s21}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s22}, {s22}, {w}",
            "lb {w}, \\at({r3})",
            "mul {t}, {x0}, {w}",
            "add {s30}, {s30}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s31}, {s31}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s32}, {s32}, {w}",
            ".endr",
            "addi {v0}, {v0}, 4",
            "addi {v1}, {v1}, 4",
            "addi {v2}, {v2}, 4",
            "addi {r0}, {r0}, 4",
            "addi {r1}, {r1}, 4",
            "addi {r2}, {r2}, 4",
            "addi {r3}, {r3}, 4",
            "bne {v0}, {end}, 2b",
            "3:",
            "beqz {rest}, 5f",
            "add {rest}, {rest}, {v0}",
            "4:",
            "lb {x0}, 0({v0})",
            "lb {x1}, 0({v1})",
            "lb {x2}, 0({v2})",
            "lb {w}, 0({r0})",
            "mul {t}, {x0}, {w}",
            "add {s00}, {s00}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s01}, {s01}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s02}, {s02}, {w}",
            "lb {w}, 0({r1})",
            "mul {t}, {x0}, {w}",
            "add {s10}, {s10}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s11}, {s11}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s12}, {s12}, {w}",
            "lb {w}, 0({r2})",
            "mul {t}, {x0}, {w}",
            "add {s20}, {s20}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s21}, {s21}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s22}, {s22}, {w}",
            "lb {w}, 0({r3})",
            "mul {t}, {x0}, {w}",
            "add {s30}, {s30}, {t}",
            "mul {t}, {x1}, {w}",
            "add {s31}, {s31}, {t}",
            "mul {w}, {x2}, {w}",
            "add {s32}, {s32}, {w}",
            "addi {v0}, {v0}, 1",
            "addi {v1}, {v1}, 1",
            "addi {v2}, {v2}, 1",
            "addi {r0}, {r0}, 1",
            "addi {r1}, {r1}, 1",
            "addi {r2}, {r2}, 1",
            "addi {r3}, {r3}, 1",
            "bne {v0}, {rest}, 4b",
            "5:",
            v0 = inout(reg) values => _,
            v1 = inout(reg) values.wrapping_add(step) => _,
            v2 = inout(reg) values.wrapping_add(2 * step) => _,
            r0 = inout(reg) weights => _,
            r1 = inout(reg) weights.wrapping_add(len) => _,
            r2 = inout(reg) weights.wrapping_add(2 * len) => _,
            r3 = inout(reg) weights.wrapping_add(3 * len) => _,
            end = in(reg) values.wrapping_add(run & !3),
            rest = inout(reg) run & 3 => _,
            s00 = inout(reg) *s00,
            s01 = inout(reg) *s01,
            s02 = inout(reg) *s02,
            s10 = inout(reg) *s10,
            s11 = inout(reg) *s11,
            s12 = inout(reg) *s12,
            s20 = inout(reg) *s20,
            s21 = inout(reg) *s21,
            s22 = inout(reg) *s22,
            s30 = inout(reg) *s30,
            s31 = inout(reg) *s31,
            s32 = inout(reg) *s32,
            x0 = out(reg) _,
            x1 = out(reg) _,
            x2 = out(reg) _,
            w = out(reg) _,
            t = out(reg) _,
            options(readonly, nostack),
        );
    }
}

/// Adds the products of a run of two inputs with four rows.
///
/// # Safety
/// `run` elements of each input and row must lie within allocated memory.
#[inline(always)]
unsafe fn dot_2x4(
    sums: &mut [[i32; 2]; 4],
    values: *const i8,
    step: usize,
    weights: *const i8,
    len: usize,
    run: usize,
) {
    let [[s00, s01], [s10, s11], [s20, s21], [s30, s31]] = sums;
    // SAFETY: the loops read `run` elements of each input and row, and have no other effect.
    unsafe {
        asm!(
            "beq {v0}, {end}, 3f",
            "2:",
            ".irp at, 0, 1, 2, 3",
            "lb {x0}, \\at({v0})",
            "lb {x1}, \\at({v1})",
            "lb {w}, \\at({r0})",
            "mul {t}, {x0}, {w}",
            "add {s00}, {s00}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s01}, {s01}, {w}",
            "lb {w}, \\at({r1})",
            "mul {t}, {x0}, {w}",
            "add {s10}, {s10}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s11}, {s11}, {w}",
            "lb {w}, \\at({r2})",
            "mul {t}, {x0}, {w}",
            "add {s20}, {s20}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s21}, {s21}, {w}",
            "lb {w}, \\at({r3})",
            "mul {t}, {x0}, {w}",
            "add {s30}, {s30}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s31}, {s31}, {w}",
            ".endr",
            "addi {v0}, {v0}, 4",
            "addi {v1}, {v1}, 4",
            "addi {r0}, {r0}, 4",
            "addi {r1}, {r1}, 4",
            "addi {r2}, {r2}, 4",
            "addi {r3}, {r3}, 4",
            "bne {v0}, {end}, 2b",
            "3:",
            "beqz {rest}, 5f",
            "add {rest}, {rest}, {v0}",
            "4:",
            "lb {x0}, 0({v0})",
            "lb {x1}, 0({v1})",
            "lb {w}, 0({r0})",
            "mul {t}, {x0}, {w}",
            "add {s00}, {s00}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s01}, {s01}, {w}",
            "lb {w}, 0({r1})",
            "mul {t}, {x0}, {w}",
            "add {s10}, {s10}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s11}, {s11}, {w}",
            "lb {w}, 0({r2})",
            "mul {t}, {x0}, {w}",
            "add {s20}, {s20}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s21}, {s21}, {w}",
            "lb {w}, 0({r3})",
            "mul {t}, {x0}, {w}",
            "add {s30}, {s30}, {t}",
            "mul {w}, {x1}, {w}",
            "add {s31}, {s31}, {w}",
            "addi {v0}, {v0}, 1",
            "addi {v1}, {v1}, 1",
            "addi {r0}, {r0}, 1",
            "addi {r1}, {r1}, 1",
            "addi {r2}, {r2}, 1",
            "addi {r3}, {r3}, 1",
            "bne {v0}, {rest}, 4b",
            "5:",
            v0 = inout(reg) values => _,
            v1 = inout(reg) values.wrapping_add(step) => _,
            r0 = inout(reg) weights => _,
            r1 = inout(reg) weights.wrapping_add(len) => _,
            r2 = inout(reg) weights.wrapping_add(2 * len) => _,
            r3 = inout(reg) weights.wrapping_add(3 * len) => _,
            end = in(reg) values.wrapping_add(run & !3),
            rest = inout(reg) run & 3 => _,
            s00 = inout(reg) *s00,
            s01 = inout(reg) *s01,
            s10 = inout(reg) *s10,
            s11 = inout(reg) *s11,
            s20 = inout(reg) *s20,
            s21 = inout(reg) *s21,
            s30 = inout(reg) *s30,
            s31 = inout(reg) *s31,
            x0 = out(reg) _,
            x1 = out(reg) _,
            w = out(reg) _,
            t = out(reg) _,
            options(readonly, nostack),
        );
    }
}

/// Adds the products of a run of one input with eight rows.
///
/// # Safety
/// `run` elements of each input and row must lie within allocated memory.
#[inline(always)]
unsafe fn dot_1x8(sums: &mut [[i32; 1]; 8], values: *const i8, _: usize, weights: *const i8, len: usize, run: usize) {
    let [[s00], [s10], [s20], [s30], [s40], [s50], [s60], [s70]] = sums;
    // SAFETY: the loops read `run` elements of each input and row, and have no other effect.
    unsafe {
        asm!(
            "beq {v0}, {end}, 3f",
            "2:",
            ".irp at, 0, 1, 2, 3, 4, 5, 6, 7",
            "lb {x0}, \\at({v0})",
            "lb {w0}, \\at({r0})",
            "lb {w1}, \\at({r1})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s00}, {s00}, {w0}",
            "add {s10}, {s10}, {w1}",
            "lb {w0}, \\at({r2})",
            "lb {w1}, \\at({r3})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s20}, {s20}, {w0}",
            "add {s30}, {s30}, {w1}",
            "lb {w0}, \\at({r4})",
            "lb {w1}, \\at({r5})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s40}, {s40}, {w0}",
            "add {s50}, {s50}, {w1}",
            "lb {w0}, \\at({r6})",
            "lb {w1}, \\at({r7})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s60}, {s60}, {w0}",
            "add {s70}, {s70}, {w1}",
            ".endr",
            "addi {v0}, {v0}, 8",
            "addi {r0}, {r0}, 8",
            "addi {r1}, {r1}, 8",
            "addi {r2}, {r2}, 8",
            "addi {r3}, {r3}, 8",
            "addi {r4}, {r4}, 8",
            "addi {r5}, {r5}, 8",
            "addi {r6}, {r6}, 8",
            "addi {r7}, {r7}, 8",
            "bne {v0}, {end}, 2b",
            "3:",
            "beqz {rest}, 5f",
            "add {rest}, {rest}, {v0}",
            "4:",
            "lb {x0}, 0({v0})",
            "lb {w0}, 0({r0})",
            "lb {w1}, 0({r1})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s00}, {s00}, {w0}",
            "add {s10}, {s10}, {w1}",
            "lb {w0}, 0({r2})",
            "lb {w1}, 0({r3})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s20}, {s20}, {w0}",
            "add {s30}, {s30}, {w1}",
            "lb {w0}, 0({r4})",
            "lb {w1}, 0({r5})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s40}, {s40}, {w0}",
            "add {s50}, {s50}, {w1}",
            "lb {w0}, 0({r6})",
            "lb {w1}, 0({r7})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s60}, {s60}, {w0}",
            "add {s70}, {s70}, {w1}",
            "addi {v0}, {v0}, 1",
            "addi {r0}, {r0}, 1",
            "addi {r1}, {r1}, 1",
            "addi {r2}, {r2}, 1",
            "addi {r3}, {r3}, 1",
            "addi {r4}, {r4}, 1",
            "addi {r5}, {r5}, 1",
            "addi {r6}, {r6}, 1",
            "addi {r7}, {r7}, 1",
            "bne {v0}, {rest}, 4b",
            "5:",
            v0 = inout(reg) values => _,
            r0 = inout(reg) weights => _,
            r1 = inout(reg) weights.wrapping_add(len) => _,
            r2 = inout(reg) weights.wrapping_add(2 * len) => _,
            r3 = inout(reg) weights.wrapping_add(3 * len) => _,
            r4 = inout(reg) weights.wrapping_add(4 * len) => _,
            r5 = inout(reg) weights.wrapping_add(5 * len) => _,
            r6 = inout(reg) weights.wrapping_add(6 * len) => _,
            r7 = inout(reg) weights.wrapping_add(7 * len) => _,
            end = in(reg) values.wrapping_add(run & !7),
            rest = inout(reg) run & 7 => _,
            s00 = inout(reg) *s00,
            s10 = inout(reg) *s10,
            s20 = inout(reg) *s20,
            s30 = inout(reg) *s30,
            s40 = inout(reg) *s40,
            s50 = inout(reg) *s50,
            s60 = inout(reg) *s60,
            s70 = inout(reg) *s70,
            x0 = out(reg) _,
            w0 = out(reg) _,
            w1 = out(reg) _,
            options(readonly, nostack),
        );
    }
}

/// Adds the products of a run of one input with four rows.
///
/// # Safety
/// `run` elements of each input and row must lie within allocated memory.
#[inline(always)]
unsafe fn dot_1x4(sums: &mut [[i32; 1]; 4], values: *const i8, _: usize, weights: *const i8, len: usize, run: usize) {
    let [[s00], [s10], [s20], [s30]] = sums;
    // SAFETY: the loops read `run` elements of each input and row, and have no other effect.
    unsafe {
        asm!(
            "beq {v0}, {end}, 3f",
            "2:",
            ".irp at, 0, 1, 2, 3",
            "lb {x0}, \\at({v0})",
            "lb {w0}, \\at({r0})",
            "lb {w1}, \\at({r1})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s00}, {s00}, {w0}",
            "add {s10}, {s10}, {w1}",
            "lb {w0}, \\at({r2})",
            "lb {w1}, \\at({r3})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s20}, {s20}, {w0}",
            "add {s30}, {s30}, {w1}",
            ".endr",
            "addi {v0}, {v0}, 4",
            "addi {r0}, {r0}, 4",
            "addi {r1}, {r1}, 4",
            "addi {r2}, {r2}, 4",
            "addi {r3}, {r3}, 4",
            "bne {v0}, {end}, 2b",
            "3:",
            "beqz {rest}, 5f",
            "add {rest}, {rest}, {v0}",
            "4:",
            "lb {x0}, 0({v0})",
            "lb {w0}, 0({r0})",
            "lb {w1}, 0({r1})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s00}, {s00}, {w0}",
            "add {s10}, {s10}, {w1}",
            "lb {w0}, 0({r2})",
            "lb {w1}, 0({r3})",
            "mul {w0}, {x0}, {w0}",
            "mul {w1}, {x0}, {w1}",
            "add {s20}, {s20}, {w0}",
            "add {s30}, {s30}, {w1}",
            "addi {v0}, {v0}, 1",
            "addi {r0}, {r0}, 1",
            "addi {r1}, {r1}, 1",
            "addi {r2}, {r2}, 1",
            "addi {r3}, {r3}, 1",
            "bne {v0}, {rest}, 4b",
            "5:",
            v0 = inout(reg) values => _,
            r0 = inout(reg) weights => _,
            r1 = inout(reg) weights.wrapping_add(len) => _,
            r2 = inout(reg) weights.wrapping_add(2 * len) => _,
            r3 = inout(reg) weights.wrapping_add(3 * len) => _,
            end = in(reg) values.wrapping_add(run & !3),
            rest = inout(reg) run & 3 => _,
            s00 = inout(reg) *s00,
            s10 = inout(reg) *s10,
            s20 = inout(reg) *s20,
            s30 = inout(reg) *s30,
            x0 = out(reg) _,
            w0 = out(reg) _,
            w1 = out(reg) _,
            options(readonly, nostack),
        );
    }
}

/// Adds the products of a run of one input with one row.
///
/// # Safety
/// `run` elements of each input and row must lie within allocated memory.
#[inline(always)]
unsafe fn dot_1x1(sums: &mut [[i32; 1]; 1], values: *const i8, _: usize, weights: *const i8, _: usize, run: usize) {
    let [[s00]] = sums;
    // SAFETY: the loops read `run` elements of each input and row, and have no other effect.
    unsafe {
        asm!(
            "beq {v0}, {end}, 3f",
            "2:",
            ".irp at, 0, 1, 2, 3",
            "lb {x0}, \\at({v0})",
            "lb {w0}, \\at({r0})",
            "mul {w0}, {x0}, {w0}",
            "add {s00}, {s00}, {w0}",
            ".endr",
            "addi {v0}, {v0}, 4",
            "addi {r0}, {r0}, 4",
            "bne {v0}, {end}, 2b",
            "3:",
            "beqz {rest}, 5f",
            "add {rest}, {rest}, {v0}",
            "4:",
            "lb {x0}, 0({v0})",
            "lb {w0}, 0({r0})",
            "mul {w0}, {x0}, {w0}",
            "add {s00}, {s00}, {w0}",
            "addi {v0}, {v0}, 1",
            "addi {r0}, {r0}, 1",
            "bne {v0}, {rest}, 4b",
            "5:",
            v0 = inout(reg) values => _,
            r0 = inout(reg) weights => _,
            end = in(reg) values.wrapping_add(run & !3),
            rest = inout(reg) run & 3 => _,
            s00 = inout(reg) *s00,
            x0 = out(reg) _,
            w0 = out(reg) _,
            options(readonly, nostack),
        );
    }
}

/// The number of channels whose taps are summed in registers.
const BLOCK: usize = 8;

/// Computes `channels.len()` channels of adjacent pixels of a depthwise convolution: see [`crate::composed::depthwise`].
#[expect(clippy::too_many_arguments, reason = "the operands of a layer")]
#[inline(never)]
pub(crate) fn depthwise(
    initial: &[i32],
    window: &Window,
    steps: &Steps,
    input: &[i8],
    weights: &[i8],
    channels: &[Channel],
    output: Output,
    outputs: &mut [i8],
) {
    if !steps.fit(window, channels.len(), [input.len(), weights.len()], outputs.len()) {
        return;
    }
    // SAFETY: the operands fit.
    unsafe { channels::depthwise(initial, window, steps, input, weights, channels, output, outputs, &ByBlocks) };
}

/// [`portable::multiply_taps`](crate::portable::multiply_taps): eight channels at a time.
#[inline(never)]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    // SAFETY: there are no taps but the window.
    unsafe { channels::multiply_taps(accumulators, window, input, weights, &ByBlocks) };
}

/// Taps that are added as the window says.
struct ByBlocks;

impl channels::Taps<BLOCK> for ByBlocks {
    #[inline(always)]
    unsafe fn add(&self, window: &Window, sums: &mut [i32; BLOCK], input: &[i8], weights: &[i8], at: usize) {
        if !window.is_empty() {
            let (input, weights) = (input.as_ptr().wrapping_add(at), weights.as_ptr().wrapping_add(at));
            // SAFETY: the caller's; the window has taps.
            unsafe { add_taps(sums, window, input, weights) };
        }
    }
}

/// Adds the products of every tap of eight channels to their sums.
///
/// # Safety
/// The window must have taps. `input` and `weights` must point to the first one, and eight elements of every tap must lie
/// within allocated memory.
#[inline(never)]
unsafe fn add_taps(sums: &mut [i32; BLOCK], window: &Window, input: *const i8, weights: *const i8) {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    let rest = |k: [usize; 2]| k[0].wrapping_sub(window.runs.wrapping_mul(k[1]));
    let gap = [rest([window.line[0], window.run[0]]), rest([window.line[1], window.run[1]])];
    // SAFETY: the loops read eight elements of each tap.
    unsafe {
        asm!(
            "2:",
            "mv {runs}, {count}",
            "3:",
            "lb {x0}, 0({input})",
            "lb {w0}, 0({weights})",
            "lb {x1}, 1({input})",
            "lb {w1}, 1({weights})",
            "mul {x0}, {x0}, {w0}",
            "mul {x1}, {x1}, {w1}",
            "add {s0}, {s0}, {x0}",
            "add {s1}, {s1}, {x1}",
            "lb {x0}, 2({input})",
            "lb {w0}, 2({weights})",
            "lb {x1}, 3({input})",
            "lb {w1}, 3({weights})",
            "mul {x0}, {x0}, {w0}",
            "mul {x1}, {x1}, {w1}",
            "add {s2}, {s2}, {x0}",
            "add {s3}, {s3}, {x1}",
            "lb {x0}, 4({input})",
            "lb {w0}, 4({weights})",
            "lb {x1}, 5({input})",
            "lb {w1}, 5({weights})",
            "mul {x0}, {x0}, {w0}",
            "mul {x1}, {x1}, {w1}",
            "add {s4}, {s4}, {x0}",
            "add {s5}, {s5}, {x1}",
            "lb {x0}, 6({input})",
            "lb {w0}, 6({weights})",
            "lb {x1}, 7({input})",
            "lb {w1}, 7({weights})",
            "mul {x0}, {x0}, {w0}",
            "mul {x1}, {x1}, {w1}",
            "add {s6}, {s6}, {x0}",
            "add {s7}, {s7}, {x1}",
            "add {input}, {input}, {run0}",
            "add {weights}, {weights}, {run1}",
            "addi {runs}, {runs}, -1",
            "bnez {runs}, 3b",
            "add {input}, {input}, {gap0}",
            "add {weights}, {weights}, {gap1}",
            "addi {lines}, {lines}, -1",
            "bnez {lines}, 2b",
            input = inout(reg) input => _,
            weights = inout(reg) weights => _,
            lines = inout(reg) window.lines => _,
            count = in(reg) window.runs,
            run0 = in(reg) window.run[0],
            run1 = in(reg) window.run[1],
            gap0 = in(reg) gap[0],
            gap1 = in(reg) gap[1],
            runs = out(reg) _,
            x0 = out(reg) _,
            x1 = out(reg) _,
            w0 = out(reg) _,
            w1 = out(reg) _,
            s0 = inout(reg) *s0,
            s1 = inout(reg) *s1,
            s2 = inout(reg) *s2,
            s3 = inout(reg) *s3,
            s4 = inout(reg) *s4,
            s5 = inout(reg) *s5,
            s6 = inout(reg) *s6,
            s7 = inout(reg) *s7,
            options(readonly, nostack),
        );
    }
}

/// [`portable::requantize`](crate::portable::requantize).
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    let output = Output { zero_point, activation };
    for ((byte, &sum), channel) in outputs.iter_mut().zip(accumulators).zip(channels) {
        *byte = match Scale::of(channel, output) {
            Some(scale) => scale.requantize(sum),
            None => seldom(sum, channel, output),
        };
    }
}

/// [`portable::add_some`](crate::portable::add_some): all elements, or none unless the factors are [`AddSub::in_order`].
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let count = output.len();
    let Some([(a, zero_point, factor), (b, other_zero_point, other)]) = p.in_order(a, b, count) else { return 0 };
    // Twice the shifted elements, so that the high halves of the products need no shift.
    let doubled = |x: i8, zero_point: i32| (i32::from(x) << 21) - (zero_point << 21);
    for ((output, &a), &b) in output.iter_mut().zip(a).zip(b) {
        let a = rounded_high_product(doubled(a, zero_point), factor.multiplier);
        let b = rounded_high_product(doubled(b, other_zero_point), other.multiplier);
        // Below 2^28 and 2^27, so that twice the sum fits.
        let sum = a.wrapping_add(divide_by_power(b, other.shift));
        let scaled = divide_by_power(rounded_high_product(sum << 1, p.output.multiplier), p.output.shift);
        *output = p.activation.clamp(scaled.wrapping_add(p.output_zero_point));
    }
    count
}

/// `a * b / 2^32`, rounded to nearest, ties upward.
#[inline]
fn rounded_high_product(a: i32, b: i32) -> i32 {
    let product = i64::from(a) * i64::from(b);
    if cfg!(target_arch = "riscv32") {
        // The highest bit of the low half carries.
        ((product >> 32) as i32).wrapping_add(((product as u32) >> 31).cast_signed())
    } else {
        (product.wrapping_add(1 << 31) >> 32) as i32
    }
}

/// `x * 2^shift`, rounded to nearest, ties away from zero; `shift` is from -31 to -1.
#[inline]
fn divide_by_power(x: i32, shift: i32) -> i32 {
    // A negative number is decremented, so that its halves are rounded down.
    halve(x.wrapping_add(x >> 31), !shift)
}
