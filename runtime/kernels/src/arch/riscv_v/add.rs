//! The sum of two tensors.

use crate::add::AddSub;
use crate::quant::clamp;
use core::arch::asm;

/// [`portable::add_some`](crate::portable::add_some): all elements, as many at a time as four registers hold.
#[inline(never)]
pub(crate) fn add_some(p: &AddSub, a: &[i8], b: &[i8], output: &mut [i8]) -> usize {
    let len = a.len().min(b.len()).min(output.len());
    if len == 0 {
        return 0;
    }
    // Right shifts are 0 below 0 and 31 above 31.
    let [shift_a, shift_b, shift] = [p.a.shift, p.b.shift, p.output.shift].map(|shift| -clamp(shift, [-31, 0]));
    // What is added to a negative product before it is shifted.
    let [lower_a, lower_b, lower] = [shift_a, shift_b, shift].map(|shift| -clamp(shift, [0, 1]));
    let [low, high] = p.activation.bounds();
    // SAFETY: the loop reads `len` elements of `a` and `b` and writes as many of `output`, each of which has that many.
    unsafe {
        asm!(
            "csrwi vxrm, 0",
            "2:",
            "vsetvli {now}, {len}, e32, m4, ta, mu",
            "vle8.v v16, ({a})",
            "add {a}, {a}, {now}",
            "vle8.v v17, ({b})",
            "add {b}, {b}, {now}",
            "vsext.vf4 v4, v16",
            "vsext.vf4 v8, v17",
            "vsub.vx v4, v4, {zero_a}",
            "vsub.vx v8, v8, {zero_b}",
            "vsll.vx v4, v4, {left}",
            "vsll.vx v8, v8, {left}",
            "vsmul.vx v4, v4, {multiplier_a}",
            "vmslt.vx v0, v4, zero",
            "vsadd.vx v4, v4, {lower_a}, v0.t",
            "vssra.vx v4, v4, {shift_a}",
            "vsmul.vx v8, v8, {multiplier_b}",
            "vmslt.vx v0, v8, zero",
            "vsadd.vx v8, v8, {lower_b}, v0.t",
            "vssra.vx v8, v8, {shift_b}",
            "vadd.vv v4, v4, v8",
            "vsmul.vx v4, v4, {multiplier}",
            "vmslt.vx v0, v4, zero",
            "vsadd.vx v4, v4, {lower}, v0.t",
            "vssra.vx v4, v4, {shift}",
            "vadd.vx v4, v4, {zero_point}",
            "vsetvli zero, zero, e16, m2, ta, ma",
            "vnclip.wi v8, v4, 0",
            "vsetvli zero, zero, e8, m1, ta, ma",
            "vnclip.wi v10, v8, 0",
            "vmax.vx v10, v10, {low}",
            "vmin.vx v10, v10, {high}",
            "vse8.v v10, ({output})",
            "add {output}, {output}, {now}",
            "sub {len}, {len}, {now}",
            "bnez {len}, 2b",
            a = inout(reg) a.as_ptr() => _,
            b = inout(reg) b.as_ptr() => _,
            output = inout(reg) output.as_mut_ptr() => _,
            len = inout(reg) len => _,
            now = out(reg) _,
            zero_a = in(reg) p.a_zero_point,
            zero_b = in(reg) p.b_zero_point,
            left = in(reg) p.left_shift,
            multiplier_a = in(reg) p.a.multiplier,
            multiplier_b = in(reg) p.b.multiplier,
            multiplier = in(reg) p.output.multiplier,
            lower_a = in(reg) lower_a,
            lower_b = in(reg) lower_b,
            lower = in(reg) lower,
            shift_a = in(reg) shift_a,
            shift_b = in(reg) shift_b,
            shift = in(reg) shift,
            zero_point = in(reg) p.output_zero_point,
            low = in(reg) low,
            high = in(reg) high,
            out("v0") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v16") _, out("v17") _,
            options(nostack),
        );
    }
    len
}
