//! Copying inputs with gaps, and short runs.

use super::types::register_bytes;
use crate::matrix::Inputs;
use core::arch::asm;

/// [`composed::gather`](crate::composed::gather), of runs that fit eight registers.
#[inline(never)]
pub(crate) fn gather(inputs: &Inputs<'_>, to: &mut [i8]) -> bool {
    let Inputs { values, count, step, lines, line, run } = *inputs;
    let size = count.saturating_mul(lines).saturating_mul(run);
    if size == 0 || run > 8 * register_bytes() || inputs.end() > values.len() || size > to.len() {
        return false;
    }
    // SAFETY: `lines` runs of `count` inputs lie within the values, as checked above, and as many fit the output; there
    // is a run, and one vector holds it.
    unsafe {
        asm!(
            "vsetvli zero, {run}, e8, m8, ta, ma",
            "2:",
            "mv {x}, {values}",
            "mv {left}, {lines}",
            "3:",
            "vle8.v v8, ({x})",
            "add {x}, {x}, {line}",
            "addi {left}, {left}, -1",
            "vse8.v v8, ({to})",
            "add {to}, {to}, {run}",
            "bnez {left}, 3b",
            "add {values}, {values}, {step}",
            "addi {count}, {count}, -1",
            "bnez {count}, 2b",
            values = inout(reg) values.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            count = inout(reg) count => _,
            lines = in(reg) lines,
            line = in(reg) line,
            run = in(reg) run,
            step = in(reg) step,
            x = out(reg) _,
            left = out(reg) _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            options(nostack),
        );
    }
    true
}

/// [`lines::copy`](crate::lines::copy), without the call of a function for what are few elements.
#[inline]
pub(crate) fn copy_run(output: &mut [i8], input: &[i8]) {
    let len = output.len().min(input.len());
    // SAFETY: both slices have `len` elements, of which the loop reads and writes none if there is none.
    unsafe {
        asm!(
            "2:",
            "vsetvli {now}, {len}, e8, m8, ta, ma",
            "vle8.v v8, ({input})",
            "add {input}, {input}, {now}",
            "sub {len}, {len}, {now}",
            "vse8.v v8, ({output})",
            "add {output}, {output}, {now}",
            "bnez {len}, 2b",
            input = inout(reg) input.as_ptr() => _,
            output = inout(reg) output.as_mut_ptr() => _,
            len = inout(reg) len => _,
            now = out(reg) _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            options(nostack),
        );
    }
}
