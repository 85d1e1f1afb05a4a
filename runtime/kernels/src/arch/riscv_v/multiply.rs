//! Products of inputs with filters: two inputs or one with four filters at a time.
//!
//! A vector is a part of a run of an input, or of a filter. Its products with the other operand are widened to 16 bits,
//! which every such product fits, and one instruction adds all of them to a 32-bit sum. The sums of up to four inputs
//! with [`CHANNELS`] filters, or of one with four times as many, are requantized together.

use super::finish::{CHANNELS, SUMS_STEP, Sums, Tile, finish};
use super::types::{Types, register_bytes};
use crate::composed;
use crate::matrix::{Filters, Inputs};
use core::arch::asm;

/// The maximum number of inputs whose sums are requantized together.
const PIXELS: usize = 4;

/// [`composed::multiply`].
///
/// Where filters are left over from groups of four, the last group begins so much earlier that it is whole; its outputs
/// are the same again.
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let Filters { weights, channels, len, offset, output } = *filters;
    let Inputs { values, count, step, .. } = *inputs;
    let rows = channels.len();
    if rows < 4 || len == 0 {
        composed::multiply(filters, inputs, output_step, outputs);
        return;
    }
    if count == 0 || !inputs.fit(filters, output_step, outputs.len()) {
        return;
    }
    let window = Window::new(inputs, len, register_bytes());
    let mut sums = Sums::<PIXELS>::new();
    let mut pixel = 0;
    while pixel < count {
        let pixels = (count - pixel).min(PIXELS);
        // One input has the sums of all.
        let block = if pixels == 1 { PIXELS * CHANNELS } else { CHANNELS };
        let mut row = 0;
        while row < rows {
            let row_count = (rows - row).clamp(4, block);
            let first = row.min(rows - 4);
            let weights = weights.as_ptr().wrapping_add(first * len);
            let mut i = 0;
            while i < pixels {
                let (tile, together) = window.tile(pixels - i, row_count);
                let input = values.as_ptr().wrapping_add((pixel + i) * step);
                // SAFETY: `fit` has checked that all inputs, filters and outputs lie within their slices. `row_count`
                // filters are read from the first on, which are at least four, and as many sums of each pixel written.
                unsafe { tile(input, weights, row_count, &window, sums.of_pixel(i)) };
                i += together;
            }
            let tile = Tile {
                pixels,
                channels: channels.as_ptr().wrapping_add(first),
                channel_count: row_count,
                outputs: outputs.as_mut_ptr().wrapping_add(pixel * output_step + first),
                output_step,
            };
            // SAFETY: as above, and the sums are those written before.
            unsafe { finish(sums.of_pixel(0), &tile, offset, &output) };
            row += block;
        }
        pixel += pixels;
    }
}

/// Multiplies inputs with a number of rows of weights, and writes their sums.
type Multiply = unsafe fn(*const i8, *const i8, usize, &Window, *mut i32);

/// The shape of an input and of a filter.
struct Window {
    /// An input's runs, the distance from the end of one to the start of the next, and the number of their elements.
    lines: usize,
    next: usize,
    run: usize,
    /// The distance from an input to the next.
    step: usize,
    /// The number of elements of a filter.
    len: usize,
    types: Types,
    register_bytes: usize,
}

impl Window {
    #[inline]
    fn new(inputs: &Inputs<'_>, len: usize, register_bytes: usize) -> Self {
        let Inputs { step, lines, line, run, .. } = *inputs;
        let types = Types::new(run, 0, register_bytes);
        Self { lines, next: line.wrapping_sub(run), run, step, len, types, register_bytes }
    }

    /// How to multiply some of `count` inputs with `rows` rows, and the number of these inputs.
    #[inline]
    fn tile(&self, count: usize, rows: usize) -> (Multiply, usize) {
        let fits = |registers: usize| self.lines == 1 && self.run <= registers * self.register_bytes;
        // Whether rows fill groups of eight registers.
        let fills = self.lines == 1 && self.run & (8 * self.register_bytes - 1) == 0;
        if count >= 4 && fits(2) {
            (vectors_of_4, 4)
        } else if fills && rows >= 8 {
            (groups_of_1, 1)
        } else if fits(4) {
            if count >= 2 { (vectors_of_2, 2) } else { (vector_of_1, 1) }
        } else if count >= 2 {
            (runs_of_2, 2)
        } else {
            (runs_of_1, 1)
        }
    }
}

/// Goes on with the next `$rows` rows at `$loop`. `{left}` rows are left; if they are fewer, goes back by as many as are
/// missing. `{a}` and `{b}` are free.
macro_rules! next_rows {
    ($rows:literal, $loop:literal) => {
        concat!(
            "addi {left}, {left}, -",
            $rows,
            "\n",
            "beqz {left}, 9f\n",
            "addi {sums}, {sums}, 4 * ",
            $rows,
            "\n",
            "addi {a}, {left}, -",
            $rows,
            "\n",
            "bgez {a}, ",
            $loop,
            "b\n",
            "li {left}, ",
            $rows,
            "\n",
            "slli {b}, {a}, 2\n",
            "add {sums}, {sums}, {b}\n",
            "mul {a}, {a}, {len}\n",
            "add {w}, {w}, {a}\n",
            "j ",
            $loop,
            "b\n",
            "9:\n",
        )
    };
}

/// Writes four sums from byte `$at` on, `$step` bytes apart: of an input with four rows, or of four inputs with a row.
macro_rules! store_sums {
    ($at:literal, $step:literal, $s0:literal, $s1:literal, $s2:literal, $s3:literal) => {
        concat!(
            "vmv.x.s {a}, ",
            $s0,
            "\n",
            "vmv.x.s {b}, ",
            $s1,
            "\n",
            "vmv.x.s {c}, ",
            $s2,
            "\n",
            "vmv.x.s {d}, ",
            $s3,
            "\n",
            "sw {a}, ",
            $at,
            "({sums})\n",
            "sw {b}, ",
            $at,
            " + ",
            $step,
            "({sums})\n",
            "sw {c}, ",
            $at,
            " + 2 * ",
            $step,
            "({sums})\n",
            "sw {d}, ",
            $at,
            " + 3 * ",
            $step,
            "({sums})\n",
        )
    };
}

/// Products of two vectors of inputs, in v8 and v12, with the vector of a row at `$row`, which goes on by `$by`; added to
/// `$from_a` and `$from_b`.
macro_rules! row_of_2 {
    ($row:literal, $by:literal, $a:literal + $from_a:literal, $b:literal + $from_b:literal) => {
        concat!(
            "vle8.v v28, (",
            $row,
            ")\n",
            "add ",
            $row,
            ", ",
            $row,
            ", ",
            $by,
            "\n",
            "vwmul.vv v16, v8, v28\n",
            // The row is in the upper half of the products.
            "vwmul.vv v24, v12, v28\n",
            "vsetvl zero, zero, {wide}\n",
            "vwredsum.vs ",
            $a,
            ", v16, ",
            $from_a,
            "\n",
            "vwredsum.vs ",
            $b,
            ", v24, ",
            $from_b,
            "\n",
        )
    };
}

/// Products of a vector of an input, in v8, with the vectors of two rows.
macro_rules! rows_of_1 {
    ($row_a:literal, $row_b:literal, $by:literal, $a:literal + $from_a:literal, $b:literal + $from_b:literal) => {
        concat!(
            "vle8.v v20, (",
            $row_a,
            ")\n",
            "add ",
            $row_a,
            ", ",
            $row_a,
            ", ",
            $by,
            "\n",
            "vle8.v v28, (",
            $row_b,
            ")\n",
            "add ",
            $row_b,
            ", ",
            $row_b,
            ", ",
            $by,
            "\n",
            // The rows are in the upper halves of the products.
            "vwmul.vv v16, v8, v20\n",
            "vwmul.vv v24, v8, v28\n",
            "vsetvl zero, zero, {wide}\n",
            "vwredsum.vs ",
            $a,
            ", v16, ",
            $from_a,
            "\n",
            "vwredsum.vs ",
            $b,
            ", v24, ",
            $from_b,
            "\n",
        )
    };
}

/// Multiplies two inputs that are one vector each, with `row_count` rows, at least four.
///
/// # Safety
/// The inputs, the rows and their sums must be there, and the types hold a whole input.
#[inline(never)]
unsafe fn vectors_of_2(input: *const i8, weights: *const i8, row_count: usize, window: &Window, sums: *mut i32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "vsetivli zero, 1, e32, m1, ta, ma",
            "vmv.s.x v0, zero",
            "vsetvl zero, {len}, {narrow}",
            "vle8.v v8, ({a})",
            "vle8.v v12, ({b})",
            "2:",
            "vsetvl zero, {len}, {narrow}",
            row_of_2!("{w}", "{len}", "v1" + "v0", "v2" + "v0"),
            "vsetvl zero, zero, {narrow}",
            row_of_2!("{w}", "{len}", "v3" + "v0", "v4" + "v0"),
            "vsetvl zero, zero, {narrow}",
            row_of_2!("{w}", "{len}", "v5" + "v0", "v6" + "v0"),
            "vsetvl zero, zero, {narrow}",
            row_of_2!("{w}", "{len}", "v7" + "v0", "v0" + "v0"),
            "vsetivli zero, 1, e32, m1, ta, ma",
            store_sums!("0", "4", "v1", "v3", "v5", "v7"),
            store_sums!("{sums_step}", "4", "v2", "v4", "v6", "v0"),
            "vmv.s.x v0, zero",
            next_rows!("4", "2"),
            a = inout(reg) input => _,
            b = inout(reg) input.wrapping_add(window.step) => _,
            c = out(reg) _,
            d = out(reg) _,
            w = inout(reg) weights => _,
            sums = inout(reg) sums => _,
            left = inout(reg) row_count => _,
            len = in(reg) window.len,
            narrow = in(reg) window.types.narrow,
            wide = in(reg) window.types.wide,
            sums_step = const SUMS_STEP,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}

/// Multiplies an input that is one vector with `row_count` rows, at least four.
///
/// # Safety
/// The input, the rows and their sums must be there, and the types hold a whole input.
#[inline(never)]
unsafe fn vector_of_1(input: *const i8, weights: *const i8, row_count: usize, window: &Window, sums: *mut i32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "vsetivli zero, 1, e32, m1, ta, ma",
            "vmv.s.x v0, zero",
            "vsetvl zero, {len}, {narrow}",
            "vle8.v v8, ({a})",
            "2:",
            "vsetvl zero, {len}, {narrow}",
            rows_of_1!("{w}", "{w}", "{len}", "v1" + "v0", "v2" + "v0"),
            "vsetvl zero, zero, {narrow}",
            rows_of_1!("{w}", "{w}", "{len}", "v3" + "v0", "v4" + "v0"),
            "vsetivli zero, 1, e32, m1, ta, ma",
            store_sums!("0", "4", "v1", "v2", "v3", "v4"),
            next_rows!("4", "2"),
            a = inout(reg) input => _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            w = inout(reg) weights => _,
            sums = inout(reg) sums => _,
            left = inout(reg) row_count => _,
            len = in(reg) window.len,
            narrow = in(reg) window.types.narrow,
            wide = in(reg) window.types.wide,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}

/// Multiplies two inputs of any shape, with `row_count` rows, at least four.
///
/// # Safety
/// The inputs, the rows and their sums must be there, and neither `lines` nor `run` may be 0.
#[inline(never)]
unsafe fn runs_of_2(input: *const i8, weights: *const i8, row_count: usize, window: &Window, sums: *mut i32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "2:",
            "vsetvli {c}, zero, e32, m8, ta, ma",
            "vmv.v.i v0, 0",
            "mv {a}, {x0}",
            "mv {b}, {x1}",
            "add {w1}, {w}, {len}",
            "add {w2}, {w1}, {len}",
            "add {w3}, {w2}, {len}",
            "mv {line}, {lines}",
            "3:",
            "mv {d}, {run}",
            "4:",
            "vsetvl {c}, {d}, {narrow}",
            "vle8.v v8, ({a})",
            "add {a}, {a}, {c}",
            "vle8.v v12, ({b})",
            "add {b}, {b}, {c}",
            row_of_2!("{w}", "{c}", "v0" + "v0", "v1" + "v1"),
            "vsetvl zero, zero, {narrow}",
            row_of_2!("{w1}", "{c}", "v2" + "v2", "v3" + "v3"),
            "vsetvl zero, zero, {narrow}",
            row_of_2!("{w2}", "{c}", "v4" + "v4", "v5" + "v5"),
            "vsetvl zero, zero, {narrow}",
            row_of_2!("{w3}", "{c}", "v6" + "v6", "v7" + "v7"),
            "sub {d}, {d}, {c}",
            "bnez {d}, 4b",
            "add {a}, {a}, {next}",
            "add {b}, {b}, {next}",
            "addi {line}, {line}, -1",
            "bnez {line}, 3b",
            "mv {w}, {w3}",
            "vsetivli zero, 1, e32, m1, ta, ma",
            store_sums!("0", "4", "v0", "v2", "v4", "v6"),
            store_sums!("{sums_step}", "4", "v1", "v3", "v5", "v7"),
            next_rows!("4", "2"),
            x0 = in(reg) input,
            x1 = in(reg) input.wrapping_add(window.step),
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            w = inout(reg) weights => _,
            w1 = out(reg) _,
            w2 = out(reg) _,
            w3 = out(reg) _,
            sums = inout(reg) sums => _,
            left = inout(reg) row_count => _,
            line = out(reg) _,
            lines = in(reg) window.lines,
            next = in(reg) window.next,
            run = in(reg) window.run,
            len = in(reg) window.len,
            narrow = in(reg) window.types.narrow,
            wide = in(reg) window.types.wide,
            sums_step = const SUMS_STEP,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}

/// Multiplies an input of any shape with `row_count` rows, at least four.
///
/// # Safety
/// The input, the rows and their sums must be there, and neither `lines` nor `run` may be 0.
#[inline(never)]
unsafe fn runs_of_1(input: *const i8, weights: *const i8, row_count: usize, window: &Window, sums: *mut i32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "2:",
            "vsetvli {c}, zero, e32, m4, ta, ma",
            "vmv.v.i v0, 0",
            "mv {a}, {x0}",
            "add {w1}, {w}, {len}",
            "add {w2}, {w1}, {len}",
            "add {w3}, {w2}, {len}",
            "mv {b}, {lines}",
            "3:",
            "mv {d}, {run}",
            "4:",
            "vsetvl {c}, {d}, {narrow}",
            "vle8.v v8, ({a})",
            "add {a}, {a}, {c}",
            rows_of_1!("{w}", "{w1}", "{c}", "v0" + "v0", "v1" + "v1"),
            "vsetvl zero, zero, {narrow}",
            rows_of_1!("{w2}", "{w3}", "{c}", "v2" + "v2", "v3" + "v3"),
            "sub {d}, {d}, {c}",
            "bnez {d}, 4b",
            "add {a}, {a}, {next}",
            "addi {b}, {b}, -1",
            "bnez {b}, 3b",
            "mv {w}, {w3}",
            "vsetivli zero, 1, e32, m1, ta, ma",
            store_sums!("0", "4", "v0", "v1", "v2", "v3"),
            next_rows!("4", "2"),
            x0 = in(reg) input,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            w = inout(reg) weights => _,
            w1 = out(reg) _,
            w2 = out(reg) _,
            w3 = out(reg) _,
            sums = inout(reg) sums => _,
            left = inout(reg) row_count => _,
            lines = in(reg) window.lines,
            next = in(reg) window.next,
            run = in(reg) window.run,
            len = in(reg) window.len,
            narrow = in(reg) window.types.narrow,
            wide = in(reg) window.types.wide,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}

/// Multiplies four inputs that are half a vector each, with `row_count` rows, at least one.
///
/// # Safety
/// The inputs, the rows and their sums must be there, and groups of at most two registers hold a whole input.
#[inline(never)]
unsafe fn vectors_of_4(input: *const i8, weights: *const i8, row_count: usize, window: &Window, sums: *mut i32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "vsetivli zero, 1, e32, m1, ta, ma",
            "vmv.s.x v0, zero",
            "vsetvl zero, {len}, {narrow}",
            "vle8.v v8, ({a})",
            "vle8.v v10, ({b})",
            "vle8.v v12, ({c})",
            "vle8.v v14, ({d})",
            "2:",
            "vsetvl zero, {len}, {narrow}",
            "vle8.v v6, ({w})",
            "add {w}, {w}, {len}",
            "vwmul.vv v16, v8, v6",
            "vwmul.vv v20, v10, v6",
            "vwmul.vv v24, v12, v6",
            "vwmul.vv v28, v14, v6",
            "vsetvl zero, zero, {wide}",
            "vwredsum.vs v1, v16, v0",
            "vwredsum.vs v2, v20, v0",
            "vwredsum.vs v3, v24, v0",
            "vwredsum.vs v4, v28, v0",
            "vsetivli zero, 1, e32, m1, ta, ma",
            store_sums!("0", "{sums_step}", "v1", "v2", "v3", "v4"),
            "addi {sums}, {sums}, 4",
            "bne {sums}, {end}, 2b",
            a = inout(reg) input => _,
            b = inout(reg) input.wrapping_add(window.step) => _,
            c = inout(reg) input.wrapping_add(2 * window.step) => _,
            d = inout(reg) input.wrapping_add(3 * window.step) => _,
            w = inout(reg) weights => _,
            sums = inout(reg) sums => _,
            end = in(reg) sums.wrapping_add(row_count),
            len = in(reg) window.len,
            narrow = in(reg) window.types.narrow,
            wide = in(reg) window.types.wide,
            sums_step = const SUMS_STEP,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}

/// Products of a group of eight registers of an input, in v0 to v7, with as much of the row at `{w}`, which goes on to the
/// next row; added to `$sum`.
macro_rules! group_of_row {
    ($sum:literal) => {
        concat!(
            "vl8re8.v v8, ({w})\n",
            "add {w}, {w}, {len}\n",
            "vwmul.vv v16, v0, v8\n",
            // The row is in the upper half of the products.
            "vwmul.vv v8, v4, v12\n",
            "vsetvli zero, zero, e16, m8, ta, ma\n",
            "vwredsum.vs ",
            $sum,
            ", v16, ",
            $sum,
            "\n",
            "vwredsum.vs ",
            $sum,
            ", v8, ",
            $sum,
            "\n",
            "vsetvli zero, zero, e8, m4, ta, ma\n",
        )
    };
}

/// Multiplies an input without gaps with `row_count` rows, at least eight: as much of each as fills a group of eight
/// registers, then the next.
///
/// # Safety
/// The input, the rows and their sums must be there, and a row be a positive multiple of `group` elements, which is the size
/// of eight registers.
#[inline(never)]
unsafe fn groups_of_1(input: *const i8, weights: *const i8, row_count: usize, window: &Window, sums: *mut i32) {
    let group = 8 * window.register_bytes;
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "2:",
            "vsetvli {c}, zero, e32, m8, ta, ma",
            "vmv.v.i v24, 0",
            "vsetvli {c}, zero, e8, m4, ta, ma",
            "mv {x}, {x0}",
            "3:",
            "vl8re8.v v0, ({x})",
            "add {x}, {x}, {group}",
            group_of_row!("v24"),
            group_of_row!("v25"),
            group_of_row!("v26"),
            group_of_row!("v27"),
            group_of_row!("v28"),
            group_of_row!("v29"),
            group_of_row!("v30"),
            group_of_row!("v31"),
            "add {w}, {w}, {back}",
            "bne {x}, {end}, 3b",
            "add {w}, {w}, {forth}",
            "vsetivli zero, 1, e32, m1, ta, ma",
            store_sums!("0", "4", "v24", "v25", "v26", "v27"),
            store_sums!("16", "4", "v28", "v29", "v30", "v31"),
            next_rows!("8", "2"),
            x0 = in(reg) input,
            end = in(reg) input.wrapping_add(window.len),
            x = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            w = inout(reg) weights => _,
            // From the end of a group of the eighth row to the next group of the first, and from the end of the first row
            // to that of the eighth.
            back = in(reg) group.wrapping_sub(8 * window.len),
            forth = in(reg) 7 * window.len,
            group = in(reg) group,
            sums = inout(reg) sums => _,
            left = inout(reg) row_count => _,
            len = in(reg) window.len,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}
