//! Words at any address, which Arm's M profile loads and stores from ARMv7-M on.

use core::arch::asm;

/// [`copy`](crate::lines::copy): words, the last of which may overlap the one before. For few elements, faster than a
/// call of `memcpy`.
#[inline]
pub(crate) fn copy_run(output: &mut [i8], input: &[i8]) {
    let len = output.len().min(input.len());
    if len < 4 {
        for (output, &x) in output.iter_mut().zip(input) {
            *output = x;
        }
        return;
    }
    // SAFETY: both slices have at least `len` bytes, and `len` is at least 4.
    unsafe {
        asm!(
            "subs {left}, {left}, #4",
            "ble 3f",
            "2:",
            "ldr {word}, [{input}], #4",
            "subs {left}, {left}, #4",
            "str {word}, [{output}], #4",
            "bgt 2b",
            // Zero to three bytes back.
            "3:",
            "ldr {word}, [{input}, {left}]",
            "str {word}, [{output}, {left}]",
            input = inout(reg) input.as_ptr() => _,
            output = inout(reg) output.as_mut_ptr() => _,
            left = inout(reg) len => _,
            word = out(reg) _,
            options(nostack),
        );
    }
}
