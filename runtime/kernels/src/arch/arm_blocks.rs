//! Block products on cores with Arm's DSP extension and a floating-point unit: Q8_0 and Q4_0 weights, and the
//! quantization of their activations.
//!
//! The integer sum of a block is taken two products at a time (`SMLAD`), several rows for each load of activations. Its
//! factors are converted by `VCVTB`. `VMLA` rounds the product before it adds it. Words are loaded at any address.

use crate::block::quantize_block;
use core::arch::asm;

/// Bytes of a block of activations: a factor in half precision, and 32 elements.
const ACTIVATIONS: usize = 34;
/// Bytes of a block of Q4_0 weights: a factor in half precision, and 32 elements of half a byte.
const Q4_0: usize = 18;

/// The products of a word of activations with one of each of four rows of Q8_0 weights. The first product of a
/// block starts a sum, by `SMUAD`; later ones are added to one.
macro_rules! word {
    ($multiply:literal, $a0:literal, $a1:literal, $a2:literal, $a3:literal) => {
        concat!(
            "ldr {odd}, [{x}], #4
            sxtb16 {even}, {odd}
            sxtb16 {odd}, {odd}, ror #8\n",
            word!(@ $multiply, "a1", $a1, "[{w01}, {stride}]"),
            word!(@ $multiply, "a0", $a0, "[{w01}], #4"),
            word!(@ $multiply, "a3", $a3, "[{w23}, {stride}]"),
            word!(@ $multiply, "a2", $a2, "[{w23}], #4")
        )
    };
    (@ $multiply:literal, $sum:literal, $plus:literal, $address:literal) => {
        concat!(
            "ldr {w}, ", $address, "\n",
            "sxtb16 {t}, {w}
            sxtb16 {w}, {w}, ror #8\n",
            $multiply, " {", $sum, "}, {even}, {t}", $plus, "\n",
            "smlad {", $sum, "}, {odd}, {w}, {", $sum, "}\n"
        )
    };
}

/// The first word of a block, whose products start the sums.
macro_rules! first_word {
    () => {
        word!("smuad", "", "", "", "")
    };
}

/// A later word of a block.
macro_rules! next_word {
    () => {
        word!("smlad", ", {a0}", ", {a1}", ", {a2}", ", {a3}")
    };
}

/// The products of four bytes of each of two rows of Q4_0 weights: of their lower halves with a word of activations,
/// of their upper ones with the word 16 bytes later. Also sums the activations.
macro_rules! four_bytes {
    () => {
        "ldr {odd}, [{x}, #16]
        sxtb16 {even}, {odd}
        sxtb16 {odd}, {odd}, ror #8
        sadd16 {sum}, {sum}, {even}
        sadd16 {sum}, {sum}, {odd}
        ldr {w}, [{row}, {stride}]
        and {t}, {mask}, {w}, lsr #4
        smlad {a1}, {even}, {t}, {a1}
        and {w}, {mask}, {w}, lsr #12
        smlad {a1}, {odd}, {w}, {a1}
        ldr {w}, [{row}]
        and {t}, {mask}, {w}, lsr #4
        smlad {a0}, {even}, {t}, {a0}
        and {w}, {mask}, {w}, lsr #12
        smlad {a0}, {odd}, {w}, {a0}
        ldr {odd}, [{x}], #4
        sxtb16 {even}, {odd}
        sxtb16 {odd}, {odd}, ror #8
        sadd16 {sum}, {sum}, {even}
        sadd16 {sum}, {sum}, {odd}
        ldr {w}, [{row}, {stride}]
        and {t}, {mask}, {w}
        smlad {a1}, {even}, {t}, {a1}
        and {w}, {mask}, {w}, lsr #8
        smlad {a1}, {odd}, {w}, {a1}
        ldr {w}, [{row}], #4
        and {t}, {mask}, {w}
        smlad {a0}, {even}, {t}, {a0}
        and {w}, {mask}, {w}, lsr #8
        smlad {a0}, {odd}, {w}, {a0}"
    };
}

/// Converts the integer sums of blocks, multiplies them by the weights' factor, in half precision, and then by that of
/// the activations in `s14`, and adds them to the totals. Each group is a factor, a sum and a total.
macro_rules! scale_and_add {
    ($($factor:literal $sum:literal $total:literal),*) => {
        concat!(
            $("vcvtb.f32.f16 s", $factor, ", s", $factor, "\n",)*
            $("vcvt.f32.s32 s", $sum, ", s", $sum, "\n",)*
            $("vmul.f32 s", $sum, ", s", $sum, ", s", $factor, "\n",)*
            $("vmla.f32 s", $total, ", s", $sum, ", s14\n",)*
        )
    };
}

/// The maximum of four more elements.
macro_rules! maximum_of_four {
    () => {
        concat!("ldm {x}!, {{r0, r1, r2, r3}}\n", maximum_of_four!(@ "r0" "r1" "r2" "r3"))
    };
    (@ $($element:literal)*) => {
        concat!($(
            "cmp {maximum}, ", $element, ", lsl #1
            it lo
            lsllo {maximum}, ", $element, ", #1\n"
        ),*)
    };
}

/// Scales four elements.
///
/// Repeated by a macro and not by the assembler: the compiler counts lines to know how far its constants are.
macro_rules! four_elements {
    () => {
        "vldmia {x}!, {{s0-s3}}
        vmul.f32 s0, s0, s4
        vmul.f32 s1, s1, s4
        vmul.f32 s2, s2, s4
        vmul.f32 s3, s3, s4
        vcvt.s32.f32 s0, s0, #1
        vcvt.s32.f32 s1, s1, #1
        vcvt.s32.f32 s2, s2, #1
        vcvt.s32.f32 s3, s3, #1
        vmov {a}, {b}, s0, s1
        vmov {c}, {d}, s2, s3
        pkhbt {a}, {a}, {c}, lsl #16
        pkhbt {b}, {b}, {d}, lsl #16
        and {c}, {ones}, {a}, lsr #15
        and {d}, {ones}, {b}, lsr #15
        shsub16 {a}, {c}, {a}
        shsub16 {b}, {d}, {b}
        rev16 {b}, {b}
        sel {a}, {a}, {b}
        str {a}, [{quants}], #4"
    };
}

/// Writes to each output the product of a row of Q8_0 blocks with one of activations. The rows are adjacent and as long
/// as the activations. If there are too few weights, nothing is written.
#[inline(never)]
pub(crate) fn multiply_q8_0(weights: &[u8], activations: &[u8], outputs: &mut [f32]) {
    let row_bytes = activations.len() / ACTIVATIONS * ACTIVATIONS;
    if row_bytes.saturating_mul(outputs.len()) > weights.len() {
        return;
    }
    if row_bytes == 0 {
        return outputs.fill(0.0);
    }
    let mut row = weights.as_ptr();
    for outputs in outputs.chunks_mut(4) {
        // Of fewer than four rows some are multiplied twice.
        let (third, stride) = match outputs.len() {
            1 => (row, 0),
            2 => (row, row_bytes),
            3 => (row.wrapping_add(row_bytes), row_bytes),
            _ => (row.wrapping_add(row_bytes.wrapping_mul(2)), row_bytes),
        };
        let mut totals = [0.0; 4];
        // SAFETY: as many rows as outputs lie within `weights`, as checked above; the last is the one after `third`, or
        // `row` itself.
        unsafe { multiply_four([row, third], stride, activations, row_bytes, &mut totals) };
        let [first, second, third, fourth] = totals;
        match outputs {
            [a, b, c, d] => [*a, *b, *c, *d] = [first, second, third, fourth],
            [a, b, c] => [*a, *b, *c] = [first, second, fourth],
            [a, b] => [*a, *b] = [first, second],
            [a, ..] => *a = first,
            [] => {}
        }
        row = row.wrapping_add(row_bytes.wrapping_mul(4));
    }
}

/// Computes four products of rows of `bytes` bytes, at least one block: of each row in `rows` and the one `stride`
/// bytes after it.
///
/// # Safety
/// All of them and as many activations must be there to be read.
#[inline(never)]
unsafe fn multiply_four(
    [first, third]: [*const u8; 2],
    stride: usize,
    activations: &[u8],
    bytes: usize,
    outputs: &mut [f32; 4],
) {
    let end = activations.as_ptr().wrapping_add(bytes);
    // SAFETY: the loop reads whole blocks of activations up to `end`, and as many of each row. It writes the four
    // outputs. Nothing reads the sticky overflow flag.
    unsafe {
        asm!(
            "vmov s15, {w}",
            "vmov s13, {t}",
            "mov {t}, #0",
            "vmov d0, {t}, {t}",
            "vmov d1, {t}, {t}",
            "2:",
            "ldrh {w}, [{x}], #2",
            "vmov s14, {w}",
            "ldrh {w}, [{w01}, {stride}]",
            "ldrh {t}, [{w01}], #2",
            "vmov s4, s5, {t}, {w}",
            "ldrh {w}, [{w23}, {stride}]",
            "ldrh {t}, [{w23}], #2",
            "vmov s6, s7, {t}, {w}",
            first_word!(),
            next_word!(),
            next_word!(),
            next_word!(),
            next_word!(),
            next_word!(),
            next_word!(),
            next_word!(),
            "vmov s8, s9, {a0}, {a1}",
            "vmov s10, s11, {a2}, {a3}",
            "vmov {w}, s15",
            "vcvtb.f32.f16 s14, s14",
            scale_and_add!(4 8 0, 5 9 1, 6 10 2, 7 11 3),
            "cmp {x}, {w}",
            "bne 2b",
            "vmov {t}, s13",
            "vstmia {t}, {{s0-s3}}",
            x = inout(reg) activations.as_ptr() => _,
            w01 = inout(reg) first => _,
            w23 = inout(reg) third => _,
            stride = in(reg) stride,
            w = inout(reg) end => _,
            t = inout(reg) outputs => _,
            even = out(reg) _,
            odd = out(reg) _,
            a0 = out(reg) _,
            a1 = out(reg) _,
            a2 = out(reg) _,
            a3 = out(reg) _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
}

/// Writes to each output the product of a row of Q4_0 blocks with one of activations, likewise.
///
/// An element is 0 to 15, less 8: the sum is that of the products with 0 to 15, less eight times that of the
/// activations.
#[inline(never)]
pub(crate) fn multiply_q4_0(weights: &[u8], activations: &[u8], outputs: &mut [f32]) {
    let blocks = activations.len() / ACTIVATIONS;
    let row_bytes = blocks * Q4_0;
    if row_bytes.saturating_mul(outputs.len()) > weights.len() {
        return;
    }
    if blocks == 0 {
        return outputs.fill(0.0);
    }
    let mut row = weights.as_ptr();
    for outputs in outputs.chunks_mut(2) {
        let mut totals = [0.0; 2];
        // A single row is multiplied twice.
        let stride = if outputs.len() == 2 { row_bytes } else { 0 };
        // SAFETY: as many rows as outputs lie within `weights`, as checked above.
        unsafe { multiply_pair_q4_0(row, stride, activations, blocks, &mut totals) };
        for (output, total) in outputs.iter_mut().zip(totals) {
            *output = total;
        }
        row = row.wrapping_add(row_bytes.wrapping_mul(2));
    }
}

/// Computes two products of rows of `blocks` blocks, at least one, `stride` bytes apart.
///
/// # Safety
/// Both rows and as many blocks of activations must be there to be read.
#[inline(never)]
unsafe fn multiply_pair_q4_0(row: *const u8, stride: usize, activations: &[u8], blocks: usize, outputs: &mut [f32; 2]) {
    // SAFETY: the loop reads `blocks` blocks of activations and of each row, and writes both outputs. Nothing reads the
    // sticky overflow flag.
    unsafe {
        asm!(
            "vmov s13, {t}",
            "mov {t}, #0",
            "vmov d0, {t}, {t}",
            "2:",
            "ldrh {w}, [{x}], #2",
            "vmov s14, {w}",
            "ldrh {w}, [{row}, {stride}]",
            "ldrh {t}, [{row}], #2",
            "vmov s4, s5, {t}, {w}",
            "mov {a0}, #0",
            "mov {a1}, #0",
            "mov {sum}, #0",
            four_bytes!(),
            four_bytes!(),
            four_bytes!(),
            four_bytes!(),
            // The sum of the activations, from two sums.
            "sxth {t}, {sum}",
            "add {sum}, {t}, {sum}, asr #16",
            "sub {a0}, {a0}, {sum}, lsl #3",
            "sub {a1}, {a1}, {sum}, lsl #3",
            "vmov s8, s9, {a0}, {a1}",
            "add {x}, {x}, #16",
            "vcvtb.f32.f16 s14, s14",
            scale_and_add!(4 8 0, 5 9 1),
            "subs {blocks}, {blocks}, #1",
            "bne 2b",
            "vmov {t}, s13",
            "vstmia {t}, {{s0, s1}}",
            x = inout(reg) activations.as_ptr() => _,
            row = inout(reg) row => _,
            stride = in(reg) stride,
            blocks = inout(reg) blocks => _,
            mask = in(reg) 0x000F_000F,
            t = inout(reg) outputs => _,
            w = out(reg) _,
            even = out(reg) _,
            odd = out(reg) _,
            a0 = out(reg) _,
            a1 = out(reg) _,
            sum = out(reg) _,
            out("d0") _, out("d1") _, out("d2") _, out("d4") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
}

/// Writes the elements and returns the factor, as [`quantize_block`] does.
///
/// That is called if an element is not a number, or if the factor is so small or large that its inverse or a product
/// may not be in range.
#[inline]
pub(crate) fn quantize_q8_0(x: &[f32; 32], quants: &mut [i8; 32]) -> f32 {
    /// Bits of 2^-100 and 2^100, shifted left by one bit.
    const RANGE: core::ops::RangeInclusive<u32> = (27 << 24)..=(227 << 24);
    let maximum = maximum_magnitude(x);
    if !RANGE.contains(&maximum) {
        return quantize_any(x, quants);
    }
    let d = f32::from_bits(maximum >> 1) / 127.0;
    // SAFETY: in the range above, a product is at most 127 and some rounding errors.
    unsafe { scale(x, -1.0 / d, quants) };
    d
}

/// [`quantize_block`] out of line, because it is rarely called.
#[inline(never)]
fn quantize_any(x: &[f32; 32], quants: &mut [i8; 32]) -> f32 {
    quantize_block(x, quants)
}

/// The maximum of the elements' bits, shifted left by one bit, so that those of NaNs are greater than of any number.
#[inline]
fn maximum_magnitude(x: &[f32; 32]) -> u32 {
    let mut maximum = 0;
    // SAFETY: the loop reads 32 elements, sixteen in one iteration.
    unsafe {
        asm!(
            "2:",
            maximum_of_four!(),
            maximum_of_four!(),
            maximum_of_four!(),
            maximum_of_four!(),
            "cmp {x}, {end}",
            "bne 2b",
            x = inout(reg) x.as_ptr() => _,
            end = in(reg) x.as_ptr_range().end,
            maximum = inout(reg) maximum,
            out("r0") _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            options(readonly, nostack),
        );
    }
    maximum
}

/// Multiplies by `factor`, changes the sign and rounds, halves away from zero.
///
/// A conversion to fixed point with one bit after the point truncates twice the product: `t`. Then `(s - t) / 2`,
/// rounded down, where `s` is 1 if `t` is negative, otherwise 0, is the integer nearest to the product, negated.
///
/// # Safety
/// The products must be below 127.5.
#[inline]
unsafe fn scale(x: &[f32; 32], factor: f32, quants: &mut [i8; 32]) {
    // SAFETY: the loop reads 32 elements and writes 32, sixteen in one iteration.
    unsafe {
        asm!(
            "vmov s4, {a}",
            // `SEL` takes bytes 0 and 2 from its first operand.
            "mov {b}, #0x80008000",
            "sadd8 {b}, {b}, {b}",
            "2:",
            four_elements!(),
            four_elements!(),
            four_elements!(),
            four_elements!(),
            "cmp {x}, {end}",
            "bne 2b",
            x = inout(reg) x.as_ptr() => _,
            end = in(reg) x.as_ptr_range().end,
            quants = inout(reg) quants.as_mut_ptr() => _,
            a = inout(reg) factor.to_bits() => _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            ones = in(reg) 0x0001_0001,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            options(nostack),
        );
    }
}
