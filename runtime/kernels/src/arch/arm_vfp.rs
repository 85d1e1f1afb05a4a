//! The floating-point unit of Arm's M profile (Cortex-M4F, M7, M33, M55): 32 registers of single precision.
//!
//! Two rows of weights are multiplied with the same inputs: 16 registers hold their sums in eight lanes, 8 the inputs,
//! 8 weights of one row. `VLDM` loads eight numbers in one instruction; it needs addresses that are multiples of four.
//! `VMLA` rounds the product before it adds it, as a multiplication and an addition do, unlike `VFMA`. Halves are
//! converted by `VCVTB` and `VCVTT`, two from a register; bytes by `VCVT`, one at a time, from any address.
//!
//! The bits are those of [`products`]. They need the unit as it is after a reset: rounding to
//! the nearest, subnormal numbers not flushed to zero, IEEE halves.

use crate::float::Weight;
use crate::float::products::{self, rows_fit};
use crate::lines::tail;
use crate::portable::Window;
use core::arch::asm;
use half::f16;

/// The sums of two rows before the first product.
static ZEROS: [f32; 16] = [0.0; 16];

/// The taps of a window that is not empty, as the assembly reads them. Distances are in bytes.
#[repr(C)]
pub struct Taps {
    lines: usize,
    runs: usize,
    /// The number of elements of a tap.
    len: usize,
    /// From the end of a tap to the start of the next, in the input and in the weights.
    run: [usize; 2],
    /// The same at the end of a kernel row.
    line: [usize; 2],
}

impl Taps {
    /// The taps of `window`, runs of `len` elements; a weight has `weight_bytes` bytes.
    #[inline]
    fn new(window: &Window, len: usize, weight_bytes: usize) -> Self {
        let Window { lines, runs, line, run } = match *window {
            // A column is walked as a row, because there is less to do from one tap to the next.
            Window { lines, runs: 1, line, .. } => Window { lines: 1, runs: lines, line, run: line },
            row_by_row => row_by_row,
        };
        let [mut run_gaps, mut line_gaps] = [[0; 2]; 2];
        let gaps = run_gaps.iter_mut().zip(&mut line_gaps);
        for (((run_gap, line_gap), bytes), (run, line)) in
            gaps.zip([size_of::<f32>(), weight_bytes]).zip(run.into_iter().zip(line))
        {
            *run_gap = run.wrapping_sub(len).wrapping_mul(bytes);
            let last = runs.wrapping_sub(1).wrapping_mul(run).wrapping_add(len);
            *line_gap = line.wrapping_sub(last).wrapping_mul(bytes);
        }
        Self { lines, runs, len, run: run_gaps, line: line_gaps }
    }
}

/// The assembly for a type of weights.
pub trait Element: Copy {
    /// Computes the totals of two rows of weights, in eight lanes.
    ///
    /// # Safety
    /// All taps must lie within the slices that the pointers point into.
    unsafe fn multiply_pair(taps: &Taps, input: *const f32, rows: [*const Self; 2], totals: &mut [f32; 2]);

    /// Writes to as many outputs as there are channels, 16, 8 or 1, the sums over all taps.
    ///
    /// # Safety
    /// All taps, `taps.len` elements long, must lie within the slices that `input` and `weights` point into; `outputs`
    /// must have as many elements. If they are 16 or 8, each tap of weights that are not bytes must start at a multiple
    /// of four bytes.
    unsafe fn multiply_taps(taps: &Taps, input: *const f32, weights: *const Self, outputs: *mut f32);
}

/// [`products::multiply_f32`]: two rows at a time.
#[inline(never)]
pub(crate) fn multiply_f32<W: Weight>(
    window: &Window,
    len: usize,
    input: &[f32],
    weights: &[W],
    stride: usize,
    outputs: &mut [f32],
) {
    if !rows_fit(window, len, [input.len(), weights.len()], stride, outputs.len()) {
        return;
    }
    if window.is_empty() {
        return outputs.fill(0.0);
    }
    let taps = Taps::new(window, len, size_of::<W>());
    let mut row = weights.as_ptr();
    for outputs in outputs.chunks_mut(2) {
        let mut totals = [0.0; 2];
        // A single row is multiplied twice.
        let next = if outputs.len() == 2 { row.wrapping_add(stride) } else { row };
        // SAFETY: all taps of as many rows as there are outputs lie within the slices, as checked above.
        unsafe { W::multiply_pair(&taps, input.as_ptr(), [row, next], &mut totals) };
        for (output, total) in outputs.iter_mut().zip(totals) {
            *output = total;
        }
        row = next.wrapping_add(stride);
    }
}

/// [`products::depthwise_f32`]: 16 or 8 channels at a time. The last ones may
/// overlap those before them, and are then computed twice.
#[inline(never)]
pub(crate) fn depthwise_f32<W: Weight>(window: &Window, input: &[f32], weights: &[W], outputs: &mut [f32]) {
    let channels = outputs.len();
    if !window.fits(channels, [input.len(), weights.len()]) {
        return;
    }
    if window.is_empty() {
        return outputs.fill(0.0);
    }
    let whole_words = |elements: usize| elements.wrapping_mul(size_of::<W>()).is_multiple_of(4);
    let aligned = size_of::<W>() == 1
        || (weights.as_ptr().addr().is_multiple_of(4)
            && [channels, window.run[1], window.line[1]].into_iter().all(whole_words));
    let widest = if aligned { channels } else { 1 };
    let mut done = 0;
    while done < channels {
        let block = match channels - done {
            9.. if widest >= 16 => 16,
            _ if widest >= 8 => 8,
            _ => 1,
        };
        let from = done.min(channels - block);
        let taps = Taps::new(window, block, size_of::<W>());
        let (input, weights) = (input.as_ptr().wrapping_add(from), weights.as_ptr().wrapping_add(from));
        // SAFETY: all taps of all channels lie within the slices, as checked above, and `from + block` channels are
        // at most all. `channels` and `from` are even if weights have two bytes and `block` is not 1.
        unsafe { W::multiply_taps(&taps, input, weights, outputs.as_mut_ptr().wrapping_add(from)) };
        done = from + block;
    }
}

/// `VMLA` of several registers: sums, inputs, weights.
macro_rules! multiply_add {
    ($($sum:literal)*, $($x:literal)*, $($w:literal)*) => {
        concat!($("vmla.f32 s", $sum, ", s", $x, ", s", $w, "\n"),*)
    };
}

/// Converts the halves of registers: two to each pair.
macro_rules! halves {
    ($($packed:literal => $low:literal $high:literal),*) => {
        concat!($(
            "vcvtb.f32.f16 s", $low, ", s", $packed, "\n",
            "vcvtt.f32.f16 s", $high, ", s", $packed, "\n"
        ),*)
    };
}

/// Loads bytes from where a register points to registers of the unit, as numbers, and moves it behind them; uses
/// another.
macro_rules! bytes {
    ($from:literal, $word:literal, $($s:literal)*) => {
        concat!($(
            "ldrsb {", $word, "}, [{", $from, "}], #1\n",
            "vmov s", $s, ", {", $word, "}\n",
            "vcvt.f32.s32 s", $s, ", s", $s, "\n"
        ),*)
    };
}

/// Sets the sums in the `D` registers to 0.
macro_rules! clear {
    ($($d:literal)*) => {
        concat!("mov {n}, #0\n" $(, "vmov d", $d, ", {n}, {n}\n")*)
    };
}

/// Goes to the next tap of two rows (label 3), the next kernel row (label 2) or the end (label 9).
macro_rules! next_tap {
    () => {
        "subs {runs}, {runs}, #1
        beq 8f
        ldr {n}, [{taps}, #12]
        add {x}, {x}, {n}
        ldr {n}, [{taps}, #16]
        add {w0}, {w0}, {n}
        add {w1}, {w1}, {n}
        b 3b
        8:
        subs {lines}, {lines}, #1
        beq 9f
        ldr {n}, [{taps}, #20]
        add {x}, {x}, {n}
        ldr {n}, [{taps}, #24]
        add {w0}, {w0}, {n}
        add {w1}, {w1}, {n}
        b 2b
        9:"
    };
}

/// Starts with the first tap of several channels.
macro_rules! first_tap {
    () => {
        "ldr {x_gap}, [{taps}, #12]
        ldr {w_gap}, [{taps}, #16]
        ldr {lines}, [{taps}]
        2:
        ldr {runs}, [{taps}, #4]
        3:"
    };
}

/// Goes to the next tap of several channels (label 3), the next kernel row (label 2) or the end (label 9).
macro_rules! next_tap_of_channels {
    () => {
        "add {x}, {x}, {x_gap}
        add {w}, {w}, {w_gap}
        subs {runs}, {runs}, #1
        bne 3b
        subs {lines}, {lines}, #1
        beq 9f
        ldr {n}, [{taps}, #20]
        add {x}, {x}, {n}
        sub {x}, {x}, {x_gap}
        ldr {n}, [{taps}, #24]
        add {w}, {w}, {n}
        sub {w}, {w}, {w_gap}
        b 2b
        9:"
    };
}

/// Adds the lanes of both rows and stores the totals.
macro_rules! store_totals {
    () => {
        "vadd.f32 s0, s0, s4
        vadd.f32 s8, s8, s12
        vadd.f32 s2, s2, s6
        vadd.f32 s10, s10, s14
        vadd.f32 s1, s1, s5
        vadd.f32 s9, s9, s13
        vadd.f32 s3, s3, s7
        vadd.f32 s11, s11, s15
        vadd.f32 s0, s0, s2
        vadd.f32 s8, s8, s10
        vadd.f32 s1, s1, s3
        vadd.f32 s9, s9, s11
        vadd.f32 s0, s0, s1
        vadd.f32 s1, s8, s9
        vstmia {outputs}, {{s0, s1}}"
    };
}

/// Multiplies one element of both rows and adds the products to a lane; sets the zero flag if it was the last.
macro_rules! one_element {
    (f32, $first:literal, $second:literal) => {
        concat!(
            "vldmia {x}!, {{s16}}
            vldmia {w0}!, {{s24}}
            vldmia {w1}!, {{s25}}\n",
            multiply_add!($first $second, 16 16, 24 25),
            "subs {n}, {n}, #1"
        )
    };
    (f16, $first:literal, $second:literal) => {
        concat!(
            "vldmia {x}!, {{s16}}
            ldrh {w}, [{w0}], #2
            vmov s24, {w}
            ldrh {w}, [{w1}], #2
            vmov s25, {w}
            vcvtb.f32.f16 s24, s24
            vcvtb.f32.f16 s25, s25\n",
            multiply_add!($first $second, 16 16, 24 25),
            "subs {n}, {n}, #1"
        )
    };
    (i8, $first:literal, $second:literal) => {
        concat!(
            "vldmia {x}!, {{s16}}\n",
            bytes!("w0", "w", 24),
            bytes!("w1", "w", 25),
            multiply_add!($first $second, 16 16, 24 25),
            "subs {n}, {n}, #1"
        )
    };
}

/// The products of eight elements of a row, whose weights are in eight registers or, as halves, in four.
macro_rules! eight_lanes {
    (f32, $($sum:literal)*) => {
        multiply_add!($($sum)*, 16 17 18 19 20 21 22 23, 24 25 26 27 28 29 30 31)
    };
    (f16, $a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal) => {
        concat!(
            halves!(24 => 28 29, 25 => 30 31),
            multiply_add!($a $b $c $d, 16 17 18 19, 28 29 30 31),
            halves!(26 => 28 29, 27 => 30 31),
            multiply_add!($e $f $g $h, 20 21 22 23, 28 29 30 31)
        )
    };
}

/// Replaces four numbers by one, each if its comparison with that has a result.
macro_rules! replace_if {
    ($condition:literal, $bound:literal) => {
        replace_if!(@ $condition, $bound, "s0" "s1" "s2" "s3")
    };
    (@ $condition:literal, $bound:literal, $($x:literal)*) => {
        concat!($(replace_if!(@@ $condition, $bound, $x)),*)
    };
    (@@ $condition:literal, $bound:literal, $x:literal) => {
        concat!(
            "vcmp.f32 ", $x, ", ", $bound, "
            vmrs APSR_nzcv, FPSCR
            it ", $condition, "
            vmov", $condition, ".f32 ", $x, ", ", $bound, "\n"
        )
    };
}

impl Element for f32 {
    #[inline]
    unsafe fn multiply_pair(taps: &Taps, input: *const f32, [row, next]: [*const Self; 2], totals: &mut [f32; 2]) {
        // SAFETY: the loops read the taps' elements from where the three pointers point, as the caller guarantees, and
        // write both totals.
        unsafe {
            asm!(
                "vldmia {n}, {{s0-s15}}",
                "ldr {lines}, [{taps}]",
                "2:",
                "ldr {runs}, [{taps}, #4]",
                "3:",
                "ldr {n}, [{taps}, #8]",
                "subs {n}, {n}, #8",
                "blo 5f",
                "4:",
                "vldmia {x}!, {{s16-s23}}",
                "vldmia {w0}!, {{s24-s31}}",
                eight_lanes!(f32, 0 1 2 3 4 5 6 7),
                "vldmia {w1}!, {{s24-s31}}",
                eight_lanes!(f32, 8 9 10 11 12 13 14 15),
                "subs {n}, {n}, #8",
                "bhs 4b",
                "5:",
                // At most seven elements are left.
                "adds {n}, {n}, #8",
                "beq 7f",
                "cmp {n}, #4",
                "blo 6f",
                "vldmia {x}!, {{s16-s19}}",
                "vldmia {w0}!, {{s24-s27}}",
                "vldmia {w1}!, {{s28-s31}}",
                multiply_add!(0 1 2 3, 16 17 18 19, 24 25 26 27),
                multiply_add!(8 9 10 11, 16 17 18 19, 28 29 30 31),
                "subs {n}, {n}, #4",
                "beq 7f",
                one_element!(f32, 4, 12),
                "beq 7f",
                one_element!(f32, 5, 13),
                "beq 7f",
                one_element!(f32, 6, 14),
                "b 7f",
                "6:",
                one_element!(f32, 0, 8),
                "beq 7f",
                one_element!(f32, 1, 9),
                "beq 7f",
                one_element!(f32, 2, 10),
                "7:",
                next_tap!(),
                store_totals!(),
                taps = in(reg) taps,
                x = inout(reg) input => _,
                w0 = inout(reg) row => _,
                w1 = inout(reg) next => _,
                lines = out(reg) _,
                runs = out(reg) _,
                n = inout(reg) &raw const ZEROS => _,
                outputs = in(reg) totals,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d4") _,
                out("d5") _,
                out("d6") _,
                out("d7") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                options(nostack),
            );
        }
    }

    #[inline]
    unsafe fn multiply_taps(taps: &Taps, input: *const f32, weights: *const Self, outputs: *mut f32) {
        // SAFETY: the loops read the taps' elements from where the two pointers point, and write as many outputs, as the
        // caller guarantees.
        unsafe {
            match taps.len {
                16 => asm!(
                        clear!(0 1 2 3 4 5 6 7),
                        first_tap!(),
                        "vldmia {x}!, {{s16-s23}}",
                        "vldmia {w}!, {{s24-s31}}",
                        eight_lanes!(f32, 0 1 2 3 4 5 6 7),
                        "vldmia {x}!, {{s16-s23}}",
                        "vldmia {w}!, {{s24-s31}}",
                        eight_lanes!(f32, 8 9 10 11 12 13 14 15),
                        next_tap_of_channels!(),
                        "vstmia {outputs}, {{s0-s15}}",
                        taps = in(reg) taps,
                        x = inout(reg) input => _,
                        w = inout(reg) weights => _,
                        outputs = in(reg) outputs,
                        x_gap = out(reg) _,
                        w_gap = out(reg) _,
                        lines = out(reg) _,
                        runs = out(reg) _,
                        n = out(reg) _,
                        out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d4") _,
                out("d5") _,
                out("d6") _,
                out("d7") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                        options(nostack),
                    ),
                8 => asm!(
                        clear!(0 1 2 3),
                        first_tap!(),
                        "vldmia {x}!, {{s16-s23}}",
                        "vldmia {w}!, {{s24-s31}}",
                        eight_lanes!(f32, 0 1 2 3 4 5 6 7),
                        next_tap_of_channels!(),
                        "vstmia {outputs}, {{s0-s7}}",
                        taps = in(reg) taps,
                        x = inout(reg) input => _,
                        w = inout(reg) weights => _,
                        outputs = in(reg) outputs,
                        x_gap = out(reg) _,
                        w_gap = out(reg) _,
                        lines = out(reg) _,
                        runs = out(reg) _,
                        n = out(reg) _,
                        out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                        options(nostack),
                    ),
                _ => asm!(
                        clear!(0),
                        first_tap!(),
                        "vldmia {x}!, {{s16}}",
                        "vldmia {w}!, {{s24}}",
                        "vmla.f32 s0, s16, s24",
                        next_tap_of_channels!(),
                        "vstmia {outputs}, {{s0}}",
                        taps = in(reg) taps,
                        x = inout(reg) input => _,
                        w = inout(reg) weights => _,
                        outputs = in(reg) outputs,
                        x_gap = out(reg) _,
                        w_gap = out(reg) _,
                        lines = out(reg) _,
                        runs = out(reg) _,
                        n = out(reg) _,
                        out("d0") _,
                out("d8") _,
                out("d12") _,
                        options(nostack),
                    ),
            }
        }
    }
}

impl Element for f16 {
    #[inline]
    unsafe fn multiply_pair(taps: &Taps, input: *const f32, [row, next]: [*const Self; 2], totals: &mut [f32; 2]) {
        // SAFETY: the loops read the taps' elements from where the three pointers point, as the caller guarantees, and
        // write both totals. Two weights are loaded at once only where both rows are at a multiple of four bytes.
        unsafe {
            asm!(
                "vldmia {n}, {{s0-s15}}",
                "ldr {lines}, [{taps}]",
                "2:",
                "ldr {runs}, [{taps}, #4]",
                "3:",
                "ldr {n}, [{taps}, #8]",
                "orr {w}, {w0}, {w1}",
                "tst {w}, #3",
                "bne 6f",
                "subs {n}, {n}, #8",
                "blo 5f",
                "4:",
                "vldmia {x}!, {{s16-s23}}",
                "vldmia {w0}!, {{s24-s27}}",
                eight_lanes!(f16, 0 1 2 3 4 5 6 7),
                "vldmia {w1}!, {{s24-s27}}",
                eight_lanes!(f16, 8 9 10 11 12 13 14 15),
                "subs {n}, {n}, #8",
                "bhs 4b",
                "5:",
                // At most seven elements are left.
                "add {n}, {n}, #8",
                "cmp {n}, #4",
                "blo 6f",
                "vldmia {x}!, {{s16-s19}}",
                "vldmia {w0}!, {{s24, s25}}",
                "vldmia {w1}!, {{s26, s27}}",
                halves!(24 => 28 29, 25 => 30 31),
                multiply_add!(0 1 2 3, 16 17 18 19, 28 29 30 31),
                halves!(26 => 28 29, 27 => 30 31),
                multiply_add!(8 9 10 11, 16 17 18 19, 28 29 30 31),
                "subs {n}, {n}, #4",
                "beq 7f",
                "b 5f",
                "6:",
                // A few, or all because they lie at odd addresses.
                "cmp {n}, #0",
                "beq 7f",
                "4:",
                one_element!(f16, 0, 8),
                "beq 7f",
                one_element!(f16, 1, 9),
                "beq 7f",
                one_element!(f16, 2, 10),
                "beq 7f",
                one_element!(f16, 3, 11),
                "beq 7f",
                "5:",
                one_element!(f16, 4, 12),
                "beq 7f",
                one_element!(f16, 5, 13),
                "beq 7f",
                one_element!(f16, 6, 14),
                "beq 7f",
                one_element!(f16, 7, 15),
                "bne 4b",
                "7:",
                next_tap!(),
                store_totals!(),
                taps = in(reg) taps,
                x = inout(reg) input => _,
                w0 = inout(reg) row => _,
                w1 = inout(reg) next => _,
                lines = out(reg) _,
                runs = out(reg) _,
                n = inout(reg) &raw const ZEROS => _,
                w = out(reg) _,
                outputs = in(reg) totals,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d4") _,
                out("d5") _,
                out("d6") _,
                out("d7") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                options(nostack),
            );
        }
    }

    #[inline]
    unsafe fn multiply_taps(taps: &Taps, input: *const f32, weights: *const Self, outputs: *mut f32) {
        // SAFETY: the loops read the taps' elements from where the two pointers point, and write as many outputs, as the
        // caller guarantees.
        unsafe {
            match taps.len {
                16 => asm!(
                        clear!(0 1 2 3 4 5 6 7),
                        first_tap!(),
                        "vldmia {x}!, {{s16-s23}}",
                        "vldmia {w}!, {{s24-s27}}",
                        eight_lanes!(f16, 0 1 2 3 4 5 6 7),
                        "vldmia {x}!, {{s16-s23}}",
                        "vldmia {w}!, {{s24-s27}}",
                        eight_lanes!(f16, 8 9 10 11 12 13 14 15),
                        next_tap_of_channels!(),
                        "vstmia {outputs}, {{s0-s15}}",
                        taps = in(reg) taps,
                        x = inout(reg) input => _,
                        w = inout(reg) weights => _,
                        outputs = in(reg) outputs,
                        x_gap = out(reg) _,
                        w_gap = out(reg) _,
                        lines = out(reg) _,
                        runs = out(reg) _,
                        n = out(reg) _,
                        out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d4") _,
                out("d5") _,
                out("d6") _,
                out("d7") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                        options(nostack),
                    ),
                8 => asm!(
                        clear!(0 1 2 3),
                        first_tap!(),
                        "vldmia {x}!, {{s16-s23}}",
                        "vldmia {w}!, {{s24-s27}}",
                        eight_lanes!(f16, 0 1 2 3 4 5 6 7),
                        next_tap_of_channels!(),
                        "vstmia {outputs}, {{s0-s7}}",
                        taps = in(reg) taps,
                        x = inout(reg) input => _,
                        w = inout(reg) weights => _,
                        outputs = in(reg) outputs,
                        x_gap = out(reg) _,
                        w_gap = out(reg) _,
                        lines = out(reg) _,
                        runs = out(reg) _,
                        n = out(reg) _,
                        out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                        options(nostack),
                    ),
                _ => asm!(
                        clear!(0),
                        first_tap!(),
                        "vldmia {x}!, {{s16}}",
                        "ldrh {n}, [{w}], #2",
                        "vmov s24, {n}",
                        "vcvtb.f32.f16 s24, s24",
                        "vmla.f32 s0, s16, s24",
                        next_tap_of_channels!(),
                        "vstmia {outputs}, {{s0}}",
                        taps = in(reg) taps,
                        x = inout(reg) input => _,
                        w = inout(reg) weights => _,
                        outputs = in(reg) outputs,
                        x_gap = out(reg) _,
                        w_gap = out(reg) _,
                        lines = out(reg) _,
                        runs = out(reg) _,
                        n = out(reg) _,
                        out("d0") _,
                out("d8") _,
                out("d12") _,
                        options(nostack),
                    ),
            }
        }
    }
}

impl Element for i8 {
    #[inline]
    unsafe fn multiply_pair(taps: &Taps, input: *const f32, [row, next]: [*const Self; 2], totals: &mut [f32; 2]) {
        // SAFETY: the loops read the taps' elements from where the three pointers point, as the caller guarantees, and
        // write both totals.
        unsafe {
            asm!(
                "vldmia {n}, {{s0-s15}}",
                "ldr {lines}, [{taps}]",
                "2:",
                "ldr {runs}, [{taps}, #4]",
                "3:",
                "ldr {n}, [{taps}, #8]",
                "subs {n}, {n}, #8",
                "blo 5f",
                "4:",
                "vldmia {x}!, {{s16-s23}}",
                bytes!("w0", "w", 24 25 26 27 28 29 30 31),
                eight_lanes!(f32, 0 1 2 3 4 5 6 7),
                bytes!("w1", "w", 24 25 26 27 28 29 30 31),
                eight_lanes!(f32, 8 9 10 11 12 13 14 15),
                "subs {n}, {n}, #8",
                "bhs 4b",
                "5:",
                // At most seven elements are left.
                "adds {n}, {n}, #8",
                "beq 7f",
                one_element!(i8, 0, 8),
                "beq 7f",
                one_element!(i8, 1, 9),
                "beq 7f",
                one_element!(i8, 2, 10),
                "beq 7f",
                one_element!(i8, 3, 11),
                "beq 7f",
                one_element!(i8, 4, 12),
                "beq 7f",
                one_element!(i8, 5, 13),
                "beq 7f",
                one_element!(i8, 6, 14),
                "7:",
                next_tap!(),
                store_totals!(),
                taps = in(reg) taps,
                x = inout(reg) input => _,
                w0 = inout(reg) row => _,
                w1 = inout(reg) next => _,
                lines = out(reg) _,
                runs = out(reg) _,
                n = inout(reg) &raw const ZEROS => _,
                w = out(reg) _,
                outputs = in(reg) totals,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d4") _,
                out("d5") _,
                out("d6") _,
                out("d7") _,
                out("d8") _,
                out("d9") _,
                out("d10") _,
                out("d11") _,
                out("d12") _,
                out("d13") _,
                out("d14") _,
                out("d15") _,
                options(nostack),
            );
        }
    }

    #[inline]
    unsafe fn multiply_taps(taps: &Taps, input: *const f32, weights: *const Self, outputs: *mut f32) {
        // SAFETY: the loops read the taps' elements from where the two pointers point, and write as many outputs, as
        // the caller guarantees.
        unsafe {
            match taps.len {
                16 => asm!(
                    clear!(0 1 2 3 4 5 6 7),
                    first_tap!(),
                    "vldmia {x}!, {{s16-s23}}",
                    bytes!("w", "n", 24 25 26 27 28 29 30 31),
                    eight_lanes!(f32, 0 1 2 3 4 5 6 7),
                    "vldmia {x}!, {{s16-s23}}",
                    bytes!("w", "n", 24 25 26 27 28 29 30 31),
                    eight_lanes!(f32, 8 9 10 11 12 13 14 15),
                    next_tap_of_channels!(),
                    "vstmia {outputs}, {{s0-s15}}",
                    taps = in(reg) taps,
                    x = inout(reg) input => _,
                    w = inout(reg) weights => _,
                    outputs = in(reg) outputs,
                    x_gap = out(reg) _,
                    w_gap = out(reg) _,
                    lines = out(reg) _,
                    runs = out(reg) _,
                    n = out(reg) _,
                    out("d0") _,
                    out("d1") _,
                    out("d2") _,
                    out("d3") _,
                    out("d4") _,
                    out("d5") _,
                    out("d6") _,
                    out("d7") _,
                    out("d8") _,
                    out("d9") _,
                    out("d10") _,
                    out("d11") _,
                    out("d12") _,
                    out("d13") _,
                    out("d14") _,
                    out("d15") _,
                    options(nostack),
                ),
                8 => asm!(
                    clear!(0 1 2 3),
                    first_tap!(),
                    "vldmia {x}!, {{s16-s23}}",
                    bytes!("w", "n", 24 25 26 27 28 29 30 31),
                    eight_lanes!(f32, 0 1 2 3 4 5 6 7),
                    next_tap_of_channels!(),
                    "vstmia {outputs}, {{s0-s7}}",
                    taps = in(reg) taps,
                    x = inout(reg) input => _,
                    w = inout(reg) weights => _,
                    outputs = in(reg) outputs,
                    x_gap = out(reg) _,
                    w_gap = out(reg) _,
                    lines = out(reg) _,
                    runs = out(reg) _,
                    n = out(reg) _,
                    out("d0") _,
                    out("d1") _,
                    out("d2") _,
                    out("d3") _,
                    out("d8") _,
                    out("d9") _,
                    out("d10") _,
                    out("d11") _,
                    out("d12") _,
                    out("d13") _,
                    out("d14") _,
                    out("d15") _,
                    options(nostack),
                ),
                _ => asm!(
                    clear!(0),
                    first_tap!(),
                    "vldmia {x}!, {{s16}}",
                    bytes!("w", "n", 24),
                    "vmla.f32 s0, s16, s24",
                    next_tap_of_channels!(),
                    "vstmia {outputs}, {{s0}}",
                    taps = in(reg) taps,
                    x = inout(reg) input => _,
                    w = inout(reg) weights => _,
                    outputs = in(reg) outputs,
                    x_gap = out(reg) _,
                    w_gap = out(reg) _,
                    lines = out(reg) _,
                    runs = out(reg) _,
                    n = out(reg) _,
                    out("d0") _,
                    out("d8") _,
                    out("d12") _,
                    options(nostack),
                ),
            }
        }
    }
}

/// [`products::add_bias`]: four at a time.
#[inline(never)]
pub(crate) fn add_bias(sums: &mut [f32], bias: &[f32], [min, max]: [f32; 2]) {
    // In an empty range the order of the comparisons matters.
    let fours = if bias.len() < sums.len() || min > max { 0 } else { sums.len() / 4 };
    if fours > 0 {
        // SAFETY: the loop reads `fours * 4` elements of both slices and writes as many sums. It does nothing for a bound
        // beyond which no number lies.
        unsafe {
            asm!(
                "vmov s8, s9, {min}, {max}",
                "2:",
                "vldmia {sums}, {{s0-s3}}",
                "vldmia {bias}!, {{s4-s7}}",
                "vadd.f32 s0, s0, s4",
                "vadd.f32 s1, s1, s5",
                "vadd.f32 s2, s2, s6",
                "vadd.f32 s3, s3, s7",
                "cbz r1, 3f",
                replace_if!("gt", "s9"),
                "3:",
                "cbz r0, 4f",
                replace_if!("mi", "s8"),
                "4:",
                "vstmia {sums}!, {{s0-s3}}",
                "subs {fours}, {fours}, #1",
                "bne 2b",
                sums = inout(reg) sums.as_mut_ptr() => _,
                bias = inout(reg) bias.as_ptr() => _,
                fours = inout(reg) fours => _,
                min = in(reg) min.to_bits(),
                max = in(reg) max.to_bits(),
                in("r0") u32::from(min > f32::NEG_INFINITY),
                in("r1") u32::from(max < f32::INFINITY),
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                out("d4") _,
                options(nostack),
            );
        }
    }
    let done = fours * 4;
    if let Some(rest) = sums.get_mut(done..) {
        products::add_bias(rest, tail(bias, done), [min, max]);
    }
}

/// The value of a half; of one that is not a number, another such.
#[inline]
pub(crate) fn half_to_f32(x: f16) -> f32 {
    let mut bits = u32::from(x.to_bits());
    // SAFETY: it uses registers only.
    unsafe {
        asm!(
            "vmov s0, {bits}",
            "vcvtb.f32.f16 s0, s0",
            "vmov {bits}, s0",
            bits = inout(reg) bits,
            out("d0") _,
            options(pure, nomem, nostack),
        );
    }
    f32::from_bits(bits)
}

/// Rounds to the nearest half, ties to even.
#[inline]
pub(crate) fn f32_to_half(x: f32) -> f16 {
    let mut bits = x.to_bits();
    // SAFETY: it uses registers only.
    unsafe {
        asm!(
            "vmov s0, {bits}",
            "vcvtb.f16.f32 s0, s0",
            "vmov {bits}, s0",
            bits = inout(reg) bits,
            out("d0") _,
            options(pure, nomem, nostack),
        );
    }
    f16::from_bits(bits as u16)
}
