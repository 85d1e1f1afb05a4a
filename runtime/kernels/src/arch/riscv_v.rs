//! RISC-V's vector extension (V, or its subset Zve32x for embedded cores), for any register length.
//!
//! Each iteration of a loop requests the number of elements that the registers hold (`vsetvli`), so no length needs a
//! second loop. Products of bytes are widened to 32 bits in two steps: by the multiplication, and by the addition. The
//! order of a sum differs from the portable loop's, but not its value, because sums wrap.
//!
//! `VSMUL` with rounding to nearest, ties upward, is the rounded doubling high product, and `VSSRA` the shift with the
//! same rounding; as in the portable function, a negative number is decremented before it is shifted.

mod add;
mod depthwise;
mod finish;
mod gather;
mod multiply;
mod quantize;
mod types;

use crate::portable::Window;
use crate::quant::Channel;
use core::arch::asm;
use tealight_types::ActivationRange;

pub(crate) use crate::composed::depthwise;
pub(crate) use crate::portable::SHORTEST_RUN;
pub(crate) use add::add_some;
pub(crate) use depthwise::depthwise_line;
pub(crate) use gather::{copy_run, gather};
pub(crate) use multiply::multiply;
pub(crate) use quantize::{dequantize_bytes, quantize_bytes};

/// [`portable::ROWS`](crate::portable::ROWS): [`composed::multiply`] has only what is left of fewer than four rows.
pub(crate) const ROWS: usize = 1;

/// [`portable::POOLED`](crate::portable::POOLED): the sums of this many channels fit eight registers of 128 bits.
pub(crate) const POOLED: usize = 32;

/// [`portable::dot_rows`](crate::portable::dot_rows): four rows at a time, with half the bits of all vector registers.
#[inline]
pub(crate) fn dot_rows<const N: usize>(accumulators: &mut [i32; N], input: &[i8], weights: &[i8], stride: usize) {
    // End of the last row. A saturated sum exceeds the length of any slice.
    let end = stride.saturating_mul(N.saturating_sub(1)).saturating_add(input.len());
    if input.is_empty() || end > weights.len() {
        return;
    }
    let mut row = weights.as_ptr();
    let (by_4, rest) = accumulators.as_chunks_mut::<4>();
    for [a0, a1, a2, a3] in by_4 {
        // SAFETY: the loop reads `input.len()` bytes from `input` and from each of the four rows, which all end within
        // `weights`, as checked above; it writes no memory.
        unsafe {
            asm!(
                "vsetivli zero, 1, e32, m1, ta, ma",
                "vmv.s.x v1, {a0}",
                "vmv.s.x v2, {a1}",
                "vmv.s.x v3, {a2}",
                "vmv.s.x v4, {a3}",
                "2:",
                "vsetvli {now}, {len}, e8, m4, ta, ma",
                "vle8.v v8, ({input})",
                "vle8.v v12, ({w0})",
                "vwmul.vv v16, v8, v12",
                "vsetvli zero, zero, e16, m8, ta, ma",
                "vwredsum.vs v1, v16, v1",
                "vle8.v v12, ({w1})",
                "vsetvli zero, zero, e8, m4, ta, ma",
                "vwmul.vv v16, v8, v12",
                "vsetvli zero, zero, e16, m8, ta, ma",
                "vwredsum.vs v2, v16, v2",
                "vle8.v v12, ({w2})",
                "vsetvli zero, zero, e8, m4, ta, ma",
                "vwmul.vv v16, v8, v12",
                "vsetvli zero, zero, e16, m8, ta, ma",
                "vwredsum.vs v3, v16, v3",
                "vle8.v v12, ({w3})",
                "vsetvli zero, zero, e8, m4, ta, ma",
                "vwmul.vv v16, v8, v12",
                "vsetvli zero, zero, e16, m8, ta, ma",
                "vwredsum.vs v4, v16, v4",
                "add {input}, {input}, {now}",
                "add {w0}, {w0}, {now}",
                "add {w1}, {w1}, {now}",
                "add {w2}, {w2}, {now}",
                "add {w3}, {w3}, {now}",
                "sub {len}, {len}, {now}",
                "bnez {len}, 2b",
                "vsetivli zero, 1, e32, m1, ta, ma",
                "vmv.x.s {a0}, v1",
                "vmv.x.s {a1}, v2",
                "vmv.x.s {a2}, v3",
                "vmv.x.s {a3}, v4",
                input = inout(reg) input.as_ptr() => _,
                w0 = inout(reg) row => _,
                w1 = inout(reg) row.wrapping_add(stride) => _,
                w2 = inout(reg) row.wrapping_add(2 * stride) => _,
                w3 = inout(reg) row.wrapping_add(3 * stride) => _,
                len = inout(reg) input.len() => _,
                now = out(reg) _,
                a0 = inout(reg) *a0,
                a1 = inout(reg) *a1,
                a2 = inout(reg) *a2,
                a3 = inout(reg) *a3,
                out("v1") _, out("v2") _, out("v3") _, out("v4") _,
                out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                options(readonly, nostack),
            );
        }
        row = row.wrapping_add(4 * stride);
    }
    for accumulator in rest {
        // SAFETY: as above, with one row.
        unsafe {
            asm!(
                "vsetivli zero, 1, e32, m1, ta, ma",
                "vmv.s.x v1, {sum}",
                "2:",
                "vsetvli {now}, {len}, e8, m4, ta, ma",
                "vle8.v v8, ({input})",
                "vle8.v v12, ({row})",
                "vwmul.vv v16, v8, v12",
                "vsetvli zero, zero, e16, m8, ta, ma",
                "vwredsum.vs v1, v16, v1",
                "add {input}, {input}, {now}",
                "add {row}, {row}, {now}",
                "sub {len}, {len}, {now}",
                "bnez {len}, 2b",
                "vsetivli zero, 1, e32, m1, ta, ma",
                "vmv.x.s {sum}, v1",
                input = inout(reg) input.as_ptr() => _,
                row = inout(reg) row => _,
                len = inout(reg) input.len() => _,
                now = out(reg) _,
                sum = inout(reg) *accumulator,
                out("v1") _,
                out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                options(readonly, nostack),
            );
        }
        row = row.wrapping_add(stride);
    }
}

/// [`portable::multiply_taps`](crate::portable::multiply_taps): as many channels at a time as eight registers hold,
/// whose sums stay there over all taps.
#[inline]
pub(crate) fn multiply_taps(accumulators: &mut [i32], window: &Window, input: &[i8], weights: &[i8]) {
    let Window { lines, runs, line, run } = *window;
    let len = accumulators.len();
    if len == 0 || lines == 0 || runs == 0 || !window.fits(len, [input.len(), weights.len()]) {
        return;
    }
    // Distance from the end of a kernel row to the start of the next.
    let next = [0, 1].map(|i| line[i].wrapping_sub(run[i].wrapping_mul(runs)));
    // SAFETY: of each tap, `len` elements of input and weights are read, which lie within both slices, as `fits` has
    // checked; `len` accumulators are read and written.
    unsafe {
        asm!(
            "4:",
            "vsetvli {now}, {len}, e32, m8, ta, ma",
            "vle32.v v8, ({accumulators})",
            "mv {x}, {input}",
            "mv {w}, {weights}",
            "mv {line}, {lines}",
            "3:",
            "mv {tap}, {runs}",
            "2:",
            "vsetvli zero, zero, e8, m2, ta, ma",
            "vle8.v v16, ({x})",
            "add {x}, {x}, {x_run}",
            "vle8.v v18, ({w})",
            "add {w}, {w}, {w_run}",
            "vwmul.vv v20, v16, v18",
            "vsetvli zero, zero, e16, m4, ta, ma",
            "vwadd.wv v8, v8, v20",
            "addi {tap}, {tap}, -1",
            "bnez {tap}, 2b",
            "add {x}, {x}, {x_next}",
            "add {w}, {w}, {w_next}",
            "addi {line}, {line}, -1",
            "bnez {line}, 3b",
            "vsetvli zero, zero, e32, m8, ta, ma",
            "vse32.v v8, ({accumulators})",
            "add {input}, {input}, {now}",
            "add {weights}, {weights}, {now}",
            "sub {len}, {len}, {now}",
            "slli {now}, {now}, 2",
            "add {accumulators}, {accumulators}, {now}",
            "bnez {len}, 4b",
            accumulators = inout(reg) accumulators.as_mut_ptr() => _,
            input = inout(reg) input.as_ptr() => _,
            weights = inout(reg) weights.as_ptr() => _,
            len = inout(reg) len => _,
            lines = in(reg) lines,
            runs = in(reg) runs,
            x_run = in(reg) run[0],
            w_run = in(reg) run[1],
            x_next = in(reg) next[0],
            w_next = in(reg) next[1],
            now = out(reg) _,
            x = out(reg) _,
            w = out(reg) _,
            line = out(reg) _,
            tap = out(reg) _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            options(nostack),
        );
    }
}

/// [`portable::requantize`](crate::portable::requantize): as many at a time as four registers hold.
#[inline]
pub(crate) fn requantize(
    accumulators: &[i32],
    channels: &[Channel],
    zero_point: i32,
    activation: ActivationRange,
    outputs: &mut [i8],
) {
    let len = accumulators.len().min(channels.len()).min(outputs.len());
    if len == 0 {
        return;
    }
    let [low, high] = activation.bounds();
    // SAFETY: the loop reads `len` elements of `accumulators` and the last two fields, at bytes 4 and 8 of twelve, of
    // as many `channels`, and writes as many bytes to `outputs`; each slice has at least `len` elements.
    unsafe {
        asm!(
            "csrwi vxrm, 0",
            "2:",
            "vsetvli {now}, {len}, e32, m4, ta, ma",
            "vle32.v v8, ({accumulators})",
            // Multipliers to v16, shifts to v20.
            "vlsseg2e32.v v16, ({channels}), {twelve}",
            "vmax.vx v12, v20, zero",
            "vsll.vv v8, v8, v12",
            "vsmul.vv v8, v8, v16",
            "vmin.vx v20, v20, zero",
            "vand.vv v12, v8, v20",
            "vsra.vi v12, v12, 31",
            "vsadd.vv v8, v8, v12",
            "vrsub.vx v20, v20, zero",
            "vssra.vv v8, v8, v20",
            "vadd.vx v8, v8, {zero_point}",
            "vmax.vx v8, v8, {low}",
            "vmin.vx v8, v8, {high}",
            "vsetvli zero, zero, e16, m2, ta, ma",
            "vncvt.x.x.w v12, v8",
            "vsetvli zero, zero, e8, m1, ta, ma",
            "vncvt.x.x.w v16, v12",
            "vse8.v v16, ({outputs})",
            "add {outputs}, {outputs}, {now}",
            "sub {len}, {len}, {now}",
            "slli {now}, {now}, 2",
            "add {accumulators}, {accumulators}, {now}",
            "add {channels}, {channels}, {now}",
            "slli {now}, {now}, 1",
            "add {channels}, {channels}, {now}",
            "bnez {len}, 2b",
            accumulators = inout(reg) accumulators.as_ptr() => _,
            channels = inout(reg) channels.as_ptr().wrapping_byte_add(4) => _,
            outputs = inout(reg) outputs.as_mut_ptr() => _,
            len = inout(reg) len => _,
            now = out(reg) _,
            twelve = in(reg) 12,
            zero_point = in(reg) zero_point,
            low = in(reg) low,
            high = in(reg) high,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            options(nostack),
        );
    }
}
