//! Conversions between `f32` and 8 bits, in integers: the subsets for embedded cores have no vectors of `f32`.

use crate::lines::tail;
use crate::portable;
use crate::soft_f32::{Factor, MARGIN, Reciprocal};
use core::arch::asm;
use tealight_types::Quantization;

/// The number of elements that are quantized one by one where one of them takes a division.
const FEW: usize = 16;

/// [`portable::quantize_bytes`]: [`Reciprocal::quantize`] of as many elements at a time as four registers hold.
#[inline(never)]
pub(crate) fn quantize_bytes(to: Quantization, bounds: [i32; 2], mut input: &[f32], mut output: &mut [u8]) {
    let Some(reciprocal) = Reciprocal::new(to) else { return portable::quantize_bytes(to, bounds, input, output) };
    loop {
        let done = quantize_some(&reciprocal, bounds, input, output);
        (input, output) = (tail(input, done), output.get_mut(done..).unwrap_or(&mut []));
        let few = FEW.min(input.len()).min(output.len());
        let Some((outputs, later)) = output.split_at_mut_checked(few).filter(|_| few != 0) else { return };
        portable::quantize_bytes(to, bounds, input, outputs);
        (input, output) = (tail(input, few), later);
    }
}

/// Quantizes elements up to the first ones of which one takes a division; returns their number.
#[inline]
fn quantize_some(by: &Reciprocal, [low, high]: [i32; 2], input: &[f32], output: &mut [u8]) -> usize {
    let len = input.len().min(output.len());
    let mut left = len;
    if len == 0 {
        return 0;
    }
    // SAFETY: the loop reads `len` elements of `input` and writes as many of `output`, each of which has that many.
    unsafe {
        asm!(
            "2:",
            "vsetvli {now}, {left}, e32, m4, ta, mu",
            "vle32.v v4, ({input})",
            // By how much the quotient is shifted right but for one bit; far too much, if it is less than 1/2.
            "vsrl.vi v8, v4, 23",
            "vand.vx v8, v8, {exponents}",
            "vrsub.vx v8, v8, {shift}",
            "vmsgt.vx v0, v8, {most}",
            // Elements that are far out of range, and NaN, are left to the definition.
            "vmsle.vi v1, v8, 13",
            "vmin.vx v8, v8, {most}",
            "vsll.vi v12, v4, 8",
            "vor.vx v12, v12, {sign}",
            "vmulhu.vx v12, v12, {reciprocal}",
            "vmerge.vim v12, v12, 0, v0",
            "vsrl.vv v16, v12, v8",
            "vadd.vx v12, v12, {margin}",
            "vadd.vi v16, v16, 1",
            "vsrl.vv v12, v12, v8",
            "vsrl.vi v16, v16, 1",
            "vadd.vi v12, v12, 1",
            "vsrl.vi v12, v12, 1",
            "vmsne.vv v0, v12, v16",
            "vmor.mm v0, v0, v1",
            "vcpop.m {size}, v0",
            "bnez {size}, 3f",
            "vmslt.vx v0, v4, zero",
            "vrsub.vi v16, v16, 0, v0.t",
            "vadd.vx v16, v16, {zero_point}",
            "vmax.vx v16, v16, {low}",
            "vmin.vx v16, v16, {high}",
            "vsetvli zero, zero, e16, m2, ta, ma",
            "vnsrl.wi v4, v16, 0",
            "vsetvli zero, zero, e8, m1, ta, ma",
            "vnsrl.wi v8, v4, 0",
            "slli {size}, {now}, 2",
            "add {input}, {input}, {size}",
            "vse8.v v8, ({output})",
            "add {output}, {output}, {now}",
            "sub {left}, {left}, {now}",
            "bnez {left}, 2b",
            "3:",
            input = inout(reg) input.as_ptr() => _,
            output = inout(reg) output.as_mut_ptr() => _,
            left = inout(reg) left,
            now = out(reg) _,
            size = out(reg) _,
            exponents = in(reg) 0xff,
            shift = in(reg) by.exponent + 30,
            most = in(reg) 31,
            sign = in(reg) i32::MIN,
            reciprocal = in(reg) by.reciprocal,
            margin = in(reg) MARGIN,
            zero_point = in(reg) by.zero_point,
            low = in(reg) low,
            high = in(reg) high,
            out("v0") _, out("v1") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            options(nostack),
        );
    }
    len.wrapping_sub(left)
}

/// [`portable::dequantize_bytes`]: [`Factor::value`] of as many elements at a time as four registers hold.
#[inline(never)]
pub(crate) fn dequantize_bytes(from: Quantization, signed: bool, input: &[u8], output: &mut [f32]) {
    let len = input.len().min(output.len());
    let Some(factor) = Factor::new(from, signed).filter(|_| len != 0) else {
        return portable::dequantize_bytes(from, signed, input, output);
    };
    // SAFETY: the loop reads `len` elements of `input` and writes as many of `output`, each of which has that many.
    unsafe {
        asm!(
            // Shifts round to nearest, ties to even.
            "csrwi vxrm, 1",
            "2:",
            "vsetvli {now}, {len}, e32, m4, ta, mu",
            "vle8.v v16, ({input})",
            "add {input}, {input}, {now}",
            "vzext.vf4 v4, v16",
            "vxor.vx v4, v4, {flip}",
            "vsub.vx v4, v4, {zero_point}",
            "vrsub.vi v8, v4, 0",
            "vmax.vv v8, v8, v4",
            "vmul.vx v8, v8, {mantissa}",
            // The number of bits from the 25th on.
            "vsrl.vi v12, v8, 24",
            "vmsgtu.vi v0, v12, 15",
            "vmv.v.i v16, 0",
            "vsrl.vi v12, v12, 4, v0.t",
            "vmerge.vim v16, v16, 4, v0",
            "vmsgtu.vi v0, v12, 3",
            "vsrl.vi v12, v12, 2, v0.t",
            "vadd.vi v16, v16, 2, v0.t",
            "vmsgtu.vi v0, v12, 1",
            "vsrl.vi v12, v12, 1, v0.t",
            "vadd.vi v16, v16, 1, v0.t",
            "vadd.vv v16, v16, v12",
            "vmseq.vi v0, v4, 0",
            "vssrl.vv v8, v8, v16",
            "vsll.vi v16, v16, 23",
            "vand.vx v4, v4, {sign}",
            "vadd.vv v8, v8, v16",
            "vadd.vx v8, v8, {exponent}",
            "vmerge.vim v8, v8, 0, v0",
            "vor.vv v8, v8, v4",
            "slli {size}, {now}, 2",
            "vse32.v v8, ({output})",
            "add {output}, {output}, {size}",
            "sub {len}, {len}, {now}",
            "bnez {len}, 2b",
            input = inout(reg) input.as_ptr() => _,
            output = inout(reg) output.as_mut_ptr() => _,
            len = inout(reg) len => _,
            now = out(reg) _,
            size = out(reg) _,
            flip = in(reg) u32::from(factor.flip),
            zero_point = in(reg) factor.zero_point,
            mantissa = in(reg) factor.mantissa,
            exponent = in(reg) factor.exponent,
            sign = in(reg) i32::MIN,
            out("v0") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            options(nostack),
        );
    }
}
